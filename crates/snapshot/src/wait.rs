//! Who waits for what, and who holds it: every statement with its evidence and certainty.

use crate::Address;
use serde::{Deserialize, Serialize};

/// How sure a statement is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Follows from what was read, given that CPython works as its source says.
    #[default]
    Certain,
    /// The best explanation of what was read; another one is possible.
    Probable,
}

/// A place in the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Path as the code object has it.
    pub file: String,
    /// Line number, from 1; 0 when unknown.
    pub line: u32,
    /// Qualified name from 3.11 on, plain name before.
    pub function: String,
}

/// What kind of thing is waited for or held, named as the program's own code named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // each name is the Python or Unix term itself
pub enum Kind {
    Lock,
    RLock,
    Condition,
    Semaphore,
    BoundedSemaphore,
    Event,
    Barrier,
    Queue,
    SimpleQueue,
    Thread,
    Future,
    Executor,
    Task,
    /// `importlib._bootstrap._ModuleLock`, or the old global import lock.
    ModuleLock,
    /// The global interpreter lock.
    #[serde(rename = "GIL")]
    Gil,
    /// A `pthread_mutex_t` or other native futex not made by CPython.
    #[serde(rename = "native mutex")]
    NativeMutex,
    /// `multiprocessing.Process`.
    Process,
    /// A child that is not a `multiprocessing.Process` (`subprocess`, `os.waitpid`).
    Child,
    #[serde(rename = "pipe")]
    Pipe,
    #[serde(rename = "socket")]
    Socket,
    #[serde(rename = "file lock")]
    FileLock,
    #[serde(rename = "file")]
    File,
    #[serde(rename = "terminal")]
    Terminal,
    #[serde(rename = "timer")]
    Timer,
    #[serde(rename = "signal")]
    Signal,
    /// select, poll, epoll over several descriptors.
    #[serde(rename = "descriptors")]
    Descriptors,
    /// An awaitable that is none of the above.
    Awaitable,
    /// Not found out.
    #[serde(rename = "unknown")]
    Unknown,
}

impl std::fmt::Display for Kind {
    /// The word that JSON has for it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Gil => "GIL",
            Kind::NativeMutex => "native mutex",
            Kind::Pipe => "pipe",
            Kind::Socket => "socket",
            Kind::FileLock => "file lock",
            Kind::File => "file",
            Kind::Terminal => "terminal",
            Kind::Timer => "timer",
            Kind::Signal => "signal",
            Kind::Descriptors => "descriptors",
            Kind::Unknown => "unknown",
            // Python's own names.
            named => return write!(f, "{named:?}"),
        })
    }
}

/// What the program's own code asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // each name is the Python method's or the system call's
pub enum Operation {
    Acquire,
    /// `wait` of Condition, Event, Barrier.
    Wait,
    Get,
    Put,
    /// `join` of a Thread, a Process, a queue, a pool.
    Join,
    Result,
    Await,
    Import,
    Read,
    Write,
    Accept,
    Connect,
    /// waitpid and its like.
    Reap,
    Select,
    Sleep,
    /// Opening a FIFO blocks until the other end is opened.
    Open,
    Other,
}

/// Whether the wait ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timeout {
    /// It waits for ever.
    Forever,
    /// It ends by itself, sooner or later.
    Limited,
    /// Not found out.
    #[default]
    Unknown,
}

/// What a thread or task waits for. `file`, `line` and `function` are those of the innermost frame in
/// the program's own code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// What the program's own code called.
    pub kind: Kind,
    /// The object that the program's own code called (a Queue, not the lock inside it), where there is one.
    pub address: Option<Address>,
    /// The lock, future or other object that is really slept on, when another one than `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_address: Option<Address>,
    /// What was asked of it.
    pub operation: Operation,
    /// The expression in the program that names it (`self.lock`), where one is found.
    pub name: Option<String>,
    /// Where the program's own code waits.
    #[serde(flatten)]
    pub place: Place,
    /// The innermost frame of all, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<Place>,
    /// Further objects waited for at the same time, any of which ends the wait
    /// (`concurrent.futures.wait`, `as_completed`, `asyncio.wait`). Filled by the reader of the frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Address>,
    /// Whether it ends by itself.
    #[serde(default)]
    pub timeout: Timeout,
    /// File descriptors concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fds: Vec<i32>,
    /// The child waited for, as the target numbers it; `-1`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<i64>,
    /// How this was found out, a phrase.
    #[serde(default)]
    pub evidence: String,
    /// How sure it is.
    #[serde(default)]
    pub certainty: Certainty,
}

/// Something that a thread or task holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// What it is.
    pub kind: Kind,
    /// The object held; of a file lock the file object or number that it was taken by.
    pub address: Address,
    /// Of a file lock: the descriptor, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fd: Option<i32>,
    /// The expression in the program that names it, where one is found.
    pub name: Option<String>,
    /// Where it was taken: the `with` or the `acquire`.
    #[serde(flatten)]
    pub place: Place,
    /// Where the holder is at present (innermost frame in the program's own code).
    #[serde(default)]
    pub now: Place,
    /// True while a `Condition.wait` has given it up for the time of the wait: it is not held then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// How this was found out, a phrase: `__exit__ of this lock on the value stack of deposit(), slot 1`.
    #[serde(default)]
    pub evidence: String,
    /// How sure it is.
    #[serde(default)]
    pub certainty: Certainty,
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_have_the_names_of_the_contract() {
        for (kind, word) in [
            (Kind::NativeMutex, "native mutex"),
            (Kind::Gil, "GIL"),
            (Kind::RLock, "RLock"),
            (Kind::FileLock, "file lock"),
        ] {
            assert_eq!(kind.to_string(), word);
        }
    }
}
