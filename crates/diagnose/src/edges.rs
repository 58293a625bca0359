//! From actors to what is printed about them: parties, holders, edges.

use crate::gates::{Gate, Knots};
use crate::gone;
use crate::graph::{Link, NodeId};
use crate::report::{Edge, FindingKind, Holder, Party, Target};
use crate::roots::{Root, Stuck};
use crate::world::{Actor, World};
use snapshot::{Address, Certainty, GilState, Hold, Kind, Place, SyncState, ThreadState, Timeout};
use std::collections::{BTreeSet, VecDeque};

/// How many gates are followed from a waiter to a holder.
const CHAIN_MAX: usize = 10_000;

/// Who an actor is, at `place`.
pub(crate) fn party(world: &World<'_>, actor: Actor, place: Place) -> Party {
    let p = actor.process();
    let pid = world.process(p).map(|process| process.pid);
    match actor {
        Actor::Thread(_, t) => {
            let thread = world.thread(p, t);
            let running = thread.and_then(|t| t.running_task);
            let task = running
                .and_then(|a| world.index.get(p)?.task_by_address.get(&a))
                .and_then(|&k| world.task(p, k));
            Party {
                pid,
                tid: thread.map(|t| t.tid),
                thread: thread.map(|t| t.name.clone()),
                task: task.map(|t| t.name.clone()),
                place,
            }
        }
        Actor::Task(_, k) => {
            let task = world.task(p, k);
            let tid = task.and_then(|t| t.loop_tid);
            let runner = tid
                .and_then(|tid| world.index.get(p)?.thread_by_tid.get(&tid))
                .and_then(|&t| world.thread(p, t));
            Party {
                pid,
                tid,
                thread: runner.map(|t| t.name.clone()),
                task: task.map(|t| t.name.clone()),
                place,
            }
        }
    }
}

/// Where an actor waits; where it is, when it does not wait.
pub(crate) fn waiting_place(world: &World<'_>, actor: Actor) -> Place {
    match world.wait(actor) {
        Some(wait) if !wait.place.file.is_empty() => wait.place.clone(),
        _ => world.place(actor),
    }
}

/// Whether a place tells anything.
pub(crate) fn is_known(place: &Place) -> bool {
    !place.file.is_empty() || !place.function.is_empty()
}

/// The gate that keeps an actor, and who could open it, as far as known.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The innermost gate on the way to the provider.
    pub gate: Option<Gate>,
    pub provider: Option<Actor>,
    /// Whether it is kept only by its loop's thread.
    pub by_slot: bool,
    /// Whether the provider owns nothing, and merely could open the gate.
    pub by_reach: bool,
}

/// Follows what a stuck actor needs to the next actor, inside `within` where possible.
pub(crate) fn kept_by(knots: &Knots<'_, '_>, stuck: &Stuck, actor: Actor, root: &Root) -> Kept {
    let Some(&start) = knots.actors.get(&actor) else {
        return Kept::default();
    };
    let within = &root.nodes;
    let is_stuck = |n: NodeId| stuck.open.get(n) == Some(&false);
    let mut firsts: Vec<NodeId> = knots
        .graph
        .needs(start)
        .iter()
        .filter(|n| n.link == Link::Definite && is_stuck(n.node))
        .map(|n| n.node)
        .collect();
    let is_slot = |n: &NodeId| matches!(knots.gate_of.get(n), Some(Gate::Slot(..)));
    // A wait of its own says more than the wait for a turn, unless only the turn is in the knot.
    firsts.sort_by_key(|n| (!within.contains(n), is_slot(n)));
    let mut best = Kept::default();
    for first in firsts {
        let mut kept = follow(knots, &is_stuck, (start, first), within);
        let foreign = root.kind != FindingKind::Deadlock || kept.provider == Some(actor);
        if kept.by_reach && foreign {
            kept.provider = None;
        }
        let better = best.gate.is_none() && best.provider.is_none();
        if better || (best.provider.is_none() && kept.provider.is_some()) {
            best = Kept {
                by_slot: is_slot(&first),
                ..kept
            };
        }
    }
    best
}

fn follow(
    knots: &Knots<'_, '_>,
    is_stuck: &dyn Fn(NodeId) -> bool,
    (start, first): (NodeId, NodeId),
    within: &BTreeSet<NodeId>,
) -> Kept {
    let mut due = VecDeque::from([first]);
    let mut seen = BTreeSet::new();
    let mut last = None;
    while let Some(node) = due.pop_front() {
        if !seen.insert(node) || seen.len() > CHAIN_MAX {
            continue;
        }
        if let Some(actor) = knots.actor(node) {
            let gate = last.or_else(|| knots.gate_of.get(&first).cloned());
            return Kept {
                gate,
                provider: Some(actor),
                ..Kept::default()
            };
        }
        let mut needs: Vec<NodeId> = knots
            .graph
            .needs(node)
            .iter()
            .filter(|n| n.link == Link::Definite && is_stuck(n.node))
            .map(|n| n.node)
            .collect();
        needs.sort_by_key(|n| !within.contains(n));
        last = knots.gate_of.get(&node).cloned();
        due.extend(needs);
    }
    // Nobody owns it; one of the knot who could open it stands for those who would have to.
    let reaches = |n: NodeId| {
        knots
            .graph
            .needs(n)
            .iter()
            .filter(|n| n.link == Link::Reach)
    };
    let provider = seen
        .iter()
        .flat_map(|&n| reaches(n))
        .map(|n| n.node)
        .find_map(|n| {
            let through = match knots.gate_of.get(&n) {
                Some(Gate::Anyone(_)) => reaches(n)
                    .map(|n| n.node)
                    .find(|&n| n != start && within.contains(&n)),
                _ => Some(n).filter(|n| *n != start && within.contains(n)),
            };
            knots.actor(through?)
        });
    Kept {
        gate: last,
        provider,
        by_slot: false,
        by_reach: provider.is_some(),
    }
}

/// The hold by which a provider has what the gate stands for.
pub(crate) fn hold_of<'s>(world: &World<'s>, provider: Actor, gate: &Gate) -> Option<&'s Hold> {
    if let Gate::FileLock(p, fd) = gate {
        return world.file_lock_hold(provider, &world.waited_file_lock(*p, *fd)?);
    }
    let addresses: Vec<Address> = match gate {
        Gate::Lock(_, a) | Gate::Object(_, a, _) | Gate::Future(_, a) => vec![*a],
        Gate::Shared(key) => {
            let objects = world.shared.get(key).into_iter().flatten();
            objects
                .filter(|(p, _)| *p == provider.process())
                .map(|(_, o)| o.address)
                .collect()
        }
        _ => return None,
    };
    let own = world.holds(provider).iter();
    let running = match provider {
        Actor::Thread(p, t) => world
            .thread(p, t)
            .and_then(|t| t.running_task)
            .and_then(|a| world.index.get(p)?.task_by_address.get(&a))
            .map_or(&[][..], |&k| world.holds(Actor::Task(p, k))),
        Actor::Task(..) => &[],
    };
    own.chain(running)
        .find(|h| !h.given_up && addresses.contains(&h.address))
}

/// The edge of one stuck actor. `None` for a loop's thread in its own select: its tasks have theirs.
pub(crate) fn edge(
    knots: &Knots<'_, '_>,
    stuck: &Stuck,
    root: &Root,
    actor: Actor,
) -> Option<Edge> {
    let world = knots.world;
    if let Actor::Thread(p, t) = actor
        && world.in_own_select(p, t)
    {
        return None;
    }
    let kept = kept_by(knots, stuck, actor, root);
    let place = waiting_place(world, actor);
    let (held_by, hold) = match (kept.provider, &kept.gate) {
        (Some(provider), gate) => {
            let hold = gate.as_ref().and_then(|g| hold_of(world, provider, g));
            (Some(holder(world, provider, hold)), hold)
        }
        (None, Some(gate)) => (gone::holder(knots, actor, gate), None),
        (None, None) => (None, None),
    };
    let waits_for = target(world, actor, &kept, &place)?;
    let (mut certainty, mut evidence) = match world.wait(actor) {
        Some(wait) if !kept.by_slot && waits_for.kind != Kind::Gil => {
            let sure = if wait.timeout == Timeout::Unknown {
                Certainty::Probable
            } else {
                wait.certainty
            };
            (sure.max(wait.certainty), wait.evidence.clone())
        }
        _ if kept.by_slot => (
            Certainty::Certain,
            "its loop's thread is inside another step".to_owned(),
        ),
        _ => (Certainty::Certain, String::new()),
    };
    if let Some(hold) = hold {
        certainty = certainty.max(hold.certainty);
        if !hold.evidence.is_empty() {
            let join = if evidence.is_empty() { "" } else { "; " };
            evidence = format!("{evidence}{join}{}", hold.evidence);
        }
    }
    let gone = held_by.as_ref().is_some_and(|holder| holder.ended);
    if let (true, Some(guess)) = (gone, kept.gate.as_ref().and_then(|g| gone::guess(world, g))) {
        certainty = Certainty::Probable;
        evidence = format!("{evidence}; {guess}");
    }
    let waiter = party(world, actor, place);
    Some(Edge {
        waiter,
        waits_for,
        held_by,
        certainty,
        evidence,
    })
}

fn holder(world: &World<'_>, provider: Actor, hold: Option<&Hold>) -> Holder {
    let now = waiting_place(world, provider);
    let place = match hold {
        Some(hold) if is_known(&hold.place) => hold.place.clone(),
        _ => now.clone(),
    };
    let now = match hold {
        Some(hold) if is_known(&hold.now) => hold.now.clone(),
        _ => now,
    };
    Holder {
        party: party(world, provider, place),
        now: Some(now),
        ended: false,
        how: None,
    }
}

fn target(world: &World<'_>, actor: Actor, kept: &Kept, place: &Place) -> Option<Target> {
    let p = actor.process();
    if let Actor::Thread(_, t) = actor {
        let thread = world.thread(p, t)?;
        if thread.gil == GilState::Waits || thread.state == ThreadState::Gil {
            let inner = thread
                .frames
                .first()
                .map(|f| f.place())
                .filter(|i| i != place);
            let place = world.place(actor);
            return Some(Target {
                kind: Kind::Gil,
                address: None,
                name: None,
                place,
                inner,
            });
        }
    }
    if kept.by_slot {
        let kind = match kept.provider {
            Some(Actor::Thread(p, t)) if world.thread(p, t)?.running_task.is_some() => Kind::Task,
            _ => Kind::Thread,
        };
        return Some(Target {
            kind,
            address: None,
            name: None,
            place: place.clone(),
            inner: None,
        });
    }
    match (world.wait(actor), actor) {
        (Some(wait), _) => {
            let name = wait
                .name
                .clone()
                .or_else(|| object_name(world, p, wait.address));
            Some(Target {
                kind: wait.kind,
                address: wait.address,
                name,
                place: place.clone(),
                inner: wait.inner.clone(),
            })
        }
        (None, Actor::Task(p, k)) => Some(Target {
            kind: Kind::Future,
            address: world.task(p, k)?.awaiting,
            name: None,
            place: place.clone(),
            inner: None,
        }),
        (None, Actor::Thread(..)) => None,
    }
}

/// The shortest of an object's names.
fn object_name(world: &World<'_>, p: usize, address: Option<Address>) -> Option<String> {
    let object = world.object(p, address?)?;
    if let SyncState::ModuleLock { module, .. } = &object.state {
        return Some(module.clone());
    }
    object.names.iter().min_by_key(|n| n.len()).cloned()
}
