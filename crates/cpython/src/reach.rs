//! What a thread, task or handler could still get hold of when it goes on: from its frames through variables,
//! attributes, items, and the globals that its code names, on to the functions found there.
//!
//! Who waits for an event that nobody else can reach waits for ever. So an object that can be reached must be found: where
//! a reference cannot be told from a number, it counts; where something cannot be followed, the answer says that
//! it is not complete. Deliberately not followed, because no ordinary code signals anything by them: `sys.modules` as a whole, the registries
//! of threads and tasks, the collector's lists, tracebacks, context variables, and methods and module attributes
//! whose name stands in no code that was reached.

mod ahead;
mod code;
mod expand;
mod kind;
mod path;

use crate::frame::RawFrame;
use crate::reader::Reader;
use ahead::{Ahead, Standing};
use code::{CodeUse, Namespace};
use kind::Kind;
use path::Label;
use snapshot::{Address, ENDERS, Effect};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

/// So many references count as one more object looked into.
const LINKS_OF_OBJECT: usize = 64;

/// Who asks: an actor that may go on.
#[derive(Debug, Clone, Copy)]
pub struct Root<'r> {
    /// Frames that it will go on in, from the innermost outwards: of a thread, or of a coroutine's await chain.
    pub frames: &'r [RawFrame],
    /// Objects that it has besides: a signal handler's function, a callback, a `Thread` object's target.
    pub extra: &'r [Address],
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The objects looked for.
    pub targets: &'q HashSet<Address>,
    /// Objects that act for themselves and get an answer of their own: tasks that are not done, running event loops. They
    /// may be found but are not looked into. (Threads are known without being told.)
    pub actors: &'q HashSet<Address>,
    /// The interpreter's `sys.modules`, from which an `import` inside a function takes; null for none.
    pub modules: Address,
    /// Most objects that are looked into for one root.
    pub objects_max: usize,
}

/// The answer for one root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reached {
    /// The targets that it can reach, and how.
    pub found: Vec<Effect>,
    /// Whether all was followed: a target that is missing then really cannot be reached.
    pub complete: bool,
}

/// For each root, which of the targets it can reach.
pub fn reach(reader: &Reader<'_>, roots: &[Root<'_>], question: &Question<'_>) -> Vec<Reached> {
    let mut world = World::new(*reader, question);
    roots
        .iter()
        .map(|root| Walk::new(&mut world).run(root))
        .collect()
}

/// One reference.
#[derive(Debug, Clone)]
struct Link {
    label: Label,
    to: Address,
}

/// Where one object leads.
#[derive(Debug, Default)]
struct Links {
    /// Whatever the code.
    always: Vec<Link>,
    /// Only where some code names it.
    named: Vec<(Rc<str>, Address)>,
    /// The code that the object brings into play.
    code: Option<Rc<CodeUse>>,
    /// Something of it could not be followed.
    partial: bool,
    /// The lock whose `release` this is, ready to be called.
    releases: Option<Address>,
    /// It is of native code from outside the standard library.
    foreign: bool,
}

/// What is known of the target whoever asks; each object is read once.
struct World<'a> {
    reader: Reader<'a>,
    question: Question<'a>,
    kinds: HashMap<Address, Kind>,
    links: HashMap<Address, Rc<Links>>,
    codes: HashMap<Address, Rc<CodeUse>>,
    ahead: HashMap<Standing, Rc<Ahead>>,
    namespaces: HashMap<Address, Rc<Namespace>>,
}

/// The way to an object.
struct Step {
    from: Option<Address>,
    label: Label,
}

/// One root's walk.
struct Walk<'w, 'a> {
    world: &'w mut World<'a>,
    seen: HashMap<Address, Step>,
    queue: VecDeque<Address>,
    /// Names that the code reached so far uses.
    names: HashSet<Rc<str>>,
    /// Starts of names that code puts together: `getattr(self, "do_" + command)`.
    prefixes: HashSet<Rc<str>>,
    /// What would be reached if its name came up.
    waiting: BTreeMap<Rc<str>, Vec<(Address, Address)>>,
    found: Vec<Address>,
    complete: bool,
    /// Some code gives back what it has not taken.
    releases: bool,
    /// Locks whose `release` may be called without being named.
    released: HashSet<Address>,
    /// Whether native code from outside the standard library is in play: which names that uses cannot be seen.
    foreign: bool,
    /// Names of the functions whose frames are the root: what they do is begun.
    begun: HashSet<Rc<str>>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(world: &'w mut World<'a>) -> Self {
        Walk {
            world,
            seen: HashMap::new(),
            queue: VecDeque::new(),
            names: HashSet::new(),
            prefixes: HashSet::new(),
            waiting: BTreeMap::new(),
            found: Vec::new(),
            complete: true,
            releases: false,
            released: HashSet::new(),
            foreign: false,
            begun: HashSet::new(),
        }
    }

    fn run(mut self, root: &Root<'_>) -> Reached {
        let mut inner = None;
        for frame in root.frames {
            let links = self.world.frame_links(frame, inner);
            self.follow(None, &links);
            self.begun.insert(frame.code.name.clone());
            inner = Some(frame);
        }
        for object in root.extra {
            self.visit(None, Label::Other, *object);
        }
        let mut left = self.world.question.objects_max;
        while let Some(object) = self.queue.pop_front() {
            if left == 0 {
                self.complete = false;
                break;
            }
            let links = self.world.links_of(object);
            // Looking at many references takes its time too.
            left =
                left.saturating_sub(1 + (links.always.len() + links.named.len()) / LINKS_OF_OBJECT);
            self.follow(Some(object), &links);
        }
        let uses = self.uses();
        Reached {
            found: self
                .found
                .iter()
                .map(|object| self.effect(*object, uses.clone()))
                .collect(),
            complete: self.complete,
        }
    }

    fn follow(&mut self, from: Option<Address>, links: &Links) {
        self.complete &= !links.partial;
        if let Some(lock) = links.releases {
            let step = from.and_then(|from| self.seen.get(&from));
            // Every Condition has its lock's methods as attributes of these names.
            let named = step.is_some_and(|step| step.label.is_attribute("release"));
            if !named {
                self.released.insert(lock);
            }
        }
        self.foreign |= links.foreign;
        for link in &links.always {
            self.visit(from, link.label.clone(), link.to);
        }
        for (name, to) in &links.named {
            if self.is_named(name) {
                self.visit(from, Label::Attribute(name.clone()), *to);
            } else if let Some(from) = from {
                self.waiting
                    .entry(name.clone())
                    .or_default()
                    .push((from, *to));
            }
        }
        if let Some(code) = &links.code {
            self.complete &= !code.partial;
            self.releases |= code.releases;
            for name in &code.names {
                self.name(name);
            }
            for prefix in &code.prefixes {
                self.prefix(prefix);
            }
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.contains(name)
            || self
                .prefixes
                .iter()
                .any(|prefix| name.starts_with(&**prefix))
    }

    /// Some code uses this name: what waited for it is reached.
    fn name(&mut self, name: &Rc<str>) {
        if !self.names.insert(name.clone()) {
            return;
        }
        for (from, to) in self.waiting.remove(name).unwrap_or_default() {
            self.visit(Some(from), Label::Attribute(name.clone()), to);
        }
    }

    fn prefix(&mut self, prefix: &Rc<str>) {
        if !self.prefixes.insert(prefix.clone()) {
            return;
        }
        let names: Vec<Rc<str>> = self
            .waiting
            .range(prefix.clone()..)
            .map(|(name, _)| name.clone())
            .take_while(|name| name.starts_with(&**prefix))
            .collect();
        for name in names {
            for (from, to) in self.waiting.remove(&name).unwrap_or_default() {
                self.visit(Some(from), Label::Attribute(name.clone()), to);
            }
        }
    }

    fn visit(&mut self, from: Option<Address>, label: Label, object: Address) {
        if object.is_null() || self.seen.contains_key(&object) {
            return;
        }
        self.seen.insert(object, Step { from, label });
        if self.world.question.targets.contains(&object) {
            self.found.push(object);
        }
        if !self.world.question.actors.contains(&object) && self.world.kind_of(object) != Kind::Leaf
        {
            self.queue.push_back(object);
        }
    }

    /// Which of the methods that end a wait the code in play names.
    fn uses(&self) -> Option<Vec<String>> {
        let used = |name: &&&str| self.is_named(name) || self.begun.contains(**name);
        (!self.foreign).then(|| {
            ENDERS
                .iter()
                .filter(used)
                .map(|name| (*name).to_owned())
                .collect()
        })
    }

    fn effect(&self, object: Address, uses: Option<Vec<String>>) -> Effect {
        let mut labels = Vec::new();
        let mut at = Some(object);
        while let Some(step) = at.and_then(|at| self.seen.get(&at)) {
            labels.push(&step.label);
            at = step.from;
            if labels.len() > self.seen.len() {
                break;
            }
        }
        labels.reverse();
        Effect {
            object,
            path: path::text(&labels),
            releases: self.releases || self.released.contains(&object),
            uses,
        }
    }
}
