//! Running a command: it keeps its standard streams and gets the terminal's signals; unknot stays to watch.

use crate::children;
use crate::proc::{ProcStatus, start_time};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// `si_code` of a signal that the kernel sent by itself, as the terminal's are (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// How often it is looked whether what was told to end has ended.
const POLL: Duration = Duration::from_millis(20);

/// A command that unknot runs.
#[derive(Debug)]
pub struct Launched {
    child: Child,
    signals: SignalFd,
    ended: Option<ExitStatus>,
    /// The terminal's modes before the command changed them, where standard input is one.
    modes: Option<Termios>,
}

/// What happened while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The command ended: its exit code, or 128 + the signal that killed it.
    Ended(u8),
    /// The user pressed Ctrl-\ (SIGQUIT).
    Quit,
    /// The time is over.
    Timeout,
}

/// Starts `words[0]` with the other words as its arguments.
///
/// It has the signals blocked and ignored that were so here, but SIGQUIT is ignored (unless the command installs a handler),
/// because Ctrl-\ is a question to unknot.
///
/// # Errors
/// When the program is not found or may not be executed, or signals cannot be set up.
pub fn launch(words: &[OsString]) -> io::Result<Launched> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut set = SigSet::empty();
    for sig in [
        Signal::SIGQUIT,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ] {
        set.add(sig);
    }
    let before = SigSet::thread_get_mask()?;
    // Before the start, so that no signal is missed in between.
    set.thread_block()?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let modes = tcgetattr(io::stdin()).ok();
    let mut command = Command::new(program);
    command.args(arguments);
    let prepare = move || {
        // A mask and an ignored signal are kept across exec (signal(7)), and std changes neither.
        // SAFETY: SIG_IGN installs no code of ours.
        unsafe { signal(Signal::SIGQUIT, SigHandler::SigIgn) }?;
        Ok(before.thread_set_mask()?)
    };
    // SAFETY: between fork and exec this makes system calls alone: no lock is taken, nothing is allocated.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn();
    if child.is_err() {
        let _ = before.thread_set_mask();
    }
    Ok(Launched {
        child: child?,
        signals,
        ended: None,
        modes,
    })
}

impl Launched {
    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event, at most `limit`.
    ///
    /// # Errors
    /// When the child cannot be waited for.
    pub fn next(&mut self, limit: Duration) -> io::Result<Event> {
        let end = Instant::now() + limit;
        loop {
            if let Some(code) = self.try_ended()? {
                return Ok(Event::Ended(code));
            }
            while let Some(info) = self.signals.read_signal()? {
                match Signal::try_from(info.ssi_signo as i32) {
                    Ok(Signal::SIGQUIT) => return Ok(Event::Quit),
                    // From the terminal the command has got it too; from elsewhere it is passed on.
                    Ok(Signal::SIGINT) if info.ssi_code == SI_KERNEL => {}
                    Ok(Signal::SIGCHLD) | Err(_) => {}
                    Ok(other) => self.send(other),
                }
            }
            if let Some(code) = self.try_ended()? {
                return Ok(Event::Ended(code));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Event::Timeout);
            }
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::from(left.as_millis().clamp(1, 60_000) as u16);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Sends the command a signal.
    pub fn send(&self, what: Signal) {
        if self.ended.is_none() {
            let _ = kill(Pid::from_raw(self.pid() as i32), what);
        }
    }

    /// Ends the command and its descendants: SIGTERM, and SIGKILL for what is still there after `grace`. The terminal gets back
    /// the modes that it had before the command.
    ///
    /// # Errors
    /// When the child cannot be waited for.
    pub fn end(&mut self, grace: Duration) -> io::Result<()> {
        let mut family = self.family();
        family.send(Signal::SIGTERM);
        self.send(Signal::SIGTERM);
        let end = Instant::now() + grace;
        while let left = end.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && (self.try_ended()?.is_none() || family.any_left())
        {
            match self.try_ended()? {
                Some(_) => std::thread::sleep(left.min(POLL)),
                None => drop(self.next(left.min(POLL))?),
            }
        }
        // What was started meanwhile is found as long as its parent is there.
        family.0.extend(self.family().0);
        family.send(Signal::SIGKILL);
        self.send(Signal::SIGKILL);
        self.ended = Some(self.child.wait()?);
        if let Some(modes) = &self.modes
            && tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
        {
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, modes);
        }
        Ok(())
    }

    fn family(&self) -> Family {
        if self.ended.is_some() {
            return Family(Vec::new());
        }
        let pids = children::descendants(self.pid()).unwrap_or_default();
        let named = |pid| Some((pid, start_time(pid).ok()?));
        Family(pids.into_iter().filter_map(named).collect())
    }

    fn try_ended(&mut self) -> io::Result<Option<u8>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended.map(code))
    }
}

/// Descendants, each with the time of its start: a PID may be given out again.
struct Family(Vec<(u32, u64)>);

impl Family {
    fn left(&self) -> impl Iterator<Item = u32> {
        let same = |(pid, start): &&(u32, u64)| start_time(*pid).is_ok_and(|now| now == *start);
        self.0.iter().filter(same).map(|(pid, _)| *pid)
    }

    fn any_left(&self) -> bool {
        let alive = |pid: u32| ProcStatus::read(pid).is_ok_and(|status| !status.is_zombie());
        self.left().any(alive)
    }

    /// Children before their parents, so that nobody starts one anew.
    fn send(&self, what: Signal) {
        let pids: Vec<u32> = self.left().collect();
        for pid in pids.into_iter().rev() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), what);
        }
    }
}

/// A shell's way to tell how a command ended: its code, or 128 + the signal.
fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}
