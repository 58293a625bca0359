//! What happens when a future is done: whom its callbacks wake.

use super::future::{CALLBACKS_MAX, Future, is_future, is_task};
use crate::code::CodeInfo;
use crate::reader::Reader;
use snapshot::Address;
use std::collections::{BTreeMap, BTreeSet};

/// Most futures whose callbacks are followed.
const FUTURES_MAX: usize = 100_000;

/// The task that a callback runs a step of or wakes up, if that is what it does.
pub(super) fn task_of_callback(reader: &Reader<'_>, callback: Address) -> Option<Address> {
    let class = reader.class_of(callback).ok()?;
    let candidate = match &*class.name {
        // C: an object of its own for a step; for the wake-up too in 3.8, later a built-in method of the task.
        "TaskStepMethWrapper" => reader.get(callback, reader.layout.task_step.sw_task).ok(),
        "TaskWakeupMethWrapper" => reader.get(callback, reader.layout.task_wakeup.ww_task).ok(),
        "builtin_function_or_method" => reader.get(callback, reader.layout.cfunction.m_self).ok(),
        // Python: `task.__step`, `task.__wakeup`.
        "method" => reader.get(callback, reader.layout.method.im_self).ok(),
        _ => None,
    };
    candidate.filter(|at| is_task(reader, *at))
}

/// Whom each future wakes, for all that can be reached from `starts` by following callbacks.
pub(super) fn wakes_from(
    reader: &Reader<'_>,
    starts: &[Address],
) -> BTreeMap<Address, BTreeSet<Address>> {
    let mut wakes: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    let mut todo: Vec<Address> = starts.to_vec();
    while let Some(at) = todo.pop() {
        if wakes.contains_key(&at) || wakes.len() >= FUTURES_MAX {
            continue;
        }
        let callbacks = match Future::read(reader, at) {
            Some(future) => future.callbacks,
            None => foreign_callbacks(reader, at),
        };
        let mut woken: BTreeSet<Address> = callbacks
            .iter()
            .flat_map(|callback| woken_by(reader, *callback))
            .collect();
        if is_queue(reader, at) {
            // Of `as_completed`.
            let getters = reader.some_attribute(at, "_getters");
            let getters = getters.and_then(|q| reader.deque_items(q, CALLBACKS_MAX).ok());
            woken.extend(getters.unwrap_or_default());
        }
        woken.remove(&at);
        todo.extend(&woken);
        wakes.insert(at, woken);
    }
    wakes
}

/// What a `concurrent.futures.Future` calls when it is done.
fn foreign_callbacks(reader: &Reader<'_>, future: Address) -> Vec<Address> {
    if !is_foreign_future(reader, future) {
        return Vec::new();
    }
    reader
        .some_attribute(future, "_done_callbacks")
        .and_then(|list| reader.items(list, CALLBACKS_MAX).ok())
        .unwrap_or_default()
}

/// The tasks among those that the end of `future` leads to, through gathers and the like, but not through other tasks.
pub(super) fn tasks_woken(
    wakes: &BTreeMap<Address, BTreeSet<Address>>,
    future: Address,
    is_task: &dyn Fn(Address) -> bool,
) -> Vec<Address> {
    let mut seen = BTreeSet::from([future]);
    let mut todo = vec![future];
    let mut tasks = BTreeSet::new();
    while let Some(at) = todo.pop() {
        for next in wakes.get(&at).into_iter().flatten() {
            if is_task(*next) {
                tasks.insert(*next);
            } else if seen.insert(*next) {
                todo.push(*next);
            }
        }
    }
    tasks.into_iter().collect()
}

/// What a callback finishes or wakes: a task's wake-up; a function of asyncio's that closes over the outer future
/// (`gather`, `wait`, `shield`, `wait_for`, `wrap_future`) or over `as_completed`'s queue; a method of a TaskGroup; a
/// partial of one of them. What the program's own callbacks do is not told by what they close over.
fn woken_by(reader: &Reader<'_>, callback: Address) -> Vec<Address> {
    if let Some(task) = task_of_callback(reader, callback) {
        return vec![task];
    }
    let Ok(class) = reader.class_of(callback) else {
        return Vec::new();
    };
    let l = reader.layout;
    match &*class.name {
        "function" => closure(reader, callback, WAITS_FOR_SOURCE, false),
        "method" => bound(reader, callback),
        "partial" => {
            let mut all = reader
                .get(callback, l.partial.func)
                .map(|f| woken_by_plain(reader, f))
                .unwrap_or_default();
            let args = reader
                .get(callback, l.partial.args)
                .and_then(|args| reader.items(args, 16))
                .unwrap_or_default();
            all.extend(args.into_iter().filter(|at| is_future(reader, *at)));
            all
        }
        _ => Vec::new(),
    }
}

/// As [`woken_by`] for what a partial wraps: no further partial is followed.
fn woken_by_plain(reader: &Reader<'_>, callback: Address) -> Vec<Address> {
    match reader.class_of(callback) {
        Ok(class) if &*class.name == "function" => {
            closure(reader, callback, WAITS_FOR_SOURCE, false)
        }
        Ok(class) if &*class.name == "method" => bound(reader, callback),
        _ => Vec::new(),
    }
}

/// The function by which `asyncio.futures._chain_future` lets a future that follows another one pass on its being
/// cancelled: it closes over the other one, which does not wait for it.
const WAITS_FOR_SOURCE: &str = "_call_check_cancel";

/// The future that one with these callbacks follows: `wrap_future`, `run_coroutine_threadsafe`.
pub(super) fn source_of(reader: &Reader<'_>, callbacks: &[Address]) -> Option<Address> {
    callbacks.iter().find_map(|callback| {
        let class = reader.class_of(*callback).ok()?;
        (&*class.name == "function")
            .then(|| closure(reader, *callback, WAITS_FOR_SOURCE, true))?
            .first()
            .copied()
    })
}

/// What a function of asyncio's closes over: futures of both kinds and `as_completed`'s queue. Only of a function of
/// that name when `named`, else only of one with another name. Of a gather's callback that is `outer`; its
/// `children` must not be followed, so lists are left alone.
fn closure(reader: &Reader<'_>, function: Address, name: &str, named: bool) -> Vec<Address> {
    let code = reader.get(function, reader.layout.function.func_code);
    let Ok(code) = code.and_then(|code| CodeInfo::read(reader, code)) else {
        return Vec::new();
    };
    if !code.file.contains("/asyncio/") || (&*code.name == name) != named {
        return Vec::new();
    }
    closed_over(reader, function)
        .into_iter()
        .filter(|at| {
            is_future(reader, *at) || is_foreign_future(reader, *at) || is_queue(reader, *at)
        })
        .collect()
}

/// The `concurrent.futures.Future`s that a function of asyncio's closes over: the one that `run_coroutine_threadsafe`
/// leaves with a loop, which will bring their results.
pub(super) fn foreign_futures(reader: &Reader<'_>, callback: Address) -> Vec<Address> {
    if !reader.is_instance(callback, "builtins", "function") {
        return Vec::new();
    }
    let mut all = closure(reader, callback, WAITS_FOR_SOURCE, false);
    all.retain(|at| is_foreign_future(reader, *at));
    all
}

/// Whether a callback of a future closes over a timer: that of the timeout of `as_completed`.
pub(super) fn has_timer(reader: &Reader<'_>, future: Address) -> bool {
    let callbacks = Future::read(reader, future).map(|future| future.callbacks);
    let functions = callbacks
        .unwrap_or_default()
        .into_iter()
        .filter(|callback| reader.is_instance(*callback, "builtins", "function"));
    functions
        .flat_map(|function| closed_over(reader, function))
        .any(|cell| reader.is_instance(cell, "asyncio.events", "TimerHandle"))
}

/// The objects in a function's cells.
fn closed_over(reader: &Reader<'_>, function: Address) -> Vec<Address> {
    let cells = reader
        .get(function, reader.layout.function.func_closure)
        .and_then(|cells| reader.items(cells, 32));
    cells
        .unwrap_or_default()
        .into_iter()
        .filter_map(|cell| reader.get(cell, reader.layout.cell.ob_ref).ok())
        .collect()
}

/// Whether the object is a `concurrent.futures.Future`.
pub(super) fn is_foreign_future(reader: &Reader<'_>, object: Address) -> bool {
    reader.is_instance(object, "concurrent.futures._base", "Future")
}

fn is_queue(reader: &Reader<'_>, object: Address) -> bool {
    reader.is_instance(object, "asyncio.queues", "Queue")
}

/// A method of asyncio's own: a TaskGroup's wakes its parent task, `as_completed`'s fills its queue (3.13+).
fn bound(reader: &Reader<'_>, method: Address) -> Vec<Address> {
    let Ok(owner) = reader.get::<Address>(method, reader.layout.method.im_self) else {
        return Vec::new();
    };
    let kept: &[&str] = if reader.is_instance(owner, "asyncio.taskgroups", "TaskGroup") {
        &["_parent_task", "_on_completed_fut"]
    } else if reader.is_instance(owner, "asyncio.tasks", "_AsCompletedIterator") {
        &["_done"]
    } else {
        return Vec::new();
    };
    kept.iter()
        .filter_map(|name| reader.some_attribute(owner, name))
        .collect()
}
