//! Holding a process still while it is read, without a signal reaching it.
//!
//! Every thread is seized and interrupted (PTRACE_SEIZE, PTRACE_INTERRUPT), then all are waited for,
//! then let go when the [`Hold`] is dropped. Interrupted system calls go on as if nothing had been,
//! but for the few that the kernel ends with EINTR on any stop (epoll_wait and its like), which
//! every caller must expect. A call that a stop would end half-way, a write above all, is not
//! interrupted where the caller says so: its thread is left asleep ([`Hold::take_sparing`]).
//! If unknot is killed, the kernel lets the threads go.
//!
//! While a process is held, nothing else in unknot may wait for it as its parent.

use crate::arch::{Arch, REGISTERS_MAX, Registers};
use crate::permission::{self, Denial};
use crate::proc::{self, ProcError, Stat, read_file};
use crate::syscalls::ends_half_way;
use crate::threads;
use nix::errno::Errno;
use nix::libc;
use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long threads may take to stop, unless the caller says otherwise.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// A thread that sleeps uninterruptibly is given up after this time.
const UNINTERRUPTIBLE_LIMIT: Duration = Duration::from_millis(100);
/// For so long the tracer only yields its CPU between its questions, which is quickest.
const YIELD_FOR: Duration = Duration::from_millis(3);
/// Later it sleeps so long between them.
const SLEEP_FOR: Duration = Duration::from_micros(200);
/// Most times that the list of threads is read again.
const ROUNDS_MAX: u32 = 1000;
/// Most threads held.
const THREADS_MAX: usize = 1 << 16;
/// `PTRACE_EVENT_STOP`, in the second byte of a stop's status.
const EVENT_STOP: i32 = 128;
/// `CLOCK` of PTRACE_GETREGSET for the general registers.
const NT_PRSTATUS: usize = 1;

/// Why a process could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// No such process, or it has ended meanwhile.
    #[error("there is no process {0}")]
    Gone(u32),
    /// It has ended, and waits to be waited for by its parent.
    #[error("process {0} has ended and is a zombie: nothing is left to look at")]
    Zombie(u32),
    /// The kernel refused.
    #[error("{0}")]
    Denied(Denial),
    /// A thread did not stop in time.
    #[error(
        "thread {tid} of process {pid} did not stop within {} ms (its state is {state}{}). \
         Look without stopping it: --no-pause",
        waited.as_millis(),
        if *state == 'D' { ": it sleeps uninterruptibly in the kernel" } else { "" }
    )]
    Stuck {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// Its letter of proc_pid_stat(5); `D`: it sleeps uninterruptibly.
        state: char,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// Anything else that the kernel said.
    #[error("process {pid} cannot be stopped: {error}")]
    Failed {
        /// The process.
        pid: u32,
        /// What the kernel said.
        error: std::io::Error,
    },
}

impl From<ProcError> for HoldError {
    fn from(error: ProcError) -> HoldError {
        match error {
            ProcError::Gone(pid) => HoldError::Gone(pid),
            ProcError::Denied(pid) => HoldError::Denied(permission::explain(pid)),
            ProcError::Io { pid, error, .. } => HoldError::Failed { pid, error },
        }
    }
}

/// A thread that stands still.
#[derive(Debug, Clone, Copy)]
pub struct HeldThread {
    /// Its id in unknot's PID namespace.
    pub tid: u32,
    /// Its registers; `None` on a machine not known here.
    pub registers: Option<Registers>,
    /// Whether a signal like SIGSTOP had stopped it before; it stays so.
    pub was_stopped: bool,
    /// A signal that was just being delivered, and is delivered when the thread is let go.
    signal: i32,
}

/// A thread that is left asleep.
#[derive(Debug, PartialEq, Eq)]
struct Spared {
    tid: u32,
    /// The content of its `syscall` file, which changes when it leaves the call.
    call: Vec<u8>,
}

/// A process whose threads all stand still, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    pid: u32,
    stopped: Vec<HeldThread>,
    /// Seized, and not yet seen to stop.
    pending: Vec<libc::pid_t>,
    /// Seized, and killed since.
    ended: Vec<libc::pid_t>,
    /// Not seized: asleep in a call that a stop would end half-way.
    spared: Vec<Spared>,
    /// Whether the first thread has ended before the others: it stays listed until they all have.
    leader_ended: bool,
    began: Instant,
    /// The kernel ties tracing to one thread of the tracer: this must stay in it.
    _not_send: PhantomData<*const ()>,
}

impl Hold {
    /// Stops every thread of process `pid`, within a second.
    pub fn take(pid: u32) -> Result<Hold, HoldError> {
        Hold::take_within(pid, STOP_LIMIT, &[])
    }

    /// The same, but leaves those of `asleep` alone that sleep in a call which a stop would end half-way
    /// ([`crate::ends_half_way`]): a program that does not expect that of its write would lose what it had still
    /// to write. [`Hold::spared_sleep`] tells whether they kept still by themselves.
    pub fn take_sparing(pid: u32, asleep: &[u32]) -> Result<Hold, HoldError> {
        Hold::take_within(pid, STOP_LIMIT, asleep)
    }

    /// Stops every thread of process `pid`, but for those `asleep`. An error lets go of those stopped by then; a
    /// thread that does not even stop for that (in state D) is let go when unknot's own thread ends.
    pub fn take_within(pid: u32, limit: Duration, asleep: &[u32]) -> Result<Hold, HoldError> {
        let mut hold = Hold {
            pid,
            stopped: Vec::new(),
            pending: Vec::new(),
            ended: Vec::new(),
            spared: asleep
                .iter()
                .filter_map(|&tid| half_way(pid, tid))
                .collect(),
            leader_ended: false,
            began: Instant::now(),
            _not_send: PhantomData,
        };
        let path = PathBuf::from(format!("/proc/{pid}/task"));
        let directory = File::open(&path)
            .map_err(|error| HoldError::from(ProcError::new(pid, &path, error)))?;
        let mut new = hold.seize_new()?;
        hold.began = Instant::now();
        let mut nothing_new = 0;
        for _ in 0..ROUNDS_MAX {
            for tid in new {
                interrupt(tid);
            }
            hold.wait_for_stops(limit)?;
            // The kernel counts a process's threads as links of this directory: when there are as
            // many as stand still, none can have been made meanwhile.
            let threads = directory.metadata().map_or(0, |metadata| metadata.nlink());
            let known = hold.stopped.len() + hold.spared.len() + usize::from(hold.leader_ended);
            if threads == known as u64 + 2 || nothing_new >= 3 {
                return hold.with_threads();
            }
            new = hold.seize_new()?;
            nothing_new = if new.is_empty() { nothing_new + 1 } else { 0 };
        }
        Err(hold.stuck(0))
    }

    /// Stops one thread of process `pid`, and lets the others run. For threads that run: one that sleeps may be in a
    /// call that a stop would end half-way.
    pub fn take_thread(pid: u32, tid: u32, limit: Duration) -> Result<Hold, HoldError> {
        let mut hold = Hold {
            pid,
            stopped: Vec::new(),
            pending: Vec::new(),
            ended: Vec::new(),
            spared: Vec::new(),
            leader_ended: false,
            began: Instant::now(),
            _not_send: PhantomData,
        };
        let thread = tid.cast_signed();
        match request(libc::PTRACE_SEIZE, thread, 0, 0) {
            Ok(()) => hold.pending.push(thread),
            Err(Errno::ESRCH) => return Err(HoldError::Gone(pid)),
            Err(Errno::EPERM) if hold.has_ended(tid) => return Err(HoldError::Gone(pid)),
            Err(Errno::EPERM) => return Err(HoldError::Denied(permission::explain(pid))),
            Err(errno) => {
                let error = errno.into();
                return Err(HoldError::Failed { pid, error });
            }
        }
        interrupt(thread);
        hold.wait_for_stops(limit)?;
        hold.with_threads()
    }

    /// Itself, unless all its threads have ended.
    fn with_threads(self) -> Result<Hold, HoldError> {
        let nothing = self.stopped.is_empty() && self.spared.is_empty();
        match (nothing, self.leader_ended) {
            (false, _) => Ok(self),
            (true, true) => Err(HoldError::Zombie(self.pid)),
            (true, false) => Err(HoldError::Gone(self.pid)),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its threads.
    pub fn threads(&self) -> &[HeldThread] {
        &self.stopped
    }

    /// The threads that were left asleep.
    pub fn spared(&self) -> impl Iterator<Item = u32> {
        self.spared.iter().map(|spared| spared.tid)
    }

    /// Whether those left asleep are still in the same call, so that they have changed nothing.
    pub fn spared_sleep(&self) -> bool {
        self.spared
            .iter()
            .all(|spared| half_way(self.pid, spared.tid).as_ref() == Some(spared))
    }

    /// For how long it has been held so far.
    pub fn held(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets it go; says for how long it was held, from the first thread's stop to the last one's release.
    pub fn release(mut self) -> Duration {
        self.let_go();
        self.began.elapsed()
    }

    /// Seizes the threads that were not there before, without stopping them yet.
    fn seize_new(&mut self) -> Result<Vec<libc::pid_t>, HoldError> {
        let mut new = Vec::new();
        let stopped = self.stopped.iter().map(|thread| thread.tid);
        let mut known: Vec<u32> = stopped.chain(self.spared()).collect();
        known.sort_unstable();
        for id in proc::thread_ids(self.pid)?.into_iter().take(THREADS_MAX) {
            if known.binary_search(&id).is_ok() {
                continue;
            }
            let Ok(tid) = libc::pid_t::try_from(id) else {
                continue;
            };
            match request(libc::PTRACE_SEIZE, tid, 0, 0) {
                Ok(()) => {
                    self.pending.push(tid);
                    new.push(tid);
                }
                Err(Errno::ESRCH) => {}
                Err(Errno::EPERM) if self.has_ended(id) => self.leader_ended |= id == self.pid,
                Err(Errno::EPERM) => return Err(HoldError::Denied(permission::explain(self.pid))),
                Err(errno) => {
                    return Err(HoldError::Failed {
                        pid: self.pid,
                        error: errno.into(),
                    });
                }
            }
        }
        Ok(new)
    }

    fn has_ended(&self, tid: u32) -> bool {
        matches!(thread_state(self.pid, tid), None | Some('Z' | 'X'))
    }

    /// Waits until all pending threads have stopped or ended.
    fn wait_for_stops(&mut self, limit: Duration) -> Result<(), HoldError> {
        let began = Instant::now();
        while !self.pending.is_empty() {
            let before = self.pending.len();
            self.collect_stops();
            if self.pending.len() < before {
                continue;
            }
            let waited = began.elapsed();
            if waited < YIELD_FOR {
                std::thread::yield_now();
                continue;
            }
            if waited >= limit || (waited >= UNINTERRUPTIBLE_LIMIT && self.any_uninterruptible()) {
                return Err(self.stuck(waited.as_millis() as u64));
            }
            std::thread::sleep(SLEEP_FOR);
        }
        Ok(())
    }

    /// Takes those pending threads over that have stopped by now.
    fn collect_stops(&mut self) {
        let (stopped, ended) = (&mut self.stopped, &mut self.ended);
        self.pending.retain(|&tid| match stop_of(tid) {
            Stop::NotYet => true,
            Stop::Ended => {
                ended.push(tid);
                false
            }
            Stop::Stopped { signal, event } => {
                let event_stop = event == EVENT_STOP;
                stopped.push(HeldThread {
                    tid: tid.unsigned_abs(),
                    registers: registers(tid),
                    was_stopped: event_stop && signal != libc::SIGTRAP,
                    // Any other stop than ours is a signal on its way.
                    signal: if event == 0 { signal } else { 0 },
                });
                false
            }
        });
    }

    fn any_uninterruptible(&self) -> bool {
        self.pending
            .iter()
            .any(|tid| thread_state(self.pid, tid.unsigned_abs()) == Some('D'))
    }

    fn stuck(&self, waited_ms: u64) -> HoldError {
        let state = |tid: u32| thread_state(self.pid, tid).unwrap_or('?');
        let threads = self.pending.iter().map(|tid| tid.unsigned_abs());
        let worst = threads.min_by_key(|&tid| state(tid) != 'D');
        let tid = worst.unwrap_or(self.pid);
        HoldError::Stuck {
            pid: self.pid,
            tid,
            state: state(tid),
            waited: Duration::from_millis(waited_ms),
        }
    }

    /// Takes note of the end of those that were killed while they were traced: their own parent hears
    /// of it only then.
    fn reap(&mut self) {
        if self.ended.contains(&self.pid.cast_signed()) {
            let parent = proc::ProcStatus::read(self.pid).map(|status| status.ppid);
            if parent.ok() == Some(std::process::id()) {
                // Our own child is left for whoever started it.
                let pid = self.pid.cast_signed();
                self.ended.retain(|&tid| tid != pid);
            }
        }
        let began = Instant::now();
        loop {
            self.ended.retain(|&tid| is_yet_to_end(tid));
            if self.ended.is_empty() || began.elapsed() > UNINTERRUPTIBLE_LIMIT {
                return;
            }
            std::thread::sleep(SLEEP_FOR);
        }
    }

    fn let_go(&mut self) {
        // After an error: those that are about to stop can be let go only once they have.
        let began = Instant::now();
        while !self.pending.is_empty() && began.elapsed() < UNINTERRUPTIBLE_LIMIT {
            self.collect_stops();
            if !self.pending.is_empty() {
                std::thread::sleep(SLEEP_FOR);
            }
        }
        for thread in self.stopped.drain(..) {
            let tid = thread.tid.cast_signed();
            if request(libc::PTRACE_DETACH, tid, 0, thread.signal as usize).is_err() {
                // Killed while it was held.
                self.ended.push(tid);
            }
        }
        self.reap();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn thread_state(pid: u32, tid: u32) -> Option<char> {
    let path = PathBuf::from(format!("/proc/{pid}/task/{tid}/stat"));
    let content = read_file(pid, &path).ok()?;
    Some(Stat::parse(&content)?.state)
}

/// The thread as one to be left asleep, if it sleeps in a call that a stop would end half-way.
fn half_way(pid: u32, tid: u32) -> Option<Spared> {
    let path = PathBuf::from(format!("/proc/{pid}/task/{tid}/syscall"));
    let call = read_file(pid, &path).ok()?;
    let inside = threads::syscall_of(&call)?;
    ends_half_way(&inside).then_some(Spared { tid, call })
}

/// A ptrace request whose address and data are plain numbers.
fn request(what: libc::c_uint, tid: libc::pid_t, address: usize, data: usize) -> nix::Result<()> {
    // SAFETY: the requests made here (SEIZE, INTERRUPT, DETACH) take numbers, not pointers into our
    // memory, and only change the tracee.
    let result = unsafe { libc::ptrace(what, tid, address, data) };
    Errno::result(result).map(drop)
}

fn interrupt(tid: libc::pid_t) {
    // It may have ended since: the wait that follows tells.
    let _ = request(libc::PTRACE_INTERRUPT, tid, 0, 0);
}

fn registers(tid: libc::pid_t) -> Option<Registers> {
    let arch = Arch::host()?;
    let mut words = [0_u64; REGISTERS_MAX];
    let mut vector = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(&words),
    };
    // SAFETY: the kernel writes at most `iov_len` bytes to `iov_base`, which is `words`, and the
    // number of bytes written to `vector`; both outlive the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, &raw mut vector) };
    Errno::result(result).ok()?;
    Some(Registers::new(arch, &words))
}

enum Stop {
    NotYet,
    Stopped { signal: i32, event: i32 },
    Ended,
}

/// Whether a traced thread has stopped. Does not reap one that has ended.
fn stop_of(tid: libc::pid_t) -> Stop {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
    // SAFETY: the kernel writes one siginfo_t to `info`, which outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, tid.unsigned_abs(), &raw mut info, flags) };
    if result != 0 {
        return match Errno::last() {
            Errno::EINTR => Stop::NotYet,
            _ => Stop::Ended,
        };
    }
    // SAFETY: waitid fills these fields; with nothing to report they stay 0.
    let (found, status) = unsafe { (info.si_pid(), info.si_status()) };
    if found == 0 {
        return Stop::NotYet;
    }
    Stop::Stopped {
        signal: status & 0xff,
        event: (status >> 8) & 0xff,
    }
}

/// Whether a killed thread has not got to its end yet; if it has, its end is taken note of.
fn is_yet_to_end(tid: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`, which outlives the call.
    let result = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
    result == 0
}
