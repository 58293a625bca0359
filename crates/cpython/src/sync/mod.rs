//! Who waits for what, and who holds it: read from the threads' frames, with evidence and certainty.
//!
//! A wait is what the program's own code called: the frames of the standard library between it and the lock
//! that is really slept on are named by a table (`rules`). It is reported only where the kernel says that
//! the thread sleeps in a system call that fits. What is held is read from the frames' value stacks and from
//! the owners that some locks store.

mod acquires;
mod blocked;
mod callable;
mod callees;
mod ended;
mod files;
mod forms;
mod functions;
mod futures;
mod gone;
mod holds;
mod insight;
mod inspect;
mod locks;
mod names;
mod native;
mod nearby;
mod objects;
mod origin;
mod outward;
mod owners;
mod pools;
mod rules;
mod scope;
mod shared;
mod traced;
mod waits;

pub use functions::namespaces_of_program;
pub use gone::{Lonely, who_is_gone};
pub use insight::Understood;
pub use native::{AfterInterruption, NativeCall, native_call};
pub use origin::Origins;

use crate::frame::RawFrame;
use crate::interpreter::Interp;
use crate::reader::Reader;
use crate::runtime::Runtime;
use crate::threads::RawThread;
use insight::Insight;
use snapshot::{Address, Ended, Hold, OsThread, SyncObject, ThreadState, Wait};
use std::cell::RefCell;

/// A thread, as far as others have read it.
#[derive(Debug, Clone, Copy)]
pub struct ThreadInput<'a> {
    /// The interpreter's side.
    pub raw: &'a RawThread,
    /// The kernel's side.
    pub os: &'a OsThread,
    /// The kernel's number of it, as the target counts.
    pub ns_tid: u32,
    /// Its name.
    pub name: &'a str,
}

/// What a thread waits for and holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThreadSync {
    /// What it waits for.
    pub waits_for: Option<Wait>,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// Of these, what only some of the ways through its code have taken.
    pub unsure: Vec<Address>,
    /// What it is doing, where that could be told: [`ThreadState::Gil`], [`ThreadState::Waiting`],
    /// [`ThreadState::Idle`]; `None`: it runs, or nothing is known.
    pub state_hint: Option<ThreadState>,
    /// Whether it waits for work.
    pub idle: bool,
    /// Whether it sleeps until it gets the GIL.
    pub waits_for_gil: bool,
    /// For each frame the C function that its current instruction is calling, where it is known.
    pub calls: Vec<Option<String>>,
}

/// What an interpreter's threads wait for and hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncReport {
    /// For each thread given, in the same order.
    pub per_thread: Vec<ThreadSync>,
    /// The objects met.
    pub objects: Vec<SyncObject>,
    /// Threads that ended and are still referred to.
    pub ended: Vec<Ended>,
    /// What could not be read, each a sentence.
    pub notes: Vec<String>,
}

/// Finds out what the threads of an interpreter wait for and hold. `more` are objects that others than threads wait for:
/// they are described too.
pub fn inspect(
    reader: &Reader<'_>,
    runtime: &Runtime,
    interpreter: &Interp,
    threads: &[ThreadInput<'_>],
    more: &[Address],
) -> SyncReport {
    let _ = runtime;
    let insight = Insight::new(*reader);
    let origins = Origins::of(reader, interpreter.address);
    inspect::Inspection::new(&insight, &origins, interpreter, threads).report(more)
}

/// What the frames of a suspended generator, coroutine or task hold (from the innermost outwards).
pub fn holds_of_frames(reader: &Reader<'_>, frames: &[RawFrame], origins: &Origins) -> Vec<Hold> {
    let insight = Insight::new(*reader);
    holds::Holder {
        insight: &insight,
        origins,
        frames,
        ident: None,
        now: inspect::now(&insight, origins, frames),
        unsure: RefCell::default(),
    }
    .holds()
}

/// The objects at these addresses, with what is known of each and with the objects that they are made of.
/// What is no synchronisation object is left out.
pub fn describe(reader: &Reader<'_>, addresses: &[Address]) -> Vec<SyncObject> {
    let mut catalogue = objects::Catalogue::default();
    catalogue.add(reader, addresses.iter().copied());
    catalogue.into_objects()
}

/// The context managers whose `with` or `async with` block the frame is in, outermost first.
pub fn managers_of_frame(reader: &Reader<'_>, frame: &RawFrame) -> Vec<Address> {
    let insight = Insight::new(*reader);
    let blocks = insight.blocks(frame);
    blocks.iter().map(|block| block.manager).collect()
}

/// The expression by which the frame's code names the object at `wanted` where it calls or awaits it now
/// (`self.queue` of `await self.queue.get()`); else a local variable or attribute of `self` that is it.
pub fn name_in_frame(reader: &Reader<'_>, frame: &RawFrame, wanted: Address) -> Option<String> {
    names::in_frame(&Insight::new(*reader), frame, wanted)
}
