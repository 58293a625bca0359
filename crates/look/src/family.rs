//! A process and its descendants.

use process::{kin, proc};
use std::collections::{HashMap, HashSet};

/// Most processes of one family that are looked at.
pub(crate) const FAMILY_MAX: usize = 512;

/// `pid` and, if asked for, all its descendants, parents before children.
pub(crate) fn family(pid: u32, children: bool) -> Vec<u32> {
    let mut members = vec![pid];
    if !children {
        return members;
    }
    let mut seen = HashSet::from([pid]);
    let mut next = 0;
    let mut by_parent: Option<HashMap<u32, Vec<u32>>> = None;
    while let Some(parent) = members.get(next).copied() {
        next += 1;
        let children = match kin::children(parent) {
            Some(children) => children,
            // A kernel without `/proc/PID/task/TID/children`: read everybody's parent, once.
            None => by_parent
                .get_or_insert_with(parents)
                .get(&parent)
                .cloned()
                .unwrap_or_default(),
        };
        for child in children {
            if members.len() < FAMILY_MAX && seen.insert(child) {
                members.push(child);
            }
        }
    }
    members
}

fn parents() -> HashMap<u32, Vec<u32>> {
    let mut by_parent: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in proc::processes().unwrap_or_default() {
        if let Ok(status) = proc::ProcStatus::read(pid) {
            by_parent.entry(status.ppid).or_default().push(pid);
        }
    }
    by_parent
}

/// CPU time that a process and its descendants have used so far, in microseconds.
pub fn family_cpu_us(pid: u32) -> u64 {
    family(pid, true)
        .into_iter()
        .map(|member| kin::cpu_us(member).unwrap_or(0))
        .sum()
}
