//! A process and its descendants.

use process::{children, kin};

/// Most processes of one family that are looked at.
pub(crate) const FAMILY_MAX: usize = 512;

/// `pid` and, if asked for, all its descendants, parents before children.
pub(crate) fn family(pid: u32, with_children: bool) -> Vec<u32> {
    let mut members = vec![pid];
    if with_children {
        members.extend(
            children::descendants(pid)
                .unwrap_or_default()
                .into_iter()
                .take(FAMILY_MAX),
        );
    }
    members
}

/// CPU time that a process and its descendants have used so far, in microseconds.
pub fn family_cpu_us(pid: u32) -> u64 {
    family(pid, true)
        .into_iter()
        .map(|member| kin::cpu_us(member).unwrap_or(0))
        .sum()
}

/// How long the threads of a process and of its descendants were on a CPU so far, in nanoseconds: as long as it stays the same,
/// none of them has run. `None` where that is not counted.
pub fn family_run_ns(pid: u32) -> Option<u64> {
    family(pid, true).into_iter().try_fold(0u64, |sum, member| {
        Some(sum.wrapping_add(kin::run_ns(member)?))
    })
}
