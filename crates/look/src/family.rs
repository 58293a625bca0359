//! A process and its descendants.

use process::{children, kin};
use std::collections::HashMap;

/// Most processes of one family that are looked at.
pub(crate) const FAMILY_MAX: usize = 512;

/// Processes that are looked at together.
#[derive(Debug)]
pub(crate) struct Family {
    /// Parents before children.
    pub pids: Vec<u32>,
    /// Their children, of those that were asked for them.
    children: HashMap<u32, Vec<u32>>,
}

impl Family {
    /// `pid` and, if asked for, all its descendants.
    pub fn of(pid: u32, with_children: bool) -> Family {
        let tree = if with_children {
            children::tree(pid).unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut pids = vec![pid];
        pids.extend(tree.iter().skip(1).map(|(pid, _)| *pid).take(FAMILY_MAX));
        Family {
            pids,
            children: tree.into_iter().collect(),
        }
    }

    /// The children of one of them, as they were when the family was asked for.
    pub fn children(&self, pid: u32) -> Option<&[u32]> {
        self.children.get(&pid).map(Vec::as_slice)
    }
}

/// CPU time that a process and its descendants have used so far, in microseconds.
pub fn family_cpu_us(pid: u32) -> u64 {
    Family::of(pid, true)
        .pids
        .into_iter()
        .map(|member| kin::cpu_us(member).unwrap_or(0))
        .sum()
}

/// How long the threads of a process and of its descendants were on a CPU so far, in nanoseconds: as long as it stays the same,
/// none of them has run. `None` where that is not counted.
pub fn family_run_ns(pid: u32) -> Option<u64> {
    let mut members = Family::of(pid, true).pids.into_iter();
    members.try_fold(0u64, |sum, member| {
        Some(sum.wrapping_add(kin::run_ns(member)?))
    })
}
