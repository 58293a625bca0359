//! Locks that are taken although no frame shows by whom: taken by a function that has returned.
//!
//! Only done where somebody waits for such a lock, since it looks into every function that a frame has called.

use super::ThreadSync;
use super::callees::Called;
use super::forms::{Form, form_of};
use super::holds::{is_locked, lock_of};
use super::insight::CodeNames;
use super::inspect::Inspection;
use super::nearby;
use super::objects::integer;
use super::scope::Scope;
use crate::bytecode::{Subject, Taken, Value};
use crate::frame::RawFrame;
use snapshot::{Address, Certainty, Hold, Kind, Operation, Origin, Place, Wait};
use std::cell::Cell;

/// Most frames that are looked at.
const FRAMES_MAX: usize = 5000;
/// Most calls that are looked into, all frames together.
const CALLS_MAX: usize = 5000;

/// Ranks of claims: the less, the likelier.
const EVERY_WAY: u8 = 0;
const SOME_WAY: u8 = 1;
const IN_LOOP: u8 = 2;
/// In a loop, and it waits for this very lock now.
const IN_LOOP_WAITING: u8 = 3;

/// A thread that may hold a lock by what its code has done.
struct Claim {
    thread: usize,
    hold: Hold,
    rank: u8,
}

/// Adds who has taken the locks that are waited for and that nobody is known to hold.
pub(super) fn add(inspection: &Inspection<'_>, threads: &mut [ThreadSync]) {
    let wanted = unclaimed(inspection, threads);
    if wanted.is_empty() {
        return;
    }
    let mut search = Search {
        inspection,
        wanted: &wanted,
        calls: Cell::new(CALLS_MAX),
        claims: Vec::new(),
    };
    let mut frames_left = FRAMES_MAX;
    for ((number, thread), sync) in inspection.threads.iter().enumerate().zip(threads.iter()) {
        let frames = &thread.raw.frames;
        let own = |frame: &&RawFrame| {
            frame.complete && inspection.origins.origin_of(&frame.code.file) == Origin::Program
        };
        let waits_for = sync.waits_for.as_ref();
        let waits_for = waits_for.and_then(|wait| lock_waited_for(inspection, wait));
        for frame in frames.iter().filter(own).take(frames_left) {
            frames_left = frames_left.saturating_sub(1);
            let now = inspection.now(frames);
            search.frame(frame, number, &now, waits_for.map(|(lock, _)| lock));
        }
    }
    let claims = search.claims;
    for (lock, _) in wanted {
        let of_lock = || claims.iter().filter(|claim| claim.hold.address == lock);
        let best = of_lock().map(|claim| claim.rank).min();
        for claim in of_lock().filter(|claim| Some(claim.rank) == best) {
            if let Some(thread) = threads.get_mut(claim.thread) {
                thread.holds.push(claim.hold.clone());
            }
        }
    }
}

/// The search through all threads.
struct Search<'a> {
    inspection: &'a Inspection<'a>,
    wanted: &'a [(Address, Kind)],
    /// How many calls may still be looked into.
    calls: Cell<usize>,
    claims: Vec<Claim>,
}

impl Search<'_> {
    /// What a frame has taken of the wanted locks; `waits_for` is the lock that its thread waits for.
    fn frame(
        &mut self,
        frame: &RawFrame,
        thread: usize,
        now: &Place,
        waits_for: Option<Address>,
    ) -> Option<()> {
        let insight = self.inspection.insight;
        let (shared, moment) = insight.moment(frame)?;
        let scope = Scope::Frame(frame);
        let called = Called::of(insight, self.inspection.origins, scope, &self.calls);
        let names = CodeNames {
            reader: &insight.reader,
            code: &frame.code,
        };
        let mut analysis = shared.try_borrow_mut().ok()?;
        let sites = analysis.held_by_calls(&moment, &names, &called);
        let sites = || sites.iter().filter(|site| site.taken == Taken::Lock);
        let line_of = |offset: u32| frame.code.line_at(offset as usize).unwrap_or(0);
        let function = &frame.code.name;
        let here = frame.line().unwrap_or(0);
        for site in sites().filter(|site| !site.rebound) {
            let Some((lock, place)) = called.told(&analysis, site) else {
                continue;
            };
            let (rank, way) = match site.on_every_path {
                true => (EVERY_WAY, "nothing on the way"),
                false => (SOME_WAY, "not every way"),
            };
            let line = line_of(site.offset);
            let evidence = |noun: &str| {
                format!(
                    "{function}() took this {noun} by a call in line {line}, and {way} to line {here} gives it back"
                )
            };
            claim(
                self.wanted,
                &mut self.claims,
                (thread, rank, lock),
                (&place, now),
                &evidence,
            );
        }
        // Taken in a loop: the call is known, but no longer what the expression meant at the time.
        let site = sites().find(|site| site.rebound || site.others)?;
        let Subject::Expression(id) = site.subject else {
            return None;
        };
        let value = |id| analysis.value(id);
        let container = match analysis.value(id) {
            Value::Item { object, .. } => insight.evaluate(scope, &value, object, 0),
            _ => None,
        };
        let near = nearby::of_frame(insight, frame, moment.stack.len(), container);
        let place = insight.place(frame, Some(line_of(site.offset)));
        for (lock, _) in self.wanted.iter().filter(|(lock, _)| near.contains(lock)) {
            let evidence = |noun: &str| {
                format!(
                    "{function}() takes {noun}s in a loop in line {}, and has this one at hand",
                    place.line
                )
            };
            let rank = if waits_for == Some(*lock) {
                IN_LOOP_WAITING
            } else {
                IN_LOOP
            };
            claim(
                self.wanted,
                &mut self.claims,
                (thread, rank, *lock),
                (&place, now),
                &evidence,
            );
        }
        Some(())
    }
}

/// Adds a claim, where the lock is one of those wanted.
fn claim(
    wanted: &[(Address, Kind)],
    claims: &mut Vec<Claim>,
    (thread, rank, lock): (usize, u8, Address),
    (place, now): (&Place, &Place),
    evidence: &dyn Fn(&str) -> String,
) {
    let Some((_, kind)) = wanted.iter().find(|(wanted, _)| *wanted == lock) else {
        return;
    };
    let noun = match kind {
        Kind::Semaphore | Kind::BoundedSemaphore => "semaphore",
        _ => "lock",
    };
    claims.push(Claim {
        thread,
        rank,
        hold: Hold {
            kind: *kind,
            address: lock,
            fd: None,
            name: None,
            place: place.clone(),
            now: now.clone(),
            given_up: false,
            evidence: evidence(noun),
            certainty: Certainty::Probable,
        },
    });
}

/// The locks and semaphores that are taken and waited for, and that nobody is known to hold.
fn unclaimed(inspection: &Inspection<'_>, threads: &[ThreadSync]) -> Vec<(Address, Kind)> {
    let reader = inspection.reader();
    let held = |lock: Address| {
        let mut holds = threads.iter().flat_map(|thread| &thread.holds);
        holds.any(|hold| hold.address == lock && !hold.given_up)
    };
    let mut wanted: Vec<(Address, Kind)> = Vec::new();
    for wait in threads
        .iter()
        .filter_map(|thread| thread.waits_for.as_ref())
    {
        let Some((lock, kind)) = lock_waited_for(inspection, wait) else {
            continue;
        };
        let taken = match form_of(reader, lock) {
            Some(Form::Semaphore) => integer(reader, lock, "_value") == Some(0),
            _ => is_locked(reader, lock, None),
        };
        if taken && !held(lock) && !wanted.iter().any(|(known, _)| *known == lock) {
            wanted.push((lock, kind));
        }
    }
    wanted
}

/// The lock whose holder keeps a wait from ending.
fn lock_waited_for(inspection: &Inspection<'_>, wait: &Wait) -> Option<(Address, Kind)> {
    let reader = inspection.reader();
    let object = wait.address?;
    match form_of(reader, object)? {
        form @ (Form::Lock | Form::Semaphore) => lock_of(reader, object, form),
        form @ Form::Condition if wait.operation == Operation::Acquire => {
            let (lock, kind) = lock_of(reader, object, form)?;
            (form_of(reader, lock)? == Form::Lock).then_some((lock, kind))
        }
        _ => None,
    }
}
