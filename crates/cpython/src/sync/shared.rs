//! Locks of `multiprocessing` that this process holds, found through the program's variables: another process may
//! wait for one that nobody here waits for. And the child processes that it knows, of which one that has ended may
//! have held what others wait for.

use super::ThreadSync;
use super::forms::{Form, form_of, kind_of};
use super::inspect::Inspection;
use super::objects::{attribute, sem_lock_of};
use crate::reader::Reader;
use snapshot::{Address, Certainty, Hold, Kind, Origin, Timeout};
use std::collections::HashSet;

/// Most variables of one namespace that are looked at.
const VARIABLES_MAX: usize = 2000;
/// Most child processes that are listed.
const CHILDREN_MAX: usize = 500;
/// Most frames whose variables are looked at.
const FRAMES_MAX: usize = 500;

/// Adds what the locks themselves say: that this process has taken them, and which of its threads did it last.
/// Gives the locks found.
pub(super) fn add(inspection: &Inspection<'_>, threads: &mut [ThreadSync]) -> Vec<Address> {
    let reader = inspection.reader();
    let interpreter = inspection.interpreter.address;
    let module = reader.module(interpreter, "multiprocessing.synchronize");
    if !matches!(module, Ok(Some(_))) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (lock, kind) in held_locks(inspection) {
        found.push(lock);
        let known = |thread: &ThreadSync| thread.holds.iter().any(|hold| hold.address == lock);
        if threads.iter().any(known) {
            continue;
        }
        let owner: Option<u64> = reader.get(lock, reader.layout.sem_lock.last_tid).ok();
        let holder = inspection
            .threads
            .iter()
            .zip(threads.iter_mut())
            .find(|(thread, _)| Some(thread.raw.ident) == owner);
        if let Some((thread, sync)) = holder {
            let now = inspection.now(&thread.raw.frames);
            sync.holds.push(Hold {
                kind,
                address: lock,
                fd: None,
                name: None,
                place: now.clone(),
                now,
                given_up: false,
                evidence: "the lock counts this thread as the last one that took it".to_owned(),
                certainty: Certainty::Certain,
            });
        }
    }
    found
}

/// The `multiprocessing.Process` objects that there are, where somebody waits for ever: `multiprocessing.process._dangling`
/// has weak references to all of them, also to those that have ended and been joined.
pub(super) fn children(inspection: &Inspection<'_>, threads: &[ThreadSync]) -> Vec<Address> {
    let for_ever = |thread: &ThreadSync| {
        let wait = thread.waits_for.as_ref().filter(|_| !thread.idle);
        wait.is_some_and(|wait| wait.timeout != Timeout::Limited)
    };
    if !threads.iter().any(for_ever) {
        return Vec::new();
    }
    let reader = inspection.reader();
    let members = || {
        let module = reader.module(inspection.interpreter.address, "multiprocessing.process");
        let set = reader.dict_get(module.ok()??, "_dangling").ok()??;
        let data = attribute(reader, set, "data")?;
        reader.set_items(data, CHILDREN_MAX).ok()
    };
    let referred = |reference: Address| {
        let object = reader
            .get(reference, reader.layout.weak_ref.wr_object)
            .ok()?;
        attribute(reader, object, "_popen").map(|_| object)
    };
    let members: Vec<Address> = members().unwrap_or_default();
    members.into_iter().filter_map(referred).collect()
}

/// The locks, no semaphores, that count more takes than releases in this process.
fn held_locks(inspection: &Inspection<'_>) -> Vec<(Address, Kind)> {
    let reader = inspection.reader();
    let mut seen = HashSet::new();
    let mut held = Vec::new();
    for object in variables(inspection) {
        for (lock, kind) in locks_in(reader, object) {
            if !seen.insert(lock) || !matches!(kind, Kind::Lock | Kind::RLock) {
                continue;
            }
            let count: Result<i32, _> = reader.get(lock, reader.layout.sem_lock.count);
            if count.is_ok_and(|count| count > 0) {
                held.push((lock, kind));
            }
        }
    }
    held
}

/// The `multiprocessing` locks that an object is, or is made of.
fn locks_in(reader: &Reader<'_>, object: Address) -> Vec<(Address, Kind)> {
    let parts: &[&str] = match form_of(reader, object) {
        Some(form @ Form::SharedLock) => {
            let lock = sem_lock_of(reader, object);
            return lock
                .map(|lock| (lock, kind_of(reader, object, form)))
                .into_iter()
                .collect();
        }
        Some(Form::SharedCondition) => &["_lock"],
        Some(Form::SharedQueue | Form::SharedSimpleQueue) => &["_rlock", "_wlock"],
        _ => return Vec::new(),
    };
    parts
        .iter()
        .filter_map(|part| {
            let wrapper = attribute(reader, object, part)?;
            let lock = sem_lock_of(reader, wrapper)?;
            Some((lock, kind_of(reader, wrapper, Form::SharedLock)))
        })
        .collect()
}

/// The objects in the program's local and global variables and in the attributes of its `self`s.
fn variables(inspection: &Inspection<'_>) -> Vec<Address> {
    let reader = inspection.reader();
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let frames = inspection
        .threads
        .iter()
        .flat_map(|thread| &thread.raw.frames)
        .filter(|frame| inspection.origins.origin_of(&frame.code.file) == Origin::Program);
    for frame in frames.take(FRAMES_MAX) {
        found.extend(inspection.locals(frame));
        if seen.insert(frame.globals) {
            let items = reader.dict_items(frame.globals, VARIABLES_MAX);
            found.extend(
                items
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(_, value)| value),
            );
        }
        if let Some(this) = frame.local(reader, "self")
            && seen.insert(this)
        {
            let attributes = reader.attributes(this, VARIABLES_MAX).unwrap_or_default();
            found.extend(attributes.into_iter().map(|(_, value)| value));
        }
    }
    found
}
