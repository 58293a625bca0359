//! One look at a family of processes: hold them still, read them, let them go, put it all together.
//!
//! Each process is first read while it runs, which fills a cache of its pages. Where no thread has run meanwhile, that
//! was of one moment. Otherwise the threads that do not sleep are held, the same pages are copied again in a few system
//! calls, and all are let go; what is told is read from that copy. So a target stands still only for the time of the
//! copy, and all processes are seen at one moment.
//!
//! This crate joins what `process` (the kernel's side) and `cpython` (the interpreter's side) know; it judges
//! nothing and prints nothing.

mod cores;
mod error;
mod eye;
mod facts;
mod family;
mod listing;
mod natives;
mod opened;
mod reaching;
mod suspended;
mod waits;

pub use error::LookError;
pub use eye::Eye;
pub use family::{family_cpu_us, family_run_ns};
pub use listing::{Listed, Listing, listing};
pub use opened::Opened;

use std::path::PathBuf;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A running process.
    Pid(u32),
    /// A core file.
    Core(PathBuf),
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Hold the target still while it is read.
    pub pause: bool,
    /// Read local variables.
    pub locals: bool,
    /// Look at child processes too.
    pub children: bool,
    /// Find out who can reach what somebody waits for (needed to say that nobody can).
    pub reach: bool,
    /// Native frames too.
    pub native: bool,
}
