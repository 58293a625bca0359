//! The sampling profiler: whose stack is where, again and again, added up.
//!
//! A [`Recorder`] sweeps over the threads of a process and its descendants. Each sweep asks the kernel which threads
//! have run since the last one, reads the stacks of those that have (`cpython::sweep`), and adds a sample for each
//! thread to a [`profile::Builder`].
//!
//! # What keeps a stack true
//!
//! A thread runs on while it is read, so a stack may be torn: outer frames of one moment, inner ones of the next.
//! A stack is accepted when it cannot be torn, because its thread did not run meanwhile, or when it is one that the
//! program is known to have: each new one, down to its lines where they are told apart, is accepted only
//! once it was seen in a thread at rest, or in one that was stopped for the time of the copy, some microseconds.
//! So what is reported is always a stack that the program has had; only the first of its kind costs a stop.
//!
//! Absent: the terminal, files, formats, the choice of when to sweep.

mod explain;
mod member;
mod natives;
mod places;
mod python;
mod recorder;
mod schedule;
mod stop;
mod tasks;
mod thread;

pub use member::Counts;
pub use recorder::{Recorder, Swept};
pub use schedule::Schedule;

use profile::Metric;
use std::time::Duration;

/// What frames are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grain {
    /// Functions.
    Function,
    /// Lines.
    #[default]
    Line,
    /// Instructions.
    Instruction,
}

/// How to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Mean time between two sweeps; zero: as short as possible.
    pub interval: Duration,
    /// What is measured.
    pub metric: Metric,
    /// Whether threads with nothing to do are recorded too.
    pub idle: bool,
    /// Whether children are recorded too.
    pub children: bool,
    /// What frames are told apart by.
    pub grain: Grain,
    /// For how long one thread may be stopped at most; zero: never. A stop that takes longer is cut short.
    pub pause_max: Duration,
    /// Whether native frames are recorded too: then each thread that runs is stopped for each of its samples.
    pub native: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: Duration::from_millis(10),
            metric: Metric::Wall,
            idle: false,
            children: false,
            grain: Grain::Line,
            pause_max: Duration::from_millis(1),
            native: false,
        }
    }
}
