//! Stacks as a tree: walks over it, and sums by function, line and call.

use crate::{FrameId, FunctionId, Profile, StackId};
use std::collections::{BTreeMap, HashMap};

/// What something weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Samples.
    pub samples: u64,
    /// Time by the recording's metric, in nanoseconds.
    pub ns: u64,
}

impl Cost {
    /// Adds, up to the largest number.
    pub fn add(&mut self, other: Cost) {
        self.samples = self.samples.saturating_add(other.samples);
        self.ns = self.ns.saturating_add(other.ns);
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.samples == 0 && self.ns == 0
    }
}

/// What a walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Down into a stack.
    Enter(StackId),
    /// Up out of it, when all stacks that it calls have been walked.
    Leave(StackId),
}

/// Visits every stack after its caller and before what it calls, without recursion: stacks may be of any depth.
pub fn walk(profile: &Profile, visit: impl FnMut(Step)) {
    walk_parents(
        profile.stacks.len(),
        |stack| profile.stacks[stack].parent,
        visit,
    );
}

/// The same over any tree whose nodes come after their parents.
pub fn walk_parents(
    nodes: usize,
    parent: impl Fn(usize) -> Option<u32>,
    mut visit: impl FnMut(Step),
) {
    // A list of children for each node, threaded through one array: first child, and next child of the same parent.
    let none = u32::MAX;
    let mut first = vec![none; nodes];
    let mut next = vec![none; nodes];
    let mut first_root = none;
    for index in (0..nodes).rev() {
        let id = index as u32;
        let head = match parent(index).filter(|parent| *parent < id) {
            Some(parent) => first.get_mut(parent as usize),
            None => Some(&mut first_root),
        };
        if let Some(head) = head {
            next[index] = *head;
            *head = id;
        }
    }
    let mut path: Vec<StackId> = Vec::new();
    let mut at = first_root;
    loop {
        if at != none {
            visit(Step::Enter(at));
            path.push(at);
            at = first[at as usize];
        } else if let Some(done) = path.pop() {
            visit(Step::Leave(done));
            at = next[done as usize];
        } else {
            return;
        }
    }
}

/// Each stack's own cost, and with all that it calls.
pub fn costs(profile: &Profile) -> (Vec<Cost>, Vec<Cost>) {
    let mut own = vec![Cost::default(); profile.stacks.len()];
    for total in &profile.totals {
        let cost = Cost {
            samples: total.samples,
            ns: profile.weight_ns(total),
        };
        if let Some(slot) = total.stack.and_then(|stack| own.get_mut(stack as usize)) {
            slot.add(cost);
        }
    }
    let mut inclusive = own.clone();
    for (index, stack) in profile.stacks.iter().enumerate().rev() {
        let cost = inclusive[index];
        if let Some(parent) = stack.parent.filter(|parent| (*parent as usize) < index) {
            inclusive[parent as usize].add(cost);
        }
    }
    (own, inclusive)
}

/// What functions, lines and calls cost over all stacks; recursion is counted once.
#[derive(Debug, Default)]
pub struct Sums {
    /// A function's own cost, by line.
    pub own: BTreeMap<(FunctionId, u32), Cost>,
    /// A function with what it calls.
    pub inclusive: BTreeMap<FunctionId, Cost>,
    /// Calls: from function and line to function, with what the callee costs and calls.
    pub calls: BTreeMap<(FunctionId, u32, FunctionId), Cost>,
    /// What a callee costs itself, by caller.
    pub own_by_caller: BTreeMap<(FunctionId, FunctionId), Cost>,
    /// A function's line with what it calls.
    pub lines: BTreeMap<(FunctionId, u32), Cost>,
    /// What has no frame known.
    pub outside: Cost,
    /// All.
    pub all: Cost,
}

/// How often something is on the path that is being walked.
#[derive(Default)]
pub struct Path<K>(HashMap<K, u32>);

impl<K: std::hash::Hash + Eq> Path<K> {
    /// Puts it there; whether it is there for the first time.
    pub fn enter(&mut self, key: K) -> bool {
        let count = self.0.entry(key).or_default();
        *count += 1;
        *count == 1
    }

    /// Takes it away once.
    pub fn leave(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }
}

impl Sums {
    /// Adds up a profile.
    pub fn of(profile: &Profile) -> Sums {
        let (own, inclusive) = costs(profile);
        let mut sums = Sums::default();
        for total in &profile.totals {
            let cost = Cost {
                samples: total.samples,
                ns: profile.weight_ns(total),
            };
            sums.all.add(cost);
            if total.stack.is_none() {
                sums.outside.add(cost);
            }
        }
        let mut functions = Path::default();
        let mut lines = Path::default();
        let mut calls = Path::default();
        walk(profile, |step| {
            let (Step::Enter(id) | Step::Leave(id)) = step;
            let Some(place) = place_of(profile, id) else {
                return;
            };
            let stack = profile.stacks.get(id as usize);
            let call = stack
                .and_then(|stack| place_of(profile, stack.parent?))
                .map(|(caller, line)| (caller, line, place.0));
            if matches!(step, Step::Leave(_)) {
                functions.leave(&place.0);
                lines.leave(&place);
                if let Some(call) = call {
                    calls.leave(&call);
                }
                return;
            }
            let cost = inclusive.get(id as usize).copied().unwrap_or_default();
            let mine = own.get(id as usize).copied().unwrap_or_default();
            if !mine.is_zero() {
                sums.own.entry(place).or_default().add(mine);
                if let Some((caller, _, callee)) = call {
                    sums.own_by_caller
                        .entry((caller, callee))
                        .or_default()
                        .add(mine);
                }
            }
            if functions.enter(place.0) {
                sums.inclusive.entry(place.0).or_default().add(cost);
            }
            if lines.enter(place) {
                sums.lines.entry(place).or_default().add(cost);
            }
            if let Some(call) = call
                && calls.enter(call)
            {
                sums.calls.entry(call).or_default().add(cost);
            }
        });
        sums
    }
}

/// Function and line of a stack's innermost frame.
fn place_of(profile: &Profile, stack: StackId) -> Option<(FunctionId, u32)> {
    let stack = profile.stacks.get(stack as usize)?;
    let frame = profile.frames.get(stack.frame as usize)?;
    Some((frame.function, frame.line))
}

/// A stack's frames, from the outermost inwards.
pub fn frame_ids(profile: &Profile, stack: Option<StackId>) -> Vec<FrameId> {
    let mut ids = Vec::new();
    let mut at = stack;
    while let Some(here) = at {
        let Some(stack) = profile.stacks.get(here as usize) else {
            break;
        };
        ids.push(stack.frame);
        at = stack.parent.filter(|parent| *parent < here);
    }
    ids.reverse();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn a_walk_enters_and_leaves_each_stack_once() {
        let profile = synthetic::server();
        let mut path = Vec::new();
        let mut entered = vec![0; profile.stacks.len()];
        walk(&profile, |step| match step {
            Step::Enter(id) => {
                assert_eq!(profile.stacks[id as usize].parent, path.last().copied());
                entered[id as usize] += 1;
                path.push(id);
            }
            Step::Leave(id) => assert_eq!(path.pop(), Some(id)),
        });
        assert!(path.is_empty() && entered.iter().all(|count| *count == 1));
    }

    #[test]
    fn recursion_counts_once() {
        let profile = synthetic::server();
        let sums = Sums::of(&profile);
        let id = profile
            .functions
            .iter()
            .position(|f| profile.text(f.name) == "interest")
            .expect("the recursive one") as u32;
        let with_it: u64 = profile
            .totals
            .iter()
            .filter(|total| {
                profile
                    .frames_of(total.stack)
                    .any(|frame| frame.function == id)
            })
            .map(|total| total.samples)
            .sum();
        assert_eq!(sums.inclusive[&id].samples, with_it);
        assert_eq!(sums.all.samples, profile.about.samples);
        let own: u64 = sums.own.values().map(|cost| cost.samples).sum();
        assert_eq!(own + sums.outside.samples, profile.about.samples);
        assert!(
            sums.calls
                .keys()
                .any(|(from, _, to)| *from == id && *to == id)
        );
    }
}
