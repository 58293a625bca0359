//! The Python processes on this machine.

use crate::LookError;
use crate::opened::Opened;
use process::{ProcError, proc};
use serde::Serialize;

/// What `unknot ps` shows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listing {
    /// Version of this form.
    pub schema: u32,
    /// Python's processes, by PID.
    pub processes: Vec<Listed>,
    /// How many processes could not be looked into.
    pub hidden: usize,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// PID in unknot's own namespace.
    pub pid: u32,
    /// Parent's PID.
    pub parent: u32,
    /// Version, where it could be read.
    pub python: Option<String>,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// Number of threads.
    pub threads: usize,
    /// CPU time used so far, in microseconds.
    pub cpu_us: u64,
    /// Command line.
    pub command: Vec<String>,
}

/// Lists the Python processes here, but for unknot itself.
///
/// # Errors
/// When the process list cannot be read.
pub fn listing() -> Result<Listing, LookError> {
    let mut listing = Listing {
        schema: snapshot::SCHEMA,
        ..Listing::default()
    };
    for pid in proc::processes().map_err(LookError::List)? {
        if pid == std::process::id() {
            continue;
        }
        match listed(pid) {
            Ok(Some(entry)) => listing.processes.push(entry),
            Ok(None) => {}
            Err(()) => listing.hidden += 1,
        }
    }
    Ok(listing)
}

/// `Err`: it could not be looked into.
fn listed(pid: u32) -> Result<Option<Listed>, ()> {
    let Ok(status) = proc::ProcStatus::read(pid) else {
        return Ok(None);
    };
    if status.is_zombie() {
        return Ok(None);
    }
    let runtime = match Opened::open(pid, None) {
        Ok(opened) => opened.runtime,
        Err(LookError::Proc(ProcError::Denied(_))) => return Err(()),
        Err(_) => return Ok(None),
    };
    let (python, free_threaded) = match runtime {
        Ok(runtime) => (
            Some(runtime.version.to_string()),
            runtime.version.free_threaded,
        ),
        Err(cpython::runtime::FindError::NotPython) => return Ok(None),
        Err(_) => (None, false),
    };
    let command = proc::command_line(pid).unwrap_or_default();
    Ok(Some(Listed {
        pid,
        parent: status.ppid,
        python,
        free_threaded,
        threads: status.threads as usize,
        cpu_us: process::kin::cpu_us(pid).unwrap_or(0),
        command: command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }))
}
