//! From roots to findings.

use crate::edges::edge;
use crate::gates::{Gate, Knots};
use crate::report::{Finding, FindingKind, Party};
use crate::roots::{Root, Stuck};
use crate::words::{Story, Told, thing};
use crate::world::Actor;
use snapshot::{Certainty, Kind, Operation, Snapshot, ThreadState, Timeout};
use std::collections::BTreeSet;

/// How many followers' edges a finding tells; the rest wait in the same way.
const FOLLOWERS_MAX: usize = 10_000;

/// The finding of a root; `None` when it is no fault, or a later look shows that it was not stuck.
pub(crate) fn finding(
    knots: &Knots<'_, '_>,
    stuck: &Stuck,
    root: &Root,
    earlier: Option<&Snapshot>,
) -> Option<Finding> {
    let suspended = root.nodes.iter().find_map(|n| match knots.gate_of.get(n) {
        Some(Gate::Continued(p)) => Some(*p),
        _ => None,
    });
    if let Some(p) = suspended {
        return suspended_finding(knots, stuck, root, p);
    }
    if is_by_design(knots, stuck, root)
        || is_blocked_loop(knots, root)
        || has_moved(knots, root, earlier)
    {
        return None;
    }
    let mut knot: Vec<Told> = root
        .knot
        .iter()
        .filter_map(|&a| told(knots, stuck, root, a))
        .collect();
    let mut followers: Vec<Told> = root
        .followers
        .iter()
        .filter(|&&a| !is_helper(knots, a) && !is_idle(knots, a))
        .take(FOLLOWERS_MAX)
        .filter_map(|&a| told(knots, stuck, root, a))
        .collect();
    if knot.is_empty() {
        // A loop that sleeps tells nothing of itself: those who wait for it do.
        std::mem::swap(&mut knot, &mut followers);
    }
    if knot.is_empty() {
        return None;
    }
    let pids: BTreeSet<u32> = knot
        .iter()
        .flat_map(|t| {
            let holder = t.edge.held_by.as_ref().filter(|h| !h.ended);
            [t.edge.waiter.pid, holder.and_then(|h| h.party.pid)]
        })
        .flatten()
        .collect();
    let first = knots.world.snapshot.processes.first().map(|p| p.pid);
    // Names of threads suffice where all of them are in the process that was asked for.
    let several = pids.len() > 1 || pids.first().copied() != first;
    let pool = root
        .nodes
        .iter()
        .any(|n| matches!(knots.gate_of.get(n), Some(Gate::Pool(..))));
    let pool = pool || !root.knot.iter().any(|&a| waits_for_permit(knots, a));
    let story = Story {
        kind: root.kind,
        knot: &knot,
        several,
        pool,
        overslept: root
            .nodes
            .iter()
            .any(|n| matches!(knots.gate_of.get(n), Some(Gate::Wakeup(..)))),
    };
    // That nobody alive can end a wait is as sure as the wait; who is gone may be a guess.
    let of_waits = root.knot.iter().filter_map(|&a| knots.world.wait(a));
    let sure = of_waits.map(|w| match w.timeout {
        Timeout::Unknown => Certainty::Probable,
        _ => w.certainty,
    });
    let of_edges = knot.iter().map(|t| t.edge.certainty).max();
    let certainty = match root.kind {
        FindingKind::NoWaker | FindingKind::OrphanedLock => sure.max().or(of_edges),
        _ => of_edges,
    };
    let certainty = certainty.unwrap_or(Certainty::Probable);
    let places = knot.iter().chain(&followers).map(|t| t.edge.waiter.clone());
    let mut finding = Finding {
        kind: root.kind,
        certainty,
        summary: with_followers(story.summary(), &followers, several),
        cause: story.cause(),
        edges: Vec::new(),
        knot_edges: knot.len(),
        places: places.collect(),
    };
    add_culprit(&mut finding, &knot);
    finding.edges = knot.into_iter().chain(followers).map(|t| t.edge).collect();
    Some(finding)
}

/// Of those who wait for a process that a signal has stopped; `None` when nobody does.
fn suspended_finding(
    knots: &Knots<'_, '_>,
    stuck: &Stuck,
    root: &Root,
    p: usize,
) -> Option<Finding> {
    let waits = |actor: Actor| {
        !knots.world.is_suspended(actor.process())
            && !is_helper(knots, actor)
            && !is_idle(knots, actor)
    };
    let waiters: Vec<Told> = root
        .followers
        .iter()
        .filter(|&&actor| waits(actor))
        .take(FOLLOWERS_MAX)
        .filter_map(|&actor| told(knots, stuck, root, actor))
        .collect();
    let first = waiters.first()?;
    let pid = knots.world.process(p)?.pid;
    let story = Story {
        kind: root.kind,
        knot: &waiters,
        several: true,
        pool: false,
        overslept: false,
    };
    Some(Finding {
        kind: root.kind,
        certainty: Certainty::Probable,
        summary: format!(
            "{}, and process {pid} is stopped by a signal",
            story.sentence(first)
        ),
        cause: format!(
            "process {pid} was stopped by a signal (SIGSTOP, or SIGTSTP from its terminal), and goes on only when somebody \
             sends it SIGCONT"
        ),
        knot_edges: 1,
        places: waiters.iter().map(|t| t.edge.waiter.clone()).collect(),
        edges: waiters.into_iter().map(|t| t.edge).collect(),
    })
}

/// A holder that does not wait itself is a place of interest too.
fn add_culprit(finding: &mut Finding, knot: &[Told]) {
    let key = |p: &Party| (p.pid, p.tid, p.task.clone());
    let mut seen: BTreeSet<_> = finding.places.iter().map(key).collect();
    let holders = knot.iter().filter_map(|t| t.edge.held_by.as_ref());
    for holder in holders.filter(|h| !h.ended) {
        if seen.insert(key(&holder.party)) {
            let place = holder.now.clone().unwrap_or_default();
            finding.places.push(Party {
                place,
                ..holder.party.clone()
            });
        }
    }
}

fn waits_for_permit(knots: &Knots<'_, '_>, actor: Actor) -> bool {
    knots
        .world
        .wait(actor)
        .is_some_and(|w| matches!(w.kind, Kind::Semaphore | Kind::BoundedSemaphore))
}

fn with_followers(summary: String, followers: &[Told], several: bool) -> String {
    match followers {
        [] => summary,
        [one] => {
            let waiter = crate::words::who(&one.edge.waiter, several);
            format!("{summary}; behind it, {waiter} waits {}", thing(one))
        }
        many => format!("{summary}; {} others wait behind it", many.len()),
    }
}

fn told(knots: &Knots<'_, '_>, stuck: &Stuck, root: &Root, actor: Actor) -> Option<Told> {
    let edge = edge(knots, stuck, root, actor)?;
    let operation = knots
        .world
        .wait(actor)
        .map_or(Operation::Await, |w| w.operation);
    Some(Told { edge, operation })
}

/// Whether nobody relies on those who are stuck: an idle helper, or a thread that sleeps for ever on
/// purpose while others work.
fn is_by_design(knots: &Knots<'_, '_>, stuck: &Stuck, root: &Root) -> bool {
    if !matches!(root.kind, FindingKind::NoWaker | FindingKind::Stuck) {
        return false;
    }
    let all = || root.knot.iter().chain(&root.followers);
    let relied_on = all().any(|&actor| match actor {
        Actor::Thread(p, t) => knots
            .world
            .thread(p, t)
            .is_some_and(|t| (t.main || t.daemon == Some(false)) && t.state != ThreadState::Idle),
        Actor::Task(..) => true,
    });
    if !relied_on || all().all(|&actor| is_seen_to(knots, stuck, actor)) {
        return true;
    }
    let sleeps = root.knot.iter().all(|&actor| sleeps_for_ever(knots, actor));
    let others = knots.actors.iter().any(|(actor, &node)| {
        let idle = match *actor {
            // A loop that has something to wait for serves it.
            Actor::Thread(p, t) => {
                !knots.world.in_own_select(p, t)
                    && knots
                        .world
                        .thread(p, t)
                        .is_none_or(|t| t.state == ThreadState::Idle)
            }
            Actor::Task(..) => false,
        };
        stuck.open.get(node) == Some(&true) && !idle
    });
    sleeps && others
}

/// Whether a task waits under the eyes of somebody who goes on: one who waits for it for a limited time, or may cancel it.
fn is_seen_to(knots: &Knots<'_, '_>, stuck: &Stuck, actor: Actor) -> bool {
    let world = knots.world;
    let Actor::Task(p, k) = actor else {
        return false;
    };
    let (Some(task), Some(index)) = (world.task(p, k), world.index.get(p)) else {
        return false;
    };
    let goes_on = |other: Actor| {
        let node = knots.actors.get(&other);
        // The function that runs a loop to its end cancels what is left then.
        let runner = matches!(other, Actor::Thread(p, t) if world.in_own_select(p, t));
        !runner && node.is_none_or(|&node| stuck.open.get(node) == Some(&true))
    };
    let reachers = index.reachers.get(&task.address).into_iter().flatten();
    let cancels = |effect: &snapshot::Effect| {
        let uses = effect.uses.as_ref();
        uses.is_some_and(|uses| uses.iter().any(|name| name == "cancel"))
    };
    let mut cancelled = reachers.filter(|(other, _)| *other != actor && goes_on(*other));
    if cancelled.any(|(_, effect)| cancels(effect)) {
        return true;
    }
    let wakes = world.object(p, task.address).map_or(&[][..], |o| &o.wakes);
    let Some(process) = world.process(p) else {
        return false;
    };
    process.tasks.iter().any(|other| {
        let limited = |wait: &snapshot::Wait| wait.timeout == Timeout::Limited;
        other.waits_for.as_ref().is_some_and(limited)
            && other.awaiting.is_some_and(|future| wakes.contains(&future))
    })
}

/// Whether a loop's thread blocks in a system call on what only its own process could write to or read: that it blocks its loop
/// is all that is wrong, and is told as that.
fn is_blocked_loop(knots: &Knots<'_, '_>, root: &Root) -> bool {
    let world = knots.world;
    let mut in_step = 0;
    let alone = root.knot.iter().all(|&actor| match actor {
        Actor::Thread(p, t) => {
            let step = world.thread(p, t).is_some_and(|t| t.running_task.is_some());
            in_step += usize::from(step);
            step
        }
        Actor::Task(..) => true,
    });
    root.kind == FindingKind::PipeDeadlock && alone && in_step == 1
}

/// `threading.Event().wait()`: an object that has no name, so that nobody was ever meant to set it.
fn sleeps_for_ever(knots: &Knots<'_, '_>, actor: Actor) -> bool {
    let Some(wait) = knots.world.wait(actor) else {
        return false;
    };
    let kind = matches!(
        wait.kind,
        Kind::Event | Kind::Condition | Kind::Lock | Kind::Future | Kind::Awaitable
    );
    let named = wait.name.as_deref().is_some_and(|n| !n.contains('('));
    let known = wait
        .address
        .and_then(|a| knots.world.object(actor.process(), a))
        .is_some_and(|o| !o.names.is_empty());
    kind && !named && !known && wait.operation != Operation::Result
}

/// Whether an earlier look shows that a member of the knot has run since. Only for knots that were not
/// seen in one still moment: those across processes, or in a process that was not held.
fn has_moved(knots: &Knots<'_, '_>, root: &Root, earlier: Option<&Snapshot>) -> bool {
    let Some(earlier) = earlier else { return false };
    let world = knots.world;
    if !wants_confirming(knots, root) {
        return false;
    }
    root.knot.iter().any(|&actor| {
        let Actor::Thread(p, t) = actor else {
            return false;
        };
        let (Some(process), Some(thread)) = (world.process(p), world.thread(p, t)) else {
            return false;
        };
        let before = earlier
            .processes
            .iter()
            .filter(|e| e.pid == process.pid)
            .flat_map(|e| &e.threads)
            .find(|e| e.tid == thread.tid);
        let Some(before) = before else { return true };
        let ran = thread.gil != snapshot::GilState::Waits
            && before.os.switches.is_some()
            && thread.os.switches.is_some()
            && before.os.switches != thread.os.switches;
        let other = |a: Option<&snapshot::Wait>, b: Option<&snapshot::Wait>| match (a, b) {
            (Some(a), Some(b)) => a.kind != b.kind || a.address != b.address || a.place != b.place,
            _ => true,
        };
        ran || other(before.waits_for.as_ref(), thread.waits_for.as_ref())
            && thread.waits_for.is_some()
    })
}

/// Whether no single moment of stillness showed the knot: it spans processes, or nothing was held still.
pub(crate) fn wants_confirming(knots: &Knots<'_, '_>, root: &Root) -> bool {
    let snapshot = knots.world.snapshot;
    let processes: BTreeSet<usize> = root.knot.iter().map(|a| a.process()).collect();
    let core = snapshot
        .processes
        .iter()
        .any(|p| p.process_state == snapshot::ProcessState::Core);
    !core && (processes.len() > 1 || snapshot.held_still_us == 0)
}

/// Whether an actor merely waits for work that does not come, because of the knot.
fn is_idle(knots: &Knots<'_, '_>, actor: Actor) -> bool {
    match actor {
        Actor::Thread(p, t) => {
            let thread = knots.world.thread(p, t);
            thread.is_some_and(|t| t.state == ThreadState::Idle)
        }
        Actor::Task(..) => false,
    }
}

/// Whether an actor belongs to a helper process of `multiprocessing`, of which a reader need not hear.
fn is_helper(knots: &Knots<'_, '_>, actor: Actor) -> bool {
    const HELPERS: [&str; 3] = [
        "multiprocessing.resource_tracker",
        "multiprocessing.semaphore_tracker",
        "multiprocessing.forkserver",
    ];
    knots.world.process(actor.process()).is_some_and(|process| {
        let mut words = process.command.iter();
        words.any(|word| HELPERS.iter().any(|helper| word.contains(helper)))
    })
}
