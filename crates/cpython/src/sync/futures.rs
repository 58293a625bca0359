//! Which pool each future belongs to, and which thread works on it.

use super::ThreadSync;
use super::forms::Form;
use super::inspect::{Inspection, is};
use super::objects::{Catalogue, attribute};
use super::pools::{is_unfinished, pending_futures};
use crate::frame::RawFrame;
use snapshot::{Address, Certainty, Hold, Kind, Origin, SyncState};
use std::collections::HashMap;

const THREAD_POOL: &str = "concurrent/futures/thread.py";
const PROCESS_POOL: &str = "concurrent/futures/process.py";

/// Each worker holds the future of the work item that it runs.
pub(super) fn add_running(inspection: &Inspection<'_>, threads: &mut [ThreadSync]) {
    let reader = inspection.reader();
    for (thread, sync) in inspection.threads.iter().zip(threads) {
        let frames = &thread.raw.frames;
        let Some((depth, future)) = running_future(inspection, frames) else {
            continue;
        };
        if !is_unfinished(reader, future) {
            continue;
        }
        let submitted = frames
            .iter()
            .take(depth)
            .rev()
            .find(|frame| inspection.origins.origin_of(&frame.code.file) == Origin::Program);
        let now = inspection.now(frames);
        sync.holds.push(Hold {
            kind: Kind::Future,
            address: future,
            fd: None,
            name: None,
            place: submitted.map_or_else(
                || now.clone(),
                |frame| inspection.insight.place(frame, None),
            ),
            now,
            given_up: false,
            evidence: "_WorkItem.run() of this future is on the stack".to_owned(),
            certainty: Certainty::Certain,
        });
    }
}

/// The depth of `_WorkItem.run` and its future.
fn running_future(inspection: &Inspection<'_>, frames: &[RawFrame]) -> Option<(usize, Address)> {
    let reader = inspection.reader();
    frames.iter().enumerate().rev().find_map(|(depth, frame)| {
        if &*frame.code.name != "run" || !in_file(inspection, frame, THREAD_POOL) {
            return None;
        }
        let item = frame.local(reader, "self")?;
        Some((depth, attribute(reader, item, "future")?))
    })
}

fn in_file(inspection: &Inspection<'_>, frame: &RawFrame, path: &str) -> bool {
    // A cheap look first: most files are others.
    frame.code.file.ends_with(path)
        && inspection.origins.stdlib_path(&frame.code.file).as_deref() == Some(path)
}

/// Sets the pool of the futures met, where somebody waits for any.
pub(super) fn relate(inspection: &Inspection<'_>, catalogue: &mut Catalogue) {
    let futures: Vec<Address> = catalogue
        .iter()
        .filter(|object| matches!(object.state, SyncState::Future { executor: None, .. }))
        .map(|object| object.address)
        .collect();
    if futures.is_empty() {
        return;
    }
    let reader = inspection.reader();
    let mut owner: HashMap<Address, Address> = HashMap::new();
    let executors = executors(inspection, &mut owner);
    catalogue.add(reader, executors.iter().copied());
    for executor in executors {
        let begun = pending_futures(reader, executor);
        owner.extend(begun.into_iter().map(|future| (future, executor)));
        if let Some(SyncState::Executor { queued, .. }) =
            catalogue.get(executor).map(|object| &object.state)
        {
            for future in queued {
                owner.insert(*future, executor);
            }
        }
    }
    for future in futures {
        let Some(object) = catalogue.get_mut(future) else {
            continue;
        };
        if let (SyncState::Future { executor, .. }, Some(found)) =
            (&mut object.state, owner.get(&future))
        {
            *executor = Some(*found);
        }
    }
}

/// The pools whose workers or managers are among the threads. `owner` gets the pool of each future that a
/// worker runs.
fn executors(inspection: &Inspection<'_>, owner: &mut HashMap<Address, Address>) -> Vec<Address> {
    let reader = inspection.reader();
    let mut found: Vec<Address> = Vec::new();
    for thread in inspection.threads {
        let frames = &thread.raw.frames;
        let Some(executor) = frames
            .iter()
            .rev()
            .find_map(|frame| executor_of(inspection, frame))
        else {
            continue;
        };
        if let Some((_, future)) = running_future(inspection, frames) {
            owner.insert(future, executor);
        }
        if !found.contains(&executor)
            && (is(reader, executor, Form::ThreadPool) || is(reader, executor, Form::ProcessPool))
        {
            found.push(executor);
        }
    }
    found
}

/// The pool that a worker's or manager's outermost frame refers to, weakly.
fn executor_of(inspection: &Inspection<'_>, frame: &RawFrame) -> Option<Address> {
    let reader = inspection.reader();
    let reference = match &*frame.code.name {
        "_worker" if in_file(inspection, frame, THREAD_POOL) => {
            frame.local(reader, "executor_reference")?
        }
        "_queue_management_worker" if in_file(inspection, frame, PROCESS_POOL) => {
            frame.local(reader, "executor_reference")?
        }
        "run" if in_file(inspection, frame, PROCESS_POOL) => {
            attribute(reader, frame.local(reader, "self")?, "executor_reference")?
        }
        _ => return None,
    };
    let object = reader
        .get(reference, reader.layout.weak_ref.wr_object)
        .ok()?;
    object.non_null().filter(|object| !reader.is_none(*object))
}
