//! Each track's time in order: from the timeline, or laid end to end where there is none.

use crate::{Metric, Profile, State, Total, TotalId};

/// A stretch of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// When it begins, in nanoseconds.
    pub start_ns: u64,
    /// When it ends.
    pub end_ns: u64,
    /// What it is of.
    pub total: TotalId,
}

/// For each track its stretches, in order, without overlap. The order is invented where the recording has none or its
/// metric is not the time that passed: then each track's totals follow each other by weight.
pub fn lanes(profile: &Profile) -> Vec<Vec<Stretch>> {
    let mut lanes: Vec<Vec<Stretch>> = vec![Vec::new(); profile.tracks.len()];
    if has_order(profile) {
        // A task is seen suspended by looks that are far between: what it ran meanwhile lies on top of that.
        let mut suspended = lanes.clone();
        for slice in &profile.timeline {
            let Some(total) = profile.totals.get(slice.total as usize) else {
                continue;
            };
            let layer = match total.state {
                State::Suspended => &mut suspended,
                _ => &mut lanes,
            };
            let Some(lane) = layer.get_mut(total.track as usize) else {
                continue;
            };
            // Intervals are jittered, so that a slice may reach into the next one.
            if let Some(before) = lane.last_mut() {
                before.end_ns = before.end_ns.min(slice.start_ns.max(before.start_ns));
            }
            lane.push(Stretch {
                start_ns: slice.start_ns,
                end_ns: slice.start_ns.saturating_add(slice.duration_ns),
                total: slice.total,
            });
        }
        for (lane, below) in lanes.iter_mut().zip(suspended) {
            if !below.is_empty() {
                *lane = overlaid(&below, lane);
            }
        }
    } else {
        let mut order: Vec<usize> = (0..profile.totals.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(profile.weight_ns(&profile.totals[*index])));
        for index in order {
            let total = &profile.totals[index];
            let Some(lane) = lanes.get_mut(total.track as usize) else {
                continue;
            };
            let start_ns = lane.last().map_or(0, |before| before.end_ns);
            lane.push(Stretch {
                start_ns,
                end_ns: start_ns.saturating_add(profile.weight_ns(total)),
                total: index as TotalId,
            });
        }
    }
    for lane in &mut lanes {
        lane.retain(|stretch| stretch.end_ns > stretch.start_ns);
    }
    lanes
}

/// What lies on top, and between it what is left of what lies below. Both are in order, without overlap.
fn overlaid(below: &[Stretch], top: &[Stretch]) -> Vec<Stretch> {
    let mut out = Vec::with_capacity(below.len() + top.len());
    let mut top = top.iter().copied().peekable();
    let mut covered_ns = 0;
    for stretch in below {
        let mut rest = Stretch {
            start_ns: stretch.start_ns.max(covered_ns),
            ..*stretch
        };
        while let Some(over) = top.next_if(|over| over.start_ns < rest.end_ns) {
            let end_ns = over.start_ns.max(rest.start_ns);
            out.push(Stretch { end_ns, ..rest });
            out.push(over);
            covered_ns = over.end_ns;
            rest.start_ns = rest.start_ns.max(over.end_ns);
        }
        if rest.start_ns < rest.end_ns {
            out.push(rest);
        }
    }
    out.extend(top);
    out
}

/// By how much a stretch of each total weighs more than it is long. The sums are right, always; the order has less
/// than they where a track has several tasks of one name at a time, and where it was thinned.
#[expect(clippy::cast_precision_loss, reason = "a ratio of times")]
pub fn scales(profile: &Profile, lanes: &[Vec<Stretch>]) -> Vec<f64> {
    let mut placed_ns = vec![0_u64; profile.totals.len()];
    for stretch in lanes.iter().flatten() {
        if let Some(sum) = placed_ns.get_mut(stretch.total as usize) {
            *sum = sum.saturating_add(stretch.end_ns - stretch.start_ns);
        }
    }
    let scale = |(total, placed_ns): (&Total, u64)| match placed_ns {
        0 => 1.0,
        placed_ns => profile.weight_ns(total) as f64 / placed_ns as f64,
    };
    profile.totals.iter().zip(placed_ns).map(scale).collect()
}

/// Whether the recording tells in which order things were.
pub fn has_order(profile: &Profile) -> bool {
    !profile.timeline.is_empty() && profile.about.metric != Metric::Cpu
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Limits, Process, Sample, Track};

    /// A track of tasks with one name, suspended in looks 100 ns apart, two at a time, with steps between.
    fn tasks() -> Profile {
        let mut builder = Builder::new(Limits::default());
        let process = builder.process(Process::default());
        let task = builder.string("worker");
        let track = builder.track(Track {
            process,
            task: Some(task),
            ..Track::default()
        });
        let runs = builder.total(track, None, State::Running);
        let waits = builder.total(track, None, State::Suspended);
        let mut add = |total, at_ns, wall_ns| {
            builder.add(Sample {
                total,
                at_ns,
                wall_ns,
                cpu_ns: 0,
            });
        };
        add(runs, 30, 10);
        add(waits, 0, 100);
        add(waits, 0, 100);
        add(runs, 150, 100);
        add(waits, 100, 100);
        add(waits, 100, 100);
        builder.finish()
    }

    #[test]
    fn steps_lie_on_what_is_suspended() {
        let profile = tasks();
        let lanes = lanes(&profile);
        let told: Vec<_> = lanes[0]
            .iter()
            .map(|s| (s.start_ns, s.end_ns, s.total))
            .collect();
        let expected = [
            (0, 30, 1),
            (30, 40, 0),
            (40, 100, 1),
            (100, 150, 1),
            (150, 250, 0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn sums_stay_what_they_are() {
        let profile = tasks();
        let lanes = lanes(&profile);
        let scales = scales(&profile, &lanes);
        let weight = |total: TotalId| {
            let of_it = lanes[0].iter().filter(|stretch| stretch.total == total);
            let placed: u64 = of_it.map(|s| s.end_ns - s.start_ns).sum();
            placed as f64 * scales[total as usize]
        };
        assert!((weight(0) - 110.0).abs() < 1e-6);
        assert!((weight(1) - 400.0).abs() < 1e-6);
    }
}
