//! Processes that come to be: noticed at the price of one short read.

use crate::proc::{self, Stat, read_file};
use crate::text;
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// With more new ids than this at once, all processes are looked through instead of each id.
const IDS_MAX: u32 = 256;

/// Notices descendants of some processes. The last field of `/proc/loadavg` (proc_loadavg(5)) is the newest id of a
/// process or thread in this PID namespace: while it does not change, there is no new one.
#[derive(Debug)]
pub struct Births {
    loadavg: Option<File>,
    newest: u32,
    family: HashSet<u32>,
}

impl Births {
    /// Of this process and its descendants.
    pub fn of(root: u32) -> Births {
        let mut births = Births {
            loadavg: File::open("/proc/loadavg").ok(),
            newest: 0,
            family: HashSet::from([root]),
        };
        births.newest = births.newest_id().unwrap_or(0);
        births
    }

    /// Descendants that were not told before, parents before children.
    pub fn new_ones(&mut self) -> Vec<u32> {
        let newest = self.newest_id();
        let before = self.newest;
        match newest {
            Some(newest) if newest == before => return Vec::new(),
            Some(newest) => self.newest = newest,
            None => {}
        }
        let ids = match newest {
            Some(newest) if newest > before && newest - before <= IDS_MAX => {
                (before + 1..=newest).collect()
            }
            // They have begun anew from small numbers, or there are many.
            _ => proc::processes().unwrap_or_default(),
        };
        let mut found = Vec::new();
        // A parent with a greater number than its child, where numbers have begun anew, takes a second turn.
        for _ in 0..2 {
            for &pid in &ids {
                if !self.family.contains(&pid) && self.is_child(pid) {
                    self.family.insert(pid);
                    found.push(pid);
                }
            }
        }
        found
    }

    /// All descendants there are now, as for [`Births::new_ones`].
    pub fn all(&mut self) -> Vec<u32> {
        self.newest = 0;
        self.new_ones()
    }

    /// Forgets a process that has ended; its children stay in the family.
    pub fn ended(&mut self, pid: u32) {
        self.family.remove(&pid);
    }

    fn is_child(&self, pid: u32) -> bool {
        // Threads have numbers too, and are no processes: only a process has a directory that is listed, but each
        // can be opened; a thread's own `Tgid` is another one, and its parent is its process's.
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let parent = read_file(pid, &path)
            .ok()
            .and_then(|content| Some(Stat::parse(&content)?.ppid))
            .is_some_and(|parent| self.family.contains(&parent));
        parent && proc::ProcStatus::read(pid).is_ok_and(|status| status.tgid == pid)
    }

    fn newest_id(&self) -> Option<u32> {
        let mut buffer = [0; 128];
        let count = self.loadavg.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let content = buffer.get(..count)?.trim_ascii_end();
        let last = text::fields(content).last()?;
        u32::try_from(text::decimal(last)?).ok()
    }
}
