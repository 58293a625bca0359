//! One thread that is recorded.

use cpython::sweep::{CodeTable, SweptThread};
use process::gauge::{Gauge, Ran};
use profile::{Builder, FrameId, StackId, State, StringId, TotalId, Track, TrackId};
use std::collections::HashMap;

use crate::natives::NativeStack;
use crate::places::Places;
use crate::tasks::{Ground, Tasks};
use crate::{Grain, Options};

/// So often a thread's name is looked for in quick succession: those of other origin than `threading` have none.
const SEEK_MAX: u32 = 20;

/// What a sample was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    label: Option<StringId>,
    stack: Option<StackId>,
    top: Option<FrameId>,
    state: State,
}

/// What is known of a thread from sweep to sweep.
#[derive(Debug)]
pub(crate) struct Thread {
    /// Its kernel id in unknot's numbering; 0 while it is not known.
    pub tid: u32,
    /// How often its name was looked for.
    pub sought: u32,
    pub track: TrackId,
    /// Whether its name is known from `threading`.
    pub named: bool,
    pub gauge: Option<Gauge>,
    pub ran: Ran,
    /// When the kernel was asked about it, in nanoseconds since the recording began.
    pub asked_ns: u64,
    /// The kernel's letter.
    pub letter: char,
    /// Whether it sleeps on its interpreter's GIL.
    pub wants_gil: bool,
    /// CPU time used and not yet put to a sample.
    pub cpu_due_ns: u64,
    /// What it waits for, as a frame, found out when it had run as often as is noted.
    pub wait: Option<(u64, Option<FrameId>)>,
    /// Whether it then had nothing to do.
    pub idle: bool,
    /// Whether it was read since it came to rest.
    pub read_at_rest: bool,
    /// Its stack with native frames.
    pub native: NativeStack,
    /// The task whose step it runs.
    pub ground: Option<Ground>,
    /// The stack of each of its entries, cut ones as their caller.
    stacks: Vec<Option<StackId>>,
    /// The total of the last sample, and what it was of.
    last: Option<(Last, TotalId)>,
}

/// The threads of a process: how it numbers them itself, and unknot's number.
pub(crate) fn kernel_ids(pid: u32) -> HashMap<u32, u32> {
    let inside = process::ProcStatus::read(pid).is_ok_and(|status| status.ns_pids.len() > 1);
    if inside {
        return process::children::threads_inside(pid).unwrap_or_default();
    }
    let ids = process::proc::thread_ids(pid).unwrap_or_default();
    ids.into_iter().map(|id| (id, id)).collect()
}

impl Thread {
    pub fn new(tid: u32, track: TrackId, gauge: Option<Gauge>) -> Thread {
        let ran = gauge.as_ref().and_then(Gauge::ran).unwrap_or_default();
        Thread {
            tid,
            sought: 0,
            track,
            named: false,
            gauge,
            ran,
            asked_ns: 0,
            letter: '?',
            wants_gil: false,
            cpu_due_ns: 0,
            wait: None,
            idle: false,
            read_at_rest: false,
            native: NativeStack::default(),
            ground: None,
            stacks: Vec::new(),
            last: None,
        }
    }

    /// The same thread, of which more may be known now than when it was first seen.
    pub fn known_as(self, pid: u32, track: Track, builder: &mut Builder) -> Thread {
        if track.tid == 0 {
            return self;
        }
        let tid = track.tid;
        builder.identify(self.track, track);
        Thread::new(tid, self.track, Gauge::open(pid, tid))
    }

    /// Whether it is worth while to find out soon who it is.
    pub fn is_sought(&self) -> bool {
        (self.tid == 0 || !self.named) && self.sought < SEEK_MAX
    }

    /// Asks the kernel what it does. Whether it has run since it was asked before, or may have.
    pub fn ask(&mut self, is_gil: impl Fn(u64) -> bool) -> bool {
        let Some(gauge) = &self.gauge else {
            return true;
        };
        let Some(ran) = gauge.ran() else {
            self.gauge = None;
            return true;
        };
        if self.is_asleep() && ran == self.ran {
            return false;
        }
        self.cpu_due_ns += ran.cpu_ns.saturating_sub(self.ran.cpu_ns);
        self.ran = ran;
        self.letter = gauge.state().unwrap_or('?');
        self.wants_gil = self.letter == 'S' && gauge.futex().is_some_and(is_gil);
        self.read_at_rest = false;
        true
    }

    /// Whether it has not run since [`Thread::ask`] found it asleep.
    pub fn still_asleep(&self) -> bool {
        self.is_asleep()
            && self
                .gauge
                .as_ref()
                .and_then(Gauge::ran)
                .is_some_and(|ran| ran == self.ran)
    }

    /// Whether it was found asleep.
    pub fn is_asleep(&self) -> bool {
        matches!(self.letter, 'S' | 'D' | 'T' | 't')
    }

    /// On a CPU, or ready for one.
    pub fn on_cpu(&self) -> bool {
        matches!(self.letter, 'R' | '?')
    }

    /// Whether it is stopped whenever it is read.
    pub fn is_held_for(&self, options: &Options) -> bool {
        options.native && !options.pause_max.is_zero() && self.tid != 0 && !self.is_asleep()
    }

    /// Brings its stack up to date with what a sweep has read.
    pub fn follow(
        &mut self,
        swept: &SweptThread,
        codes: &CodeTable,
        tasks: &mut Tasks,
        places: &mut Places,
        grain: Grain,
        builder: &mut Builder,
    ) {
        self.stacks.truncate(swept.unchanged());
        let step = swept.step();
        let ground = step.and_then(|step| tasks.ground(step, codes, builder));
        if ground != self.ground {
            let first = |ground: &Option<Ground>| ground.map_or(usize::MAX, |g| g.index);
            self.stacks
                .truncate(first(&ground).min(first(&self.ground)));
            self.ground = ground;
        }
        for entry in swept.entries().iter().skip(self.stacks.len()) {
            let caller = match self.ground {
                Some(ground) if ground.index == self.stacks.len() => ground.base,
                _ => self.stack(),
            };
            let stack = match places.frame(entry, codes, grain, builder) {
                None => caller,
                Some(frame) => builder.stack(caller, frame).or_else(|| {
                    builder.about().truncated += 1;
                    caller
                }),
            };
            self.stacks.push(stack);
        }
    }

    /// Its whole stack.
    pub fn stack(&self) -> Option<StackId> {
        self.stacks.last().copied().flatten()
    }

    /// The total that a sample belongs to.
    pub fn total(
        &mut self,
        top: Option<FrameId>,
        state: State,
        tasks: &mut Tasks,
        builder: &mut Builder,
    ) -> TotalId {
        let stack = self.native.stack.or_else(|| self.stack());
        let now = Last {
            label: self.ground.map(|ground| ground.label),
            stack,
            top,
            state,
        };
        if let Some((last, total)) = self.last
            && last == now
        {
            return total;
        }
        let with_top = match top {
            Some(frame) => builder.stack(stack, frame).or(stack),
            None => stack,
        };
        let track = match self.ground {
            Some(ground) => tasks.track(ground.label, self.tid, self.track, builder),
            None => self.track,
        };
        let total = builder.total(track, with_top, state);
        self.last = Some((now, total));
        total
    }
}
