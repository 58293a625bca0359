//! An and/or graph: what opens when, and what never does. Knows nothing of threads or locks.

/// Index of a node in its graph.
pub(crate) type NodeId = usize;

/// When a node opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// When all that it needs have opened; at once when it needs nothing.
    All,
    /// When any of those it needs has opened; never when there are none.
    Any,
    /// At once.
    Open,
}

/// How sure it is that the other end is what decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// It is the holder, the thread joined, the worker.
    Definite,
    /// It could: it can reach the object.
    Reach,
}

/// What a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub node: NodeId,
    pub link: Link,
}

#[derive(Debug)]
struct Node {
    rule: Rule,
    needs: Vec<Need>,
}

/// The graph.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    pub(crate) fn add(&mut self, rule: Rule) -> NodeId {
        self.nodes.push(Node {
            rule,
            needs: Vec::new(),
        });
        self.nodes.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn set_rule(&mut self, node: NodeId, rule: Rule) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.rule = rule;
        }
    }

    pub(crate) fn need(&mut self, from: NodeId, to: NodeId, link: Link) {
        if let Some(node) = self.nodes.get_mut(from) {
            node.needs.push(Need { node: to, link });
        }
    }

    pub(crate) fn needs(&self, node: NodeId) -> &[Need] {
        self.nodes.get(node).map_or(&[], |n| &n.needs)
    }

    /// Makes every link from `node` to one that `keep` names definite.
    pub(crate) fn make_definite(&mut self, node: NodeId, keep: impl Fn(NodeId) -> bool) {
        for need in self
            .nodes
            .get_mut(node)
            .map(|n| &mut n.needs)
            .into_iter()
            .flatten()
        {
            if keep(need.node) {
                need.link = Link::Definite;
            }
        }
    }

    /// The least fixpoint: `true` for every node that opens sooner or later.
    pub(crate) fn opens(&self) -> Vec<bool> {
        let mut users: Vec<Vec<NodeId>> = vec![Vec::new(); self.nodes.len()];
        let mut missing: Vec<usize> = Vec::with_capacity(self.nodes.len());
        let mut open = vec![false; self.nodes.len()];
        let mut due = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            missing.push(match node.rule {
                Rule::All => node.needs.len(),
                Rule::Any => 1,
                Rule::Open => 0,
            });
            for need in &node.needs {
                if let Some(list) = users.get_mut(need.node) {
                    list.push(id);
                }
            }
            if missing[id] == 0 {
                open[id] = true;
                due.push(id);
            }
        }
        while let Some(id) = due.pop() {
            for &user in &users[id] {
                missing[user] = missing[user].saturating_sub(1);
                if missing[user] == 0 && !open[user] {
                    open[user] = true;
                    due.push(user);
                }
            }
        }
        open
    }

    /// Strongly connected components among the nodes that `keep` names, over the links that
    /// `follow` names; each component's number, in an order where a component comes after all
    /// that it leads to. `usize::MAX` for nodes left out. (Tarjan's algorithm, without recursion.)
    pub(crate) fn components(
        &self,
        keep: &dyn Fn(NodeId) -> bool,
        follow: &dyn Fn(Link) -> bool,
    ) -> Components {
        const NONE: usize = usize::MAX;
        let count = self.nodes.len();
        let mut of = vec![NONE; count];
        let mut index = vec![NONE; count];
        let mut low = vec![NONE; count];
        let mut on_stack = vec![false; count];
        let mut stack = Vec::new();
        let mut members: Vec<Vec<NodeId>> = Vec::new();
        let mut next = 0;
        for root in (0..count).filter(|&n| keep(n)) {
            if index[root] != NONE {
                continue;
            }
            let mut path: Vec<(NodeId, usize)> = vec![(root, 0)];
            while let Some((node, position)) = path.last_mut() {
                let node = *node;
                if *position == 0 {
                    index[node] = next;
                    low[node] = next;
                    next += 1;
                    stack.push(node);
                    on_stack[node] = true;
                }
                let need = self.nodes[node].needs.get(*position).copied();
                *position += 1;
                if let Some(need) = need {
                    if !keep(need.node) || !follow(need.link) {
                        continue;
                    }
                    if index[need.node] == NONE {
                        path.push((need.node, 0));
                    } else if on_stack[need.node] {
                        low[node] = low[node].min(index[need.node]);
                    }
                    continue;
                }
                path.pop();
                if let Some(&(parent, _)) = path.last() {
                    low[parent] = low[parent].min(low[node]);
                }
                if low[node] == index[node] {
                    let mut component = Vec::new();
                    while let Some(member) = stack.pop() {
                        on_stack[member] = false;
                        of[member] = members.len();
                        component.push(member);
                        if member == node {
                            break;
                        }
                    }
                    component.sort_unstable();
                    members.push(component);
                }
            }
        }
        Components { of, members }
    }
}

/// Strongly connected components.
#[derive(Debug)]
pub(crate) struct Components {
    /// The component of each node; `usize::MAX` for a node left out.
    pub of: Vec<usize>,
    /// The nodes of each component, ascending.
    pub members: Vec<Vec<NodeId>>,
}

impl Components {
    /// Whether both nodes are in one component.
    pub(crate) fn same(&self, a: NodeId, b: NodeId) -> bool {
        self.of.get(a) == self.of.get(b) && self.of.get(a).is_some_and(|&c| c != usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_any_and_cycles() {
        let mut graph = Graph::default();
        let runs = graph.add(Rule::All);
        let lock = graph.add(Rule::Any);
        let waits = graph.add(Rule::All);
        graph.need(waits, lock, Link::Definite);
        graph.need(lock, runs, Link::Definite);
        let (a, b) = (graph.add(Rule::All), graph.add(Rule::All));
        graph.need(a, b, Link::Definite);
        graph.need(b, a, Link::Definite);
        let nobody = graph.add(Rule::Any);
        assert_eq!(graph.opens(), [true, true, true, false, false, false]);
        let open = graph.opens();
        let found = graph.components(&|n| !open[n], &|_| true);
        assert!(found.same(a, b) && !found.same(a, nobody) && !found.same(runs, lock));
        assert_eq!(found.members.len(), 2);
    }

    #[test]
    fn long_chains_do_not_recurse() {
        let mut graph = Graph::default();
        let nodes: Vec<_> = (0..200_000).map(|_| graph.add(Rule::All)).collect();
        for pair in nodes.windows(2) {
            graph.need(pair[0], pair[1], Link::Definite);
        }
        graph.need(nodes[199_999], nodes[0], Link::Definite);
        let open = graph.opens();
        assert!(open.iter().all(|o| !o));
        assert_eq!(graph.components(&|_| true, &|_| true).members.len(), 1);
    }
}
