//! Where the tasks and loops of an interpreter are found, version by version.

use super::future::is_task;
use crate::interpreter::Interp;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::collections::{BTreeMap, BTreeSet};

/// Most tasks that are read.
const TASKS_MAX: usize = 100_000;

/// Tasks and loops.
#[derive(Debug, Default)]
pub struct Found {
    /// Tasks, in no order that means anything.
    pub tasks: BTreeSet<Address>,
    /// Loops.
    pub loops: BTreeSet<Address>,
    /// The task that each thread runs a step of, by `threading.get_ident()`.
    pub running: BTreeMap<u64, Address>,
}

/// Finds all that can be found. Which of the ways exist is what tells the versions apart: the WeakSet
/// `_all_tasks` up to 3.11, `_scheduled_tasks` and `_eager_tasks` from 3.12, and from 3.14 linked lists in
/// the thread states and the interpreter state.
pub fn find(reader: &Reader<'_>, interp: &Interp) -> Found {
    let mut found = Found::default();
    loops_of_frames(reader, interp, &mut found);
    let tasks_module = reader
        .module(interp.address, "asyncio.tasks")
        .ok()
        .flatten();
    if let Some(module) = tasks_module {
        for name in ["_all_tasks", "_scheduled_tasks"] {
            if let Some(set) = reader.dict_get(module, name).ok().flatten() {
                weak_set(reader, set, &mut found);
            }
        }
        if let Some(set) = reader.dict_get(module, "_eager_tasks").ok().flatten() {
            let members = reader.set_items(set, TASKS_MAX).unwrap_or_default();
            found
                .tasks
                .extend(members.into_iter().filter(|task| is_task(reader, *task)));
        }
    }
    linked_lists(reader, interp, &mut found);
    for task in found.tasks.clone() {
        found
            .loops
            .extend(super::Future::read(reader, task).and_then(|f| f.event_loop));
    }
    current_tasks(reader, interp, tasks_module, &mut found);
    found
}

/// A loop stands as `self` in the frames that run it.
fn loops_of_frames(reader: &Reader<'_>, interp: &Interp, found: &mut Found) {
    for thread in &interp.threads {
        for frame in &thread.frames {
            let runs = matches!(&*frame.code.name, "_run_once" | "run_forever")
                && frame.code.file.ends_with("asyncio/base_events.py");
            if let Some(event_loop) = runs.then(|| frame.local(reader, "self")).flatten() {
                found.loops.insert(event_loop);
            }
        }
    }
}

/// `weakref.WeakSet`: a set of weak references in `data`.
fn weak_set(reader: &Reader<'_>, set: Address, found: &mut Found) {
    let Some(data) = reader.some_attribute(set, "data") else {
        return;
    };
    for reference in reader.set_items(data, TASKS_MAX).unwrap_or_default() {
        let target = reader.get(reference, reader.layout.weak_ref.wr_object);
        if let Some(task) = target
            .ok()
            .and_then(|at| reader.some(at))
            .filter(|task| is_task(reader, *task))
        {
            found.tasks.insert(task);
        }
    }
}

/// 3.14+: every `_asyncio.Task` is a node of its thread's list, or of the interpreter's once its thread is gone.
fn linked_lists(reader: &Reader<'_>, interp: &Interp, found: &mut Found) {
    let l = reader.layout;
    let mut heads = Vec::new();
    heads.extend(reader.place(interp.address, l.interpreter.asyncio_tasks_head));
    for thread in &interp.threads {
        heads.extend(reader.place(thread.state, l.thread_state_impl.asyncio_tasks_head));
    }
    for head in heads {
        // What was read until a torn link is kept.
        let _ = linked_list(reader, head, found);
    }
}

fn linked_list(reader: &Reader<'_>, head: Address, found: &mut Found) -> Result<(), ReadError> {
    let offset = reader
        .layout
        .async_task
        .task_node
        .offset()
        .ok_or(ReadError::Absent)?;
    let next = reader.layout.list_node.next;
    let mut node: Address = reader.get(head, next)?;
    for _ in 0..TASKS_MAX {
        if node == head || node.is_null() {
            return Ok(());
        }
        let task = node.minus(offset);
        if !is_task(reader, task) {
            return Err(ReadError::Nonsense(node));
        }
        found.tasks.insert(task);
        node = reader.get(node, next)?;
    }
    Err(ReadError::Nonsense(head))
}

/// Which task each thread is in the middle of: from 3.14 the thread state knows, before the module's
/// dict `_current_tasks` from loop to task does, and the loop knows its thread.
fn current_tasks(reader: &Reader<'_>, interp: &Interp, module: Option<Address>, found: &mut Found) {
    let field = reader.layout.thread_state_impl.asyncio_running_task;
    for thread in &interp.threads {
        let task = reader
            .get::<Address>(thread.state, field)
            .ok()
            .and_then(|at| reader.some(at));
        if let Some(task) = task.filter(|task| is_task(reader, *task)) {
            found.tasks.insert(task);
            found.running.insert(thread.ident, task);
        }
    }
    let Some(current) = module.and_then(|m| reader.dict_get(m, "_current_tasks").ok().flatten())
    else {
        return;
    };
    for (event_loop, task) in reader.dict_items(current, TASKS_MAX).unwrap_or_default() {
        if !is_task(reader, task) {
            continue;
        }
        let ident = super::loops::thread_of(reader, event_loop);
        if let Some(ident) = ident {
            found.tasks.insert(task);
            found.running.entry(ident).or_insert(task);
        }
    }
}
