//! The interpreter in a process that is recorded: whose stack is read, and what is believed.

use crate::Options;
use crate::explain::Explainer;
use crate::member::{Counts, Fate, Tick};
use crate::natives::Natives;
use crate::places::Places;
use crate::stop::Stops;
use crate::tasks::Tasks;
use crate::thread::{Thread, kernel_ids};
use cpython::runtime::Runtime;
use cpython::sweep::{InterpreterNow, Outcome, Sweeper, SweptThread};
use cpython::threads::{kernel_id, thread_names};
use look::Opened;
use process::gauge::Gauge;
use process::usage::CpuClock;
use process::{LiveMemory, ReadError};
use profile::{
    Builder, Frame, FrameId, FrameKind, Function, Metric, ProcessId, Sample, StackId, State, Track,
};
use rustc_hash::FxHashSet;
use snapshot::Address;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the list of threads, their names and the code objects are looked at anew.
const RENEW: Duration = Duration::from_millis(100);
/// How often they are while a thread is not known yet: it has just been created, and has no name so far.
const RENEW_UNKNOWN: Duration = Duration::from_millis(1);
/// A torn stack is read again so often before its thread is stopped.
pub(crate) const AGAIN_MAX: usize = 2;
/// With shorter intervals the kernel is asked about each thread only so often.
const ASK_EVERY: Duration = Duration::from_micros(900);
/// A thread whose name is not known.
const UNNAMED: &str = "?";
/// What stands for the collector at work, and for a wait for the GIL.
const GC_TEXT: &str = "garbage collection";
const GIL_TEXT: &str = "waits for the GIL";

/// Whether the kernel is asked about each thread in each sweep.
fn asks_always(options: &Options) -> bool {
    options.interval >= ASK_EVERY || options.native
}

/// The interpreter in a process, and what is known of its threads.
#[derive(Debug)]
pub(crate) struct Python {
    pub opened: Opened,
    pub sweeper: Sweeper,
    /// One for each of the sweeper's.
    pub threads: Vec<Thread>,
    pub places: Places,
    /// Once native frames were asked for.
    pub natives: Option<Natives>,
    explainer: Explainer,
    tasks: Tasks,
    /// Stacks that the program is known to have had.
    pub known: FxHashSet<(Option<StackId>, u32)>,
    pub stops: Stops,
    rest: Rest,
    renewed: Instant,
    gc_frame: Option<FrameId>,
    gil_frame: Option<FrameId>,
}

/// Whether the whole process rests.
#[derive(Debug, Default)]
struct Rest {
    clock: Option<CpuClock>,
    /// CPU time that it had used at the last sweep.
    used_ns: Option<u64>,
    /// Whether the last reading found every thread's stack as it was.
    all_calm: bool,
    /// When the kernel is next asked about a thread, in nanoseconds since the recording began.
    ask_at_ns: u64,
}

impl Python {
    /// Nothing is read yet.
    pub fn new(opened: Opened, sweeper: Sweeper) -> Python {
        let explainer = Explainer::new(opened.pid);
        let rest = Rest {
            clock: CpuClock::of(opened.pid),
            ..Rest::default()
        };
        Python {
            opened,
            sweeper,
            threads: Vec::new(),
            places: Places::default(),
            natives: None,
            explainer,
            tasks: Tasks::default(),
            known: FxHashSet::default(),
            stops: Stops::default(),
            rest,
            renewed: Instant::now(),
            gc_frame: None,
            gil_frame: None,
        }
    }

    /// Takes a sample of each thread.
    pub fn sweep(
        &mut self,
        process: ProcessId,
        tick: Tick,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> Fate {
        let stale = self.threads.is_empty() || self.sweeper.list_changed();
        let renew_after = match self.threads.iter().any(Thread::is_sought) {
            true => RENEW_UNKNOWN,
            false => RENEW,
        };
        if (stale || self.renewed.elapsed() >= renew_after) && self.renew(process, builder).is_err()
        {
            return Fate::Ended;
        }
        let rests = !asks_always(options) && self.rests(tick);
        let due = match rests {
            true => Vec::new(),
            false => self.ask(tick, options),
        };
        self.explain(process, tick, options, builder, counts);
        let Python {
            opened, sweeper, ..
        } = self;
        let threads = &self.threads;
        let held = |index: &&usize| threads.get(**index).is_some_and(|t| t.is_held_for(options));
        let now: Vec<usize> = due.iter().filter(|index| !held(index)).copied().collect();
        if !rests && sweeper.copy(opened.memory.memory(), &now).is_err() {
            return Fate::Ended;
        }
        let now: Vec<InterpreterNow> = sweeper.now().collect();
        let mut due = due.into_iter().peekable();
        for index in 0..self.threads.len() {
            let read = due.next_if_eq(&index).is_some();
            let swept = self.sweeper.threads().get(index);
            if !swept.is_some_and(SweptThread::has_begun) {
                continue;
            }
            let fine = match (read, options.native) {
                (false, _) => true,
                (true, false) => self.settle(index, options, builder, counts),
                (true, true) => self.settle_native(index, options, builder, counts),
            };
            if fine {
                self.add(index, tick, &now, options, builder);
            } else {
                counts.errors += 1;
            }
        }
        // What is still expected of them has proved true.
        self.rest.all_calm = self.sweeper.threads().iter().all(SweptThread::is_calm);
        Fate::Lives
    }

    /// Whether no thread's stack can have changed since the last sweep, which found all as they were: the process has
    /// used no CPU time, and nobody runs Python. A thread that has got a CPU a moment ago and gave the GIL back already
    /// is found when the kernel is asked about each.
    fn rests(&mut self, tick: Tick) -> bool {
        let used_ns = self.rest.clock.and_then(|clock| clock.used_ns());
        let before_ns = std::mem::replace(&mut self.rest.used_ns, used_ns);
        let asks = tick.at_ns >= self.rest.ask_at_ns;
        if used_ns.is_none() || used_ns != before_ns || asks || !self.rest.all_calm {
            return false;
        }
        self.sweeper.look(self.opened.memory.memory()).is_ok() && self.sweeper.nobody_runs()
    }

    /// Which threads are to be read: those that may have run since the last sweep. With long intervals the kernel is
    /// asked about each thread every time, and what has slept on is not read. With short ones it is asked about each
    /// only so often, and all are read.
    fn ask(&mut self, tick: Tick, options: &Options) -> Vec<usize> {
        let sweeper = &mut self.sweeper;
        let always = asks_always(options);
        let every_ns = u64::try_from(ASK_EVERY.as_nanos()).unwrap_or(0);
        let mut due = Vec::with_capacity(self.threads.len());
        self.rest.ask_at_ns = u64::MAX;
        for (index, thread) in self.threads.iter_mut().enumerate() {
            let asked = always || tick.at_ns >= thread.asked_ns.saturating_add(every_ns);
            let mut ran = true;
            if asked {
                thread.asked_ns = tick.at_ns;
                ran = thread.ask(|futex| sweeper.is_gil(futex));
            }
            let next_ns = thread.asked_ns.saturating_add(every_ns);
            self.rest.ask_at_ns = self.rest.ask_at_ns.min(next_ns);
            sweeper.expect_calm(index, thread.is_asleep() && (!asked || !ran));
            // A thread at rest is read once more: it may have gone on between the question and the reading.
            if !always || ran || !thread.read_at_rest {
                due.push(index);
            }
        }
        due
    }

    /// Reads who the threads are, and their names.
    fn renew(&mut self, process: ProcessId, builder: &mut Builder) -> Result<(), ReadError> {
        let Ok(runtime) = &self.opened.runtime else {
            return Err(ReadError::Gone);
        };
        self.renewed = Instant::now();
        let memory = self.opened.memory.memory();
        let mut old: HashMap<Address, (u64, Thread)> = HashMap::new();
        for (swept, thread) in self.sweeper.threads().iter().zip(self.threads.drain(..)) {
            old.insert(swept.state, (swept.ident, thread));
        }
        runtime.caches.begin_look();
        self.sweeper.recheck_codes();
        self.sweeper.refresh_list(runtime, memory)?;
        let pid = self.opened.pid;
        let reader = runtime.reader(memory);
        let mut ids: Option<HashMap<u32, u32>> = None;
        for swept in self.sweeper.threads() {
            let before = old.remove(&swept.state);
            // The same one, also where it had not begun before, or where the kernel's list missed it.
            let before = before.filter(|(ident, _)| *ident == swept.ident || *ident == 0);
            let thread = match before {
                Some((_, thread)) if thread.tid != 0 => thread,
                before => {
                    let ids = ids.get_or_insert_with(|| kernel_ids(pid));
                    let inside = swept
                        .native_id
                        .or_else(|| kernel_id(&reader, swept.ident, |id| ids.contains_key(&id)));
                    let tid = inside.and_then(|id| ids.get(&id).copied()).unwrap_or(0);
                    let name = if tid == pid { "MainThread" } else { UNNAMED };
                    let track = Track {
                        process,
                        tid,
                        thread: builder.string(name),
                        task: None,
                        main: tid == pid,
                    };
                    match before {
                        Some((_, before)) => before.known_as(pid, track, builder),
                        None => Thread::new(tid, builder.track(track), Gauge::open(pid, tid)),
                    }
                }
            };
            self.threads.push(thread);
        }
        self.name(builder);
        Ok(())
    }

    /// Finds the names of threads that have none yet.
    fn name(&mut self, builder: &mut Builder) {
        let Ok(runtime) = &self.opened.runtime else {
            return;
        };
        if self.threads.iter().all(|thread| thread.named) {
            return;
        }
        let reader = runtime.reader(self.opened.memory.memory());
        for interpreter in self.sweeper.interpreters() {
            let names = thread_names(&reader, interpreter);
            for (swept, thread) in self.sweeper.threads().iter().zip(&mut self.threads) {
                thread.sought = thread.sought.saturating_add(1);
                if let (false, Some(name)) = (thread.named, names.get(&swept.ident)) {
                    thread.named = true;
                    let name = builder.string(name);
                    builder.rename(thread.track, name);
                }
            }
        }
    }

    /// Every now and then, finds out what waiting threads wait for, and where the suspended tasks are.
    fn explain(
        &mut self,
        process: ProcessId,
        tick: Tick,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) {
        let unexplained = |thread: &Thread| {
            !thread.on_cpu()
                && !thread.wants_gil
                && thread.wait.is_none_or(|(runs, _)| runs != thread.ran.runs)
        };
        if !self.explainer.is_due() {
            return;
        }
        let wall = options.metric == Metric::Wall;
        let runs: u64 = self.threads.iter().map(|thread| thread.ran.runs).sum();
        let changed = self.tasks.may_have_changed(runs);
        let wanted = self.explainer.is_new()
            || self.tasks.wants_look()
            || wall && (self.threads.iter().any(unexplained) || changed && !self.tasks.is_empty());
        if wanted {
            let found = self.explainer.look().unwrap_or_default();
            let mut waits = self.explainer.waits(&found, builder);
            for thread in self.threads.iter_mut().filter(|t| unexplained(t)) {
                // Only what it waits for since before the look is what was seen.
                if thread.still_asleep() {
                    let explained = waits.remove(&thread.tid).unwrap_or_default();
                    thread.wait = Some((thread.ran.runs, explained.frame));
                    thread.idle = explained.idle;
                }
            }
            self.tasks.take(&found, &mut self.explainer, builder);
        } else {
            self.explainer.postpone();
        }
        if wall {
            let at_ns = tick.at_ns.saturating_add(tick.wall_ns);
            let (tasks, threads) = (&mut self.tasks, &self.threads);
            let thread_of = |tid: u32| {
                let thread = threads.iter().find(|thread| thread.tid == tid);
                thread.map(|thread| thread.track)
            };
            counts.errors += tasks.add(process, at_ns, runs, thread_of, builder);
        }
    }

    /// Takes over what was copied of a thread's stack; reads it again where it cannot be believed, and at the last
    /// stops the thread for that. `false`: its stack is not known.
    pub fn settle(
        &mut self,
        index: usize,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> bool {
        for again in 0..=AGAIN_MAX {
            if again > 0 && self.copy_one(index).is_err() {
                return false;
            }
            match self.resolve(index, options, builder) {
                Outcome::Read if self.is_believed(index) => return true,
                Outcome::Unreadable => return false,
                // A stack that is not known yet will not be known the next time either.
                Outcome::Read => break,
                Outcome::Torn => {}
            }
        }
        self.stop_and_read(index, options, builder, counts)
    }

    /// Whether the stack just read is one that the program has had.
    fn is_believed(&mut self, index: usize) -> bool {
        let Some(thread) = self.threads.get_mut(index) else {
            return false;
        };
        let key = way(thread, &self.sweeper, index);
        if self.known.contains(&key) {
            return true;
        }
        let at_rest = thread.still_asleep();
        if at_rest {
            self.known.insert(key);
        }
        at_rest
    }

    pub fn copy_one(&mut self, index: usize) -> Result<(), ReadError> {
        let memory = self.opened.memory.memory();
        self.sweeper.expect_calm(index, false);
        self.sweeper.copy(memory, &[index])
    }

    pub fn resolve(&mut self, index: usize, options: &Options, builder: &mut Builder) -> Outcome {
        let Ok(runtime) = &self.opened.runtime else {
            return Outcome::Unreadable;
        };
        let runtime: &Runtime = runtime;
        let memory: &LiveMemory = self.opened.memory.memory();
        let outcome = self.sweeper.resolve(runtime, memory, index);
        let (Some(swept), Some(thread)) = (
            self.sweeper.threads().get(index),
            self.threads.get_mut(index),
        ) else {
            return Outcome::Unreadable;
        };
        if outcome == Outcome::Read {
            thread.follow(
                swept,
                self.sweeper.codes(),
                &mut self.tasks,
                &mut self.places,
                options.grain,
                builder,
            );
            thread.read_at_rest = asks_always(options) && !thread.on_cpu() && thread.still_asleep();
        }
        outcome
    }

    /// Adds a thread's sample.
    fn add(
        &mut self,
        index: usize,
        tick: Tick,
        now: &[InterpreterNow],
        options: &Options,
        builder: &mut Builder,
    ) {
        let (Some(swept), Some(thread)) = (
            self.sweeper.threads().get(index),
            self.threads.get_mut(index),
        ) else {
            return;
        };
        let position = self
            .sweeper
            .interpreters()
            .position(|at| at == swept.interpreter);
        let now = position
            .and_then(|at| now.get(at))
            .copied()
            .unwrap_or_default();
        let has_gil = now.gil_holder == swept.state;
        let no_gil = now.gil_holder.is_null();
        let state = if thread.on_cpu() {
            if has_gil || no_gil {
                State::Running
            } else {
                State::Native
            }
        } else if thread.wants_gil {
            State::Gil
        } else if thread.idle && thread.wait.is_some_and(|(runs, _)| runs == thread.ran.runs) {
            State::Idle
        } else {
            State::Waiting
        };
        let wanted = match options.metric {
            Metric::Wall => state != State::Idle || options.idle,
            Metric::Cpu => thread.on_cpu(),
            Metric::Gil => has_gil || (no_gil && thread.on_cpu()),
        };
        if !wanted {
            return;
        }
        let top = if now.collecting && (has_gil || no_gil) && thread.on_cpu() {
            let frame = || special(GC_TEXT, FrameKind::Gc, builder);
            Some(*self.gc_frame.get_or_insert_with(frame))
        } else if state == State::Gil {
            let frame = || special(GIL_TEXT, FrameKind::Wait, builder);
            Some(*self.gil_frame.get_or_insert_with(frame))
        } else if matches!(state, State::Waiting | State::Idle) {
            let current = thread.wait.filter(|(runs, _)| *runs == thread.ran.runs);
            current.and_then(|(_, frame)| frame)
        } else {
            None
        };
        let cpu_ns = if thread.on_cpu() {
            std::mem::take(&mut thread.cpu_due_ns)
        } else {
            0
        };
        let total = thread.total(top, state, &mut self.tasks, builder);
        builder.add(Sample {
            total,
            at_ns: tick.at_ns,
            wall_ns: tick.wall_ns,
            cpu_ns,
        });
    }
}

/// A stack as far as it is told apart, and the function that runs, which has no frame of its own where a stack was cut.
pub(crate) fn way(thread: &Thread, sweeper: &Sweeper, index: usize) -> (Option<StackId>, u32) {
    let entries = sweeper.threads().get(index).map(|swept| swept.entries());
    let innermost = entries
        .unwrap_or_default()
        .iter()
        .rev()
        .find_map(|entry| entry.code);
    (thread.stack(), innermost.map_or(u32::MAX, |code| code.0))
}

/// A frame that is no function's.
pub(crate) fn special(text: &str, kind: FrameKind, builder: &mut Builder) -> FrameId {
    let name = builder.string(text);
    let function = builder.function(Function {
        name,
        file: 0,
        first_line: 0,
        kind,
    });
    builder.frame(Frame {
        function,
        line: 0,
        instruction: None,
    })
}
