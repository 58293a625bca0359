//! The objects that concurrent Python waits for, as far as a look met them.

use crate::{Address, Kind};
use serde::{Deserialize, Serialize};

/// Names a kernel object shared between processes, equal in each of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SharedKey {
    /// Device and inode of the mapped file (`/dev/shm/sem.…`, also when deleted), or 0 and the
    /// anonymous mapping's start for memory shared over fork.
    pub dev: u64,
    /// Inode.
    pub inode: u64,
    /// Offset in the file or mapping, in bytes.
    pub offset: u64,
}

/// A synchronisation object of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncObject {
    /// Where it lives.
    pub address: Address,
    /// What it is.
    pub kind: Kind,
    /// The Python type's name.
    #[serde(default)]
    pub type_name: String,
    /// Its own state.
    pub state: SyncState,
    /// Objects that it is made of (a Queue's mutex and conditions, a Condition's lock): holding or
    /// waiting for one of them is a matter of this object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Address>,
    /// Where it is known by name: `bank.accounts_lock`, `Service.lock`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Tasks, threads and futures that would be woken by it (asyncio waiters, callbacks' targets).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wakes: Vec<Address>,
}

/// What a loop calls when a descriptor is ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoopSource {
    /// The descriptor.
    pub fd: i32,
    /// Of the objects that somebody waits for: those that its callbacks can reach.
    pub reaches: Vec<Effect>,
}

/// State of a future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // concurrent.futures' and asyncio's own terms
pub enum FutureState {
    Pending,
    Running,
    Cancelled,
    Failed,
    Finished,
}

/// What the state of each kind of object is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum SyncState {
    /// `_thread.lock`.
    Lock {
        /// Whether somebody holds it.
        locked: Option<bool>,
    },
    /// `_thread.RLock` or `threading._RLock`.
    RLock {
        /// `threading.get_ident()` of the owner; `None` when free.
        owner: Option<u64>,
        /// How many times the owner has taken it.
        #[serde(default)]
        count: u32,
    },
    /// A module's import lock.
    ModuleLock {
        /// The module's name.
        module: String,
        /// `get_ident()` of the owner; `None` when free.
        owner: Option<u64>,
    },
    /// `threading.Condition` or `asyncio.Condition`.
    Condition {
        /// The lock that belongs to it.
        lock: Option<Address>,
        /// The waiters' locks or futures.
        #[serde(default)]
        waiters: Vec<Address>,
    },
    /// `threading.Semaphore`, `asyncio.Semaphore` and the bounded ones.
    Semaphore {
        /// Permits left.
        value: i64,
        /// Permits at the start, where the object knows (bounded ones).
        bound: Option<i64>,
    },
    /// `threading.Event` or `asyncio.Event`.
    Event {
        /// Whether it is set.
        set: bool,
    },
    /// `threading.Barrier` or `asyncio.Barrier`.
    Barrier {
        /// How many must come.
        parties: i64,
        /// How many wait in it now.
        waiting: i64,
        /// Whether it is broken.
        #[serde(default)]
        broken: bool,
    },
    /// `queue.Queue` and its like, `asyncio.Queue`, `_queue.SimpleQueue`, `multiprocessing` queues.
    Queue {
        /// Items in it, where it was found out.
        size: Option<u64>,
        /// Limit; 0 or less: none.
        #[serde(default)]
        maxsize: i64,
        /// Items got and not yet reported by `task_done`.
        #[serde(default)]
        unfinished: i64,
    },
    /// `threading.Thread`.
    Thread {
        /// `get_ident()`.
        ident: Option<u64>,
        /// Kernel thread id as the target numbers it.
        native_id: Option<u32>,
        /// Its name.
        #[serde(default)]
        name: String,
        /// Whether it was started.
        #[serde(default)]
        started: bool,
        /// Whether it has ended.
        #[serde(default)]
        ended: bool,
        /// Whether it is a daemon.
        #[serde(default)]
        daemon: bool,
    },
    /// `concurrent.futures.Future`.
    Future {
        /// Its state.
        state: FutureState,
        /// The exception that it ended with: `KeyError('sku')`.
        exception: Option<String>,
        /// The pool it was submitted to, where one was found.
        executor: Option<Address>,
        /// The event loop that alone can finish it (`run_coroutine_threadsafe`), found by its
        /// handle in the loop's ready queue or by the task that it was chained to.
        event_loop: Option<Address>,
    },
    /// `asyncio.Future` or `Task`.
    AsyncFuture {
        /// Its state.
        state: FutureState,
        /// The exception that it ended with.
        exception: Option<String>,
        /// The loop it belongs to.
        event_loop: Option<Address>,
        /// Whether a finished task's exception was never retrieved.
        #[serde(default)]
        unretrieved: bool,
        /// The `concurrent.futures.Future` that this one follows (`wrap_future`), where one was found.
        follows: Option<Address>,
        /// Whether it is done only when all that wake it are: of `gather`, of a TaskGroup, of `asyncio.wait` for all.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
    },
    /// `asyncio.Lock`.
    AsyncLock {
        /// Whether it is locked.
        locked: bool,
    },
    /// `ThreadPoolExecutor`, `ProcessPoolExecutor`, `multiprocessing.Pool`.
    Executor {
        /// Limit of workers.
        #[serde(default)]
        max_workers: i64,
        /// Worker threads (Thread objects).
        #[serde(default)]
        workers: Vec<Address>,
        /// Worker processes, as the target numbers them.
        #[serde(default)]
        processes: Vec<u32>,
        /// Futures still in its queue, first come first.
        #[serde(default)]
        queued: Vec<Address>,
        /// Whether `shutdown` was called.
        #[serde(default)]
        shutdown: bool,
        /// Whether it is broken, and why.
        broken: Option<String>,
    },
    /// An asyncio event loop.
    EventLoop {
        /// Kernel thread id, in unknot's numbering, of the thread that runs it; `None` when it does not run.
        tid: Option<u32>,
        /// Handles ready to run.
        #[serde(default)]
        ready: u64,
        /// Timers that are not cancelled.
        #[serde(default)]
        scheduled: u64,
        /// Descriptors watched, without the loop's own wake-up socket.
        #[serde(default)]
        watched: Vec<i32>,
        /// Whether it was closed.
        #[serde(default)]
        closed: bool,
        /// Whether signal handlers or executors could still wake it from another thread.
        #[serde(default)]
        signal_handlers: u64,
        /// Of the objects that somebody waits for: those that the loop's ready handles, timers and signal
        /// handlers (not the wake-ups of its tasks) can reach.
        /// `None`: not looked for. Filled by whoever fills `reaches` of tasks.
        reaches: Option<Vec<Effect>>,
        /// The same for what it calls when a descriptor is ready.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<LoopSource>,
    },
    /// `multiprocessing` Lock, RLock, Semaphore, and the like over a POSIX semaphore.
    SharedSemaphore {
        /// Permits left, where the semaphore could be read.
        value: Option<i64>,
        /// Most permits (1: a lock).
        max: i64,
        /// Whether it is re-entrant.
        #[serde(default)]
        recursive: bool,
        /// How many permits this process's object counts as its own.
        #[serde(default)]
        count: i64,
        /// `get_ident()` of the thread that last took it in this process.
        last_owner: Option<u64>,
        /// The same in each process that shares it.
        key: Option<SharedKey>,
    },
    /// `subprocess.Popen` or `multiprocessing.Process`.
    Process {
        /// PID as the target numbers it.
        pid: Option<u32>,
        /// Its exit code, where it was already waited for.
        exit_code: Option<i64>,
        /// `multiprocessing`'s name of it.
        name: Option<String>,
    },
    /// Anything else; only its existence and type are known.
    Opaque,
}

/// What a thread or task could do to an object, when it goes on: an element of the "who could wake it" answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Effect {
    /// The object.
    pub object: Address,
    /// How it is reached: `global bank.done`, `self.queue of Worker.run`.
    pub path: String,
    /// Whether whoever reaches it also runs code that gives something back which it has not taken before: of a lock, that it
    /// may release what another one took.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub releases: bool,
    /// Which of [`ENDERS`] the code ahead names, on whatever objects; `None`: not known, it may call any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Vec<String>>,
}

/// Names of the methods by which a wait can be ended: what an [`Effect`] tells of.
pub const ENDERS: [&str; 21] = [
    "__aexit__",
    "__exit__",
    "_write_to_self",
    "abort",
    "call_soon_threadsafe",
    "cancel",
    "clear",
    "get",
    "get_nowait",
    "notify",
    "notifyAll",
    "notify_all",
    "put",
    "put_nowait",
    "release",
    "reset",
    "set",
    "set_exception",
    "set_result",
    "shutdown",
    "task_done",
];
