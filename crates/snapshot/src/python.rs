//! The Python side of a process: threads, frames, values, tasks.

use crate::{
    Address, Certainty, Child, Effect, Fd, FileLock, Hold, OsThread, Place, ProcessState,
    SyncObject, TerminalEnd, Wait,
};
use serde::{Deserialize, Serialize};

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// PID in unknot's own PID namespace.
    pub pid: u32,
    /// PID in the target's own PID namespace, when it is another one.
    pub ns_pid: Option<u32>,
    /// Parent's PID.
    pub parent: u32,
    /// The PID of the process that this one is a fork of, when it has not executed a program since
    /// (the interpreter's state lies at the same address and the command line is the same). Also
    /// set when that process is not in the snapshot. Filled by whoever assembles the snapshot.
    pub forked_from: Option<u32>,
    /// How often the main interpreter's GIL has changed hands (`switch_number`). Filled with the
    /// threads' `gil`.
    pub gil_switches: Option<u64>,
    /// Version of the Python in it (`3.13.0`, `3.15.0rc2`); `None` when it runs no Python.
    pub python: Option<String>,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// Command line.
    pub command: Vec<String>,
    /// Path of the executable, as the kernel names it.
    pub executable: Option<String>,
    /// State of the whole process.
    pub process_state: ProcessState,
    /// Threads; Python's first, the main thread first of all.
    pub threads: Vec<Thread>,
    /// asyncio's tasks that are not done, and done ones that somebody still refers to and that failed.
    pub tasks: Vec<Task>,
    /// Synchronisation objects that were met.
    pub objects: Vec<SyncObject>,
    /// Threads that ended and are still referred to, and jobs that failed.
    pub ended: Vec<Ended>,
    /// Locks that functions which are over have probably left taken; only looked for where somebody waits for such a lock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// Open descriptors, as far as they were looked at.
    pub fds: Vec<Fd>,
    /// Inodes of pipes and sockets that somebody here waits for and that a process which is not in the snapshot has
    /// open too: that one may write, read or close. Filled by whoever assembles the snapshot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_outside: Vec<u64>,
    /// The same of pseudo terminals' ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub terminals_outside: Vec<TerminalEnd>,
    /// Children, also those that are not Python.
    pub children: Vec<Child>,
    /// Python-level signal handlers in force: signal number and function; 0 and nothing where only their existence is known.
    pub signal_handlers: Vec<(i32, String)>,
    /// What the handlers' code can reach of the objects that somebody waits for.
    pub handlers_reach: Vec<Effect>,
    /// File locks.
    pub file_locks: Vec<FileLock>,
    /// What the `reaches` of threads and tasks are worth: `true` when every reference could be
    /// followed, so that an object missing there really cannot be reached.
    pub reach_complete: bool,
    /// What could not be read of it, each a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThreadState {
    /// On a CPU (or ready for one) in Python.
    #[default]
    Running,
    /// On a CPU outside Python.
    Native,
    /// Waits for a lock, a thread, a child, a descriptor, a timer.
    Waiting,
    /// Waits for the GIL.
    Gil,
    /// A pool worker or loop with nothing to do.
    Idle,
}

/// A thread's part in the global interpreter lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GilState {
    /// Neither holds nor wants it, or there is none.
    #[default]
    None,
    /// Holds it.
    Holds,
    /// Waits for it.
    Waits,
}

/// One thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Kernel thread id in unknot's own PID namespace.
    pub tid: u32,
    /// Kernel thread id in the target's own namespace, when it is another one.
    pub ns_tid: Option<u32>,
    /// `threading.get_ident()`: the pthread_t.
    pub ident: Option<u64>,
    /// As `threading` has it; else the kernel's name.
    pub name: String,
    /// Whether it is the main thread.
    pub main: bool,
    /// Whether it is a daemon thread, where `threading` knows.
    pub daemon: Option<bool>,
    /// Its `threading.Thread` object.
    pub thread_object: Option<Address>,
    /// Which interpreter (0: the main one); `None`: the thread runs no Python.
    pub interpreter: Option<i64>,
    /// What it is doing.
    pub state: ThreadState,
    /// Its part in the GIL.
    pub gil: GilState,
    /// The kernel's view of it.
    pub os: OsThread,
    /// What it waits for.
    pub waits_for: Option<Wait>,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// From the innermost outwards.
    pub frames: Vec<Frame>,
    /// True when `frames` was cut short (limit, torn read).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frames_cut: bool,
    /// The task that it is running a step of right now.
    pub running_task: Option<Address>,
    /// `context_ver` of the thread's state: it changes whenever a loop's step (`Handle._run`) begins
    /// or ends, so that two looks can tell whether they saw the same step.
    pub steps: Option<u64>,
    /// Of the objects that somebody waits for: those that this thread's own frames can reach.
    pub reaches: Vec<Effect>,
}

/// Whose code a frame runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The program's own.
    #[default]
    Program,
    /// The standard library (frozen modules included).
    Stdlib,
    /// Installed packages (site-packages, dist-packages).
    Packages,
    /// Not Python: a C function or native frame.
    Native,
}

/// One frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Qualified name from 3.11 on, plain name before.
    pub function: String,
    /// Path as the code object has it; the shared object for a native frame.
    pub file: String,
    /// Current line, from 1; 0 when unknown.
    pub line: u32,
    /// The function's first line, from 1; 0 when unknown.
    #[serde(skip)]
    pub first_line: u32,
    /// Current column, from 1, in UTF-8 bytes, where the code has it (3.11+).
    pub column: Option<u32>,
    /// Whether it is not Python.
    pub native: bool,
    /// Whose code it is.
    pub origin: Origin,
    /// The C function that the current instruction is calling (`lock.acquire`, `time.sleep`), where it is known.
    pub calls: Option<String>,
    /// Local variables, when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locals: Vec<Local>,
}

impl Frame {
    /// The place that this frame is at.
    pub fn place(&self) -> Place {
        Place {
            file: self.file.clone(),
            line: self.line,
            function: self.function.clone(),
        }
    }
}

/// A local variable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its type's name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// A bounded rendering, made without running any code of the target.
    pub value: String,
}

/// State of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Suspended, or scheduled and not yet run.
    #[default]
    Pending,
    /// A thread runs a step of it right now.
    Running,
    /// Returned.
    Finished,
    /// Ended by an exception.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// One asyncio task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// The Task object.
    pub address: Address,
    /// Its name.
    pub name: String,
    /// Qualified name of its coroutine.
    pub coroutine: String,
    /// The coroutine.
    #[serde(skip)]
    pub coroutine_address: Address,
    /// Its state.
    pub state: TaskState,
    /// Whether its next step is in the loop's ready queue (it is not waiting, only due).
    pub scheduled: bool,
    /// The loop.
    pub event_loop: Option<Address>,
    /// Kernel thread that runs the loop, in unknot's numbering.
    pub loop_tid: Option<u32>,
    /// The exception that it failed with.
    pub exception: Option<String>,
    /// Whether nobody has retrieved that exception.
    pub unretrieved: bool,
    /// Names of the tasks that wait for it.
    pub awaited_by: Vec<String>,
    /// The same tasks.
    #[serde(skip)]
    pub awaited_by_addresses: Vec<Address>,
    /// The future or task that it awaits (`_fut_waiter`).
    pub awaiting: Option<Address>,
    /// Whether its await chain and what it awaits contradict each other: it went on while it was read.
    #[serde(skip)]
    pub torn: bool,
    /// What it waits for, told as the program's own code names it.
    pub waits_for: Option<Wait>,
    /// What it holds (asyncio's locks, permits, and thread locks held over an await).
    pub holds: Vec<Hold>,
    /// The await chain, from the innermost outwards.
    pub frames: Vec<Frame>,
    /// Of the objects that somebody waits for: those that this task's own frames can reach.
    pub reaches: Vec<Effect>,
}

/// A thread that has ended, as far as its Thread object still tells; or a job of a pool that has failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The Thread object; of a job, its future.
    pub thread_object: Address,
    /// Its name; a job has none.
    pub name: String,
    /// Kernel thread id that it had, as the target numbers it.
    pub native_id: Option<u32>,
    /// `threading.get_ident()` that it had.
    pub ident: Option<u64>,
    /// The function that it ran.
    pub target: Option<Place>,
    /// Where it was at the last, when a traceback or frame still tells.
    pub last: Option<Place>,
    /// How it ended, where that is known: `ended by KeyError('sku')`.
    pub how: Option<String>,
    /// Of what is waited for: what its function would have given, as far as its code tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives: Vec<Address>,
}

/// A lock, or a permit of a semaphore, that a function which is over has probably left taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The lock.
    pub lock: Address,
    /// Where the function takes it.
    #[serde(flatten)]
    pub place: Place,
    /// How the function ended: `finished`, `ended by an exception`.
    pub how: String,
    /// The Thread object of the ended thread that ran it, where that is known.
    pub thread_object: Option<Address>,
    /// How this was found out, a phrase.
    pub evidence: String,
    /// How sure it is.
    #[serde(default)]
    pub certainty: Certainty,
}
