//! Locks that name their owner, where no frame shows where it was taken.

use super::ThreadSync;
use super::forms::{Form, form_of};
use super::inspect::Inspection;
use super::locks::rlock_owner;
use super::names;
use super::objects::{attribute, ident, text};
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::{Address, Certainty, Hold, Kind, Origin, Place};

/// Adds a hold for each re-entrant or import lock that somebody waits for and whose owner is known, where its
/// owner's frames do not show it.
pub(super) fn add(inspection: &Inspection<'_>, threads: &mut [ThreadSync]) {
    let reader = inspection.reader();
    let mut waited: Vec<Address> = Vec::new();
    for thread in threads.iter() {
        let Some(wait) = &thread.waits_for else {
            continue;
        };
        for address in wait.address.into_iter().chain(wait.inner_address) {
            if !waited.contains(&address) {
                waited.push(address);
            }
        }
    }
    for lock in waited {
        let Some((owner, kind)) = owner_of(reader, lock) else {
            continue;
        };
        for (thread, sync) in inspection.threads.iter().zip(threads.iter_mut()) {
            if thread.raw.ident != owner || sync.holds.iter().any(|hold| hold.address == lock) {
                continue;
            }
            let frames = &thread.raw.frames;
            let now = inspection.now(frames);
            let taken = frames.iter().rposition(|frame| has(reader, frame, lock));
            sync.holds.push(Hold {
                kind,
                address: lock,
                name: match kind {
                    Kind::ModuleLock => text(reader, lock, "name"),
                    _ => taken
                        .and_then(|depth| frames.get(depth))
                        .and_then(|frame| names::of_handler(reader, frame)),
                },
                place: taken
                    .and_then(|depth| place_outside(inspection, frames, depth))
                    .unwrap_or_else(|| now.clone()),
                now,
                given_up: false,
                evidence: "the lock itself names this thread as its owner".to_owned(),
                certainty: Certainty::Certain,
            });
        }
    }
}

fn owner_of(reader: &Reader<'_>, lock: Address) -> Option<(u64, Kind)> {
    match form_of(reader, lock)? {
        Form::RLock => Some((rlock_owner(reader, lock)?.0?, Kind::RLock)),
        Form::PythonRLock => Some((ident(reader, lock, "_owner")?, Kind::RLock)),
        Form::ModuleLock => Some((ident(reader, lock, "owner")?, Kind::ModuleLock)),
        _ => None,
    }
}

/// The place of the program's innermost frame that is not further in than `depth`.
fn place_outside(inspection: &Inspection<'_>, frames: &[RawFrame], depth: usize) -> Option<Place> {
    let frame = frames
        .iter()
        .skip(depth)
        .find(|frame| inspection.origins.origin_of(&frame.code.file) == Origin::Program)?;
    Some(inspection.insight.place(frame, None))
}

/// Whether the frame has the lock at hand: as an attribute of its `self` (a logging handler's), or in a local variable.
fn has(reader: &Reader<'_>, frame: &RawFrame, lock: Address) -> bool {
    let this = frame.local(reader, "self");
    this.is_some_and(|this| {
        this == lock
            || ["lock", "_lock"]
                .iter()
                .any(|name| attribute(reader, this, name) == Some(lock))
    }) || frame.local(reader, "lock") == Some(lock)
}
