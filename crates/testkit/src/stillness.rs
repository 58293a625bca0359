//! When has a program come to rest that does not say so itself?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What the kernel counts for one thread; it stays the same while the thread sleeps on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress {
    state: String,
    /// User and system time, in clock ticks.
    ticks: (String, String),
    /// Voluntary and involuntary context switches.
    switches: (String, String),
}

/// The process and all its descendants, children before grandchildren.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = stat_fields(&format!("/proc/{child}/stat"))
            .and_then(|fields| fields.get(1)?.parse().ok())
        {
            parents.entry(parent).or_default().push(child);
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        family.extend(parents.remove(parent).unwrap_or_default());
        next += 1;
    }
    family
}

/// The fields of a `stat` file from the third (the state) on: the second is a name that may hold anything.
fn stat_fields(path: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// No such process, or nothing left of it but its exit code.
pub(crate) fn is_gone(pid: u32) -> bool {
    let state =
        stat_fields(&format!("/proc/{pid}/stat")).and_then(|fields| fields.into_iter().next());
    state.is_none_or(|state| state == "Z" || state == "X")
}

fn progress(pid: u32, tid: u32) -> Option<Progress> {
    let fields = stat_fields(&format!("/proc/{pid}/task/{tid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let count = |name: &str| {
        Some(
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))?
                .trim()
                .to_owned(),
        )
    };
    Some(Progress {
        state: fields.first()?.clone(),
        ticks: (fields.get(11)?.clone(), fields.get(12)?.clone()),
        switches: (
            count("voluntary_ctxt_switches:")?,
            count("nonvoluntary_ctxt_switches:")?,
        ),
    })
}

/// Every thread of the family, by process and thread; the dead (zombies) left out.
fn look(pid: u32) -> BTreeMap<(u32, u32), Progress> {
    let mut threads = BTreeMap::new();
    for process in descendants(pid) {
        for entry in std::fs::read_dir(format!("/proc/{process}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Some(tid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(progress) = progress(process, tid)
                .filter(|progress| !["Z", "X"].contains(&progress.state.as_str()))
            {
                threads.insert((process, tid), progress);
            }
        }
    }
    threads
}

/// Waits until every thread of the process and of its descendants has slept for the time `quiet` without having been woken once.
/// Fails when the process ends, or when that does not come within `timeout` (as where a thread waits for the GIL,
/// which looks up every few milliseconds).
pub fn wait_still(pid: u32, quiet: Duration, timeout: Duration) -> Result<()> {
    const POLL: Duration = Duration::from_millis(20);
    let begin = Instant::now();
    let (mut before, mut since) = (look(pid), Instant::now());
    loop {
        std::thread::sleep(POLL);
        let now = look(pid);
        if !now.keys().any(|&(process, _)| process == pid) {
            bail!("process {pid} ended while it was expected to come to rest");
        }
        let asleep = now.values().all(|progress| progress.state == "S");
        if !asleep || now != before {
            since = Instant::now();
        } else if since.elapsed() >= quiet {
            return Ok(());
        }
        if begin.elapsed() >= timeout {
            let restless: Vec<_> = now
                .iter()
                .filter(|(id, progress)| before.get(id) != Some(progress) || progress.state != "S")
                .collect();
            bail!("process {pid} did not come to rest within {timeout:?}: {restless:?}");
        }
        before = now;
    }
}
