//! The user's wish to end: SIGINT and SIGTERM as something to ask for, not as an end.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// What was blocked before [`Interrupts`] were made.
static BEFORE: OnceLock<SigSet> = OnceLock::new();

/// Lets a command start with the signals blocked that were so before [`Interrupts`] were made: a mask is kept across exec
/// (signal(7)), and the command is to get them.
pub fn unblocked(command: &mut Command) {
    let Some(before) = BEFORE.get().copied() else {
        return;
    };
    // SAFETY: between fork and exec this makes one system call: no lock is taken, nothing is allocated.
    unsafe { command.pre_exec(move || Ok(before.thread_set_mask()?)) };
}

/// From its making on, SIGINT, SIGTERM and SIGHUP no longer end unknot, but are noted here.
#[derive(Debug)]
pub struct Interrupts {
    signals: SignalFd,
}

impl Interrupts {
    /// Begins to note them. To be made before any other thread, which would get the signals otherwise.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no reason to.
    pub fn new() -> io::Result<Interrupts> {
        Interrupts::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
    }

    /// Begins to note SIGINT, Ctrl-C's signal, alone. To be made before any other thread.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no reason to.
    pub fn ctrl_c() -> io::Result<Interrupts> {
        Interrupts::of(&[Signal::SIGINT])
    }

    fn of(signals: &[Signal]) -> io::Result<Interrupts> {
        let mut set = SigSet::empty();
        for signal in signals {
            set.add(*signal);
        }
        let before = SigSet::thread_get_mask()?;
        let _ = BEFORE.set(before);
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Interrupts {
            signals: SignalFd::with_flags(&set, flags)?,
        })
    }

    /// Whether one has come since this was asked before.
    pub fn any(&mut self) -> bool {
        matches!(self.signals.read_signal(), Ok(Some(_)))
    }
}
