//! One process that is recorded.

use crate::Options;
use crate::python::Python;
use cpython::runtime::FindError;
use cpython::sweep::Sweeper;
use look::{LookError, Opened};
use profile::{Builder, ProcessId};
use std::time::{Duration, Instant};

/// How often a process whose interpreter is not there yet is tried again, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(2);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// One moment of a recording.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// Nanoseconds since the recording began.
    pub at_ns: u64,
    /// Nanoseconds since the sweep before.
    pub wall_ns: u64,
}

/// What became of a sweep over one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Ended,
}

/// Counts of one recording, over all processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that could not be read.
    pub errors: u64,
    /// Threads that were stopped for their stack's sake.
    pub stops: u64,
    /// For how long altogether.
    pub stopped: Duration,
    /// For how long at most.
    pub stop_max: Duration,
    /// Stops that took longer than is allowed: what was not copied by then was given up.
    pub stops_over: u64,
}

#[derive(Debug)]
pub(crate) struct Member {
    pid: u32,
    process: ProcessId,
    python: Option<Python>,
    retry: Duration,
    next_try: Instant,
}

impl Member {
    pub fn new(pid: u32, process: ProcessId) -> Member {
        Member {
            pid,
            process,
            python: None,
            retry: RETRY_MIN,
            next_try: Instant::now(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// The version of its Python, once that is known.
    pub fn version(&self) -> Option<String> {
        let runtime = self.python.as_ref()?.opened.runtime.as_ref().ok()?;
        Some(runtime.version.to_string())
    }

    /// Tries to find its interpreter.
    ///
    /// # Errors
    /// When there is none, or not yet.
    pub fn open(&mut self) -> Result<(), LookError> {
        let opened = Opened::open(self.pid, None)?;
        let pid = self.pid;
        match &opened.runtime {
            Ok(runtime) => {
                let sweeper = Sweeper::new(runtime);
                opened.memory.clear();
                self.python = Some(Python::new(opened, sweeper));
                Ok(())
            }
            Err(error) => Err(LookError::NotPython {
                pid,
                error: error.clone(),
            }),
        }
    }

    fn try_open(&mut self) -> Fate {
        if Instant::now() < self.next_try {
            return Fate::Lives;
        }
        match self.open() {
            Ok(()) => return Fate::Lives,
            Err(LookError::NotPython {
                error: FindError::NotInitialized | FindError::Garbage | FindError::Memory(_),
                ..
            }) => self.retry = RETRY_MIN,
            Err(LookError::NotPython { .. }) => {
                // It may be a shell that is about to execute a Python.
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
            Err(_) => return Fate::Ended,
        }
        self.next_try = Instant::now() + self.retry;
        Fate::Lives
    }

    /// Takes a sample of each thread.
    pub fn sweep(
        &mut self,
        tick: Tick,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> Fate {
        let Some(python) = &mut self.python else {
            return self.try_open();
        };
        let fate = python.sweep(self.process, tick, options, builder, counts);
        if fate == Fate::Ended
            && process::proc::start_time(self.pid).is_ok()
            && !is_zombie(self.pid)
        {
            // It executes another program.
            self.python = None;
            self.retry = RETRY_MIN;
            self.next_try = Instant::now() + self.retry;
            return Fate::Lives;
        }
        fate
    }
}

fn is_zombie(pid: u32) -> bool {
    process::ProcStatus::read(pid).is_ok_and(|status| status.is_zombie())
}
