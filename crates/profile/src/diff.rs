//! What has changed from one recording to another.
//!
//! Stacks are matched by their functions' names and files, of all threads together: process and thread numbers differ from
//! run to run, and lines move with every edit. Recordings of different lengths are made comparable as shares of all.

use crate::tree::{Cost, Path, Step, walk_parents};
use crate::{FrameKind, Profile};
use serde::Serialize;
use std::collections::HashMap;

/// The version of the form in which a [`Diff`] is printed.
pub const DIFF_SCHEMA: u32 = 1;

/// What something weighs in one recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Weight {
    /// Samples.
    pub samples: u64,
    /// Time by the recording's metric, in seconds.
    pub seconds: f64,
    /// Its share of all, from 0 to 1.
    pub share: f64,
}

/// A recording as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// The command line.
    pub command: Vec<String>,
    /// Its Python.
    pub python: String,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// Samples.
    pub samples: u64,
    /// The time of all threads together, in seconds.
    pub seconds: f64,
}

/// A function before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FunctionChange {
    /// Its name.
    pub function: String,
    /// Its file.
    pub file: String,
    /// What kind of frame it makes.
    pub kind: FrameKind,
    /// Itself, before.
    pub own_before: Weight,
    /// Itself, after.
    pub own_after: Weight,
    /// With all that it calls, before.
    pub total_before: Weight,
    /// With all that it calls, after.
    pub total_after: Weight,
    /// How much its own share has grown: from -1 to 1.
    pub own_change: f64,
    /// How much its share with all that it calls has grown.
    pub total_change: f64,
}

/// A stack before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StackChange {
    /// Its functions as `name (file)`, from the outermost inwards.
    pub frames: Vec<String>,
    /// Before.
    pub before: Weight,
    /// After.
    pub after: Weight,
    /// How much its share has grown: from -1 to 1.
    pub change: f64,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// [`DIFF_SCHEMA`].
    pub schema: u32,
    /// The earlier recording.
    pub before: Side,
    /// The later one.
    pub after: Side,
    /// Functions, those whose own share has changed most first.
    pub functions: Vec<FunctionChange>,
    /// Stacks, those whose share has changed most first.
    pub stacks: Vec<StackChange>,
}

/// A function in both recordings.
type Key<'a> = (&'a str, &'a str, FrameKind);

/// Costs before and after.
type Both = [Cost; 2];

/// A stack of both recordings: its innermost function and the stack that called it.
struct Node {
    parent: Option<u32>,
    function: u32,
}

/// Both recordings in one tree of functions.
#[derive(Default)]
struct Merged<'a> {
    keys: HashMap<Key<'a>, u32>,
    names: Vec<Key<'a>>,
    index: HashMap<(Option<u32>, u32), u32>,
    nodes: Vec<Node>,
    /// Each node's own costs.
    costs: Vec<Both>,
    /// What has no frame.
    outside: Both,
    all: Both,
}

impl<'a> Merged<'a> {
    fn add(&mut self, side: usize, profile: &'a Profile) {
        let functions: Vec<u32> = profile
            .functions
            .iter()
            .map(|f| {
                let key = (profile.text(f.name), profile.text(f.file), f.kind);
                *self.keys.entry(key).or_insert_with(|| {
                    self.names.push(key);
                    self.names.len() as u32 - 1
                })
            })
            .collect();
        // Parents come first, so that each one's node is known.
        let mut nodes: Vec<Option<u32>> = Vec::with_capacity(profile.stacks.len());
        for stack in &profile.stacks {
            let parent = stack
                .parent
                .and_then(|parent| nodes.get(parent as usize).copied().flatten());
            let function = profile
                .frames
                .get(stack.frame as usize)
                .and_then(|frame| functions.get(frame.function as usize));
            nodes.push(function.map(|function| self.node(parent, *function)));
        }
        for total in &profile.totals {
            let cost = Cost {
                samples: total.samples,
                ns: profile.weight_ns(total),
            };
            let node = total
                .stack
                .and_then(|stack| nodes.get(stack as usize).copied().flatten());
            match node {
                Some(node) => self.costs[node as usize][side].add(cost),
                None => self.outside[side].add(cost),
            }
            self.all[side].add(cost);
        }
    }

    fn node(&mut self, parent: Option<u32>, function: u32) -> u32 {
        let next = self.nodes.len() as u32;
        *self.index.entry((parent, function)).or_insert_with(|| {
            self.nodes.push(Node { parent, function });
            self.costs.push(Both::default());
            next
        })
    }

    /// Own costs by function, and with all that it calls, recursion counted once.
    fn by_function(&self) -> (Vec<Both>, Vec<Both>) {
        let mut inclusive = self.costs.clone();
        let mut own = vec![Both::default(); self.names.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let costs = inclusive[index];
            for side in 0..2 {
                own[node.function as usize][side].add(self.costs[index][side]);
                if let Some(parent) = node.parent {
                    inclusive[parent as usize][side].add(costs[side]);
                }
            }
        }
        let mut total = vec![Both::default(); self.names.len()];
        let mut path = Path::default();
        walk_parents(
            self.nodes.len(),
            |node| self.nodes[node].parent,
            |step| match step {
                Step::Enter(id) => {
                    let function = self.nodes[id as usize].function;
                    if path.enter(function) {
                        for side in 0..2 {
                            total[function as usize][side].add(inclusive[id as usize][side]);
                        }
                    }
                }
                Step::Leave(id) => path.leave(&self.nodes[id as usize].function),
            },
        );
        (own, total)
    }

    fn weight(&self, costs: &Both, side: usize) -> Weight {
        weight(costs[side], self.all[side])
    }

    fn change(&self, costs: &Both) -> f64 {
        self.weight(costs, 1).share - self.weight(costs, 0).share
    }

    fn functions(&self, most: usize) -> Vec<FunctionChange> {
        let (own, total) = self.by_function();
        let mut changes: Vec<FunctionChange> = self
            .names
            .iter()
            .zip(own.iter().zip(&total))
            .filter(|(_, (_, total))| !total[0].is_zero() || !total[1].is_zero())
            .map(|(name, (own, total))| FunctionChange {
                function: name.0.to_owned(),
                file: name.1.to_owned(),
                kind: name.2,
                own_before: self.weight(own, 0),
                own_after: self.weight(own, 1),
                total_before: self.weight(total, 0),
                total_after: self.weight(total, 1),
                own_change: self.change(own),
                total_change: self.change(total),
            })
            .collect();
        changes.sort_by(|a, b| {
            let own = b.own_change.abs().total_cmp(&a.own_change.abs());
            own.then(b.total_change.abs().total_cmp(&a.total_change.abs()))
                .then_with(|| (&a.function, &a.file).cmp(&(&b.function, &b.file)))
        });
        changes.truncate(most);
        changes
    }

    fn stacks(&self, most: usize) -> Vec<StackChange> {
        let with_costs = |(_, costs): &(Option<u32>, &Both)| costs.iter().any(|c| !c.is_zero());
        let mut changed: Vec<(Option<u32>, &Both)> = (0_u32..)
            .map(Some)
            .zip(&self.costs)
            .chain([(None, &self.outside)])
            .filter(with_costs)
            .collect();
        // A stable sort: of equal ones, those that were seen first.
        changed.sort_by(|(_, a), (_, b)| {
            let (a, b) = (self.change(a).abs(), self.change(b).abs());
            b.total_cmp(&a)
        });
        changed.truncate(most);
        changed
            .into_iter()
            .map(|(node, costs)| StackChange {
                frames: self.frames(node),
                before: self.weight(costs, 0),
                after: self.weight(costs, 1),
                change: self.change(costs),
            })
            .collect()
    }

    /// A stack's functions as text, from the outermost inwards.
    fn frames(&self, node: Option<u32>) -> Vec<String> {
        let mut frames = Vec::new();
        let mut at = node;
        while let Some(node) = at.and_then(|at| self.nodes.get(at as usize)) {
            frames.push(match self.names[node.function as usize] {
                (name, "", _) => name.to_owned(),
                (name, file, _) => format!("{name} ({file})"),
            });
            at = node.parent;
        }
        frames.reverse();
        frames
    }
}

/// Compares two recordings; tells of `most` functions and stacks at most.
pub fn diff(before: &Profile, after: &Profile, most: usize) -> Diff {
    let mut merged = Merged::default();
    merged.add(0, before);
    merged.add(1, after);
    Diff {
        schema: DIFF_SCHEMA,
        before: side(before, merged.all[0]),
        after: side(after, merged.all[1]),
        functions: merged.functions(most),
        stacks: merged.stacks(most),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shares and seconds are for people"
)]
fn weight(cost: Cost, all: Cost) -> Weight {
    // By samples where there is no time at all.
    let share = match (all.ns, all.samples) {
        (0, 0) => 0.0,
        (0, samples) => cost.samples as f64 / samples as f64,
        (ns, _) => cost.ns as f64 / ns as f64,
    };
    Weight {
        samples: cost.samples,
        seconds: cost.ns as f64 / 1e9,
        share,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are for people")]
fn side(profile: &Profile, all: Cost) -> Side {
    Side {
        command: profile.about.command.clone(),
        python: profile.about.python.clone(),
        duration_s: profile.about.duration_ns as f64 / 1e9,
        samples: all.samples,
        seconds: all.ns as f64 / 1e9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn the_same_recording_has_not_changed() {
        let profile = synthetic::server();
        let diff = diff(&profile, &profile, usize::MAX);
        assert!(diff.functions.iter().all(|f| f.own_change == 0.0));
        assert!(diff.stacks.iter().all(|s| s.change == 0.0));
        let shares: f64 = diff.stacks.iter().map(|s| s.after.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_grew_comes_first_whatever_the_length() {
        let before = synthetic::server();
        let mut after = before.clone();
        let interest = before
            .functions
            .iter()
            .position(|f| before.text(f.name) == "interest")
            .expect("it is there") as u32;
        for total in &mut after.totals {
            let inside = before
                .frames_of(total.stack)
                .next()
                .is_some_and(|frame| frame.function == interest);
            // Twice as long a recording, in which this has grown four times more.
            let factor = if inside { 8 } else { 2 };
            total.samples *= factor;
            total.wall_ns *= factor;
        }
        let diff = diff(&before, &after, usize::MAX);
        assert_eq!(diff.functions[0].function, "interest");
        assert!(
            diff.functions[0].own_change > 0.05,
            "{:?}",
            diff.functions[0]
        );
        assert!(diff.functions[1].own_change < 0.0);
        let grown = diff.stacks.iter().find(|stack| stack.change > 0.0);
        let innermost = grown.and_then(|stack| stack.frames.last());
        assert!(innermost.is_some_and(|name| name.starts_with("interest (")));
    }
}
