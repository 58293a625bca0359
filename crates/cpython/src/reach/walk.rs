//! The walk from one root over all that it can reach.

use super::graph::{Edges, Id, NameId};
use super::path::{self, Label};
use super::{Reached, Root, World};
use rustc_hash::FxHashSet;
use snapshot::{ENDERS, Effect};
use std::rc::Rc;

/// So many references count as one more object looked into.
const LINKS_OF_OBJECT: usize = 64;

/// The way to an object.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The walk that made it: those before it do not count.
    walk: u32,
    from: Option<Id>,
    via: Via,
}

/// Which reference a step followed.
#[derive(Debug, Clone, Copy)]
enum Via {
    /// One of those that the object has whatever the code, by its place among them.
    Always(u32),
    /// One that some code names.
    Named(NameId),
    /// One of the root's own, by its place among the labels noted.
    Root(u32),
}

/// One walk after the other; what is kept by object or by name is valid if it bears the walk's number.
pub(super) struct Walk<'w, 'a> {
    world: &'w mut World<'a>,
    number: u32,
    /// By object.
    steps: Vec<Step>,
    /// By name: the last walk whose code uses it.
    used: Vec<u32>,
    /// By name: what would be reached if it came up.
    waiting: Vec<Vec<(Id, Id)>>,
    /// The names for which something waits.
    waited_for: Vec<NameId>,
    /// The objects reached that are to be looked into, in this order.
    queue: Vec<Id>,
    /// Starts of names that code puts together: `getattr(self, "do_" + command)`.
    prefixes: Vec<Rc<str>>,
    root_labels: Vec<Label>,
    found: Vec<Id>,
    complete: bool,
    /// Some code gives back what it has not taken.
    releases: bool,
    /// Locks whose `release` may be called without being named.
    released: FxHashSet<Id>,
    /// Whether native code from outside the standard library is in play: which names that uses cannot be seen.
    foreign: bool,
    /// Names of the functions whose frames are the root: what they do is begun.
    begun: FxHashSet<Rc<str>>,
}

impl<'w, 'a> Walk<'w, 'a> {
    pub fn new(world: &'w mut World<'a>) -> Self {
        Walk {
            world,
            number: 0,
            steps: Vec::new(),
            used: Vec::new(),
            waiting: Vec::new(),
            waited_for: Vec::new(),
            queue: Vec::new(),
            prefixes: Vec::new(),
            root_labels: Vec::new(),
            found: Vec::new(),
            complete: true,
            releases: false,
            released: FxHashSet::default(),
            foreign: false,
            begun: FxHashSet::default(),
        }
    }

    fn begin(&mut self) {
        self.number += 1;
        for name in self.waited_for.drain(..) {
            if let Some(waiting) = self.waiting.get_mut(name.index()) {
                waiting.clear();
            }
        }
        self.queue.clear();
        self.prefixes.clear();
        self.root_labels.clear();
        self.found.clear();
        self.released.clear();
        self.begun.clear();
        (self.complete, self.releases, self.foreign) = (true, false, false);
    }

    /// What the root can reach.
    pub fn run(&mut self, root: &Root<'_>) -> Reached {
        self.begin();
        let mut inner = None;
        for frame in root.frames {
            let links = self.world.frame_links(frame, inner);
            let edges = self.world.numbered(links);
            self.follow(None, &edges);
            self.begun.insert(frame.code.name.clone());
            inner = Some(frame);
        }
        for object in root.extra.iter().filter(|object| !object.is_null()) {
            let id = self.world.graph.id(*object);
            self.visit_from_root(&Label::Other, id);
        }
        let mut left = self.world.question.objects_max;
        let mut next = 0;
        while let Some(&object) = self.queue.get(next) {
            next += 1;
            if left == 0 {
                self.complete = false;
                break;
            }
            let edges = self.world.edges(object);
            // Looking at many references takes its time too.
            let count = edges.always.len() + edges.named.len();
            left = left.saturating_sub(1 + count / LINKS_OF_OBJECT);
            self.follow(Some(object), &edges);
        }
        let uses = self.uses();
        let effect = |object: &Id| self.effect(*object, uses.clone());
        Reached {
            found: self.found.iter().map(effect).collect(),
            complete: self.complete,
        }
    }

    fn follow(&mut self, from: Option<Id>, edges: &Edges) {
        self.complete &= !edges.partial;
        if let Some(lock) = edges.releases {
            let label = from
                .and_then(|from| self.step(from))
                .map(|step| self.label(step));
            // Every Condition has its lock's methods as attributes of these names.
            if !label.is_some_and(|label| label.is_attribute("release")) {
                self.released.insert(lock);
            }
        }
        self.foreign |= edges.foreign;
        for (index, (label, to)) in (0..).zip(&edges.always) {
            match from {
                Some(_) => self.visit(from, Via::Always(index), *to),
                None => self.visit_from_root(label, *to),
            }
        }
        for (name, to) in &edges.named {
            if self.is_named(*name) {
                self.visit(from, Via::Named(*name), *to);
            } else if let Some(from) = from {
                self.wait(*name, from, *to);
            }
        }
        for name in &edges.names {
            self.name(*name);
        }
        if let Some(code) = &edges.code {
            self.complete &= !code.partial;
            self.releases |= code.releases;
            for prefix in &code.prefixes {
                self.prefix(prefix);
            }
        }
    }

    /// Keeps a reference until some code uses its name.
    fn wait(&mut self, name: NameId, from: Id, to: Id) {
        if self.waiting.len() <= name.index() {
            let names = self.world.graph.name_count();
            self.waiting.resize_with(names, Vec::new);
        }
        let Some(waiting) = self.waiting.get_mut(name.index()) else {
            return;
        };
        if waiting.is_empty() {
            self.waited_for.push(name);
        }
        waiting.push((from, to));
    }

    fn is_named(&self, name: NameId) -> bool {
        if self.used.get(name.index()) == Some(&self.number) {
            return true;
        }
        if self.prefixes.is_empty() {
            return false;
        }
        self.has_prefix(&self.world.graph.name(name))
    }

    fn has_prefix(&self, name: &str) -> bool {
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|prefix| name.starts_with(&**prefix))
    }

    /// Some code uses this name: what waited for it is reached.
    fn name(&mut self, name: NameId) {
        if self.used.len() <= name.index() {
            let names = self.world.graph.name_count();
            self.used.resize(names, 0);
        }
        match self.used.get_mut(name.index()) {
            Some(used) if *used != self.number => *used = self.number,
            _ => return,
        }
        self.wake(name);
    }

    fn wake(&mut self, name: NameId) {
        let waiting = self.waiting.get_mut(name.index());
        for (from, to) in waiting.map(std::mem::take).unwrap_or_default() {
            self.visit(Some(from), Via::Named(name), to);
        }
    }

    fn prefix(&mut self, prefix: &Rc<str>) {
        if self.prefixes.contains(prefix) {
            return;
        }
        self.prefixes.push(prefix.clone());
        let named = |name: &NameId| (self.world.graph.name(*name), *name);
        let mut names: Vec<(Rc<str>, NameId)> = self.waited_for.iter().map(named).collect();
        names.retain(|(name, _)| name.starts_with(&**prefix));
        names.sort();
        names.dedup();
        for (_, name) in names {
            self.wake(name);
        }
    }

    fn visit_from_root(&mut self, label: &Label, object: Id) {
        if self.step(object).is_none() {
            let index = self.root_labels.len() as u32;
            self.root_labels.push(label.clone());
            self.visit(None, Via::Root(index), object);
        }
    }

    fn visit(&mut self, from: Option<Id>, via: Via, object: Id) {
        if self.step(object).is_some() {
            return;
        }
        if self.steps.len() <= object.index() {
            let none = Step {
                walk: 0,
                from: None,
                via,
            };
            self.steps.resize(self.world.graph.len(), none);
        }
        if let Some(step) = self.steps.get_mut(object.index()) {
            *step = Step {
                walk: self.number,
                from,
                via,
            };
        }
        let role = self.world.role(object);
        if role.target {
            self.found.push(object);
        }
        if role.inner {
            self.queue.push(object);
        }
    }

    /// How the object was reached, if it was.
    fn step(&self, object: Id) -> Option<&Step> {
        let step = self.steps.get(object.index())?;
        (step.walk == self.number).then_some(step)
    }

    fn label(&self, step: &Step) -> Label {
        let edges = step
            .from
            .and_then(|from| self.world.graph.known_edges(from));
        let found = match step.via {
            Via::Named(name) => Some(Label::Attribute(self.world.graph.name(name))),
            Via::Root(index) => self.root_labels.get(index as usize).cloned(),
            Via::Always(index) => edges.and_then(|edges| {
                let (label, _) = edges.always.get(index as usize)?;
                Some(label.clone())
            }),
        };
        found.unwrap_or(Label::Other)
    }

    /// Which of the methods that end a wait the code in play names.
    fn uses(&self) -> Option<Vec<String>> {
        let used = |name: &&&str| {
            let known = self.world.graph.known_name(name);
            let named = known.map_or(self.has_prefix(name), |name| self.is_named(name));
            named || self.begun.contains(**name)
        };
        let names = || ENDERS.iter().filter(used).map(|name| (*name).to_owned());
        (!self.foreign).then(|| names().collect())
    }

    fn effect(&self, object: Id, uses: Option<Vec<String>>) -> Effect {
        let mut labels = Vec::new();
        let mut at = Some(object);
        while let Some(step) = at.and_then(|at| self.step(at)) {
            labels.push(self.label(step));
            at = step.from;
            if labels.len() > self.steps.len() {
                break;
            }
        }
        labels.reverse();
        Effect {
            object: self.world.graph.address(object),
            path: path::text(&labels.iter().collect::<Vec<_>>()),
            releases: self.releases || self.released.contains(&object),
            uses,
        }
    }
}
