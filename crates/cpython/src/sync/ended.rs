//! Threads that have ended and that somebody still waits for or refers to.

use super::ThreadSync;
use super::inspect::Inspection;
use super::objects::{Catalogue, attribute, describe};
use crate::code::CodeInfo;
use crate::reader::Reader;
use snapshot::{Address, Ended, Place, SyncState, Timeout};
use std::collections::HashSet;

/// Most Thread objects that `threading` knows and that are looked at.
const THREADS_MAX: usize = 2000;

/// The ended threads that somebody waits for, and, where anybody waits for ever, those that `threading` still knows.
pub(super) fn ended(
    inspection: &Inspection<'_>,
    threads: &[ThreadSync],
    catalogue: &Catalogue,
) -> Vec<Ended> {
    let reader = inspection.reader();
    let mut found: Vec<Ended> = catalogue
        .iter()
        .filter_map(|object| of_state(reader, object.address, &object.state))
        .collect();
    let for_ever = |thread: &ThreadSync| {
        !thread.idle
            && thread
                .waits_for
                .as_ref()
                .is_some_and(|wait| wait.timeout != Timeout::Limited)
    };
    if !threads.iter().any(for_ever) {
        return found;
    }
    for thread in known_threads(inspection) {
        if found.iter().any(|ended| ended.thread_object == thread) {
            continue;
        }
        let object = describe(reader, thread);
        found.extend(object.and_then(|object| of_state(reader, thread, &object.state)));
    }
    found
}

fn of_state(reader: &Reader<'_>, thread: Address, state: &SyncState) -> Option<Ended> {
    match state {
        SyncState::Thread {
            ident,
            native_id,
            name,
            ended: true,
            ..
        } => Some(Ended {
            thread_object: thread,
            name: name.clone(),
            native_id: *native_id,
            ident: *ident,
            target: target(reader, thread),
            last: None,
            how: None,
            gives: Vec::new(),
        }),
        _ => None,
    }
}

/// The Thread objects in `threading._dangling`, a set of weak references to all that exist, without those that run.
fn known_threads(inspection: &Inspection<'_>) -> Vec<Address> {
    let reader = inspection.reader();
    let members = || {
        let module = reader
            .module(inspection.interpreter.address, "threading")
            .ok()??;
        let set = reader.dict_get(module, "_dangling").ok()??;
        let data = attribute(reader, set, "data")?;
        reader.set_items(data, THREADS_MAX).ok()
    };
    let alive: HashSet<Address> = inspection.thread_objects().values().copied().collect();
    members()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|reference| {
            let thread = reader
                .get(reference, reader.layout.weak_ref.wr_object)
                .ok()?;
            (!alive.contains(&thread) && !reader.is_none(thread)).then_some(thread)
        })
        .collect()
}

/// The function that a thread was to run, where its object still has it (`run` deletes it at its end).
fn target(reader: &Reader<'_>, thread: Address) -> Option<Place> {
    let function = attribute(reader, thread, "_target")?;
    let code = reader
        .get(function, reader.layout.function.func_code)
        .ok()?;
    let code = CodeInfo::read(reader, code).ok()?;
    Some(Place {
        file: code.file.to_string(),
        line: u32::try_from(code.first_line).unwrap_or(0),
        function: code.qualname.to_string(),
    })
}
