//! The user's wish to end: SIGINT and SIGTERM as something to ask for, not as an end.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;

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
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
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
