//! Jobs that no worker process has any more: a `multiprocessing.Pool` puts a new worker in the place of
//! one that was killed, and forgets its job.

use crate::edges::{party, waiting_place};
use crate::gone;
use crate::lasting::{Lasting, before};
use crate::report::{Edge, Finding, FindingKind, Holder, Target};
use crate::words;
use crate::world::{Actor, World};
use snapshot::{
    Address, Certainty, FutureState, Kind, Snapshot, SyncState, Thread, ThreadState, Timeout, Wait,
};

/// Threads that wait for a result while every worker process of the pool had nothing to do in both looks.
pub(crate) fn jobs(
    world: &World<'_>,
    earlier: Option<&Snapshot>,
    told: &dyn Fn(Actor) -> bool,
    out: &mut Lasting,
) {
    for (p, process) in world.snapshot.processes.iter().enumerate() {
        for (t, thread) in process.threads.iter().enumerate() {
            let actor = Actor::Thread(p, t);
            let Some(wait) = thread.waits_for.as_ref().filter(|w| w.kind == Kind::Future) else {
                continue;
            };
            if wait.timeout == Timeout::Limited || thread.state == ThreadState::Idle || told(actor)
            {
                continue;
            }
            let Some(workers) = idle_workers(world, p, wait) else {
                continue;
            };
            if earlier.is_none() {
                out.wants_second_look = true;
                continue;
            }
            let waited = before(earlier, process, thread).is_some_and(|b| {
                b.waits_for
                    .as_ref()
                    .is_some_and(|w| w.address == wait.address)
                    && same_switches(b, thread)
            });
            let idle = workers.iter().all(|&q| {
                let Some(worker) = world.process(q).and_then(|p| Some((p, p.threads.first()?)))
                else {
                    return false;
                };
                before(earlier, worker.0, worker.1)
                    .is_some_and(|b| b.state == ThreadState::Idle && same_switches(b, worker.1))
            });
            if waited && idle {
                out.findings.push(finding(world, actor, wait));
            }
        }
    }
}

fn same_switches(a: &Thread, b: &Thread) -> bool {
    a.os.switches.zip(b.os.switches).is_none_or(|(a, b)| a == b)
}

/// The pool's worker processes, when the result is still due and none of them has anything to do.
fn idle_workers(world: &World<'_>, p: usize, wait: &Wait) -> Option<Vec<usize>> {
    let pool = pool_of(world, p, wait.address?)?;
    let SyncState::Executor {
        processes, queued, ..
    } = &world.object(p, pool)?.state
    else {
        return None;
    };
    if processes.is_empty() || !queued.is_empty() {
        return None;
    }
    let workers: Option<Vec<usize>> = processes
        .iter()
        .map(|pid| world.descendant(p, *pid))
        .collect();
    let workers = workers?;
    let idle = |&q: &usize| {
        let first = world.process(q).and_then(|process| process.threads.first());
        first.is_some_and(|t| t.state == ThreadState::Idle)
    };
    workers.iter().all(idle).then_some(workers)
}

fn pool_of(world: &World<'_>, p: usize, future: Address) -> Option<Address> {
    match &world.object(p, future)?.state {
        SyncState::Future {
            state: FutureState::Pending | FutureState::Running,
            executor,
            ..
        } => *executor,
        _ => None,
    }
}

fn finding(world: &World<'_>, actor: Actor, wait: &Wait) -> Finding {
    let place = waiting_place(world, actor);
    let waiter = party(world, actor, place.clone());
    let who = words::who(&waiter, false);
    let known = gone::dead_child(world, actor.process());
    let known = known.filter(|h| h.how.as_deref() != Some("finished"));
    let cause = match known
        .as_ref()
        .and_then(|h| Some((h.party.pid?, h.how.as_deref()?)))
    {
        Some((pid, how)) => format!(
            "the job went with a worker (process {pid}, {how}), and the pool does not give it to another"
        ),
        None => "no worker has the job and none is waiting in the queue: it went with a worker in whose place \
                 the pool has put another, and its result never comes"
            .to_owned(),
    };
    let replaced = || Holder {
        ended: true,
        how: Some("ended, and replaced by another worker".to_owned()),
        ..Holder::default()
    };
    let held_by = Some(known.unwrap_or_else(replaced));
    let waits_for = Target {
        kind: wait.kind,
        address: wait.address,
        name: wait.name.clone(),
        place,
        inner: wait.inner.clone(),
    };
    Finding {
        kind: FindingKind::NoWaker,
        certainty: Certainty::Probable,
        summary: format!("{who} waits for a job of a pool whose workers all have nothing to do"),
        cause,
        knot_edges: 1,
        places: vec![waiter.clone()],
        edges: vec![Edge {
            waiter,
            waits_for,
            held_by,
            certainty: Certainty::Probable,
            evidence: "two looks found every worker of the pool without work".to_owned(),
        }],
    }
}
