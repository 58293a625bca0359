//! Wait-for graph and verdicts: pure functions over a [`snapshot::Snapshot`].
//!
//! No system call, no printing, no knowledge of CPython. What is not in the snapshot counts as
//! "can go on": a finding is only what cannot be otherwise, given the facts.
//!
//! # How a verdict is reached
//!
//! Every thread, pending task and process is an actor; every thing waited for is a gate. An actor goes
//! on when all its gates open; a gate opens when any of those who could open it goes on. What runs,
//! sleeps on a timer, waits with a limit or waits for the world outside goes on by itself. The least
//! fixpoint of these rules is all that can ever go on (as in Go's goroutine-leak detection); the rest
//! is stuck for ever, and its roots are the findings.
//!
//! # The facts relied on
//!
//! Addresses are compared within one process; `SharedKey`s and inodes across processes. "Wait" is
//! `waits_for` of the thread or task, "hold" an entry of its `holds`.
//!
//! ## Everywhere
//!
//! | fact | meaning here |
//! |---|---|
//! | `wait.address` | the object that the program's own code named (the Queue); its `SyncObject` is in `objects` |
//! | `wait.inner_address` | what is really slept on. When it is one of the object's `parts` and a Lock or RLock (the Queue's mutex, a Condition's own lock), the wait is for that lock, with its holders; otherwise (a waiter's private lock) it is for the object itself |
//! | `wait.timeout` | `Limited`: goes on by itself. `Forever`: waits for ever. `Unknown`: taken as for ever, and the finding is only probable. A task inside `asyncio.timeout`/`wait_for` is `Limited` |
//! | `wait.operation` | `Acquire` on a Condition: the lock is being taken (also again, after the wait); `Wait`: waiting to be notified |
//! | `wait.name`, `names` | only real names (`self.done`, `done`). Leave `None` for a call expression (`threading.Event().wait()`, `await asyncio.Future()`): an object without any name that nobody reaches is "sleep for ever by design" where something else goes on |
//! | `wait.any_of` | further objects any of which ends the wait |
//! | object state says it is free (unlocked, set, not empty, done, ended) | the wait is about to end: no finding |
//! | inner lock's state `Lock { locked: false }` | the same |
//! | `hold` | only real holds; `given_up` while a `Condition.wait` has given the lock up |
//! | `reaches`, `handlers_reach`, `EventLoop.reaches` | who could release, set, put, notify. With `reach_complete` false every Python actor of the process that can go on is taken to reach everything. `releases`: its code also gives back what it has not taken, so it may be meant to release a lock whose holder is only probable |
//! | `ThreadState::Idle` | only for waits that no program code is part of: a pool's worker waiting for work (`concurrent.futures.thread._worker`, a `multiprocessing.Pool` worker's `get`, the pools' own handler threads, a queue's feeder with nothing to write), a loop in its own select. A user's `while True: q.get()` is `Waiting` |
//! | `interpreter` `None` | a native thread: never an actor |
//! | `daemon` | `Some(false)` or `main`: the program relies on it. `None` counts as daemon |
//!
//! ## Threads
//!
//! | situation | expected |
//! |---|---|
//! | `with lock:` / `lock.acquire()` | wait {Lock, Acquire, address}; object `Lock { locked }`; the holder's hold {address} |
//! | RLock | object `RLock { owner, count }`; `owner` is matched with `Thread.ident`; a hold adds the place |
//! | the same thread takes a Lock twice; a signal handler or finaliser takes what its own thread holds | wait and hold with the same address on one thread |
//! | holder ended | `locked: true`, no hold anywhere; `ended` lists threads that ended, `how` with the exception where known |
//! | `Condition.wait` | wait {Condition, Wait, address, inner_address: waiter lock}; the hold of its lock `given_up` |
//! | taking a Condition's lock | wait {Condition, Acquire, address, inner_address: the lock}; `parts` has the lock |
//! | Semaphore | wait {Semaphore or BoundedSemaphore, Acquire, address, inner_address: waiter lock}; hold {kind: Semaphore, address} per permit taken by `with` or `acquire`; `value`, `bound` |
//! | Event, Barrier | wait {Event or Barrier, Wait, address}; state |
//! | `queue.Queue` get, put, join | wait {Queue, Get/Put/Join, address, inner_address: waiter lock}; `size`, `maxsize`, `unfinished`. Blocked on the mutex: `inner_address` = mutex, which is in `parts` |
//! | `SimpleQueue.get` | wait {SimpleQueue, Get, address}; `size` |
//! | `Thread.join` | wait {Thread, Join, address: the Thread object}; `thread_object` of each live thread; `Thread` state object or `ended` entry for one that is gone |
//! | main thread in `threading._shutdown` | wait {Thread, Join, address: the thread it waits for now, or `None`: all non-daemon threads}, `place` may be empty |
//! | `Future.result`, `.exception` | wait {Future, Result, address}; object `Future { state, executor, event_loop }` |
//! | `concurrent.futures.wait`, `as_completed` | wait {Future, Wait, address: the first unfinished, any_of: the others} |
//! | a worker runs a work item | a hold {kind: Future, address: the item's future, place: the function submitted} on the worker thread |
//! | pool | object `Executor { workers: [Thread objects], queued: [futures], processes }`; `Future.executor` set for queued and running futures |
//! | `executor.shutdown(wait=True)` | wait {Executor, Join, address}, or {Thread, Join} of one worker |
//! | import | wait {ModuleLock, Import, address}; `ModuleLock { module, owner }` or a hold {ModuleLock} |
//! | GIL | `gil: Waits` on each waiter, `gil: Holds` on the holder; `gil_switches`. What a thread with `gil: Waits` waited for before is over |
//! | native mutex | wait {NativeMutex, Acquire, address} on the waiter, also when it holds the GIL; a hold {NativeMutex, address} on the thread that the mutex names as its owner |
//! | `time.sleep`, `select` with a timeout | wait {Timer, Sleep, timeout: Limited} |
//! | `input()`, terminal | wait {Terminal, Read, fds} |
//! | `signal.pause`, `sigwait` | wait {Signal, Wait} |
//! | select, poll, epoll, `connection.wait` | wait {Descriptors, Select, fds}; an epoll fd's own `watches` are not followed: list the watched fds |
//! | suspended generator that holds a lock | a hold on the thread or task whose frames reach it, `Probable` |
//!
//! ## Processes
//!
//! | situation | expected |
//! |---|---|
//! | `Popen.wait`, `os.waitpid` | wait {Child, Reap, child: PID as the target numbers it or -1}; the child as a `Process` of its own in the snapshot, *also when it runs no Python* (`python: None`, its threads with `waits_for` from the system call: {Pipe, Read/Write, fds}), with its `fds`; else in `children` |
//! | `multiprocessing.Process.join` | wait {Process, Join, address, child} |
//! | a child that ended | absent or `children` state `zombie` with `exit_code`; `SyncState::Process { pid, exit_code, name }` |
//! | pipe read, write | wait {Pipe, Read/Write, `fds` = that descriptor}; `fds` of *every* process looked at, with inode and direction |
//! | socket | wait {Socket, Read/Write/Accept, fds}; `connection.peer_inode` where the other end is on this machine |
//! | FIFO open | wait {Pipe, Open}: goes on by itself |
//! | `multiprocessing.Queue` | wait {Queue, Get/Put, address, fds: [the pipe's end slept on]}; blocked on its `_rlock`/`_wlock`/`_sem`: `inner_address` = that `SharedSemaphore` object |
//! | a queue's feeder thread blocked in write | wait {Pipe or Queue, Write, fds} |
//! | `multiprocessing` Lock, RLock, Semaphore | object `SharedSemaphore { value, count, last_owner, key }` in each process; `count > 0` names the holder (`last_owner` by `ident`); holds where found |
//! | `multiprocessing` Event, Condition, Barrier | wait {Event/Condition/Barrier, Wait, address, inner_address: the SharedSemaphore slept on} |
//! | `Pool.map`, `AsyncResult.get` | wait {Future, Result, address}; object `Future { executor: the Pool }`; `Executor { processes, queued }` |
//! | file lock | wait {FileLock, Acquire, fds}; `file_locks` with `waiting: true` and `blocked_by` |
//! | forked child | `forked_from`; an address in the child then means the same object in the parent |
//!
//! ## asyncio
//!
//! | situation | expected |
//! |---|---|
//! | loop | object `EventLoop { tid, ready, scheduled, watched, reaches, sources }` for each running loop, `sources` with what each watched descriptor's callbacks reach; `loop_tid`, `event_loop` on each task |
//! | something is due in a loop that sleeps | `ready` above 0 and the thread's select without an end; due tasks are `scheduled` and keep the wait that is over |
//! | loop in its own select | thread `Idle`, `running_task: None`; wait {Descriptors, Select} or none |
//! | a step of a task runs | `running_task` on the thread; the task is `Running`, without a wait of its own; what the step waits for is the thread's wait |
//! | a task waits | wait on the task, `awaiting` = its `_fut_waiter` |
//! | Lock, Semaphore, Condition, Event, Queue, Barrier | wait {kind, operation, address, inner_address: the waiter's future}; objects with `AsyncLock`, `Semaphore`, `Queue`… states; holds on tasks |
//! | `await task` | wait {Task, Await, address: the awaited Task} |
//! | gather, wait, shield, TaskGroup, `as_completed` | wait {Future or Task, Await, address: the outer future}; each child task or future has a `SyncObject { AsyncFuture, wakes: [outer future, or the task that waits] }` at its own address |
//! | `asyncio.sleep` | wait {Timer, Sleep, timeout: Limited} |
//! | a plain future | wait {Future, Await, address}; object `AsyncFuture { state, event_loop, follows, all }`, `all` where it needs every one of its wakers (gather, TaskGroup, `asyncio.wait` for all) |
//! | `run_in_executor`, `to_thread` | the awaited `AsyncFuture` has `follows` = the `concurrent.futures.Future` |
//! | `run_coroutine_threadsafe(c).result()` | wait {Future, Result} on the thread; `Future { event_loop }`, and once the task exists `wakes: [that Future]` at the task's address |
//! | streams | wait {Socket or Pipe, Read/Write, fds; `address` the transport read from} on the task, and who reaches the transport at the other end, for few of them; unknown transports: kind `Awaitable`, `watched` filled |
//! | `await process.wait()` | wait {Child, Reap, child} on the task |
//! | `asyncio.Queue.join` with the consumer dead | the failed task stays in `tasks` (`Failed`, `exception`, `unretrieved`; `frames` and `reaches` from its traceback) |
//! | a lock held over `await` | a hold on the suspended task, with the thread lock's address |
//!
//! # Two looks
//!
//! `earlier`, where given, is a look at the same target at least 100 ms and at most a few seconds before.
//! It proves that a computing step, a native call under the GIL, or a busy loop lasts.
//! A knot across processes, or in a process that was not held still (`held_still_us` 0, no core), is
//! dropped when `earlier` shows that one of its threads has run since.
//! [`Report::wants_second_look`] says that another look could change the verdict.

mod compose;
mod edges;
mod followers;
mod gates;
mod gone;
mod graph;
mod kernel;
mod lasting;
mod lost;
mod partner;
mod providers;
mod report;
mod roots;
mod text;
mod words;
mod world;

pub use report::{Edge, Finding, FindingKind, Holder, Party, Report, SCHEMA, Target, Verdict};

pub use text::{Line, Role, Text, explain};

use lasting::Lasting;
use snapshot::Snapshot;
use std::collections::HashSet;
use world::{Actor, World};

/// Judges what a look found; `earlier` is a look at the same target 100 ms or more before.
pub fn diagnose(now: &Snapshot, earlier: Option<&Snapshot>) -> Report {
    let world = World::new(now);
    let mut knots = gates::Knots::build(&world);
    let stuck = roots::find(&mut knots);
    let mut findings = Vec::new();
    let mut told: HashSet<Actor> = HashSet::new();
    let mut lasting = Lasting::default();
    for root in &stuck.roots {
        if let Some(finding) = compose::finding(&knots, &stuck, root, earlier) {
            findings.push(finding);
            findings.extend(lasting::gil_in_cycle(&knots, root));
            told.extend(root.knot.iter().chain(&root.followers));
            lasting.wants_second_look |=
                earlier.is_none() && compose::wants_confirming(&knots, root);
        }
    }
    let is_told = |actor: Actor| told.contains(&actor);
    lasting::gil(&world, earlier, &is_told, &mut lasting);
    lost::jobs(&world, earlier, &is_told, &mut lasting);
    lasting::loops(&world, earlier, &is_told, &mut lasting);
    findings.append(&mut lasting.findings);
    if findings.is_empty() {
        lasting::busy(&world, earlier, &mut lasting);
        findings.append(&mut lasting.findings);
    }
    findings.sort_by_key(|f| (f.kind, f.certainty));
    Report {
        schema: SCHEMA,
        verdict: findings
            .first()
            .map_or(Verdict::Ok, |f| Verdict::Found(f.kind)),
        findings,
        wants_second_look: lasting.wants_second_look,
    }
}
