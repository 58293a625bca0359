//! Waits of tasks that end by themselves: by a timeout of their own, or because whoever waits for the task cancels it.

use super::TaskSeen;
use super::future::is_task;
use crate::frame::RawFrame;
use crate::reader::Reader;
use crate::sync::Origins;
use snapshot::{Address, Timeout};
use std::collections::{HashMap, HashSet};

/// Most tasks and futures that one wait has below it.
const CHILDREN_MAX: usize = 100_000;

/// How a wait ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// What is waited for goes on: `asyncio.wait`.
    Leaves,
    /// What is waited for is cancelled: `wait_for`, `timeout`.
    Cancels,
}

/// How the wait of a task with these frames ends by itself; `None`: it does not.
pub(super) fn limit_of(
    reader: &Reader<'_>,
    origins: &Origins,
    frames: &[RawFrame],
) -> Option<Limit> {
    let mut found = None;
    let mut gave_up = false;
    for frame in frames {
        let library = origins.stdlib_path(&frame.code.file);
        if library.as_deref() == Some("asyncio/tasks.py") {
            let timed = || {
                frame
                    .local(reader, "timeout")
                    .is_some_and(|t| !reader.is_none(t))
            };
            match &*frame.code.name {
                // The timeout has passed, and what it was for does not end.
                "_cancel_and_wait" => gave_up = true,
                "wait" | "_wait" if timed() => found = Some(Limit::Leaves),
                // Up to 3.11; later it is a `timeout` block.
                "wait_for" if !gave_up && frame.local(reader, "waiter").is_some() && timed() => {
                    return Some(Limit::Cancels);
                }
                _ => {}
            }
        }
        if has_timer(reader, frame) {
            return Some(Limit::Cancels);
        }
    }
    found
}

/// Whether the frame is in an `asyncio.timeout` block (3.11+), or one of `async_timeout`, whose time has not passed: the
/// timer is dropped when it has.
fn has_timer(reader: &Reader<'_>, frame: &RawFrame) -> bool {
    crate::sync::managers_of_frame(reader, frame)
        .into_iter()
        .any(|manager| {
            let timeout = reader.is_instance(manager, "asyncio.timeouts", "Timeout")
                || reader.is_instance(manager, "async_timeout", "Timeout");
            timeout && reader.some_attribute(manager, "_timeout_handler").is_some()
        })
}

/// Marks the waits of all tasks that are cancelled when the time of a wait for them has passed.
pub(super) fn spread(reader: &Reader<'_>, origins: &Origins, seen: &mut [TaskSeen]) {
    let position: HashMap<Address, usize> = seen
        .iter()
        .enumerate()
        .map(|(at, task)| (task.task.address, at))
        .collect();
    let cancels = |task: &&TaskSeen| {
        task.task.waits_for.is_some()
            && limit_of(reader, origins, &task.frames) == Some(Limit::Cancels)
    };
    let mut todo: Vec<Address> = seen
        .iter()
        .filter(cancels)
        .flat_map(|task| awaited_by_frames(reader, task))
        .collect();
    let mut known: HashSet<Address> = HashSet::new();
    while let Some(at) = todo.pop() {
        if known.len() >= CHILDREN_MAX || !known.insert(at) {
            continue;
        }
        if let Some(task) = position.get(&at).and_then(|at| seen.get_mut(*at)) {
            if let Some(wait) = &mut task.task.waits_for {
                wait.timeout = Timeout::Limited;
            }
            todo.extend(awaited_by_frames(reader, task));
        } else if !is_task(reader, at) {
            todo.extend(gathered(reader, at));
        }
    }
}

/// What is cancelled with a task: what it awaits, unless it is shielded, and the tasks of a group that it waits for.
fn awaited_by_frames(reader: &Reader<'_>, seen: &TaskSeen) -> Vec<Address> {
    let mut found: Vec<Address> = seen.task.awaiting.into_iter().collect();
    for frame in &seen.frames {
        match &*frame.code.name {
            "wait_for" if frame.code.file.ends_with("asyncio/tasks.py") => {
                found.extend(frame.local(reader, "fut"));
            }
            "__aexit__" | "_aexit" if frame.code.file.ends_with("asyncio/taskgroups.py") => {
                let tasks = frame
                    .local(reader, "self")
                    .and_then(|group| reader.some_attribute(group, "_tasks"))
                    .and_then(|tasks| reader.set_items(tasks, CHILDREN_MAX).ok());
                found.extend(tasks.unwrap_or_default());
            }
            _ => {}
        }
    }
    found
}

/// The children of a `gather`.
fn gathered(reader: &Reader<'_>, future: Address) -> Vec<Address> {
    if !reader.is_instance(future, "asyncio.tasks", "_GatheringFuture") {
        return Vec::new();
    }
    reader
        .some_attribute(future, "_children")
        .and_then(|children| reader.items(children, CHILDREN_MAX).ok())
        .unwrap_or_default()
}
