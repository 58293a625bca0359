//! Taking a look: what is read before, while and after a target stands still.

use crate::family::family;
use crate::opened::Opened;
use crate::{LookError, Options, Source, facts, reaching};
use cpython::read::{KernelThread, Reading, Wanted, read};
use process::hold::Hold;
use process::{Memory, ProcStatus};
use snapshot::Snapshot;
use std::collections::HashMap;
use std::time::Duration;

/// How often a copy is taken again, because the reading met pages that the last copy did not have.
const ROUNDS_MAX: usize = 3;

/// Looks at a target, again and again if need be; what does not change is found out once.
#[derive(Debug)]
pub struct Eye {
    source: Source,
    options: Options,
    opened: HashMap<u32, Opened>,
}

/// One process in the course of a look.
struct Member<'a> {
    opened: &'a Opened,
    status: ProcStatus,
    kernel: Vec<KernelThread>,
    reading: Option<Reading>,
    notes: Vec<String>,
}

impl Eye {
    /// Opens a target.
    ///
    /// # Errors
    /// When it does not exist, may not be read, or runs no Python that can be read.
    pub fn open(source: Source, options: Options) -> Result<Eye, LookError> {
        let mut eye = Eye {
            source,
            options,
            opened: HashMap::new(),
        };
        if let Source::Pid(pid) = eye.source {
            let status = ProcStatus::read(pid)?;
            if status.is_zombie() {
                return Err(LookError::Zombie(pid));
            }
            eye.opened.insert(pid, Opened::open(pid)?);
        }
        Ok(eye)
    }

    /// Whether the target is alive, so that a second look may show something else.
    pub fn is_live(&self) -> bool {
        matches!(self.source, Source::Pid(_))
    }

    /// Takes a look.
    ///
    /// # Errors
    /// When the process asked for has ended, may not be held, or runs no Python that can be read.
    pub fn look(&mut self) -> Result<Snapshot, LookError> {
        match &self.source {
            Source::Pid(pid) => self.look_live(*pid),
            Source::Core(path) => crate::cores::look(path, self.options),
        }
    }

    /// Counts the threads' context switches anew, some time after `snapshot` was taken: being held made each thread run
    /// for a moment, and only what it runs after that says that it was not stuck.
    pub fn settle(&self, snapshot: &mut Snapshot) {
        for process in &mut snapshot.processes {
            if !self.opened.contains_key(&process.pid) {
                continue;
            }
            let Ok(mut reader) = process::ThreadReader::open(process.pid) else {
                continue;
            };
            for thread in &mut process.threads {
                if let Some(os) = reader.read(thread.tid, false) {
                    thread.os.switches = os.switches;
                }
            }
        }
    }

    fn look_live(&mut self, root: u32) -> Result<Snapshot, LookError> {
        let pids = family(root, self.options.children);
        self.opened
            .retain(|pid, opened| pids.contains(pid) && opened.is_same());
        for pid in &pids {
            if !self.opened.contains_key(pid)
                && let Ok(opened) = Opened::open(*pid)
            {
                self.opened.insert(*pid, opened);
            }
        }
        let any = self.opened.values().any(|opened| opened.runtime.is_ok());
        let own = self.opened.get(&root).ok_or(LookError::Ended(root))?;
        if let (Err(error), false) = (&own.runtime, any) {
            return Err(LookError::NotPython {
                pid: root,
                error: error.clone(),
            });
        }
        let mut members: Vec<Member<'_>> = Vec::new();
        for opened in pids.iter().filter_map(|pid| self.opened.get(pid)) {
            // One that ends meanwhile is no longer there; what is left of it shows in its parent's children.
            let Ok(status) = ProcStatus::read(opened.pid) else {
                continue;
            };
            let kernel = facts::kernel_threads(opened.pid, &status);
            members.push(Member {
                opened,
                status,
                kernel,
                reading: None,
                notes: Vec::new(),
            });
        }
        let held = if self.options.pause {
            self.read_held(&mut members, root)?
        } else {
            self.read_running(&mut members)
        };
        let mut snapshot = assemble(members, self.options);
        snapshot.held_still_us = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        if !snapshot.processes.iter().any(|process| process.pid == root) {
            return Err(LookError::Ended(root));
        }
        Ok(snapshot)
    }

    fn read_running(&self, members: &mut [Member<'_>]) -> Duration {
        for member in members {
            member.opened.memory.clear();
            member.read(&member.opened.memory, self.options);
        }
        Duration::ZERO
    }

    /// Reads once while all run, so that the pages are known; then copies those pages while all stand still, and
    /// reads the copy. Where the reading of the copy meets other pages, a new copy is taken with those too; the
    /// last time the reading itself is done while they stand still.
    fn read_held(&self, members: &mut [Member<'_>], root: u32) -> Result<Duration, LookError> {
        for member in members.iter_mut() {
            member.opened.memory.clear();
            member.read(&member.opened.memory, self.options);
        }
        let mut total = Duration::ZERO;
        for round in 1..=ROUNDS_MAX {
            let last = round == ROUNDS_MAX;
            let mut holds = Vec::with_capacity(members.len());
            for member in members.iter_mut() {
                match Hold::take_sparing(member.opened.pid, &facts::half_way(&member.kernel)) {
                    Ok(hold) => holds.push(Some(hold)),
                    Err(error) if member.opened.pid == root => return Err(error.into()),
                    Err(error) => {
                        member
                            .notes
                            .push(format!("it was read without being held still: {error}"));
                        holds.push(None);
                    }
                }
            }
            for (member, hold) in members.iter_mut().zip(&holds) {
                if let Some(hold) = hold {
                    facts::take_registers(&mut member.kernel, hold);
                }
                // A page that went away is noticed by whoever reads it.
                let _ = member.opened.memory.refresh_all();
                if last {
                    member.read(&member.opened.memory, self.options);
                }
            }
            let still = holds.iter().flatten().all(Hold::spared_sleep);
            total += holds
                .into_iter()
                .flatten()
                .map(Hold::release)
                .max()
                .unwrap_or_default();
            if last {
                break;
            }
            let mut missed = 0;
            for member in members.iter_mut() {
                member.opened.memory.freeze();
                member.read(&member.opened.memory, self.options);
                missed += member.opened.memory.misses();
                member.opened.memory.thaw();
            }
            if missed == 0 && still {
                break;
            }
        }
        Ok(total)
    }
}

impl Member<'_> {
    fn read(&mut self, memory: &dyn Memory, options: Options) {
        let Ok(runtime) = &self.opened.runtime else {
            return;
        };
        let wanted = Wanted {
            locals: options.locals,
        };
        match read(memory, runtime, self.opened.pid, &self.kernel, wanted) {
            Ok(reading) => self.reading = Some(reading),
            Err(error) => {
                let mut reading = Reading::default();
                reading
                    .notes
                    .push(format!("its interpreter could not be read: {error}"));
                self.reading = Some(reading);
            }
        }
    }
}

fn assemble(members: Vec<Member<'_>>, options: Options) -> Snapshot {
    let mut snapshot = Snapshot {
        schema: snapshot::SCHEMA,
        ..Snapshot::default()
    };
    let opened: Vec<&Opened> = members.iter().map(|member| member.opened).collect();
    for member in members {
        let mut process = facts::process(member.opened, &member.status);
        process.notes = member.notes;
        match member.reading {
            Some(mut reading) => {
                if options.reach {
                    let opened = member.opened;
                    if let Ok(runtime) = &opened.runtime {
                        let catches = || process::kin::catches_signals(opened.pid);
                        reaching::fill(
                            &mut process,
                            runtime,
                            &opened.memory,
                            catches,
                            &mut reading,
                        );
                    }
                }
                facts::take_reading(&mut process, reading);
                facts::name_shared(&mut process, member.opened);
            }
            None => facts::take_native(&mut process, member.kernel),
        }
        facts::descriptors(&mut process, member.opened, options);
        snapshot.processes.push(process);
    }
    if options.reach {
        facts::left_by_forks(&mut snapshot, &opened);
        facts::shared_outside(&mut snapshot);
    }
    snapshot
}
