//! Why a process could not be entered: what failed, why, and what to do.

use crate::Door;
use cpython::runtime::FindError;
use process::permission::Denial;
use process::{ChangeError, HoldError, ProcError, ReadError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a process could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// No such process, or it has ended, before or meanwhile.
    #[error("process {0} has ended: nothing is left to enter")]
    Ended(u32),
    /// The kernel refused.
    #[error("{0}")]
    Denied(Denial),
    /// No Python in it that is known here, or none any more.
    #[error("process {pid} cannot be entered: {error}")]
    NotPython {
        /// The process.
        pid: u32,
        /// What was found.
        error: FindError,
    },
    /// The interpreter shuts down.
    #[error(
        "process {0} cannot be entered: its interpreter is shutting down, and runs no more code"
    )]
    Finalizing(u32),
    /// Whoever started the program does not want it to be entered.
    #[error(
        "process {pid} may not be entered: {by} forbids it. Start it without that, or read it from outside: \
         unknot dump and why need no entry"
    )]
    Disabled {
        /// The process.
        pid: u32,
        /// What says so.
        by: DisabledBy,
    },
    /// SIGSTOP or its like has stopped the whole process.
    #[error(
        "process {0} is stopped by a signal and runs no code. Let it go on (kill -CONT {0}) and try again"
    )]
    Stopped(u32),
    /// It could not be held still.
    #[error("process {pid} cannot be entered: {error}")]
    NotHeld {
        /// The process.
        pid: u32,
        /// Why.
        error: Box<HoldError>,
    },
    /// The script's path cannot be handed over.
    #[error("the script's path {path} cannot be handed over: it is empty, too long or has a NUL in it", path = .0.display())]
    Path(PathBuf),
    /// The memory could not be read.
    #[error("process {pid} cannot be entered: {error}")]
    Memory {
        /// The process.
        pid: u32,
        /// Why.
        error: ReadError,
    },
    /// No door led in within the time.
    #[error(
        "process {pid} could not be entered within {} ms, and nothing of ours is left in it.{}",
        limit.as_millis(), listed(tried)
    )]
    NoWay {
        /// The process.
        pid: u32,
        /// The time that there was.
        limit: Duration,
        /// What stood in the way of each door.
        tried: Vec<Tried>,
    },
    /// A thread took the script and began with it, and nothing arrived.
    #[error(
        "process {pid} was entered ({door}), but its script did not report back within {} ms. It may still do so; \
         the program's standard error may tell why it does not",
        limit.as_millis()
    )]
    Silent {
        /// The process.
        pid: u32,
        /// The door.
        door: Door,
        /// The time that there was.
        limit: Duration,
    },
}

/// Who forbids that a process is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledBy {
    /// Its interpreter's own configuration: `-X disable_remote_debug`, PYTHON_DISABLE_REMOTE_DEBUG, or `remote_debug`
    /// of the `PyConfig` of whoever embeds it (3.14+).
    Configuration,
    /// PYTHON_DISABLE_REMOTE_DEBUG in the environment that it was started with, which its version does not read.
    Environment,
}

impl fmt::Display for DisabledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DisabledBy::Configuration => {
                "its interpreter's configuration (remote_debug is off: PYTHON_DISABLE_REMOTE_DEBUG or -X disable_remote_debug)"
            }
            DisabledBy::Environment => {
                "PYTHON_DISABLE_REMOTE_DEBUG in its environment"
            }
        })
    }
}

/// A door, and what stood in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The door.
    pub door: Door,
    /// The thread, in unknot's numbering, where it is about one.
    pub tid: Option<u32>,
    /// Where that thread is: its innermost function and line, and the C function that it is in.
    pub place: Option<String>,
    /// What stood in the way.
    pub why: String,
}

fn listed(tried: &[Tried]) -> String {
    let line = |tried: &Tried| {
        let thread = tried.tid.map(|tid| format!(", thread {tid}"));
        let place = tried.place.as_ref().map(|place| format!(" ({place})"));
        let (thread, place) = (thread.unwrap_or_default(), place.unwrap_or_default());
        format!("\n- {}{thread}{place}: {}", tried.door, tried.why)
    };
    tried.iter().map(line).collect()
}

/// Why a door did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Shut {
    /// The target's memory.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Anything else.
    #[error("{0}")]
    Because(&'static str),
}

impl From<ProcError> for EnterError {
    fn from(error: ProcError) -> EnterError {
        match error {
            ProcError::Gone(pid) => EnterError::Ended(pid),
            ProcError::Denied(pid) => EnterError::Denied(process::permission::explain(pid)),
            ProcError::Io { pid, .. } => EnterError::Memory {
                pid,
                error: ReadError::Denied,
            },
        }
    }
}

impl EnterError {
    pub(crate) fn of_hold(pid: u32, error: HoldError) -> EnterError {
        match error {
            HoldError::Gone(pid) | HoldError::Zombie(pid) => EnterError::Ended(pid),
            HoldError::Denied(denial) => EnterError::Denied(denial),
            error => EnterError::NotHeld {
                pid,
                error: Box::new(error),
            },
        }
    }

    pub(crate) fn of_read(pid: u32, error: ReadError) -> EnterError {
        match error {
            ReadError::Gone => EnterError::Ended(pid),
            error => EnterError::Memory { pid, error },
        }
    }
}
