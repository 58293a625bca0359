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
mod graph;
mod kind;
mod path;
mod suspended;
mod walk;

use crate::frame::RawFrame;
use crate::reader::Reader;
use ahead::{Ahead, Standing};
use code::{CodeUse, Namespace};
use graph::Graph;
use kind::Kind;
use path::Label;
use rustc_hash::FxHashMap;
use snapshot::{Address, Effect};
use std::collections::HashSet;
use std::rc::Rc;
use walk::Walk;

pub use suspended::{Suspended, suspended};

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
    let mut walk = Walk::new(&mut world);
    roots.iter().map(|root| walk.run(root)).collect()
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
    kinds: FxHashMap<Address, Kind>,
    graph: Graph,
    codes: FxHashMap<Address, Rc<CodeUse>>,
    ahead: FxHashMap<Standing, Rc<Ahead>>,
    namespaces: FxHashMap<Address, Rc<Namespace>>,
}
