//! Holding a process still while it is read, without a signal reaching it.
//!
//! Every thread is seized and interrupted (PTRACE_SEIZE, PTRACE_INTERRUPT), then all are waited for,
//! then let go when the [`Hold`] is dropped. Interrupted system calls go on as if nothing had been,
//! but for the few that the kernel ends with EINTR on any stop (epoll_wait and its like), which
//! every caller must expect. If unknot is killed, the kernel lets the threads go.
//!
//! Threads that a [`Watch`] sees asleep need not be stopped at all: [`Hold::take_awake`] stops the others, and
//! [`Hold::stop_woken`] tells after the reading whether those slept on. A thread asleep in a call that a stop would
//! end half-way, a write above all, is never stopped where there is a watch: a program that does not expect that of
//! its write would lose what it had still to write.
//!
//! While a process is held, nothing else in unknot may wait for it as its parent.

mod ptrace;

use crate::arch::Registers;
use crate::permission::{self, Denial};
use crate::proc::{self, ProcError, Stat, read_file};
use crate::watch::Watch;
use nix::errno::Errno;
use nix::libc;
pub(crate) use ptrace::registers;
use ptrace::{Stop, interrupt, is_yet_to_end, request, stop_of};
use std::cell::RefCell;
use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long threads may take to stop, unless the caller says otherwise.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// A thread that sleeps uninterruptibly is given up after this time.
const UNINTERRUPTIBLE_LIMIT: Duration = Duration::from_millis(100);
/// For so long the tracer asks for one thread without giving up its CPU: one that runs on another CPU stops by then.
const SPIN_FOR: Duration = Duration::from_micros(20);
/// For so long the tracer of several threads only yields its CPU between its questions, which is quickest.
const YIELD_FOR: Duration = Duration::from_millis(3);
/// Then, for so long, it sleeps a moment only. Whoever yields a CPU may get it back only when others have used up
/// their turn, and whoever has slept gets it at once: a thread must not stand still for so long.
const DOZE_UNTIL: Duration = Duration::from_millis(20);
const DOZE_FOR: Duration = Duration::from_micros(20);
/// Later it sleeps so long between them.
const SLEEP_FOR: Duration = Duration::from_micros(200);
/// Most times that the list of threads is read again.
const ROUNDS_MAX: u32 = 1000;
/// Most threads held.
const THREADS_MAX: usize = 1 << 16;
/// `PTRACE_EVENT_STOP`, in the second byte of a stop's status.
const EVENT_STOP: i32 = 128;
/// `CLOCK` of PTRACE_GETREGSET for the general registers.
pub(crate) const NT_PRSTATUS: usize = 1;

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

/// A process whose threads stand still, all or those that were awake, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    pid: u32,
    /// How long threads may take to stop.
    limit: Duration,
    /// In the order of their ids.
    stopped: Vec<HeldThread>,
    /// Seized, and not yet seen to stop.
    pending: Vec<libc::pid_t>,
    /// Seized, and killed since.
    ended: Vec<libc::pid_t>,
    /// Whether the first thread has ended before the others: it stays listed until they all have.
    leader_ended: bool,
    began: Instant,
    /// The kernel ties tracing to one thread of the tracer: this must stay in it.
    _not_send: PhantomData<*const ()>,
}

impl Hold {
    /// Stops every thread of process `pid`, within a second.
    pub fn take(pid: u32) -> Result<Hold, HoldError> {
        Hold::take_within(pid, STOP_LIMIT)
    }

    /// Stops every thread of process `pid`. An error lets go of those stopped by then; a thread that
    /// does not even stop for that (in state D) is let go when unknot's own thread ends.
    pub fn take_within(pid: u32, limit: Duration) -> Result<Hold, HoldError> {
        let mut hold = Hold::new(pid, limit);
        hold.stop_all(None)?;
        hold.with_threads()
    }

    /// Stops those threads of the process that `watch` does not see asleep. What is read then is of one moment if
    /// [`Hold::stop_woken`] finds afterwards that the others slept on.
    pub fn take_awake(pid: u32, watch: &mut Watch) -> Result<Hold, HoldError> {
        let mut hold = Hold::new(pid, STOP_LIMIT);
        hold.stop_woken(watch)?;
        if watch.asleep() > 0 {
            return Ok(hold);
        }
        hold.with_threads()
    }

    /// Stops those threads too that were asleep when `watch` last looked and have run since, and those made
    /// meanwhile. Whether there were any: then what was read before this call may be of several moments.
    pub fn stop_woken(&mut self, watch: &mut Watch) -> Result<bool, HoldError> {
        let woken = watch.woken(|tid| self.has(tid));
        let mut any = !woken.is_empty();
        self.stop(woken, Some(watch))?;
        for _ in 0..ROUNDS_MAX {
            let still = self.stopped.len() + watch.asleep();
            let known = still + self.ended.len() + usize::from(self.leader_ended);
            if watch.thread_count().ok_or(HoldError::Gone(self.pid))? == known {
                return Ok(any);
            }
            let mut new = self.unknown()?;
            new.retain(|&tid| !watch.is_asleep(tid));
            if new.is_empty() {
                // Some of those that were asleep have ended since they were asked.
                new = watch.woken(|tid| self.has(tid));
            }
            if new.is_empty() {
                return Ok(any);
            }
            self.stop(new, Some(watch))?;
            any = true;
        }
        Err(self.stuck(0))
    }

    /// Stops all threads that it does not hold yet, but for those that `watch` spares. Whether there were any.
    pub fn stop_all(&mut self, mut watch: Option<&mut Watch>) -> Result<bool, HoldError> {
        let path = PathBuf::from(format!("/proc/{}/task", self.pid));
        let directory = File::open(&path)
            .map_err(|error| HoldError::from(ProcError::new(self.pid, &path, error)))?;
        let (mut any, mut nothing_new) = (false, 0);
        for _ in 0..ROUNDS_MAX {
            let new = self.unknown()?;
            let count = new.len();
            let (stopped, spared) = self.stop(new, watch.as_deref_mut())?;
            any |= stopped > 0;
            nothing_new = if count == spared { nothing_new + 1 } else { 0 };
            // The kernel counts a process's threads as links of this directory: when there are as
            // many as stand still, none can have been made meanwhile.
            let threads = directory.metadata().map_or(0, |metadata| metadata.nlink());
            let known = self.stopped.len() + spared + usize::from(self.leader_ended);
            if threads == known as u64 + 2 || nothing_new >= 3 {
                return Ok(any);
            }
        }
        Err(self.stuck(0))
    }

    fn new(pid: u32, limit: Duration) -> Hold {
        let_go_late();
        Hold {
            pid,
            limit,
            stopped: Vec::new(),
            pending: Vec::new(),
            ended: Vec::new(),
            leader_ended: false,
            began: Instant::now(),
            _not_send: PhantomData,
        }
    }

    /// The threads that it neither holds nor knows to have ended.
    fn unknown(&self) -> Result<Vec<u32>, HoldError> {
        let known = |&tid: &u32| {
            let ended = self.ended.contains(&tid.cast_signed());
            self.has(tid) || ended || (self.leader_ended && tid == self.pid)
        };
        let listed = proc::thread_ids(self.pid)?.into_iter();
        Ok(listed.filter(|tid| !known(tid)).take(THREADS_MAX).collect())
    }

    /// Stops these threads, but for those that `watch` spares; how many were stopped, and how many spared.
    fn stop(
        &mut self,
        mut tids: Vec<u32>,
        watch: Option<&mut Watch>,
    ) -> Result<(usize, usize), HoldError> {
        let before = tids.len();
        if let Some(watch) = watch {
            tids.retain(|&tid| !watch.spare(tid));
        }
        let spared = before - tids.len();
        let first = self.stopped.is_empty();
        let mut new = Vec::with_capacity(tids.len());
        for tid in tids {
            new.extend(self.seize(tid)?);
        }
        if first {
            self.began = Instant::now();
        }
        for &tid in &new {
            interrupt(tid);
        }
        self.wait_for_stops()?;
        self.stopped.sort_unstable_by_key(|thread| thread.tid);
        Ok((new.len(), spared))
    }

    /// Whether it holds this thread.
    fn has(&self, tid: u32) -> bool {
        self.stopped
            .binary_search_by_key(&tid, |thread| thread.tid)
            .is_ok()
    }

    /// Stops one thread of process `pid`, and lets the others run. For threads that run: one that sleeps may be in a
    /// call that a stop would end half-way.
    pub fn take_thread(pid: u32, tid: u32, limit: Duration) -> Result<Hold, HoldError> {
        let mut hold = Hold::new(pid, limit);
        hold.stop(vec![tid], None)?;
        hold.with_threads()
    }

    /// Itself, unless all its threads have ended.
    fn with_threads(self) -> Result<Hold, HoldError> {
        match (self.stopped.is_empty(), self.leader_ended) {
            (false, _) => Ok(self),
            (true, true) => Err(HoldError::Zombie(self.pid)),
            (true, false) => Err(HoldError::Gone(self.pid)),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The threads that it holds, in the order of their ids.
    pub fn threads(&self) -> &[HeldThread] {
        &self.stopped
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

    /// Seizes a thread without stopping it yet; `None`: it has ended.
    fn seize(&mut self, id: u32) -> Result<Option<libc::pid_t>, HoldError> {
        let Ok(tid) = libc::pid_t::try_from(id) else {
            return Ok(None);
        };
        match request(libc::PTRACE_SEIZE, tid, 0, 0) {
            Ok(()) => {
                self.pending.push(tid);
                Ok(Some(tid))
            }
            Err(Errno::ESRCH) => Ok(None),
            Err(Errno::EPERM) if self.has_ended(id) => {
                self.leader_ended |= id == self.pid;
                Ok(None)
            }
            Err(Errno::EPERM) => Err(HoldError::Denied(permission::explain(self.pid))),
            Err(errno) => Err(HoldError::Failed {
                pid: self.pid,
                error: errno.into(),
            }),
        }
    }

    fn has_ended(&self, tid: u32) -> bool {
        matches!(thread_state(self.pid, tid), None | Some('Z' | 'X'))
    }

    /// Waits until all pending threads have stopped or ended.
    fn wait_for_stops(&mut self) -> Result<(), HoldError> {
        let began = Instant::now();
        let alone = self.stopped.is_empty() && self.pending.len() == 1;
        while !self.pending.is_empty() {
            let before = self.pending.len();
            let asked = Instant::now();
            let none_stopped = self.stopped.is_empty();
            self.collect_stops();
            if self.pending.len() < before {
                continue;
            }
            if none_stopped {
                // The time that passes until the first thread gets a CPU, on which it stops, is not time held.
                self.began = asked;
            }
            let waited = began.elapsed();
            match (alone, waited) {
                (true, waited) if waited < SPIN_FOR => {
                    std::hint::spin_loop();
                    continue;
                }
                (true, waited) if waited < DOZE_UNTIL => {
                    std::thread::sleep(DOZE_FOR);
                    continue;
                }
                (false, waited) if waited < YIELD_FOR => {
                    std::thread::yield_now();
                    continue;
                }
                _ => {}
            }
            if waited >= self.limit
                || (waited >= UNINTERRUPTIBLE_LIMIT && self.any_uninterruptible())
            {
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
            if self.ended.is_empty() {
                return;
            }
            if began.elapsed() > UNINTERRUPTIBLE_LIMIT {
                LATE.with_borrow_mut(|late| late.append(&mut self.ended));
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
        LATE.with_borrow_mut(|late| late.append(&mut self.pending));
    }
}

thread_local! {
    /// Threads that were seized and told to stop, and had not done so when they were given up: each would stand still
    /// from the moment when it does. Only this thread of unknot's can let them go.
    static LATE: RefCell<Vec<libc::pid_t>> = const { RefCell::new(Vec::new()) };
}

/// Lets go of threads that have stopped only after a hold had given them up. Whoever holds processes again and again
/// asks for this in between; taking a hold does so by itself. Costs nothing where there are none.
pub fn let_go_late() {
    LATE.with_borrow_mut(|late| {
        late.retain(|&tid| match stop_of(tid) {
            Stop::NotYet => true,
            Stop::Ended => false,
            Stop::Stopped { signal, event } => {
                let signal = if event == 0 { signal } else { 0 };
                let _ = request(libc::PTRACE_DETACH, tid, 0, signal.unsigned_abs() as usize);
                false
            }
        });
    });
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
