//! Cycles through things without an owner: who alone could give what is waited for waits for the waiter in turn.

use crate::gates::Gate;
use crate::graph::{Link, NodeId};
use crate::providers::enders;
use crate::roots::Cores;
use crate::world::Actor;
use snapshot::SyncState;
use std::collections::{BTreeSet, HashMap, VecDeque};

impl Cores<'_, '_, '_> {
    /// One whose code ahead would open the gate, and who waits, through others or not, for one of the gate's waiters. Adds all on
    /// the way to the knot.
    pub(crate) fn partner(
        &self,
        node: NodeId,
        gate: &Gate,
        knot: &mut Vec<Actor>,
        nodes: &mut BTreeSet<NodeId>,
    ) -> bool {
        let of_knot = knot.iter().filter_map(|a| self.knots.actors.get(a));
        let waiters: BTreeSet<NodeId> = of_knot.copied().collect();
        let mut from: HashMap<NodeId, NodeId> = HashMap::new();
        let mut due: VecDeque<NodeId> = VecDeque::new();
        for giver in self.givers(node, gate) {
            if !waiters.contains(&giver) && from.insert(giver, node).is_none() {
                due.push_back(giver);
            }
        }
        while let Some(at) = due.pop_front() {
            if waiters.contains(&at) {
                self.add_way(at, node, &from, knot, nodes);
                return true;
            }
            for next in self.next(at) {
                if next != node && !from.contains_key(&next) {
                    from.insert(next, at);
                    due.push_back(next);
                }
            }
        }
        false
    }

    /// What a node cannot do without: whom it waits for by name, else those whose code would give it what it waits for.
    fn next(&self, at: NodeId) -> Vec<NodeId> {
        let needs = self.knots.graph.needs(at).iter();
        let definite = needs.filter(|n| n.link == Link::Definite && (self.stuck)(n.node));
        let definite: Vec<NodeId> = definite.map(|n| n.node).collect();
        match self.knots.gate_of.get(&at) {
            Some(gate) if definite.is_empty() => self.givers(at, gate),
            _ => definite,
        }
    }

    /// The stuck actors who can reach the object and whose code ahead is known to name what ends a wait for it.
    fn givers(&self, node: NodeId, gate: &Gate) -> Vec<NodeId> {
        let Gate::Object(p, address, operation) = gate else {
            return Vec::new();
        };
        let world = self.knots.world;
        let state = world.object(*p, *address).map(|o| &o.state);
        let enders = enders(state, *operation);
        let reachers = world.index.get(*p).and_then(|i| i.reachers.get(address));
        // The library's own code names `release` everywhere.
        let permit = matches!(state, Some(SyncState::Semaphore { .. }));
        let names = |actor: Actor| {
            let own = reachers.into_iter().flatten().filter(|(a, _)| *a == actor);
            own.filter(|(_, effect)| effect.releases || !permit)
                .flat_map(|(_, effect)| effect.uses.iter().flatten())
                .any(|name| enders.contains(&name.as_str()))
        };
        let could = self.could_open(node).into_iter();
        could
            .filter(|&n| self.knots.actor(n).is_some_and(names))
            .collect()
    }

    fn add_way(
        &self,
        waiter: NodeId,
        node: NodeId,
        from: &HashMap<NodeId, NodeId>,
        knot: &mut Vec<Actor>,
        nodes: &mut BTreeSet<NodeId>,
    ) {
        let mut at = waiter;
        // The waiter that closes the cycle comes first.
        let first = self.knots.actor(waiter);
        knot.sort_by_key(|actor| Some(*actor) != first);
        let mut after = usize::from(first.is_some());
        while let Some(&before) = from.get(&at).filter(|before| **before != node) {
            nodes.insert(before);
            if let Some(actor) = self.knots.actor(before)
                && !knot.contains(&actor)
            {
                knot.insert(after, actor);
                after += 1;
            }
            at = before;
        }
    }
}
