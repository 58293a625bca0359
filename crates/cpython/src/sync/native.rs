//! The C function that a thread's innermost frame is in, and what that does with a system call that is interrupted.

use super::callable::Callable;
use super::forms::form_of;
use super::insight::Insight;
use super::locks::sleeps_in;
use crate::bytecode::InFlight;
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::Address;

/// Modules whose functions call again after EINTR (PEP 475), having looked for signals (`PyErr_CheckSignals`).
/// Module `io` is `_io` by the name that it gives its functions in some versions.
const MODULES: [&str; 7] = ["time", "select", "posix", "fcntl", "_io", "io", "_socket"];
/// Modules whose types' methods do.
const TYPES_OF: [&str; 6] = [
    "select",
    "_socket",
    "_io",
    "_ssl",
    "_multiprocessing",
    "time",
];
/// Types whose methods, interrupted, look for calls that wait for the main thread (`Py_MakePendingCalls`), and for
/// signals with them, where they are the main thread; and wait on.
const LOCKS: [(&str, &str); 4] = [
    ("_thread", "lock"),
    ("_thread", "RLock"),
    ("_thread", "_ThreadHandle"),
    ("_queue", "SimpleQueue"),
];

/// What a C function does when its system call ends with EINTR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterInterruption {
    /// It is CPython's own, looks for signals, and calls again.
    LooksForSignals,
    /// It is the wait of a lock of CPython's own: it looks for pending calls, in the main thread, and waits on.
    LooksForCalls,
    /// It is none that is known to expect that.
    Unknown,
}

/// The C function that a frame is in the middle of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeCall {
    /// `time.sleep`, `lock.acquire`; empty where it cannot be told.
    pub shown: String,
    /// What it does with an interruption.
    pub after: AfterInterruption,
    /// What it is bound to.
    pub receiver: Option<Address>,
}

impl NativeCall {
    fn new(shown: String, after: AfterInterruption, receiver: Option<Address>) -> NativeCall {
        NativeCall {
            shown,
            after,
            receiver,
        }
    }

    /// Whether a thread that sleeps on the futex word `word` sleeps in the lock that this call waits for, and in
    /// nothing else of the interpreter's.
    pub fn sleeps_in_its_lock(&self, reader: &Reader<'_>, word: Address) -> bool {
        let lock = |object| Some(sleeps_in(reader, object, form_of(reader, object)?, word));
        self.after == AfterInterruption::LooksForCalls
            && self.receiver.and_then(lock).unwrap_or(false)
    }
}

/// The C function that the frame's current instruction is in, as far as its value stack tells.
pub fn native_call(reader: &Reader<'_>, frame: &RawFrame) -> NativeCall {
    let insight = Insight::new(*reader);
    if let Some(call) = insight.call(frame) {
        let after = after(reader, &call.callable);
        return NativeCall::new(call.callable.shown(), after, call.callable.receiver);
    }
    let iterated = insight.moment(frame).and_then(|(analysis, moment)| {
        match analysis.borrow().in_flight(&moment)? {
            InFlight::Iterate { slot, .. } => frame.stack_slot(reader, slot as usize),
            _ => None,
        }
    });
    let Some(object) = iterated else {
        return NativeCall::new(String::new(), AfterInterruption::Unknown, None);
    };
    let class = reader.class_of(object);
    let name = class.map(|class| format!("{}.__next__", class.name));
    NativeCall::new(
        name.unwrap_or_default(),
        after_of_method(reader, object),
        Some(object),
    )
}

fn after(reader: &Reader<'_>, callable: &Callable) -> AfterInterruption {
    if !callable.known || !callable.native || callable.foreign {
        return AfterInterruption::Unknown;
    }
    if let Some(receiver) = callable.receiver {
        return after_of_method(reader, receiver);
    }
    let owner = callable.owner.as_str();
    if MODULES.contains(&owner) || (owner == "builtins" && callable.name == "input") {
        AfterInterruption::LooksForSignals
    } else {
        AfterInterruption::Unknown
    }
}

/// What a C method of this object does: by the first of its classes that is made in C.
fn after_of_method(reader: &Reader<'_>, object: Address) -> AfterInterruption {
    let native = reader.class_of(object).ok().and_then(|class| {
        let mut bases = class.mro.iter();
        bases.find_map(|base| {
            let base = reader.type_info(*base).ok()?;
            (!base.made_in_python).then_some(base)
        })
    });
    let Some(native) = native else {
        return AfterInterruption::Unknown;
    };
    if LOCKS.iter().any(|(module, name)| native.is(module, name)) {
        AfterInterruption::LooksForCalls
    } else if TYPES_OF.contains(&&*native.module) {
        AfterInterruption::LooksForSignals
    } else {
        AfterInterruption::Unknown
    }
}
