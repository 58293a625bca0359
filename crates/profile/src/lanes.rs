//! Each track's time in order: from the timeline, or laid end to end where there is none.

use crate::{Metric, Profile, TotalId};

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
        for slice in &profile.timeline {
            let Some(total) = profile.totals.get(slice.total as usize) else {
                continue;
            };
            let Some(lane) = lanes.get_mut(total.track as usize) else {
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

/// Whether the recording tells in which order things were.
pub fn has_order(profile: &Profile) -> bool {
    !profile.timeline.is_empty() && profile.about.metric != Metric::Cpu
}
