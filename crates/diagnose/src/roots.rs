//! From the graph to the knots: what is stuck for ever, and because of what.

use crate::followers::{add_followers, merge, users};
use crate::gates::{Gate, Knots};
use crate::graph::{Components, Link, NodeId};
use crate::providers::is_due;
use crate::report::FindingKind;
use crate::world::Actor;
use snapshot::{Kind, SyncState};
use std::collections::{BTreeSet, VecDeque};

/// A root: what cannot go on, whatever else happens.
#[derive(Debug)]
pub(crate) struct Root {
    pub kind: FindingKind,
    /// The actors of the knot, in the order of the cycle where it is one.
    pub knot: Vec<Actor>,
    /// All nodes of the knot: a holder that is one of them is part of it.
    pub nodes: BTreeSet<NodeId>,
    /// Others that wait for a member of it, nearest first.
    pub followers: Vec<Actor>,
}

/// Which nodes open, and the roots of those that do not.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub open: Vec<bool>,
    pub roots: Vec<Root>,
}

/// Finds all that is stuck for ever, and groups it by its roots.
pub(crate) fn find(knots: &mut Knots<'_, '_>) -> Stuck {
    let open = knots.graph.opens();
    let stuck = |node: NodeId| open.get(node) == Some(&false);
    if !knots.actors.values().any(|&n| stuck(n)) {
        return Stuck {
            open,
            roots: Vec::new(),
        };
    }
    let full = knots.graph.components(&stuck, &|_| true);
    settle_processes(knots, &full, &stuck);
    let definite = knots
        .graph
        .components(&stuck, &|link| link == Link::Definite);
    let users = users(knots, &stuck);
    let mut roots = Vec::new();
    // A component comes after all that it leads to; one that nobody waits in leads nowhere.
    let mut empty = vec![false; full.members.len()];
    for (number, members) in full.members.iter().enumerate() {
        let leads_on = |node: NodeId| {
            let other = full.of.get(node).copied().unwrap_or(number);
            other != number && !empty.get(other).copied().unwrap_or(true)
        };
        let bottom = members.iter().all(|&node| {
            let mut needs = knots.graph.needs(node).iter().filter(|n| stuck(n.node));
            !needs.any(|need| leads_on(need.node))
        });
        let cores = Cores {
            knots,
            definite: &definite,
            users: &users,
            stuck: &stuck,
        };
        let root = cores.root(members, bottom);
        let actors = members.iter().any(|&n| knots.actor(n).is_some());
        if let Some(place) = empty.get_mut(number) {
            *place = bottom && root.is_none() && !actors;
        }
        roots.extend(root);
    }
    let mut found = Stuck {
        open: open.clone(),
        roots,
    };
    add_followers(knots, &mut found.roots, &users, &stuck);
    found
}

/// A process at the other end of a pipe acts by the thread that is tied to this knot, else by its main thread.
fn settle_processes(knots: &mut Knots<'_, '_>, full: &Components, stuck: &dyn Fn(NodeId) -> bool) {
    let processes: Vec<NodeId> = knots
        .gate_of
        .iter()
        .filter(|(node, gate)| matches!(gate, Gate::AnyOf(_)) && stuck(**node))
        .map(|(&node, _)| node)
        .collect();
    for node in processes {
        let tied = knots
            .graph
            .needs(node)
            .iter()
            .any(|n| full.same(node, n.node));
        let main = knots.graph.needs(node).first().map(|n| n.node);
        knots.graph.make_definite(node, |other| match tied {
            true => full.same(node, other),
            false => Some(other) == main,
        });
    }
}

pub(crate) struct Cores<'a, 'w, 's> {
    pub knots: &'a Knots<'w, 's>,
    definite: &'a Components,
    users: &'a [Vec<(NodeId, Link)>],
    pub stuck: &'a dyn Fn(NodeId) -> bool,
}

impl Cores<'_, '_, '_> {
    /// The root among the members of one component of the full graph.
    fn root(&self, members: &[NodeId], bottom: bool) -> Option<Root> {
        let mut cycles: BTreeSet<usize> = BTreeSet::new();
        let mut sinks = Vec::new();
        for &node in members {
            let component = self.definite.of.get(node).copied().unwrap_or(usize::MAX);
            let size = self.definite.members.get(component).map_or(0, Vec::len);
            let needs = self.knots.graph.needs(node);
            let definite =
                |n: &&crate::graph::Need| n.link == Link::Definite && (self.stuck)(n.node);
            if size > 1 || needs.iter().filter(definite).any(|n| n.node == node) {
                cycles.insert(component);
            } else if needs.iter().filter(definite).count() == 0 && self.is_sink_gate(node) {
                sinks.push(node);
            }
        }
        let mut best: Option<Root> = None;
        for component in cycles {
            let nodes: BTreeSet<NodeId> = self
                .definite
                .members
                .get(component)?
                .iter()
                .copied()
                .collect();
            if bottom || self.is_all_locks(&nodes) {
                merge(&mut best, self.cycle(nodes));
            }
        }
        if bottom {
            for node in sinks {
                merge(&mut best, self.sink(node));
            }
        }
        best
    }

    fn is_sink_gate(&self, node: NodeId) -> bool {
        matches!(
            self.knots.gate_of.get(&node),
            Some(
                Gate::Lock(..)
                    | Gate::Shared(_)
                    | Gate::Object(..)
                    | Gate::Future(..)
                    | Gate::Pool(..)
                    | Gate::Wakeup(..)
                    | Gate::Descriptor { .. }
                    | Gate::Continued(..)
            )
        )
    }

    fn is_all_locks(&self, nodes: &BTreeSet<NodeId>) -> bool {
        nodes.iter().all(|n| match self.knots.gate_of.get(n) {
            None => true,
            Some(gate) => matches!(gate, Gate::Lock(..) | Gate::Shared(_) | Gate::Gil(..)),
        })
    }

    fn cycle(&self, nodes: BTreeSet<NodeId>) -> Option<Root> {
        let actors: Vec<Actor> = nodes.iter().filter_map(|&n| self.knots.actor(n)).collect();
        let first = *actors.first()?;
        // A task that only waits for its turn is no party to a cycle unless it holds something.
        let waiting: Vec<Actor> = actors
            .iter()
            .copied()
            .filter(|&a| !self.is_only_due(a, &nodes))
            .collect();
        let gates: Vec<&Gate> = nodes
            .iter()
            .filter_map(|n| self.knots.gate_of.get(n))
            .collect();
        let kind = self.kind_of_cycle(&nodes, &gates, actors.len(), waiting.len());
        let start = waiting.first().copied().unwrap_or(first);
        let mut knot = self.walk(start, &nodes);
        let mut seen: BTreeSet<Actor> = knot.iter().copied().collect();
        let rest = waiting.into_iter().chain(actors);
        knot.extend(rest.filter(|&actor| seen.insert(actor)));
        Some(Root {
            kind,
            knot,
            nodes,
            followers: Vec::new(),
        })
    }

    fn kind_of_cycle(
        &self,
        nodes: &BTreeSet<NodeId>,
        gates: &[&Gate],
        actors: usize,
        waiting: usize,
    ) -> FindingKind {
        let has = |test: &dyn Fn(&Gate) -> bool| gates.iter().any(|g| test(g));
        let pools: Vec<NodeId> = nodes
            .iter()
            .copied()
            .filter(|n| matches!(self.knots.gate_of.get(n), Some(Gate::Pool(..))))
            .collect();
        if has(&|g| matches!(g, Gate::Descriptor { .. })) {
            FindingKind::PipeDeadlock
        } else if !pools.is_empty() && self.are_all_workers(nodes, &pools) {
            FindingKind::PoolStarvation
        } else if actors == 1 {
            FindingKind::SelfDeadlock
        } else if gates
            .iter()
            .all(|g| matches!(g, Gate::Object(..) | Gate::Slot(..)) || self.is_semaphore(g))
            && has(&|g| self.is_semaphore(g))
        {
            FindingKind::PoolStarvation
        } else if waiting == 1
            && has(&|g| matches!(g, Gate::Slot(..)))
            && !has(&|g| matches!(g, Gate::Lock(..)))
        {
            FindingKind::SelfDeadlock
        } else {
            FindingKind::Deadlock
        }
    }

    fn is_semaphore(&self, gate: &Gate) -> bool {
        let world = self.knots.world;
        match gate {
            Gate::Object(p, address, _) => matches!(
                world.object(*p, *address).map(|o| &o.state),
                Some(SyncState::Semaphore { .. })
            ),
            Gate::Shared(key) => {
                let mut objects = world.shared.get(key).into_iter().flatten();
                objects.any(|(_, o)| matches!(o.kind, Kind::Semaphore | Kind::BoundedSemaphore))
            }
            _ => false,
        }
    }

    /// Whether every actor among `nodes` is a worker of one of the pools, or a task that merely passes on what one of
    /// them will bring.
    fn are_all_workers(&self, nodes: &BTreeSet<NodeId>, pools: &[NodeId]) -> bool {
        let workers: BTreeSet<NodeId> = pools
            .iter()
            .flat_map(|&p| self.knots.graph.needs(p))
            .map(|n| n.node)
            .collect();
        nodes
            .iter()
            .filter_map(|&n| Some((n, self.knots.actor(n)?)))
            .all(|(n, actor)| workers.contains(&n) || self.passes_on(actor))
    }

    /// Whether a task waits for nothing but a result.
    fn passes_on(&self, actor: Actor) -> bool {
        let result = |kind| matches!(kind, Kind::Future | Kind::Task | Kind::Awaitable);
        matches!(actor, Actor::Task(..))
            && self
                .knots
                .world
                .wait(actor)
                .is_some_and(|wait| result(wait.kind))
    }

    /// Whether a task waits for nothing but its loop's thread.
    fn is_only_due(&self, actor: Actor, nodes: &BTreeSet<NodeId>) -> bool {
        let (Actor::Task(p, k), Some(&node)) = (actor, self.knots.actors.get(&actor)) else {
            return false;
        };
        if self.knots.world.task(p, k).is_some_and(is_due) {
            return true;
        }
        self.knots
            .graph
            .needs(node)
            .iter()
            .filter(|n| (self.stuck)(n.node) && nodes.contains(&n.node))
            .all(|n| matches!(self.knots.gate_of.get(&n.node), Some(Gate::Slot(..))))
    }

    /// The actors of a cycle in order, from `start`.
    fn walk(&self, start: Actor, nodes: &BTreeSet<NodeId>) -> Vec<Actor> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = self.knots.actors.get(&start).copied();
        while let Some(node) = at {
            if !seen.insert(node) {
                break;
            }
            order.extend(self.knots.actor(node));
            at = self
                .knots
                .graph
                .needs(node)
                .iter()
                .map(|n| (n.link, n.node))
                .find_map(|(link, other)| {
                    (link == Link::Definite && nodes.contains(&other) && !seen.contains(&other))
                        .then_some(other)
                });
        }
        order
    }

    /// A gate that nobody alive could open.
    fn sink(&self, node: NodeId) -> Option<Root> {
        let gate = self.knots.gate_of.get(&node)?;
        let mut nodes = BTreeSet::from([node]);
        let mut knot = Vec::new();
        let mut due = VecDeque::from([node]);
        while let Some(at) = due.pop_front() {
            for &(user, link) in self.users.get(at).into_iter().flatten() {
                if link != Link::Definite || !nodes.insert(user) {
                    continue;
                }
                match self.knots.actor(user) {
                    Some(actor) => knot.push(actor),
                    None => due.push_back(user),
                }
            }
        }
        if knot.is_empty() {
            return None;
        }
        // The program's own main thread first, then in the order of the snapshot.
        knot.sort_unstable();
        let kind = match gate {
            Gate::Lock(p, address) => match self.knots.world.object(*p, *address).map(|o| o.kind) {
                Some(Kind::Semaphore | Kind::BoundedSemaphore) => FindingKind::NoWaker,
                _ => FindingKind::OrphanedLock,
            },
            Gate::Shared(key) => {
                let is_lock = |max: i64| max == 1;
                let objects = self.knots.world.shared.get(key).into_iter().flatten();
                let lock = objects.clone().any(|(_, o)| {
                    matches!(&o.state, SyncState::SharedSemaphore { max, .. } if is_lock(*max))
                });
                if lock {
                    FindingKind::OrphanedLock
                } else {
                    FindingKind::NoWaker
                }
            }
            Gate::Continued(_) => FindingKind::Stuck,
            _ if self.lock_partner(node, &mut knot, &mut nodes) => FindingKind::Deadlock,
            _ if self.partner(node, gate, &mut knot, &mut nodes) => FindingKind::Deadlock,
            _ if self.starves_a_pool(node, &knot) => FindingKind::PoolStarvation,
            _ if self.loop_waits_for_itself(node, &knot) => FindingKind::SelfDeadlock,
            _ => FindingKind::NoWaker,
        };
        Some(Root {
            kind,
            knot,
            nodes,
            followers: Vec::new(),
        })
    }

    /// One who could open the gate, and waits for a lock that one of the gate's waiters holds: a cycle.
    /// Adds it and the lock to the knot.
    fn lock_partner(
        &self,
        node: NodeId,
        knot: &mut Vec<Actor>,
        nodes: &mut BTreeSet<NodeId>,
    ) -> bool {
        let waiters: BTreeSet<NodeId> = knot
            .iter()
            .filter_map(|a| self.knots.actors.get(a).copied())
            .collect();
        let needs = |n: NodeId| {
            self.knots
                .graph
                .needs(n)
                .iter()
                .filter(|n| (self.stuck)(n.node))
        };
        let is_lock = |n: NodeId| {
            matches!(
                self.knots.gate_of.get(&n),
                Some(Gate::Lock(..) | Gate::Shared(_))
            )
        };
        for could in self.could_open(node) {
            let Some(actor) = self.knots.actor(could) else {
                continue;
            };
            if waiters.contains(&could) {
                continue;
            }
            let lock = needs(could).map(|n| n.node).find(|&lock| {
                is_lock(lock)
                    && needs(lock).any(|n| n.link == Link::Definite && waiters.contains(&n.node))
            });
            if let Some(lock) = lock {
                nodes.insert(could);
                nodes.insert(lock);
                knot.insert(0, actor);
                return true;
            }
        }
        false
    }

    /// The stuck nodes that could open a gate without owner.
    pub(crate) fn could_open(&self, node: NodeId) -> Vec<NodeId> {
        let mut could: Vec<NodeId> = Vec::new();
        for need in self
            .knots
            .graph
            .needs(node)
            .iter()
            .filter(|n| (self.stuck)(n.node))
        {
            match self.knots.gate_of.get(&need.node) {
                Some(Gate::Anyone(_)) => {
                    could.extend(self.knots.graph.needs(need.node).iter().map(|n| n.node));
                }
                _ => could.push(need.node),
            }
        }
        could
    }

    /// Whether work that is still queued could open the gate, and the pool's workers all wait at it.
    fn starves_a_pool(&self, node: NodeId, knot: &[Actor]) -> bool {
        let pools: Vec<NodeId> = self
            .knots
            .graph
            .needs(node)
            .iter()
            .map(|n| n.node)
            .filter(|n| {
                matches!(self.knots.gate_of.get(n), Some(Gate::Pool(..))) && (self.stuck)(*n)
            })
            .collect();
        let nodes = knot
            .iter()
            .filter_map(|a| self.knots.actors.get(a).copied())
            .collect();
        !pools.is_empty() && self.are_all_workers(&nodes, &pools)
    }

    /// Whether a loop's thread waits at the gate, and those who could open it are tasks of that very
    /// loop that only wait for their turn.
    fn loop_waits_for_itself(&self, node: NodeId, knot: &[Actor]) -> bool {
        let world = self.knots.world;
        let waiter = knot.iter().find_map(|&a| match a {
            Actor::Thread(p, t) => {
                let thread = world.thread(p, t)?;
                world
                    .index
                    .get(p)?
                    .tasks_of_thread
                    .contains_key(&thread.tid)
                    .then_some((p, t))
            }
            Actor::Task(..) => None,
        });
        let Some((p, t)) = waiter else { return false };
        let mut own = 0;
        let waiters: BTreeSet<Actor> = knot.iter().copied().collect();
        for actor in self
            .could_open(node)
            .into_iter()
            .filter_map(|n| self.knots.actor(n))
        {
            match actor {
                Actor::Task(q, k) if q == p => {
                    let task = world.task(q, k);
                    let here = task.and_then(|k| k.loop_tid) == world.thread(p, t).map(|t| t.tid);
                    let free = self.is_free_but_for_slot(actor);
                    own += usize::from(here && free);
                }
                _ if waiters.contains(&actor) => {}
                _ => return false,
            }
        }
        own > 0
    }

    fn is_free_but_for_slot(&self, actor: Actor) -> bool {
        let Some(&node) = self.knots.actors.get(&actor) else {
            return false;
        };
        self.knots
            .graph
            .needs(node)
            .iter()
            .filter(|n| (self.stuck)(n.node))
            .all(|n| matches!(self.knots.gate_of.get(&n.node), Some(Gate::Slot(..))))
    }
}
