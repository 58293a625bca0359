//! What happens when a future is done: whom its callbacks wake.

use super::future::{Future, is_future, is_task};
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
        let mut woken = BTreeSet::new();
        if let Some(future) = Future::read(reader, at) {
            for callback in &future.callbacks {
                woken.extend(woken_by(reader, *callback));
            }
        }
        woken.remove(&at);
        todo.extend(&woken);
        wakes.insert(at, woken);
    }
    wakes
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

/// The tasks and futures that a callback leads to: a task's wake-up; a function of asyncio's that closes over
/// the outer future (`gather`, `wait`, `shield`, `wait_for`, `wrap_future`); a TaskGroup's bound method; a partial
/// of one of them.
fn woken_by(reader: &Reader<'_>, callback: Address) -> Vec<Address> {
    if let Some(task) = task_of_callback(reader, callback) {
        return vec![task];
    }
    let Ok(class) = reader.class_of(callback) else {
        return Vec::new();
    };
    let l = reader.layout;
    match &*class.name {
        "function" => closure(reader, callback),
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
        Ok(class) if &*class.name == "function" => closure(reader, callback),
        Ok(class) if &*class.name == "method" => bound(reader, callback),
        _ => Vec::new(),
    }
}

/// Futures in the cells of a function's closure. Of a gather's callback that is `outer`; its `children` must
/// not be followed, so lists are left alone.
fn closure(reader: &Reader<'_>, function: Address) -> Vec<Address> {
    let cells = reader
        .get(function, reader.layout.function.func_closure)
        .and_then(|cells| reader.items(cells, 32));
    let contents = cells
        .unwrap_or_default()
        .into_iter()
        .filter_map(|cell| reader.get(cell, reader.layout.cell.ob_ref).ok());
    contents.filter(|at| is_future(reader, *at)).collect()
}

/// A bound method's object: a TaskGroup's parent task, or the future that the object keeps.
fn bound(reader: &Reader<'_>, method: Address) -> Vec<Address> {
    let Ok(owner) = reader.get::<Address>(method, reader.layout.method.im_self) else {
        return Vec::new();
    };
    if is_future(reader, owner) {
        return vec![owner];
    }
    let kept = ["_parent_task", "_on_completed_fut", "_fut", "_waiter"];
    kept.iter()
        .filter_map(|name| reader.some_attribute(owner, name))
        .filter(|at| is_future(reader, *at))
        .collect()
}
