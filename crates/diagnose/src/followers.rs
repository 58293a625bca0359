//! Those who wait for a root, and the root that each of them waits for.

use crate::gates::Knots;
use crate::graph::{Link, NodeId};
use crate::roots::Root;
use crate::world::Actor;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Who needs each stuck node, and how.
pub(crate) fn users(
    knots: &Knots<'_, '_>,
    stuck: &dyn Fn(NodeId) -> bool,
) -> Vec<Vec<(NodeId, Link)>> {
    let mut users = vec![Vec::new(); knots.graph.len()];
    for node in (0..knots.graph.len()).filter(|&n| stuck(n)) {
        for need in knots.graph.needs(node) {
            if let Some(list) = users.get_mut(need.node) {
                list.push((node, need.link));
            }
        }
    }
    users
}

/// Puts two roots of one component together; the graver one leads.
pub(crate) fn merge(best: &mut Option<Root>, other: Option<Root>) {
    let Some(mut other) = other else { return };
    let Some(best) = best else {
        *best = Some(other);
        return;
    };
    if other.kind < best.kind {
        std::mem::swap(best, &mut other);
    }
    let mut seen: BTreeSet<Actor> = best.knot.iter().copied().collect();
    best.knot
        .extend(other.knot.into_iter().filter(|&actor| seen.insert(actor)));
    best.nodes.append(&mut other.nodes);
}

/// Gives each remaining stuck actor to the root that it waits for, by sure links before possible ones.
pub(crate) fn add_followers(
    knots: &Knots<'_, '_>,
    roots: &mut [Root],
    users: &[Vec<(NodeId, Link)>],
    stuck: &dyn Fn(NodeId) -> bool,
) {
    let mut of: HashMap<NodeId, usize> = HashMap::new();
    let mut due: VecDeque<NodeId> = VecDeque::new();
    for (number, root) in roots.iter().enumerate() {
        let actors = root.knot.iter().filter_map(|a| knots.actors.get(a));
        for &node in root.nodes.iter().chain(actors) {
            if let Entry::Vacant(entry) = of.entry(node) {
                entry.insert(number);
                due.push_back(node);
            }
        }
    }
    let mut later: VecDeque<NodeId> = due.clone();
    loop {
        let (node, links) = match (due.pop_front(), later.front()) {
            (Some(node), _) => (node, Link::Definite),
            (None, Some(&node)) => {
                later.pop_front();
                (node, Link::Reach)
            }
            (None, None) => break,
        };
        let Some(&number) = of.get(&node) else {
            continue;
        };
        for &(user, link) in users.get(node).into_iter().flatten() {
            if link != links || of.contains_key(&user) || !stuck(user) {
                continue;
            }
            of.insert(user, number);
            due.push_back(user);
            later.push_back(user);
            if let (Some(actor), Some(root)) = (knots.actor(user), roots.get_mut(number)) {
                root.followers.push(actor);
            }
        }
    }
}
