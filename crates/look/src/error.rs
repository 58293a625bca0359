//! Why a look failed, and what to do about it.

use cpython::runtime::FindError;
use process::hold::HoldError;
use process::{CoreError, ProcError, ReadError};
use std::path::PathBuf;

/// Why a target could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No such process.
    #[error("there is no process {0}")]
    Gone(u32),
    /// It ended while it was read.
    #[error("process {0} ended while it was read")]
    Ended(u32),
    /// It has ended, and its parent has not waited for it.
    #[error("process {0} has ended and is a zombie: nothing is left to look at")]
    Zombie(u32),
    /// It runs something else.
    #[error("process {pid} cannot be read: {error}")]
    NotPython {
        /// The process.
        pid: u32,
        /// What is in the way.
        error: FindError,
    },
    /// PyPy.
    #[error("process {0} runs PyPy, and unknot reads CPython")]
    PyPy(u32),
    /// The kernel refused.
    #[error("{0}")]
    Hold(HoldError),
    /// `/proc` could not be read.
    #[error("{0}")]
    Proc(ProcError),
    /// Its memory could not be read.
    #[error("process {pid} cannot be read: {error}")]
    Memory {
        /// The process.
        pid: u32,
        /// What was in the way.
        error: ReadError,
    },
    /// The core file could not be read.
    #[error("{0}")]
    Core(CoreError),
    /// It is of a process that ran something else, or lacks what tells.
    #[error("the core file {} cannot be read: {error}{}", path.display(), told(remarks))]
    NotPythonCore {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        error: FindError,
        /// What is missing or wrong with the file.
        remarks: Vec<String>,
    },
    /// The process list could not be read.
    #[error("the list of processes cannot be read: {0}")]
    List(std::io::Error),
}

/// Remarks behind a sentence.
fn told(remarks: &[String]) -> String {
    remarks.iter().map(|remark| format!("; {remark}")).collect()
}

impl LookError {
    /// What to do next; empty when there is nothing to say.
    pub fn advice(&self) -> String {
        let text = match self {
            LookError::Gone(_) | LookError::Ended(_) => {
                "`unknot ps` lists the Python processes here"
            }
            LookError::Zombie(_) => "look at its parent, which has to wait for it",
            LookError::NotPython {
                error: FindError::NotInitialized,
                ..
            } => "try again in a moment",
            LookError::NotPython { .. } | LookError::PyPy(_) => {
                "`unknot ps` lists the processes that can be read"
            }
            LookError::Memory {
                error: ReadError::Denied,
                ..
            } => "run unknot as the process's user, or with sudo (CAP_SYS_PTRACE)",
            LookError::Core(_) | LookError::NotPythonCore { .. } => {
                "give a core file of a 64-bit Linux process, for instance one that gcore wrote"
            }
            LookError::Memory { .. }
            | LookError::Hold(_)
            | LookError::Proc(_)
            | LookError::List(_) => "",
        };
        text.to_owned()
    }
}

impl From<HoldError> for LookError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Gone(pid) => LookError::Gone(pid),
            HoldError::Zombie(pid) => LookError::Zombie(pid),
            other => LookError::Hold(other),
        }
    }
}

impl From<ProcError> for LookError {
    fn from(error: ProcError) -> Self {
        match error {
            ProcError::Gone(pid) => LookError::Gone(pid),
            other => LookError::Proc(other),
        }
    }
}
