//! What a frame of the standard library stands for, when a thread is blocked somewhere inside it: a table.

use snapshot::{Kind, Operation};

/// Where the object that the program's own code called is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// In this local variable of the frame.
    Local(&'static str),
    /// It is what the frames further in have found.
    Inner,
    /// In this attribute of the frame's `self`.
    Attribute(&'static str),
}

/// What tells whether the wait ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// This local variable: without a limit when it is `None`, unbound or negative.
    Local(&'static str),
    /// Nothing ends it.
    Never,
    /// It always ends.
    Always,
    /// What the frames further in have found.
    Inner,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Path within the standard library.
    pub file: &'static str,
    /// Plain name of the function; `*` for any.
    pub function: &'static str,
    /// Module and name of a class that `self` must be an instance of; empty for any.
    pub class: (&'static str, &'static str),
    /// What was called.
    pub kind: Kind,
    /// What was asked of it.
    pub operation: Operation,
    /// The object called.
    pub of: Of,
    /// Whether it ends by itself.
    pub limit: Limit,
}

const SELF: Of = Of::Local("self");
const TIMEOUT: Limit = Limit::Local("timeout");
const ANY: (&str, &str) = ("", "");

const fn rule(
    file: &'static str,
    function: &'static str,
    class: (&'static str, &'static str),
    kind: Kind,
    operation: Operation,
    of: Of,
    limit: Limit,
) -> Rule {
    Rule {
        file,
        function,
        class,
        kind,
        operation,
        of,
        limit,
    }
}

const THREADING: &str = "threading.py";
const CONDITION: (&str, &str) = ("threading", "Condition");
const THREAD: (&str, &str) = ("threading", "Thread");
const FUTURES: &str = "concurrent/futures/_base.py";
const FUTURE: (&str, &str) = ("concurrent.futures._base", "Future");
const EXECUTOR: (&str, &str) = ("concurrent.futures._base", "Executor");
const THREAD_POOL: &str = "concurrent/futures/thread.py";
const PROCESS_POOL: &str = "concurrent/futures/process.py";
const POOL: &str = "multiprocessing/pool.py";
const SYNCHRONIZE: &str = "multiprocessing/synchronize.py";
const QUEUES: &str = "multiprocessing/queues.py";
const CONNECTION: &str = "multiprocessing/connection.py";
const POPEN: (&str, &str) = ("subprocess", "Popen");

/// The table. The first line that fits counts; a line of a frame further out overrules those further in.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    rule(THREADING, "wait", CONDITION, Kind::Condition, Operation::Wait, SELF, TIMEOUT),
    rule(THREADING, "wait_for", CONDITION, Kind::Condition, Operation::Wait, SELF, TIMEOUT),
    rule(THREADING, "__enter__", CONDITION, Kind::Condition, Operation::Acquire, SELF, Limit::Never),
    rule(THREADING, "acquire", ("threading", "BoundedSemaphore"), Kind::BoundedSemaphore, Operation::Acquire, SELF, TIMEOUT),
    rule(THREADING, "acquire", ("threading", "Semaphore"), Kind::Semaphore, Operation::Acquire, SELF, TIMEOUT),
    rule(THREADING, "acquire", ("threading", "_RLock"), Kind::RLock, Operation::Acquire, SELF, Limit::Inner),
    rule(THREADING, "*", ("threading", "BoundedSemaphore"), Kind::BoundedSemaphore, Operation::Other, SELF, Limit::Inner),
    rule(THREADING, "*", ("threading", "Semaphore"), Kind::Semaphore, Operation::Other, SELF, Limit::Inner),
    rule(THREADING, "wait", ("threading", "Event"), Kind::Event, Operation::Wait, SELF, TIMEOUT),
    rule(THREADING, "*", ("threading", "Event"), Kind::Event, Operation::Other, SELF, Limit::Inner),
    rule(THREADING, "*", ("threading", "Barrier"), Kind::Barrier, Operation::Wait, SELF, TIMEOUT),
    rule(THREADING, "run", ("threading", "Timer"), Kind::Timer, Operation::Wait, SELF, Limit::Always),
    rule(THREADING, "join", THREAD, Kind::Thread, Operation::Join, SELF, TIMEOUT),
    rule(THREADING, "_wait_for_tstate_lock", THREAD, Kind::Thread, Operation::Join, SELF, Limit::Inner),
    rule(THREADING, "start", THREAD, Kind::Thread, Operation::Wait, SELF, Limit::Never),
    rule(THREADING, "_shutdown", ANY, Kind::Thread, Operation::Join, Of::Inner, Limit::Never),

    rule("queue.py", "get", ("queue", "Queue"), Kind::Queue, Operation::Get, SELF, TIMEOUT),
    rule("queue.py", "put", ("queue", "Queue"), Kind::Queue, Operation::Put, SELF, TIMEOUT),
    rule("queue.py", "join", ("queue", "Queue"), Kind::Queue, Operation::Join, SELF, Limit::Never),
    rule("queue.py", "*", ("queue", "Queue"), Kind::Queue, Operation::Other, SELF, Limit::Inner),
    rule("queue.py", "get", ("queue", "_PySimpleQueue"), Kind::SimpleQueue, Operation::Get, SELF, TIMEOUT),

    rule(FUTURES, "result", FUTURE, Kind::Future, Operation::Result, SELF, TIMEOUT),
    rule(FUTURES, "exception", FUTURE, Kind::Future, Operation::Result, SELF, TIMEOUT),
    rule(FUTURES, "*", FUTURE, Kind::Future, Operation::Other, SELF, Limit::Inner),
    rule(FUTURES, "wait", ANY, Kind::Future, Operation::Wait, Of::Local("waiter"), TIMEOUT),
    rule(FUTURES, "as_completed", ANY, Kind::Future, Operation::Wait, Of::Local("waiter"), TIMEOUT),
    rule(THREAD_POOL, "shutdown", EXECUTOR, Kind::Executor, Operation::Join, SELF, Limit::Never),
    rule(PROCESS_POOL, "shutdown", EXECUTOR, Kind::Executor, Operation::Join, SELF, Limit::Never),
    rule(THREAD_POOL, "submit", EXECUTOR, Kind::Executor, Operation::Other, SELF, Limit::Inner),
    rule(PROCESS_POOL, "submit", EXECUTOR, Kind::Executor, Operation::Other, SELF, Limit::Inner),

    rule("importlib/_bootstrap.py", "acquire", ("importlib._bootstrap", "_ModuleLock"), Kind::ModuleLock, Operation::Import, SELF, Limit::Never),
    rule("importlib/_bootstrap.py", "acquire", ("_frozen_importlib", "_ModuleLock"), Kind::ModuleLock, Operation::Import, SELF, Limit::Never),

    rule("subprocess.py", "wait", POPEN, Kind::Child, Operation::Reap, SELF, TIMEOUT),
    rule("subprocess.py", "_wait", POPEN, Kind::Child, Operation::Reap, SELF, TIMEOUT),
    rule("subprocess.py", "communicate", POPEN, Kind::Child, Operation::Reap, SELF, TIMEOUT),

    rule("multiprocessing/process.py", "join", ANY, Kind::Process, Operation::Join, SELF, TIMEOUT),
    rule("multiprocessing/popen_fork.py", "wait", ANY, Kind::Child, Operation::Reap, SELF, TIMEOUT),
    rule(SYNCHRONIZE, "wait", ("multiprocessing.synchronize", "Condition"), Kind::Condition, Operation::Wait, SELF, TIMEOUT),
    rule(SYNCHRONIZE, "wait_for", ("multiprocessing.synchronize", "Condition"), Kind::Condition, Operation::Wait, SELF, TIMEOUT),
    rule(SYNCHRONIZE, "*", ("multiprocessing.synchronize", "Condition"), Kind::Condition, Operation::Acquire, SELF, Limit::Inner),
    rule(SYNCHRONIZE, "wait", ("multiprocessing.synchronize", "Event"), Kind::Event, Operation::Wait, SELF, TIMEOUT),
    rule(SYNCHRONIZE, "*", ("multiprocessing.synchronize", "Event"), Kind::Event, Operation::Other, SELF, Limit::Inner),
    rule(SYNCHRONIZE, "__enter__", ("multiprocessing.synchronize", "BoundedSemaphore"), Kind::BoundedSemaphore, Operation::Acquire, SELF, Limit::Never),
    rule(SYNCHRONIZE, "__enter__", ("multiprocessing.synchronize", "Semaphore"), Kind::Semaphore, Operation::Acquire, SELF, Limit::Never),
    rule(SYNCHRONIZE, "__enter__", ("multiprocessing.synchronize", "RLock"), Kind::RLock, Operation::Acquire, SELF, Limit::Never),
    rule(SYNCHRONIZE, "__enter__", ("multiprocessing.synchronize", "Lock"), Kind::Lock, Operation::Acquire, SELF, Limit::Never),
    rule(QUEUES, "get", ANY, Kind::Queue, Operation::Get, SELF, TIMEOUT),
    rule(QUEUES, "put", ANY, Kind::Queue, Operation::Put, SELF, TIMEOUT),
    rule(QUEUES, "join", ANY, Kind::Queue, Operation::Join, SELF, Limit::Never),
    rule(QUEUES, "join_thread", ANY, Kind::Queue, Operation::Join, SELF, Limit::Never),
    rule(CONNECTION, "recv", ANY, Kind::Pipe, Operation::Read, SELF, Limit::Never),
    rule(CONNECTION, "recv_bytes", ANY, Kind::Pipe, Operation::Read, SELF, Limit::Never),
    rule(CONNECTION, "recv_bytes_into", ANY, Kind::Pipe, Operation::Read, SELF, Limit::Never),
    rule(CONNECTION, "send", ANY, Kind::Pipe, Operation::Write, SELF, Limit::Never),
    rule(CONNECTION, "send_bytes", ANY, Kind::Pipe, Operation::Write, SELF, Limit::Never),
    rule(CONNECTION, "poll", ANY, Kind::Pipe, Operation::Read, SELF, TIMEOUT),
    rule(CONNECTION, "wait", ANY, Kind::Descriptors, Operation::Select, Of::Inner, TIMEOUT),
    rule(CONNECTION, "accept", ANY, Kind::Socket, Operation::Accept, Of::Inner, Limit::Inner),
    rule(POOL, "get", ("multiprocessing.pool", "ApplyResult"), Kind::Future, Operation::Result, SELF, TIMEOUT),
    rule(POOL, "wait", ("multiprocessing.pool", "ApplyResult"), Kind::Future, Operation::Wait, SELF, TIMEOUT),
    rule(POOL, "next", ("multiprocessing.pool", "IMapIterator"), Kind::Future, Operation::Result, SELF, TIMEOUT),
    rule(POOL, "join", ("multiprocessing.pool", "Pool"), Kind::Executor, Operation::Join, SELF, Limit::Never),

    rule("selectors.py", "select", ANY, Kind::Descriptors, Operation::Select, Of::Inner, TIMEOUT),
    rule("socket.py", "accept", ANY, Kind::Socket, Operation::Accept, SELF, Limit::Inner),
    rule("socket.py", "readinto", ANY, Kind::Socket, Operation::Read, Of::Attribute("_sock"), Limit::Inner),
    rule("socket.py", "write", ANY, Kind::Socket, Operation::Write, Of::Attribute("_sock"), Limit::Inner),

    rule("logging/__init__.py", "acquire", ("logging", "Handler"), Kind::RLock, Operation::Acquire, Of::Attribute("lock"), Limit::Never),
    rule("logging/__init__.py", "handle", ("logging", "Handler"), Kind::RLock, Operation::Acquire, Of::Attribute("lock"), Limit::Never),
];

/// Functions of the standard library that wait for work, when it is they that the thread is blocked in, with
/// no code of the program's further in; and what they wait for then (nothing: anything).
#[rustfmt::skip]
const IDLE: &[(&str, &str, &[Kind])] = &[
    (THREAD_POOL, "_worker", &[Kind::SimpleQueue, Kind::Queue]),
    (PROCESS_POOL, "_process_worker", &[Kind::Queue]),
    (PROCESS_POOL, "wait_result_broken_or_wakeup", &[Kind::Descriptors]),
    (PROCESS_POOL, "_queue_management_worker", &[Kind::Descriptors]),
    (POOL, "worker", &[Kind::Queue]),
    (POOL, "_handle_workers", &[]),
    (POOL, "_handle_tasks", &[Kind::SimpleQueue, Kind::Queue]),
    (POOL, "_handle_results", &[Kind::Pipe, Kind::Queue, Kind::SimpleQueue]),
    (QUEUES, "_feed", &[Kind::Condition]),
    ("multiprocessing/resource_tracker.py", "main", &[]),
    ("multiprocessing/forkserver.py", "main", &[Kind::Descriptors]),
    ("multiprocessing/resource_sharer.py", "_serve", &[]),
    ("multiprocessing/managers.py", "serve_forever", &[]),
    ("multiprocessing/managers.py", "serve_client", &[Kind::Pipe]),
    ("multiprocessing/managers.py", "accepter", &[]),
    ("asyncio/base_events.py", "_run_once", &[Kind::Descriptors]),
    ("socketserver.py", "serve_forever", &[Kind::Descriptors]),
];

/// Where a worker begins to run what the program gave it.
const WORK: &[(&str, &str)] = &[(THREAD_POOL, "run")];

/// The line of the table for this function of the standard library; `is_self` tells whether its `self` is of a class.
pub(super) fn find(
    path: &str,
    function: &str,
    is_self: impl Fn(&str, &str) -> bool,
) -> Option<&'static Rule> {
    RULES.iter().find(|rule| {
        rule.file == path
            && (rule.function == function || rule.function == "*")
            && (rule.class == ANY || is_self(rule.class.0, rule.class.1))
    })
}

/// Whether the table has a line for any function of this file.
pub(super) fn has_file(path: &str) -> bool {
    RULES.iter().any(|rule| rule.file == path)
}

/// Whether this function of the standard library waits for work when it waits for something of this kind.
pub(super) fn waits_for_work(path: &str, function: &str, kind: Kind) -> bool {
    IDLE.iter().any(|(file, name, kinds)| {
        *file == path && *name == function && (kinds.is_empty() || kinds.contains(&kind))
    })
}

/// Whether this function of the standard library runs what the program gave it to do.
pub(super) fn does_work(path: &str, function: &str) -> bool {
    WORK.contains(&(path, function))
}
