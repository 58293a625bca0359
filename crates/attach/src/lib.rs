//! The doors into a live interpreter: making a running CPython execute a script, from outside.
//!
//! [`enter`] goes through the first of these doors that opens, within a time that the caller gives:
//!
//! 1. [`Door::RemoteDebugger`] (3.14+): PEP 768, by hand. The script's path and a flag go into a thread's own state.
//! 2. [`Door::PendingCall`]: a call of `PyRun_SimpleString` goes into the interpreter's ring of pending calls: the way
//!    of versions before 3.14, and of a main thread that waits for a lock in any version.
//! 3. [`Door::BorrowedThread`]: a thread that sleeps in a system call makes that call itself, as a signal handler would
//!    be run, and sleeps on. For threads that never look: in a call of a C library, or before 3.14 in any call but a
//!    lock's.
//! 4. [`Door::LoadedLibrary`]: such a thread loads a library, which does the rest in a thread of its own. Where the GIL
//!    is never let go of.
//!
//! A thread that sleeps looks at nothing. Through the first two doors it is woken: its system call ends with EINTR,
//! which is only done where the C function that made it is CPython's own, of those that call again (PEP 475).
//!
//! # The law
//! - No machine code of ours runs in a thread of the target's; what is called are functions of the interpreter and of
//!   libc. Only a library that the caller gives has code of its own.
//! - All writes are made while the threads stand still, and each leaves the target whole: unknot may be killed between
//!   any two of them. What it wrote and was not taken is taken back before [`enter`] returns; what needed memory is
//!   given back, zeroed.
//! - What stands in the target is checked before it is changed: indices and locks of the ring, the zeroes of memory
//!   that belongs to nothing, the flag of another debugger. In doubt the door stays shut.
//! - A system call that would be ended half-way, a write above all, is neither stopped nor interrupted.
//! - The script runs once: what one way has not taken is taken back before another one is tried.
//! - Who forbids remote debugging is respected, by the interpreter's own configuration.
//!
//! The program notices: code that runs in one of its threads, between two of its instructions, with no exception set;
//! a trace function of its own sees that code; `epoll_wait` and its like may return to their caller early, as after
//! any stop, and CPython calls them again.
//!
//! Absent: what the script does, how it reports, which library it is: callers know. No version of CPython is asked for;
//! `cpython::layout` tells what a version has.

mod doors;
mod error;
mod remote;
mod ring;
mod script;
mod target;
mod threads;
mod ways;

pub use error::{DisabledBy, EnterError, Tried};

use doors::{Load, Placed};
use process::{Hold, ReadError, Watch};
use snapshot::Address;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
use target::Target;
use threads::Scene;
use ways::{Means, Step, Way};

/// For so long a way is given a try before another one is, where there is another one.
const PATIENCE: Duration = Duration::from_millis(60);
/// The first pause between two looks at the threads; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(8);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Pause between two questions whether the script has run.
const POLL: Duration = Duration::from_micros(200);

/// How a process was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// PEP 768 (3.14+).
    RemoteDebugger,
    /// A pending call.
    PendingCall,
    /// A call made by a thread that was asleep.
    BorrowedThread,
    /// A library, loaded by a thread that was asleep.
    LoadedLibrary,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Door::RemoteDebugger => "by remote debugging (PEP 768)",
            Door::PendingCall => "by a pending call",
            Door::BorrowedThread => "by a call from a sleeping thread",
            Door::LoadedLibrary => "by loading a library",
        })
    }
}

/// How to enter.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// For how long to try, all in all.
    pub limit: Duration,
    /// The thread that is to execute the script, in unknot's numbering. `None`: the main thread by preference, else any
    /// of the main interpreter's.
    pub tid: Option<u32>,
    /// Whether sleeping threads may be woken, or borrowed.
    pub kick: bool,
    /// A library for the last door, as the target sees it; what it does when it is loaded makes `arrived` true.
    pub library: Option<&'a Path>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            limit: Duration::from_secs(5),
            tid: None,
            kick: true,
            library: None,
        }
    }
}

/// A process that was entered.
#[derive(Debug, Clone, Copy)]
pub struct Entered {
    /// The door.
    pub door: Door,
    /// The thread that executed the script; `None` where any of several may have.
    pub tid: Option<u32>,
    /// Whether a sleeping thread was woken, or borrowed.
    pub woken: bool,
    /// How long it took until the script reported.
    pub took: Duration,
}

/// Makes process `pid` execute the file `script`, a path as the target sees it. `arrived` tells whether it has, by a
/// channel of the caller's own; it is asked often, and must be quick.
///
/// # Errors
/// [`EnterError`] says what stood in the way and what to do about it.
pub fn enter(
    pid: u32,
    script: &Path,
    arrived: &mut dyn FnMut() -> bool,
    options: Options<'_>,
) -> Result<Entered, EnterError> {
    let began = Instant::now();
    if script::text(script).is_none() {
        return Err(EnterError::Path(script.to_owned()));
    }
    let target = Target::open(pid)?;
    may_be_entered(&target)?;
    let mut entry = Entry {
        load: Load {
            script,
            library: options.library,
        },
        means: means(&target, options),
        options,
        target,
        placed: None,
        worn_out: Vec::new(),
        tried: Vec::new(),
        main: None,
        shown: Vec::new(),
        hindrance: None,
    };
    let mut pause = PAUSE_MIN;
    loop {
        let round = Instant::now();
        entry.round()?;
        // At once where the thread has still to be waited for, later and later where it keeps us waiting.
        while round.elapsed() < pause && began.elapsed() < options.limit {
            if arrived() {
                return entry.arrived(began);
            }
            std::thread::sleep(POLL);
        }
        pause = (pause * 2).min(PAUSE_MAX);
        if arrived() {
            return entry.arrived(began);
        }
        if began.elapsed() >= options.limit {
            return entry.given_up(arrived, began);
        }
    }
}

/// What was written, and waits.
struct Waiting {
    step: Step,
    placed: Placed,
    since: Instant,
    woken: bool,
    taken: bool,
}

struct Entry<'a> {
    target: Target,
    options: Options<'a>,
    load: Load<'a>,
    means: Means,
    placed: Option<Waiting>,
    /// Ways that were given their time, in vain.
    worn_out: Vec<Way>,
    /// What stood in the way, as of the last look.
    tried: Vec<Tried>,
    /// The main thread.
    main: Option<u32>,
    /// Where each thread was, for people.
    shown: Vec<(u32, String)>,
    /// Why the last look saw nothing.
    hindrance: Option<EnterError>,
}

impl Entry<'_> {
    /// Looks at the threads, all of which stand still meanwhile, and goes the best way.
    fn round(&mut self) -> Result<(), EnterError> {
        let pid = self.target.pid;
        if let Some(waiting) = &mut self.placed {
            if !waiting.taken {
                waiting.taken = match doors::is_taken(&self.target, &waiting.placed) {
                    Err(ReadError::Gone) => return Err(EnterError::Ended(pid)),
                    // It changes under the reading: the next look tells.
                    Err(_) => false,
                    Ok(taken) => taken,
                };
            }
            if waiting.taken {
                return if has_ended(pid) {
                    Err(EnterError::Ended(pid))
                } else {
                    Ok(())
                };
            }
        }
        if is_stopped(pid) {
            if self.placed.is_some()
                && let Ok(hold) = self.hold()
            {
                self.take_back(&hold);
            }
            return Err(EnterError::Stopped(pid));
        }
        let (hold, scene) = match self.look() {
            Ok(found) => found,
            // Perhaps the next time: a thread may be in a call that no stop ends, a list just being changed.
            Err(error @ (EnterError::NotHeld { .. } | EnterError::Memory { .. })) => {
                self.hindrance = Some(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.hindrance = None;
        let main = scene.threads.iter().find(|thread| thread.main);
        self.main = main.map(|thread| thread.tid);
        self.shown = (scene.threads.iter())
            .filter_map(|thread| Some((thread.tid, thread.shown.clone()?)))
            .collect();
        let (mut steps, tried) = ways::ways(&scene, self.means);
        self.tried = tried;
        self.wear_out(&steps);
        steps.sort_by_key(|step| self.worn_out.iter().filter(|way| **way == step.way).count());
        for step in steps {
            match self.go(&hold, &scene, step) {
                Ok(()) => return Ok(()),
                Err(error) => self.note(step, &error),
            }
        }
        Ok(())
    }

    /// All threads, standing still.
    fn look(&self) -> Result<(Hold, Scene), EnterError> {
        let pid = self.target.pid;
        let of_hold = |error| EnterError::of_hold(pid, error);
        let mut watch = Watch::open(pid)?;
        let mut hold = Hold::take_awake(pid, &mut watch).map_err(of_hold)?;
        loop {
            let scene = threads::look(&self.target, &hold);
            // Those asleep in a write were not stopped; one that is no longer may have changed what was read.
            if !hold.stop_woken(&mut watch).map_err(of_hold)? {
                let scene = scene.map_err(|error| EnterError::of_read(pid, error))?;
                return Ok((hold, scene));
            }
        }
    }

    fn hold(&self) -> Result<Hold, EnterError> {
        let pid = self.target.pid;
        let mut watch = Watch::open(pid)?;
        Hold::take_awake(pid, &mut watch).map_err(|error| EnterError::of_hold(pid, error))
    }

    /// The way that was gone has had its time, if there is another one.
    fn wear_out(&mut self, steps: &[Step]) {
        let Some(waiting) = &mut self.placed else {
            return;
        };
        let way = waiting.step.way;
        if waiting.since.elapsed() > PATIENCE && steps.iter().any(|step| step.way != way) {
            self.worn_out.push(way);
            waiting.since = Instant::now();
        }
    }

    fn go(&mut self, hold: &Hold, scene: &Scene, step: Step) -> Result<(), error::Shut> {
        match &mut self.placed {
            Some(waiting) if waiting.step.way == step.way => {
                doors::remind(&self.target, hold, scene, &waiting.placed)?;
                waiting.step = step;
            }
            _ => {
                self.take_back(hold);
                if self.placed.is_some() {
                    // It was just taken after all, or cannot be taken back: no second one beside it.
                    return Ok(());
                }
                let placed = doors::place(&self.target, hold, scene, step.way, &self.load)?;
                self.placed = Some(Waiting {
                    step,
                    placed,
                    since: Instant::now(),
                    woken: matches!(step.way, Way::Errand(_) | Way::Library(_)),
                    taken: false,
                });
            }
        }
        if let Some(tid) = step.wake
            && let Some(waiting) = &mut self.placed
        {
            waiting.woken |= hold.end_call(tid)?;
        }
        Ok(())
    }

    /// Takes back what was not taken.
    fn take_back(&mut self, hold: &Hold) {
        let Some(waiting) = &mut self.placed else {
            return;
        };
        match doors::is_taken(&self.target, &waiting.placed) {
            Ok(false) if doors::clear(&self.target, hold, &waiting.placed).is_ok() => {
                self.placed = None;
            }
            Ok(true) => waiting.taken = true,
            _ => {}
        }
    }

    fn note(&mut self, step: Step, error: &error::Shut) {
        let tried = self.tried_way(step.way, error.to_string());
        self.tried.push(tried);
    }

    /// The thread that a way leads into.
    fn thread_of(&self, way: Way) -> Option<u32> {
        match way {
            Way::Mailbox(tid) | Way::Errand(tid) | Way::Library(tid) => Some(tid),
            Way::MainCall => self.main,
            Way::AnyCall => None,
        }
    }

    fn tried_way(&self, way: Way, why: String) -> Tried {
        let tid = self.thread_of(way);
        let place = self.shown.iter().find(|(shown, _)| Some(*shown) == tid);
        Tried {
            door: way.door(),
            tid,
            place: place.map(|(_, place)| place.clone()),
            why,
        }
    }

    fn arrived(mut self, began: Instant) -> Result<Entered, EnterError> {
        let took = began.elapsed();
        let Some(waiting) = self.placed.take() else {
            return Err(self.no_way());
        };
        if let Placed::Call { lent, .. } = waiting.placed
            && lent > 0
            && let Ok(hold) = self.hold()
        {
            // It may have ended since: then nothing is to be given back.
            let _ = doors::clear(&self.target, &hold, &waiting.placed);
        }
        Ok(Entered {
            door: waiting.step.way.door(),
            tid: self.thread_of(waiting.step.way),
            woken: waiting.woken,
            took,
        })
    }

    /// The time is over.
    fn given_up(
        mut self,
        arrived: &mut dyn FnMut() -> bool,
        began: Instant,
    ) -> Result<Entered, EnterError> {
        let waiting = self.placed.as_ref().map(|waiting| waiting.step.way);
        let stopped = is_stopped(self.target.pid);
        let hold = self.hold()?;
        self.take_back(&hold);
        drop(hold);
        if stopped {
            return Err(EnterError::Stopped(self.target.pid));
        }
        if arrived() {
            return self.arrived(began);
        }
        if let Some(waiting) = &self.placed {
            return Err(EnterError::Silent {
                pid: self.target.pid,
                door: waiting.step.way.door(),
                limit: self.options.limit,
            });
        }
        if let Some(error) = self.hindrance.take() {
            return Err(error);
        }
        if let Some(way) = waiting {
            let why =
                "it did not look: it may be in C code that takes long and keeps the interpreter";
            let tried = self.tried_way(way, why.to_owned());
            self.tried.push(tried);
        }
        Err(self.no_way())
    }

    fn no_way(&self) -> EnterError {
        EnterError::NoWay {
            pid: self.target.pid,
            limit: self.options.limit,
            tried: self.tried.clone(),
        }
    }
}

fn means(target: &Target, options: Options<'_>) -> Means {
    let layout = &target.runtime.layout;
    Means {
        mailbox: layout.thread_state.remote_debugger_support.exists()
            && layout.remote_debugger.debugger_pending_call.exists(),
        any_ring: layout.runtime.pending.exists() && layout.interpreter.pending.exists(),
        errand: target.run_string.is_some() && target.gil_state.is_some(),
        library: options.library.is_some(),
        kick: options.kick,
        only: options.tid,
    }
}

/// Whether nobody forbids it.
fn may_be_entered(target: &Target) -> Result<(), EnterError> {
    let pid = target.pid;
    let reader = target.runtime.reader(&target.memory);
    let runtime = target.runtime.address;
    let finalizing = reader.get(runtime, reader.layout.runtime.finalizing);
    if finalizing.is_ok_and(|thread: Address| !thread.is_null()) {
        return Err(EnterError::Finalizing(pid));
    }
    let of_read = |error| EnterError::of_read(pid, error);
    let head: Address = reader
        .get(runtime, reader.layout.runtime.interpreters_main)
        .or_else(|_| reader.get(runtime, reader.layout.runtime.interpreters_head))
        .map_err(of_read)?;
    let disabled = |by| Err(EnterError::Disabled { pid, by });
    match reader.get(head, reader.layout.interpreter.remote_debug) {
        Ok(0) => disabled(DisabledBy::Configuration),
        Ok(_) => Ok(()),
        // Versions that do not have it do not read the variable either; it says what somebody wants all the same.
        Err(ReadError::Absent) if forbidden_by_environment(pid) => {
            disabled(DisabledBy::Environment)
        }
        Err(ReadError::Absent) => Ok(()),
        Err(error) => Err(of_read(error)),
    }
}

/// Whether a signal has stopped it: that stops all its threads.
fn is_stopped(pid: u32) -> bool {
    let reader = process::ThreadReader::open(pid).ok();
    let thread = reader.and_then(|mut reader| reader.read(pid, false));
    thread.is_some_and(|thread| thread.state == 'T')
}

fn has_ended(pid: u32) -> bool {
    let status = process::ProcStatus::read(pid);
    // The first thread may have ended before the others.
    let alone = process::proc::thread_ids(pid).map_or(true, |threads| threads.len() <= 1);
    status.map_or(true, |status| status.is_zombie()) && alone
}

fn forbidden_by_environment(pid: u32) -> bool {
    const VARIABLE: &[u8] = b"PYTHON_DISABLE_REMOTE_DEBUG=";
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable.len() > VARIABLE.len() && variable.starts_with(VARIABLE))
}
