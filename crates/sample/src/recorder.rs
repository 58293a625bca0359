//! A recording over a process and its descendants.

use crate::Options;
use crate::member::{Counts, Fate, Member, Tick};
use look::LookError;
use process::births::Births;
use process::proc;
use profile::{Builder, Limits, Process, Profile};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Most processes that are recorded at one time.
const MEMBERS_MAX: usize = 4096;

/// How a recording gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Processes that live.
    pub processes: usize,
    /// Samples so far.
    pub samples: u64,
    /// Samples that could not be read so far.
    pub errors: u64,
}

/// Records.
#[derive(Debug)]
pub struct Recorder {
    options: Options,
    builder: Builder,
    members: Vec<Member>,
    births: Births,
    began: Instant,
    last_ns: u64,
    sweeps: u64,
    counts: Counts,
}

impl Recorder {
    /// Of process `pid`, whose interpreter may still be on its way: it is waited for in the sweeps.
    pub fn new(pid: u32, options: Options) -> Recorder {
        process::turns::ask_for_short_turns();
        let mut builder = Builder::new(Limits::default());
        let command = proc::command_line(pid).unwrap_or_default();
        let about = builder.about();
        about.command = command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        about.start_unix_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
        about.interval_ns = nanoseconds(options.interval);
        about.metric = options.metric;
        let mut recorder = Recorder {
            options,
            builder,
            members: Vec::new(),
            births: Births::of(pid),
            began: Instant::now(),
            last_ns: 0,
            sweeps: 0,
            counts: Counts::default(),
        };
        recorder.add_member(pid, 0);
        if options.children {
            for child in recorder.births.all() {
                recorder.add_member(child, 0);
            }
        }
        recorder
    }

    /// Finds the interpreter of the first process at once, for one who must not wait for it.
    ///
    /// # Errors
    /// When there is none that can be read.
    pub fn open(&mut self) -> Result<(), LookError> {
        match self.members.first_mut() {
            Some(member) => member.open(),
            None => Ok(()),
        }
    }

    fn add_member(&mut self, pid: u32, at_ns: u64) {
        if self.members.len() >= MEMBERS_MAX {
            return;
        }
        let words = proc::command_line(pid).unwrap_or_default();
        let words: Vec<_> = words
            .iter()
            .take(4)
            .map(|word| word.to_string_lossy())
            .map(|word| {
                let name = Path::new(&*word)
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned());
                name.unwrap_or_else(|| word.into_owned())
            })
            .collect();
        let name = self.builder.string(&words.join(" "));
        let process = self.builder.process(Process {
            pid,
            parent: process::ProcStatus::read(pid).map_or(0, |status| status.ppid),
            name,
            start_ns: at_ns,
            end_ns: None,
        });
        self.members.push(Member::new(pid, process));
    }

    /// Takes a sample of every thread.
    pub fn sweep(&mut self) -> Swept {
        process::hold::let_go_late();
        let at_ns = nanoseconds(self.began.elapsed());
        if self.options.children {
            for child in self.births.new_ones() {
                self.add_member(child, at_ns);
            }
        }
        let tick = Tick {
            at_ns: self.last_ns,
            wall_ns: at_ns.saturating_sub(self.last_ns),
        };
        self.last_ns = at_ns;
        self.sweeps += 1;
        let (options, builder, counts) = (&self.options, &mut self.builder, &mut self.counts);
        let births = &mut self.births;
        self.members.retain_mut(|member| {
            let fate = member.sweep(tick, options, builder, counts);
            if fate == Fate::Ended {
                builder.process_ended(member.process(), at_ns);
                births.ended(member.pid());
            } else if builder.so_far().about.python.is_empty() {
                builder.about().python = member.version().unwrap_or_default();
            }
            fate == Fate::Lives
        });
        Swept {
            processes: self.members.len(),
            samples: self.builder.so_far().about.samples,
            errors: self.counts.errors,
        }
    }

    /// Sweeps so far.
    pub fn sweeps(&self) -> u64 {
        self.sweeps
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was recorded so far.
    pub fn so_far(&self) -> &Profile {
        self.builder.so_far()
    }

    /// What was recorded; `late`: sweeps that were not made in time.
    pub fn finish(mut self, late: u64) -> Profile {
        let duration_ns = nanoseconds(self.began.elapsed());
        let errors = self.counts.errors;
        let about = self.builder.about();
        about.recorder = concat!("unknot ", env!("CARGO_PKG_VERSION")).to_owned();
        about.duration_ns = duration_ns;
        about.errors = errors;
        about.late = late;
        self.builder.finish()
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
