//! What one look at a process found: plain data, no logic, no system call.
//!
//! Every room speaks this vocabulary: `process` and `cpython` write it, `look` assembles it,
//! `diagnose` judges it, the command prints it. Its serde form *is* the JSON that
//! `unknot dump --json` prints, so a saved dump can be judged again later.
//!
//! Invariants: addresses are allegations by the target (never dereferenced here); lists are
//! bounded by whoever fills them; a field that is `None` was not found out, never "does not exist",
//! unless its own documentation says so.

mod address;
mod object;
mod os;
mod python;
mod wait;

pub use address::Address;
pub use object::{ENDERS, Effect, FutureState, LoopSource, SharedKey, SyncObject, SyncState};
pub use os::{
    Child, ChildState, Connection, Fd, FdKind, FileLock, OsThread, ProcessState, SocketState,
    Syscall, TerminalEnd,
};
pub use python::{
    Ended, Frame, GilState, Left, Local, Origin, Process, Task, TaskState, Thread, ThreadState,
};
pub use wait::{Certainty, Hold, Kind, Operation, Place, Timeout, Wait};

use serde::{Deserialize, Serialize};

/// The version of the JSON form. Raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// All that one look found, process by process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// How long any target was held still, in microseconds; 1 where none had to be, as all threads slept through the
    /// reading; 0 where that was not asked for (core file, `--no-pause`).
    pub held_still_us: u64,
    /// The process asked for first, then its descendants, parents before children.
    pub processes: Vec<Process>,
    /// What could not be read, each a sentence. Empty when all was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
