//! Taking a look: what is read before, while and after a target stands still.

use crate::family::Family;
use crate::natives::{self, Natives};
use crate::opened::Opened;
use crate::{LookError, Options, Source, facts, reaching};
use cpython::read::{KernelThread, Reading, Wanted, read};
use process::hold::Hold;
use process::{Memory, ProcStatus, Watch};
use snapshot::Snapshot;
use std::collections::HashMap;
use std::time::Duration;

/// How often a copy is taken again, because the reading met pages that the last copy did not have.
const ROUNDS_MAX: usize = 3;
/// What is told of the time for which a target was held that did not have to be: not nothing, as that would mean that
/// it was read while it ran.
const UNDISTURBED: Duration = Duration::from_micros(1);
/// How often, while a target is held, a copy is taken again because a thread that was asleep ran during it.
const COPIES_MAX: usize = 8;

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
    watch: Option<Watch>,
    kernel: Vec<KernelThread>,
    reading: Option<Reading>,
    natives: Natives,
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
            eye.opened.insert(pid, Opened::open(pid, Some(options))?);
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
        let family = Family::of(root, self.options.children);
        let pids = &family.pids;
        self.opened
            .retain(|pid, opened| pids.contains(pid) && opened.is_same());
        for pid in pids {
            if !self.opened.contains_key(pid)
                && let Ok(opened) = Opened::open(*pid, Some(self.options))
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
            let Ok(begun) = opened.begin(self.options) else {
                continue;
            };
            if begun.status.is_zombie() {
                if opened.pid == root {
                    return Err(LookError::Zombie(root));
                }
                continue;
            }
            members.push(Member {
                opened,
                status: begun.status,
                watch: begun.watch,
                kernel: begun.kernel,
                reading: None,
                natives: Natives::default(),
                notes: Vec::new(),
            });
        }
        let held = if self.options.pause {
            self.read_held(&mut members, root)?
        } else {
            self.read_running(&mut members)
        };
        let mut snapshot = assemble(members, &family, self.options);
        snapshot.held_still_us = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        if !snapshot.processes.iter().any(|process| process.pid == root) {
            return Err(LookError::Ended(root));
        }
        Ok(snapshot)
    }

    fn read_running(&self, members: &mut [Member<'_>]) -> Duration {
        for member in members {
            member.read(&member.opened.memory, self.options);
            if self.options.native && !self.options.pause {
                member.natives =
                    Natives::of_sleepers(member.opened, &member.kernel, member.watch.as_mut());
            }
        }
        Duration::ZERO
    }

    /// Reads once while all run. Where all threads slept meanwhile, that was of one moment. Otherwise it tells which
    /// pages matter: they are copied while all stand still, and the copy is read. Where the reading of the copy meets
    /// other pages, a new copy is taken with those too; the last time the reading itself is done while they stand still.
    fn read_held(&self, members: &mut [Member<'_>], root: u32) -> Result<Duration, LookError> {
        self.read_running(members);
        if self.options.native {
            for member in members.iter_mut() {
                natives::prepare(member.opened);
                member.capture(None);
            }
        }
        if members.iter_mut().all(Member::slept) {
            return Ok(UNDISTURBED);
        }
        let mut total = Duration::ZERO;
        for round in 1..=ROUNDS_MAX {
            let last = round == ROUNDS_MAX;
            let mut holds = hold_all(members, root)?;
            if last {
                stop_more(members, &mut holds, root, Stop::All)?;
            }
            copy_still(members, &mut holds, root, self.options)?;
            for (member, hold) in members.iter_mut().zip(&holds) {
                if let (Some(hold), Some(watch)) = (hold, &member.watch) {
                    facts::take_registers(&mut member.kernel, hold, watch);
                }
            }
            if last {
                self.read_running(members);
                // Only a thread asleep in a write has been spared.
                if stop_more(members, &mut holds, root, Stop::Woken)? {
                    copy_still(members, &mut holds, root, self.options)?;
                    self.read_running(members);
                }
            }
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
            if missed == 0 {
                break;
            }
        }
        Ok(total)
    }
}

/// Holds the threads of all members that do not sleep.
fn hold_all(members: &mut [Member<'_>], root: u32) -> Result<Vec<Option<Hold>>, LookError> {
    let mut holds = Vec::with_capacity(members.len());
    for member in members {
        let pid = member.opened.pid;
        let hold = match &mut member.watch {
            Some(watch) => Hold::take_awake(pid, watch),
            None => Hold::take(pid),
        };
        match hold {
            Ok(hold) => holds.push(Some(hold)),
            Err(error) if pid == root => return Err(error.into()),
            Err(error) => {
                member
                    .notes
                    .push(format!("it was read without being held still: {error}"));
                holds.push(None);
            }
        }
    }
    Ok(holds)
}

/// Copies the pages that were read, as of one moment: again, if a thread that was asleep has run meanwhile.
fn copy_still(
    members: &mut [Member<'_>],
    holds: &mut [Option<Hold>],
    root: u32,
    options: Options,
) -> Result<(), LookError> {
    for copy in 1..=COPIES_MAX {
        for member in members.iter() {
            let memory = &member.opened.memory;
            // A page that went away is noticed by whoever reads it.
            let _ = if copy == 1 {
                memory.refresh_touched()
            } else {
                memory.refresh_all()
            };
        }
        if options.native {
            for (member, hold) in members.iter_mut().zip(holds.iter()) {
                member.capture(hold.as_ref());
            }
        }
        let stop = if copy + 1 < COPIES_MAX {
            Stop::Woken
        } else {
            Stop::All
        };
        if !stop_more(members, holds, root, stop)? {
            break;
        }
    }
    Ok(())
}

/// Which threads to stop.
#[derive(Clone, Copy)]
enum Stop {
    /// Those that have run since they were seen asleep.
    Woken,
    /// All that are not stopped yet.
    All,
}

/// Stops more threads of the members. Whether there were any to stop.
fn stop_more(
    members: &mut [Member<'_>],
    holds: &mut [Option<Hold>],
    root: u32,
    stop: Stop,
) -> Result<bool, LookError> {
    let mut any = false;
    for (member, slot) in members.iter_mut().zip(holds) {
        let Some(hold) = slot else { continue };
        let stopped = match (stop, &mut member.watch) {
            (Stop::Woken, Some(watch)) => hold.stop_woken(watch),
            (Stop::Woken, None) => Ok(false),
            (Stop::All, watch) => hold.stop_all(watch.as_mut()),
        };
        match stopped {
            Ok(stopped) => any |= stopped,
            Err(error) if member.opened.pid == root => return Err(error.into()),
            Err(error) => {
                member
                    .notes
                    .push(format!("it was read without being held still: {error}"));
                *slot = None;
            }
        }
    }
    Ok(any)
}

impl Member<'_> {
    /// Whether none of its threads has run since they were first asked for.
    fn slept(&mut self) -> bool {
        self.watch.as_mut().is_some_and(Watch::all_asleep)
    }

    /// Captures the native stacks of its threads: those held, and those asleep.
    fn capture(&mut self, hold: Option<&Hold>) {
        let (watch, kernel) = (self.watch.as_ref(), &self.kernel);
        self.natives = Natives::of_still(self.opened, kernel, watch, hold);
    }

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

fn assemble(members: Vec<Member<'_>>, family: &Family, options: Options) -> Snapshot {
    let mut snapshot = Snapshot {
        schema: snapshot::SCHEMA,
        ..Snapshot::default()
    };
    let opened: Vec<&Opened> = members.iter().map(|member| member.opened).collect();
    for member in members {
        let mut process = facts::process(member.opened, &member.status, options);
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
                if options.native {
                    member.natives.put_in(member.opened, &mut reading);
                }
                facts::take_reading(&mut process, reading);
                facts::name_shared(&mut process, member.opened);
            }
            None => facts::take_native(&mut process, member.kernel),
        }
        facts::name_threads(&mut process);
        facts::descriptors(&mut process, member.opened, family, options);
        snapshot.processes.push(process);
    }
    if options.reach {
        facts::left_by_forks(&mut snapshot, &opened);
        facts::shared_outside(&mut snapshot);
    }
    snapshot
}
