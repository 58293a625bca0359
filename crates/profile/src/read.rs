//! What the readers of others' forms share.

use crate::collapsed::{process_of, thread_of};
use crate::{
    Builder, Format, Frame, FrameId, FrameKind, Function, Limits, Process, Profile, ReadError,
    Sample, StackId, State, Track, TrackId,
};
use std::collections::HashMap;

/// Frames that one file may name in its samples, all together: beyond that it is made to keep a reader busy.
const FRAMES_MAX: u64 = 1 << 28;

/// A weight on a stack.
pub struct Weighted {
    /// Who.
    pub track: TrackId,
    /// Where.
    pub stack: Option<StackId>,
    /// What it did.
    pub state: State,
    /// When, where the file has an order in time.
    pub at_ns: Option<u64>,
    /// How many samples; estimated from the times where the file does not say.
    pub samples: Option<u64>,
    /// Time that passed, in nanoseconds.
    pub wall_ns: u64,
    /// Time on a CPU, in nanoseconds.
    pub cpu_ns: u64,
}

/// Builds a profile out of a file's own tables.
pub struct Interner {
    /// What comes out.
    pub builder: Builder,
    format: Format,
    weights: Vec<Weighted>,
    frames_seen: u64,
    processes: HashMap<(u32, u32), u32>,
}

impl Interner {
    /// For a file in that form.
    pub fn new(format: Format) -> Interner {
        Interner {
            builder: Builder::new(Limits::default()),
            format,
            weights: Vec::new(),
            frames_seen: 0,
            processes: HashMap::new(),
        }
    }

    /// A frame of a kind that its name and place suggest.
    pub fn frame(&mut self, name: &str, file: &str, line: u32) -> FrameId {
        let kind = if file.is_empty() && name.starts_with("waits for ") {
            FrameKind::Wait
        } else if !file.is_empty() && line == 0 && !file.ends_with(".py") {
            FrameKind::Native
        } else {
            FrameKind::Python
        };
        self.frame_of(name, file, line, 0, kind)
    }

    /// A frame.
    pub fn frame_of(
        &mut self,
        name: &str,
        file: &str,
        line: u32,
        first_line: u32,
        kind: FrameKind,
    ) -> FrameId {
        let name = self.builder.string(name);
        let file = self.builder.string(file);
        let function = self.builder.function(Function {
            name,
            file,
            first_line,
            kind,
        });
        self.builder.frame(Frame {
            function,
            line,
            instruction: None,
        })
    }

    /// A process by its PID; 0: the only one.
    pub fn process(&mut self, pid: u32, name: &str) -> u32 {
        let name = self.builder.string(name);
        let builder = &mut self.builder;
        *self.processes.entry((pid, name)).or_insert_with(|| {
            builder.process(Process {
                pid,
                name,
                ..Process::default()
            })
        })
    }

    /// A thread or task by its name, which may be `task NAME, thread NAME (9), process 7 (NAME)`, as we write it.
    pub fn track(&mut self, name: &str) -> TrackId {
        let (rest, process) = match name.rsplit_once(", process ") {
            Some((rest, _)) => (rest, &name[rest.len() + 2..]),
            None => (name, ""),
        };
        let (task, thread) = match rest
            .strip_prefix("task ")
            .and_then(|t| t.rsplit_once(", thread "))
        {
            Some((task, thread)) => (Some(task), thread),
            None => (None, rest),
        };
        let (pid, process) = process_of(process);
        let process = self.process(pid, process);
        let (thread, tid) = thread_of(thread);
        let track = Track {
            process,
            tid,
            thread: self.builder.string(thread),
            task: task.map(|task| self.builder.string(task)),
            main: thread == "MainThread",
        };
        self.builder.track(track)
    }

    /// A stack by its frames, from the outermost inwards.
    ///
    /// # Errors
    /// When the file has had enough.
    pub fn stack(&mut self, frames: &[FrameId]) -> Result<Option<StackId>, ReadError> {
        self.frames_seen = self.frames_seen.saturating_add(frames.len() as u64);
        if self.frames_seen > FRAMES_MAX {
            return Err(ReadError::TooLarge("250 million frames in its stacks"));
        }
        let (stack, cut) = self.builder.stack_of(frames.iter().copied());
        if cut {
            return Err(ReadError::TooLarge("2 million distinct stacks"));
        }
        Ok(stack)
    }

    /// Adds a weight.
    pub fn weigh(&mut self, weight: Weighted) {
        self.weights.push(weight);
    }

    /// The state that a stack's innermost frame suggests.
    pub fn state(&self, stack: Option<StackId>) -> State {
        let profile = self.builder.so_far();
        let frame = profile.frames_of(stack).next();
        match frame
            .and_then(|frame| profile.function_of(frame))
            .map(|f| f.kind)
        {
            Some(FrameKind::Wait) => State::Waiting,
            Some(FrameKind::Native) => State::Native,
            _ => State::Running,
        }
    }

    /// The profile with all weights in it. Where the file counted no samples, the least time is taken for one's.
    pub fn finish(mut self) -> Profile {
        let times = self
            .weights
            .iter()
            .filter(|weight| weight.samples.is_none());
        let times = times.map(|weight| weight.wall_ns).filter(|ns| *ns > 0);
        let (mut least, mut sum) = (u64::MAX, 0_u64);
        for ns in times {
            least = least.min(ns);
            sum = sum.saturating_add(ns);
        }
        let interval_ns = least.max(sum / 1_000_000).max(1);
        let mut weights = std::mem::take(&mut self.weights);
        weights.sort_by_key(|weight| weight.at_ns);
        let (mut begin, mut end) = (u64::MAX, 0);
        for weight in &weights {
            let samples = weight.samples.unwrap_or_else(|| {
                (weight.wall_ns.saturating_add(interval_ns / 2) / interval_ns).max(1)
            });
            let state = match weight.state {
                State::Running => self.state(weight.stack),
                state => state,
            };
            let total = self.builder.total(weight.track, weight.stack, state);
            if let Some(at_ns) = weight.at_ns {
                begin = begin.min(at_ns);
                end = end.max(at_ns.saturating_add(weight.wall_ns));
                self.builder.add(Sample {
                    total,
                    at_ns,
                    wall_ns: weight.wall_ns,
                    cpu_ns: weight.cpu_ns,
                });
                self.builder.add_sum(total, samples.saturating_sub(1), 0, 0);
            } else {
                self.builder
                    .add_sum(total, samples, weight.wall_ns, weight.cpu_ns);
            }
        }
        let mut profile = self.builder.finish();
        if begin < end {
            // What a file calls its start may be any clock's.
            for slice in &mut profile.timeline {
                slice.start_ns = slice.start_ns.saturating_sub(begin);
            }
            profile.about.duration_ns = end - begin;
        }
        if least < u64::MAX && profile.about.interval_ns == 0 {
            profile.about.interval_ns = interval_ns;
        }
        debug_assert_eq!(profile.check(), Ok(()), "{}", self.format);
        profile
    }
}
