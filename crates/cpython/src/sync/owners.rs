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
    let mut natives: Vec<Address> = Vec::new();
    for thread in threads.iter() {
        let Some(wait) = &thread.waits_for else {
            continue;
        };
        if wait.kind == Kind::NativeMutex {
            natives.extend(wait.address);
        }
        for address in wait.address.into_iter().chain(wait.inner_address) {
            if !waited.contains(&address) {
                waited.push(address);
            }
        }
    }
    for lock in waited {
        if natives.contains(&lock) {
            add_native(inspection, lock, threads);
            continue;
        }
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
                fd: None,
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

/// Takes back what is only probable where another thread holds the same lock for certain, and what is not even sure
/// where another one holds it probably.
pub(super) fn settle(reader: &Reader<'_>, threads: &mut [ThreadSync]) {
    let holds = threads.iter().flat_map(|thread| &thread.holds);
    let certain: Vec<Address> = holds
        .filter(|hold| hold.certainty == Certainty::Certain && !hold.given_up)
        .map(|hold| hold.address)
        .collect();
    // What every way through the code of some thread has taken.
    let likely: Vec<Address> = threads
        .iter()
        .flat_map(|thread| {
            let sure = |hold: &&Hold| !hold.given_up && !thread.unsure.contains(&hold.address);
            thread.holds.iter().filter(sure).map(|hold| hold.address)
        })
        .collect();
    for thread in threads {
        let own: Vec<Address> = certain_of(thread);
        let unsure = std::mem::take(&mut thread.unsure);
        thread.holds.retain(|hold| {
            let beaten = certain.contains(&hold.address)
                || unsure.contains(&hold.address) && likely.contains(&hold.address);
            hold.certainty == Certainty::Certain
                || own.contains(&hold.address)
                || !beaten
                || form_of(reader, hold.address) != Some(Form::Lock)
        });
    }
}

/// What a thread holds for certain.
fn certain_of(thread: &ThreadSync) -> Vec<Address> {
    thread
        .holds
        .iter()
        .filter(|hold| hold.certainty == Certainty::Certain)
        .map(|hold| hold.address)
        .collect()
}

/// The thread that a `pthread_mutex_t` names as its owner (glibc: the third `int`; the first is not 0 while it is
/// locked). Only where the kernel's number of it is one of these threads is it believed to be a mutex.
fn add_native(inspection: &Inspection<'_>, mutex: Address, threads: &mut [ThreadSync]) {
    let reader = inspection.reader();
    let word: Result<i32, _> = reader.scalar(mutex);
    let owner: Result<u32, _> = reader.scalar(mutex.plus(8));
    let (Ok(1 | 2), Ok(owner)) = (word, owner) else {
        return;
    };
    for (thread, sync) in inspection.threads.iter().zip(threads) {
        if owner == 0 || thread.ns_tid != owner {
            continue;
        }
        let now = inspection.now(&thread.raw.frames);
        sync.holds.push(Hold {
            kind: Kind::NativeMutex,
            address: mutex,
            fd: None,
            name: None,
            place: now.clone(),
            now,
            given_up: false,
            evidence: "the mutex itself names this thread as its owner".to_owned(),
            certainty: Certainty::Certain,
        });
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
