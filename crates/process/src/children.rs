//! A process's children and descendants, and how its PID namespace numbers processes.

use crate::proc::{ProcError, ProcStatus, Stat, command_line, processes, read_file, thread_ids};
use crate::text;
use crate::threads::ThreadReader;
use snapshot::{Child, ChildState};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Most descendants listed.
const DESCENDANTS_MAX: usize = 100_000;
/// With more threads than this, everybody's parent is read instead of each thread's children.
const THREADS_ASKED_MAX: usize = 256;

/// The children of process `pid`, zombies too.
pub fn of(pid: u32) -> Result<Vec<Child>, ProcError> {
    Ok(described(&pids_of(pid)?))
}

/// What is known of these children; those that are gone are left out.
pub fn described(pids: &[u32]) -> Vec<Child> {
    pids.iter().filter_map(|pid| read_child(*pid)).collect()
}

/// The children of process `pid`, zombies too: their PIDs, ascending.
pub fn pids_of(pid: u32) -> Result<Vec<u32>, ProcError> {
    let threads = thread_ids(pid)?;
    let mut children = Vec::new();
    let mut told = threads.len() <= THREADS_ASKED_MAX;
    if told {
        let mut reader = ThreadReader::open(pid)?;
        for tid in threads {
            match reader.children(tid) {
                Some(content) => children.extend(parse_pids(&content)),
                // Other threads may end meanwhile; without the first one's the kernel has no such files.
                None => told &= tid != pid,
            }
        }
    }
    if !told {
        children = parents().remove(&pid).unwrap_or_default();
    }
    children.sort_unstable();
    Ok(children)
}

/// Process `pid` and all its descendants, parents before children, zombies too, each with its children's PIDs.
pub fn tree(pid: u32) -> Result<Vec<(u32, Vec<u32>)>, ProcError> {
    let mut found = vec![(pid, pids_of(pid)?)];
    let mut seen: HashSet<u32> = HashSet::from([pid]);
    let mut next = 0;
    while let Some((_, children)) = found.get(next) {
        next += 1;
        for child in children.clone() {
            if found.len() < DESCENDANTS_MAX && seen.insert(child) {
                // One that has ended meanwhile has none.
                found.push((child, pids_of(child).unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// All descendants of process `pid`, parents before children, zombies too.
pub fn descendants(pid: u32) -> Result<Vec<u32>, ProcError> {
    let tree = tree(pid)?.into_iter();
    Ok(tree.skip(1).map(|(pid, _)| pid).collect())
}

/// Everybody's children.
fn parents() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in processes().unwrap_or_default() {
        let Ok(content) = read_file(pid, Path::new(&format!("/proc/{pid}/stat"))) else {
            continue;
        };
        if let Some(stat) = Stat::parse(&content) {
            children.entry(stat.ppid).or_default().push(pid);
        }
    }
    children
}

pub(crate) fn parse_pids(content: &[u8]) -> Vec<u32> {
    text::fields(content.trim_ascii_end())
        .filter_map(|pid| u32::try_from(text::decimal(pid)?).ok())
        .collect()
}

fn read_child(pid: u32) -> Option<Child> {
    let content = read_file(pid, Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let stat = Stat::parse(&content)?;
    let state = match stat.state {
        'Z' | 'X' => ChildState::Zombie,
        'T' => ChildState::Stopped,
        _ => ChildState::Live,
    };
    let words = command_line(pid).unwrap_or_default();
    let mut command: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if command.is_empty() {
        command.push(format!("[{}]", String::from_utf8_lossy(stat.comm)));
    }
    Some(Child {
        pid,
        state,
        command,
        exit_code: (state == ChildState::Zombie)
            .then(|| exit_code(pid, &stat))
            .flatten(),
    })
}

/// How a zombie ended: its exit code, or minus its signal. The kernel says 0 to those who may not
/// know: only what is our own, or anything to root, is believed.
fn exit_code(pid: u32, stat: &Stat<'_>) -> Option<i64> {
    let own = nix::unistd::geteuid().as_raw();
    let [uid, ..] = ProcStatus::read(pid).ok()?.uids;
    let status = i64::try_from(stat.wait_status?).ok()?;
    let code = match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => -signal,
    };
    (own == 0 || own == uid).then_some(code)
}

/// How a process's own PID namespace numbers processes, told in unknot's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidMap {
    /// `None`: it is unknot's own namespace.
    ours: Option<HashMap<u32, u32>>,
}

impl PidMap {
    /// That of process `pid`. Reads everybody's status when it is another one than unknot's.
    pub fn of(pid: u32) -> Result<PidMap, ProcError> {
        let depth = ProcStatus::read(pid)?.ns_pids.len();
        if depth < 2 {
            return Ok(PidMap { ours: None });
        }
        let space = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(pid);
        let mut ours = HashMap::new();
        for other in processes().unwrap_or_default() {
            let Ok(status) = ProcStatus::read(other) else {
                continue;
            };
            let Some(&inside) = status.ns_pids.get(depth - 1) else {
                continue;
            };
            // One that is nested deeper has the same ancestors only if it descends from there: take
            // those of the same namespace first, others where the number is still free.
            if space(other) == own {
                ours.insert(inside, other);
            } else if status.ns_pids.len() > depth {
                ours.entry(inside).or_insert(other);
            }
        }
        Ok(PidMap { ours: Some(ours) })
    }

    /// unknot's number of the process that the target calls `inside`.
    pub fn to_ours(&self, inside: u32) -> Option<u32> {
        match &self.ours {
            None => Some(inside),
            Some(ours) => ours.get(&inside).copied(),
        }
    }
}

/// The threads of process `pid`: how its own PID namespace numbers them, and unknot's number.
pub fn threads_inside(pid: u32) -> Result<HashMap<u32, u32>, ProcError> {
    let tids = thread_ids(pid)?;
    if ProcStatus::read(pid)?.ns_pid().is_none() {
        return Ok(tids.into_iter().map(|tid| (tid, tid)).collect());
    }
    let inside = |tid: u32| Some((ProcStatus::read_thread(pid, tid).ok()?.ns_pid()?, tid));
    Ok(tids.into_iter().filter_map(inside).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_pids_are_taken_apart() {
        assert_eq!(parse_pids(b"12 345 \n"), [12, 345]);
        assert_eq!(parse_pids(b""), []);
        assert_eq!(parse_pids(b"x -1 99999999999 7"), [7]);
    }
}
