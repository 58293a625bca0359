//! Where the tasks and loops of an interpreter are found, version by version.

use super::future::is_task;
use crate::frame::RawFrame;
use crate::interpreter::Interp;
use crate::object::flags;
use crate::reader::Reader;
use crate::sync::Origins;
use process::ReadError;
use snapshot::{Address, FutureState, Origin};
use std::collections::{BTreeMap, BTreeSet};

/// Most tasks that are read.
const TASKS_MAX: usize = 100_000;

/// Most variables of one namespace, and most items of one container, that are looked at for failed tasks.
const VARIABLES_MAX: usize = 1000;
/// Most containers and instances inside one another that are.
const CONTAINERS_MAX: usize = 2;

/// Tasks and loops.
#[derive(Debug, Default)]
pub struct Found {
    /// Tasks, in no order that means anything.
    pub tasks: BTreeSet<Address>,
    /// Loops.
    pub loops: BTreeSet<Address>,
    /// The task that each thread runs a step of, by `threading.get_ident()`.
    pub running: BTreeMap<u64, Address>,
    /// Loops that stand on the stack of a thread only because their process was forked inside one of their steps.
    inherited: BTreeSet<Address>,
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
    leave_out_inherited(reader, &mut found);
    found
}

/// A loop stands as `self` in the frames that run it.
fn loops_of_frames(reader: &Reader<'_>, interp: &Interp, found: &mut Found) {
    for thread in &interp.threads {
        let mut forked = false;
        for frame in &thread.frames {
            // A child of `multiprocessing` that was forked begins its own life on the stack of its parent's thread.
            forked |= &*frame.code.name == "_bootstrap"
                && frame.code.file.ends_with("multiprocessing/process.py");
            let runs = matches!(&*frame.code.name, "_run_once" | "run_forever")
                && frame.code.file.ends_with("asyncio/base_events.py");
            match runs.then(|| frame.local(reader, "self")).flatten() {
                Some(event_loop) if forked => found.inherited.insert(event_loop),
                Some(event_loop) => found.loops.insert(event_loop),
                None => continue,
            };
        }
    }
}

/// What belongs to a loop that only the parent runs is the parent's affair.
fn leave_out_inherited(reader: &Reader<'_>, found: &mut Found) {
    if found.inherited.is_empty() {
        return;
    }
    let inherited = &found.inherited;
    let own = |task: &Address| {
        super::Future::read(reader, *task)
            .and_then(|future| future.event_loop)
            .is_none_or(|event_loop| !inherited.contains(&event_loop))
    };
    found.tasks.retain(own);
    found.running.retain(|_, task| own(task));
    found.loops.retain(|at| !inherited.contains(at));
}

/// Failed tasks that frames still refer to, which from 3.14 on no list has any more once they are done: in the program's local
/// variables, in attributes of its `self`s and in its globals, and in the containers there.
pub(super) fn failed(
    reader: &Reader<'_>,
    origins: &Origins,
    frames: &mut dyn Iterator<Item = &RawFrame>,
) -> BTreeSet<Address> {
    let mut objects: BTreeSet<Address> = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    for frame in frames {
        if origins.origin_of(&frame.code.file) != Origin::Program {
            // What a gather, a group or a wait has below it.
            let below = ["self", "fs", "children"].map(|name| frame.local(reader, name));
            objects.extend(below.into_iter().flatten());
            continue;
        }
        let locals = frame.code.locals(reader).unwrap_or_default();
        objects.extend(
            locals
                .iter()
                .filter_map(|local| frame.slot(reader, local.slot)),
        );
        if let Some(depth) = frame.stack_depth {
            objects.extend((0..depth).filter_map(|slot| frame.stack_slot(reader, slot)));
        }
        namespaces.insert(frame.globals);
    }
    for namespace in namespaces {
        let entries = reader.dict_items(namespace, VARIABLES_MAX);
        objects.extend(entries.unwrap_or_default().iter().map(|(_, value)| *value));
    }
    let mut tasks = BTreeSet::new();
    let mut known = BTreeSet::new();
    let mut todo: Vec<(Address, usize)> = objects.into_iter().map(|at| (at, 0)).collect();
    while let Some((at, depth)) = todo.pop() {
        if known.len() >= VARIABLES_MAX * 10 || !known.insert(at) {
            continue;
        }
        if is_task(reader, at) {
            tasks.insert(at);
        } else if depth < CONTAINERS_MAX {
            todo.extend(within(reader, at).into_iter().map(|at| (at, depth + 1)));
        }
    }
    let has_failed = |at: &Address| {
        super::Future::read(reader, *at).is_some_and(|task| task.state == FutureState::Failed)
    };
    tasks.retain(has_failed);
    tasks
}

/// What an object refers to that holds tasks: items of containers, attributes of instances.
fn within(reader: &Reader<'_>, object: Address) -> Vec<Address> {
    let Ok(class) = reader.class_of(object) else {
        return Vec::new();
    };
    if class.has(flags::LIST) || class.has(flags::TUPLE) {
        return reader.items(object, VARIABLES_MAX).unwrap_or_default();
    }
    if class.has(flags::DICT) {
        let items = reader.dict_items(object, VARIABLES_MAX).unwrap_or_default();
        return items.into_iter().map(|(_, value)| value).collect();
    }
    if matches!(&*class.name, "set" | "frozenset") {
        return reader.set_items(object, VARIABLES_MAX).unwrap_or_default();
    }
    if class.made_in_python && !class.has(flags::TYPE) {
        let attributes = reader.attributes(object, VARIABLES_MAX).unwrap_or_default();
        return attributes.into_iter().map(|(_, value)| value).collect();
    }
    Vec::new()
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
