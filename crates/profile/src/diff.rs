//! What has changed from one recording to another.
//!
//! Stacks are matched by their functions' names and files, of all threads together: process and thread numbers differ from
//! run to run, and lines move with every edit. Recordings of different lengths are made comparable as shares of all.

use crate::tree::{Cost, frame_ids};
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

/// Compares two recordings.
pub fn diff(before: &Profile, after: &Profile) -> Diff {
    let mut keys: HashMap<Key<'_>, u32> = HashMap::new();
    let mut names: Vec<Key<'_>> = Vec::new();
    let mut own: Vec<Both> = Vec::new();
    let mut total: Vec<Both> = Vec::new();
    let mut stacks: HashMap<Vec<u32>, Both> = HashMap::new();
    let mut all = Both::default();
    for (side, profile) in [before, after].into_iter().enumerate() {
        let ids: Vec<u32> = profile
            .functions
            .iter()
            .map(|f| {
                let key = (profile.text(f.name), profile.text(f.file), f.kind);
                *keys.entry(key).or_insert_with(|| {
                    names.push(key);
                    own.push(Both::default());
                    total.push(Both::default());
                    names.len() as u32 - 1
                })
            })
            .collect();
        for entry in &profile.totals {
            let cost = Cost {
                samples: entry.samples,
                ns: profile.weight_ns(entry),
            };
            all[side].add(cost);
            let path: Vec<u32> = frame_ids(profile, entry.stack)
                .into_iter()
                .filter_map(|frame| profile.frames.get(frame as usize))
                .filter_map(|frame| ids.get(frame.function as usize).copied())
                .collect();
            if let Some(innermost) = path.last() {
                own[*innermost as usize][side].add(cost);
            }
            let mut once = path.clone();
            once.sort_unstable();
            once.dedup();
            for function in once {
                total[function as usize][side].add(cost);
            }
            stacks.entry(path).or_default()[side].add(cost);
        }
    }
    let weight = |costs: &Both, side: usize| weight(costs[side], all[side]);
    let mut functions: Vec<FunctionChange> = names
        .iter()
        .zip(own.iter().zip(&total))
        .map(|(name, (own, total))| FunctionChange {
            function: name.0.to_owned(),
            file: name.1.to_owned(),
            kind: name.2,
            own_before: weight(own, 0),
            own_after: weight(own, 1),
            total_before: weight(total, 0),
            total_after: weight(total, 1),
            own_change: weight(own, 1).share - weight(own, 0).share,
            total_change: weight(total, 1).share - weight(total, 0).share,
        })
        .filter(|change| change.total_before.samples + change.total_after.samples > 0)
        .collect();
    functions.sort_by(|a, b| {
        let size = |change: &FunctionChange| change.own_change.abs();
        size(b)
            .total_cmp(&size(a))
            .then(b.total_change.abs().total_cmp(&a.total_change.abs()))
            .then_with(|| (&a.function, &a.file).cmp(&(&b.function, &b.file)))
    });
    let label = |function: &u32| match names[*function as usize] {
        (name, "", _) => name.to_owned(),
        (name, file, _) => format!("{name} ({file})"),
    };
    let mut stacks: Vec<StackChange> = stacks
        .iter()
        .map(|(path, costs)| StackChange {
            frames: path.iter().map(label).collect(),
            before: weight(costs, 0),
            after: weight(costs, 1),
            change: weight(costs, 1).share - weight(costs, 0).share,
        })
        .collect();
    stacks.sort_by(|a, b| {
        let size = |change: &StackChange| change.change.abs();
        size(b)
            .total_cmp(&size(a))
            .then_with(|| a.frames.cmp(&b.frames))
    });
    Diff {
        schema: DIFF_SCHEMA,
        before: side(before, all[0]),
        after: side(after, all[1]),
        functions,
        stacks,
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
        let diff = diff(&profile, &profile);
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
        let diff = diff(&before, &after);
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
