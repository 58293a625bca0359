//! asyncio: its tasks, futures and loops, what each task waits for and what each future would wake.
//!
//! Tasks and futures of the C module `_asyncio` and of the pure Python one are read alike. A task's frames are
//! those of its coroutine's await chain; what it waits for is told as the program's own code named it: the
//! queue, not the future inside it.

mod callbacks;
mod find;
mod future;
mod limits;
mod loops;
pub mod primitives;
mod waits;

pub use find::{Found, find};
pub use future::{Future, is_future, is_task};
pub use loops::{Source, event_loops};

use crate::frame::RawFrame;
use crate::generator::{AwaitChain, GeneratorState, await_chain, generator_state};
use crate::interpreter::Interp;
use crate::reader::Reader;
use crate::render::RenderLimits;
use crate::sync::Origins;
use snapshot::{Address, FutureState, SyncObject, SyncState, Task, TaskState};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Longest name of a task that is read.
const NAME_LIMIT_CHARS: usize = 200;

/// One task with the frames that it was read from, for whoever has to look further into them.
#[derive(Debug)]
pub struct TaskSeen {
    /// What was found; `frames` is left empty, `holds` and `reaches` too.
    pub task: Task,
    /// The await chain, from the innermost frame outwards.
    pub frames: Vec<RawFrame>,
    /// The coroutine.
    pub coroutine: Address,
    /// What is called when it is done.
    pub callbacks: Vec<Address>,
}

/// What asyncio is doing in one interpreter.
#[derive(Debug, Default)]
pub struct TaskReport {
    /// Tasks that are not done, and failed ones that somebody still refers to.
    pub tasks: Vec<TaskSeen>,
    /// Futures, loops and primitives that were met.
    pub objects: Vec<SyncObject>,
    /// Which task the thread of this `get_ident()` runs a step of.
    pub running: HashMap<u64, Address>,
    /// Each loop and what it will call by itself.
    pub loops: Vec<(Address, Vec<Source>)>,
    /// The `concurrent.futures.Future`s that futures and tasks follow or are followed by.
    pub foreign: Vec<Address>,
    /// Those of them that are to be brought by a loop which has not begun with it.
    pub brought: Vec<(Address, Address)>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// Looks at asyncio in one interpreter. `tid_of` gives the kernel's thread id, in unknot's numbering, for a
/// `threading.get_ident()`.
pub fn inspect(
    reader: &Reader<'_>,
    interp: &Interp,
    origins: &Origins,
    tid_of: &dyn Fn(u64) -> Option<u32>,
) -> TaskReport {
    let mut report = TaskReport::default();
    let found = find(reader, interp);
    if found.tasks.is_empty() && found.loops.is_empty() {
        return report;
    }
    let mut objects = BTreeMap::new();
    let loops = event_loops(reader, interp, &found, tid_of);
    let mut seen = Vec::new();
    for address in &found.tasks {
        match one_task(reader, *address, &found, &loops) {
            Some(task) => seen.push(task),
            None => report
                .notes
                .push(format!("the task at {address} could not be read")),
        }
    }
    if reader.layout.thread_state_impl.asyncio_tasks_head.exists() {
        let of_threads = interp.threads.iter().flat_map(|thread| &thread.frames);
        let mut frames = of_threads.chain(seen.iter().flat_map(|task| &task.frames));
        let mut failed = find::failed(reader, origins, &mut frames);
        failed.retain(|at| !found.tasks.contains(at));
        seen.extend(
            failed
                .iter()
                .filter_map(|at| one_task(reader, *at, &found, &loops)),
        );
    }
    for task in &mut seen {
        if task.task.state == TaskState::Pending {
            task.task.waits_for = waits::wait_of(reader, origins, task, &mut objects);
        }
    }
    limits::spread(reader, origins, &mut seen);
    report.foreign = awaited_by(reader, origins, &mut seen, &mut objects);
    for (ident, task) in &found.running {
        report.running.insert(*ident, *task);
    }
    for (address, event_loop) in loops {
        report.loops.push((address, event_loop.sources));
        report.foreign.extend(&event_loop.brings);
        let brought = event_loop.brings.iter().map(|future| (*future, address));
        report.brought.extend(brought);
        objects.insert(address, event_loop.object);
    }
    report.objects = objects.into_values().collect();
    report.tasks = seen;
    report
}

fn one_task(
    reader: &Reader<'_>,
    address: Address,
    found: &Found,
    loops: &BTreeMap<Address, loops::LoopSeen>,
) -> Option<TaskSeen> {
    let future = Future::read(reader, address)?;
    let coroutine = future.coroutine.unwrap_or(Address::NULL);
    let running = found.running.values().any(|task| *task == address);
    let state = match future.state {
        FutureState::Pending | FutureState::Running if running => TaskState::Running,
        FutureState::Pending | FutureState::Running => TaskState::Pending,
        FutureState::Cancelled => TaskState::Cancelled,
        FutureState::Failed => TaskState::Failed,
        FutureState::Finished => TaskState::Finished,
    };
    let chain = match state {
        // While it runs its frames stand on the thread's own stack.
        TaskState::Pending if !coroutine.is_null() => await_chain(reader, coroutine),
        TaskState::Failed => failed_chain(reader, &future),
        _ => AwaitChain::default(),
    };
    let event_loop = future.event_loop;
    let on_loop = event_loop.and_then(|at| loops.get(&at));
    let created = !coroutine.is_null()
        && matches!(
            generator_state(reader, coroutine),
            Ok(GeneratorState::Created)
        );
    let scheduled = on_loop.is_some_and(|l| l.ready_tasks.contains(&address))
        || (state == TaskState::Pending && created);
    let torn = state == TaskState::Pending && !created && is_torn(reader, &chain, future.waiter);
    let task = Task {
        address,
        name: future.task_name(reader),
        coroutine: coroutine_name(reader, coroutine),
        coroutine_address: coroutine,
        state,
        scheduled,
        event_loop,
        loop_tid: on_loop.and_then(|l| l.tid),
        exception: future
            .exception
            .map(|e| reader.render(e, &RenderLimits::default())),
        unretrieved: future.unretrieved,
        awaiting: future.waiter,
        torn,
        ..Task::default()
    };
    Some(TaskSeen {
        task,
        frames: chain.frames,
        coroutine,
        callbacks: future.callbacks,
    })
}

/// Whether a suspended task's chain cannot be one that it had: the innermost coroutine awaits nothing, or another future
/// than the task.
fn is_torn(reader: &Reader<'_>, chain: &AwaitChain, waiter: Option<Address>) -> bool {
    /// `CO_COROUTINE`, in `Include/cpython/code.h`.
    const COROUTINE: u32 = 0x80;
    match (chain.awaited, waiter) {
        (Some(awaited), Some(waiter)) => awaited != waiter && is_future(reader, awaited),
        (Some(_), None) => false,
        (None, _) => chain
            .frames
            .first()
            .is_some_and(|frame| frame.code.flags & COROUTINE != 0),
    }
}

/// Where a failed task was when it failed: the frames of its exception's traceback, which it keeps alive.
fn failed_chain(reader: &Reader<'_>, future: &Future) -> AwaitChain {
    let frames = future
        .exception
        .map(|e| crate::traceback::frames_of_traceback(reader, e))
        .unwrap_or_default();
    AwaitChain {
        frames,
        awaited: None,
    }
}

fn coroutine_name(reader: &Reader<'_>, coroutine: Address) -> String {
    let layout = &reader.layout.generator;
    let name = reader
        .get(coroutine, layout.gi_qualname)
        .and_then(|name| reader.string(name, NAME_LIMIT_CHARS));
    name.unwrap_or_else(|_| {
        reader
            .class_of(coroutine)
            .map(|class| class.name.to_string())
            .unwrap_or_default()
    })
}

/// Fills `awaited_by` and the futures' `wakes`, following callbacks from each awaited future outwards. Gives the
/// `concurrent.futures.Future`s met.
fn awaited_by(
    reader: &Reader<'_>,
    origins: &Origins,
    seen: &mut [TaskSeen],
    objects: &mut BTreeMap<Address, SyncObject>,
) -> Vec<Address> {
    let names: HashMap<Address, String> = seen
        .iter()
        .map(|t| (t.task.address, t.task.name.clone()))
        .collect();
    let mut starts: Vec<Address> = seen.iter().map(|t| t.task.address).collect();
    starts.extend(seen.iter().filter_map(|t| t.task.awaiting));
    let wakes = callbacks::wakes_from(reader, &starts);
    let waiting: Vec<Vec<Address>> = seen
        .iter()
        .map(|t| callbacks::tasks_woken(&wakes, t.task.address, &|at| names.contains_key(&at)))
        .collect();
    place_without_frames(reader, origins, seen, &waiting);
    for (task, waiting) in seen.iter_mut().zip(waiting) {
        task.task.awaited_by = waiting
            .iter()
            .filter_map(|at| names.get(at).cloned())
            .collect();
        task.task.awaited_by_addresses = waiting;
        if let Some(wait) = &mut task.task.waits_for {
            waits::complete_any_of(reader, wait, &wakes);
        }
    }
    let mut foreign = Vec::new();
    for (address, woken) in wakes {
        let object = match objects.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match Future::read(reader, address) {
                Some(future) => entry.insert(future.object(reader)),
                None => {
                    if callbacks::is_foreign_future(reader, address) {
                        foreign.push(address);
                    }
                    continue;
                }
            },
        };
        object.wakes.extend(woken);
        object.wakes.sort_unstable();
        object.wakes.dedup();
        if let SyncState::AsyncFuture {
            follows: Some(source),
            ..
        } = object.state
        {
            foreign.push(source);
        }
    }
    foreign
}

/// Gives the waits of tasks without a frame of the program's own the places where such tasks are waited for.
fn place_without_frames(
    reader: &Reader<'_>,
    origins: &Origins,
    seen: &mut [TaskSeen],
    waiting: &[Vec<Address>],
) {
    let position: HashMap<Address, usize> = seen
        .iter()
        .enumerate()
        .map(|(at, task)| (task.task.address, at))
        .collect();
    for (at, waiting) in waiting.iter().enumerate() {
        let Some(task) = seen.get(at) else { continue };
        if waits::program_frame(origins, &task.frames).is_some() {
            continue;
        }
        let Some(mut wait) = task.task.waits_for.clone() else {
            continue;
        };
        let other = waiting.first().and_then(|other| position.get(other));
        if let Some(other) = other.and_then(|other| seen.get(*other)) {
            waits::place_at(reader, origins, &mut wait, &other.frames);
            if let Some(task) = seen.get_mut(at) {
                task.task.waits_for = Some(wait);
            }
        }
    }
}
