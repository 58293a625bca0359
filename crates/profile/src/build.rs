//! Putting a profile together, sample by sample.

use crate::{
    About, Frame, FrameId, Function, FunctionId, Process, ProcessId, Profile, SCHEMA, Slice,
    Source, Stack, StackId, State, StringId, Total, TotalId, Track, TrackId,
};
use std::collections::HashMap;

/// What a recording may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Distinct stacks; further ones are cut to their longest known part and counted in [`About::truncated`].
    pub stacks_max: usize,
    /// Slices of the timeline; when there are more, every second sample is left out of it from the start on.
    pub slices_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stacks_max: 2_000_000,
            slices_max: 200_000,
        }
    }
}

/// One track's stack at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The total that it belongs to.
    pub total: TotalId,
    /// When, in nanoseconds since the recording began.
    pub at_ns: u64,
    /// The time it stands for, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time spent since the track's sample before, in nanoseconds.
    pub cpu_ns: u64,
}

/// A profile in the making: interns texts, functions, frames and stacks, adds up samples.
#[derive(Debug)]
pub struct Builder {
    profile: Profile,
    limits: Limits,
    strings: HashMap<String, StringId>,
    functions: HashMap<Function, FunctionId>,
    frames: HashMap<Frame, FrameId>,
    stacks: HashMap<Stack, StackId>,
    totals: HashMap<(TrackId, Option<StackId>, State), TotalId>,
    /// Each track's slice that may still grow, by its index in the timeline, and its samples so far.
    open: Vec<Open>,
}

/// The newest slice of a track.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// Where it is in the timeline; `None` before the first.
    slice: Option<usize>,
    /// Samples of the track so far.
    seen: u64,
}

impl Builder {
    /// An empty profile.
    pub fn new(limits: Limits) -> Builder {
        let mut builder = Builder {
            profile: Profile {
                schema: SCHEMA,
                about: About {
                    timeline_every: 1,
                    ..About::default()
                },
                ..Profile::default()
            },
            limits,
            strings: HashMap::new(),
            functions: HashMap::new(),
            frames: HashMap::new(),
            stacks: HashMap::new(),
            totals: HashMap::new(),
            open: Vec::new(),
        };
        builder.string("");
        builder
    }

    /// About the recording as a whole; the counts of samples are kept by the builder.
    pub fn about(&mut self) -> &mut About {
        &mut self.profile.about
    }

    /// What has been put together so far.
    pub fn so_far(&self) -> &Profile {
        &self.profile
    }

    /// The profile, its timeline in order.
    pub fn finish(mut self) -> Profile {
        self.profile.timeline.sort_by_key(|slice| slice.start_ns);
        self.profile
    }

    /// A text's index.
    pub fn string(&mut self, text: &str) -> StringId {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let id = index(self.profile.strings.len());
        self.profile.strings.push(text.to_owned());
        self.strings.insert(text.to_owned(), id);
        id
    }

    /// A function's index.
    pub fn function(&mut self, function: Function) -> FunctionId {
        *self.functions.entry(function).or_insert_with(|| {
            self.profile.functions.push(function);
            index(self.profile.functions.len() - 1)
        })
    }

    /// A place's index.
    pub fn frame(&mut self, frame: Frame) -> FrameId {
        *self.frames.entry(frame).or_insert_with(|| {
            self.profile.frames.push(frame);
            index(self.profile.frames.len() - 1)
        })
    }

    /// The stack with `frame` called by `parent`; `None` when it is new and there are too many.
    pub fn stack(&mut self, parent: Option<StackId>, frame: FrameId) -> Option<StackId> {
        let stack = Stack { parent, frame };
        if let Some(id) = self.stacks.get(&stack) {
            return Some(*id);
        }
        if self.profile.stacks.len() >= self.limits.stacks_max {
            return None;
        }
        let id = index(self.profile.stacks.len());
        self.profile.stacks.push(stack);
        self.stacks.insert(stack, id);
        Some(id)
    }

    /// The stack with these frames, from the outermost inwards, and whether it had to be cut.
    pub fn stack_of(
        &mut self,
        frames: impl IntoIterator<Item = FrameId>,
    ) -> (Option<StackId>, bool) {
        let mut at = None;
        for frame in frames {
            match self.stack(at, frame) {
                Some(id) => at = Some(id),
                None => return (at, true),
            }
        }
        (at, false)
    }

    /// Adds a process.
    pub fn process(&mut self, process: Process) -> ProcessId {
        self.profile.processes.push(process);
        index(self.profile.processes.len() - 1)
    }

    /// Notes that a process has ended.
    pub fn process_ended(&mut self, process: ProcessId, at_ns: u64) {
        if let Some(process) = self.profile.processes.get_mut(process as usize) {
            process.end_ns.get_or_insert(at_ns);
        }
    }

    /// Adds a thread or task.
    pub fn track(&mut self, track: Track) -> TrackId {
        self.profile.tracks.push(track);
        self.open.push(Open::default());
        index(self.profile.tracks.len() - 1)
    }

    /// Says whose a track is, where that was known only later.
    pub fn identify(&mut self, track: TrackId, known: Track) {
        if let Some(track) = self.profile.tracks.get_mut(track as usize) {
            *track = known;
        }
    }

    /// Renames a thread, where its name was known only later.
    pub fn rename(&mut self, track: TrackId, thread: StringId) {
        if let Some(track) = self.profile.tracks.get_mut(track as usize) {
            track.thread = thread;
        }
    }

    /// The total of a track's samples with this stack and state.
    pub fn total(&mut self, track: TrackId, stack: Option<StackId>, state: State) -> TotalId {
        *self.totals.entry((track, stack, state)).or_insert_with(|| {
            self.profile.totals.push(Total {
                track,
                stack,
                state,
                samples: 0,
                wall_ns: 0,
                cpu_ns: 0,
            });
            index(self.profile.totals.len() - 1)
        })
    }

    /// Adds one sample.
    pub fn add(&mut self, sample: Sample) {
        let Some(total) = self.profile.totals.get_mut(sample.total as usize) else {
            return;
        };
        total.samples += 1;
        total.wall_ns = total.wall_ns.saturating_add(sample.wall_ns);
        total.cpu_ns = total.cpu_ns.saturating_add(sample.cpu_ns);
        self.profile.about.samples += 1;
        let track = total.track as usize;
        self.place(track, sample);
    }

    /// Adds to a total what is known only as a sum, such as a line of a file that is read: no time, no place on the timeline.
    pub fn add_sum(&mut self, total: TotalId, samples: u64, wall_ns: u64, cpu_ns: u64) {
        let Some(total) = self.profile.totals.get_mut(total as usize) else {
            return;
        };
        total.samples = total.samples.saturating_add(samples);
        total.wall_ns = total.wall_ns.saturating_add(wall_ns);
        total.cpu_ns = total.cpu_ns.saturating_add(cpu_ns);
        self.profile.about.samples = self.profile.about.samples.saturating_add(samples);
    }

    /// Adds a source file's text; the first one of a file stays.
    pub fn source(&mut self, file: StringId, text: String) {
        if !self.profile.sources.iter().any(|known| known.file == file) {
            self.profile.sources.push(Source { file, text });
        }
    }

    /// Puts a sample on the timeline: a longer slice where nothing has changed, otherwise a new one.
    fn place(&mut self, track: usize, sample: Sample) {
        let every = self.profile.about.timeline_every.max(1);
        let Some(open) = self.open.get_mut(track) else {
            return;
        };
        let number = open.seen;
        open.seen += 1;
        if !number.is_multiple_of(every) {
            return;
        }
        let duration_ns = sample.wall_ns.saturating_mul(every);
        let slice = open.slice.and_then(|at| self.profile.timeline.get_mut(at));
        if let Some(slice) = slice
            && slice.total == sample.total
        {
            let end_ns = sample.at_ns.saturating_add(duration_ns);
            slice.duration_ns = end_ns.saturating_sub(slice.start_ns);
            return;
        }
        open.slice = Some(self.profile.timeline.len());
        self.profile.timeline.push(Slice {
            start_ns: sample.at_ns,
            duration_ns,
            total: sample.total,
        });
        if self.profile.timeline.len() >= self.limits.slices_max.max(2) {
            self.thin();
        }
    }

    /// Halves the timeline: of each track's slices every second one goes, and the one before takes its time.
    fn thin(&mut self) {
        self.profile.about.timeline_every = self.profile.about.timeline_every.saturating_mul(2);
        let timeline = std::mem::take(&mut self.profile.timeline);
        // Per track: where its last kept slice is, and whether the next one is kept.
        let mut last: Vec<(Option<usize>, bool)> = vec![(None, true); self.open.len()];
        for slice in timeline {
            let track = self
                .profile
                .totals
                .get(slice.total as usize)
                .map_or(0, |total| total.track as usize);
            let Some((kept, keep)) = last.get_mut(track) else {
                continue;
            };
            let before = kept.and_then(|at| self.profile.timeline.get_mut(at));
            let end_ns = slice.start_ns.saturating_add(slice.duration_ns);
            match before {
                Some(before) if !*keep || before.total == slice.total => {
                    before.duration_ns = end_ns.saturating_sub(before.start_ns);
                    *keep = true;
                }
                _ => {
                    *kept = Some(self.profile.timeline.len());
                    self.profile.timeline.push(slice);
                    *keep = false;
                }
            }
        }
        for (open, (kept, _)) in self.open.iter_mut().zip(&last) {
            open.slice = *kept;
        }
    }
}

/// An index as the tables have it; there are never as many entries as would not fit.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameKind;

    fn builder(limits: Limits) -> (Builder, TrackId, Vec<StackId>) {
        let mut builder = Builder::new(limits);
        let name = builder.string("main");
        let process = builder.process(Process::default());
        let track = builder.track(Track {
            process,
            tid: 7,
            thread: name,
            task: None,
            main: true,
        });
        let mut parent = None;
        let mut stacks = Vec::new();
        for line in 1..=4 {
            let function = builder.function(Function {
                name,
                file: 0,
                first_line: 1,
                kind: FrameKind::Python,
            });
            let frame = builder.frame(Frame {
                function,
                line,
                instruction: None,
            });
            parent = builder.stack(parent, frame);
            stacks.extend(parent);
        }
        (builder, track, stacks)
    }

    #[test]
    fn equal_samples_are_one_total_and_one_slice() {
        let (mut builder, track, stacks) = builder(Limits::default());
        for number in 0..100 {
            let total = builder.total(
                track,
                Some(stacks[usize::from(number >= 60)]),
                State::Running,
            );
            builder.add(Sample {
                total,
                at_ns: number * 10,
                wall_ns: 10,
                cpu_ns: 5,
            });
        }
        let profile = builder.finish();
        assert_eq!(profile.check(), Ok(()));
        assert_eq!(profile.totals.len(), 2);
        assert_eq!(
            (profile.totals[0].samples, profile.totals[0].wall_ns),
            (60, 600)
        );
        assert_eq!(profile.totals[1].cpu_ns, 200);
        let slices: Vec<_> = profile
            .timeline
            .iter()
            .map(|s| (s.start_ns, s.duration_ns))
            .collect();
        assert_eq!(slices, [(0, 600), (600, 400)]);
    }

    #[test]
    fn a_long_recording_keeps_a_bounded_timeline_of_its_whole_length() {
        let limits = Limits {
            slices_max: 64,
            ..Limits::default()
        };
        let (mut builder, track, stacks) = builder(limits);
        for number in 0..100_000_u64 {
            let stack = stacks[(number % 4) as usize];
            let total = builder.total(track, Some(stack), State::Running);
            builder.add(Sample {
                total,
                at_ns: number * 10,
                wall_ns: 10,
                cpu_ns: 0,
            });
        }
        let profile = builder.finish();
        assert_eq!(
            profile.totals.iter().map(|t| t.samples).sum::<u64>(),
            100_000
        );
        assert!((1..=64).contains(&profile.timeline.len()));
        let last = profile.timeline.last().expect("a slice");
        assert_eq!(profile.timeline[0].start_ns, 0);
        assert!(last.start_ns + last.duration_ns >= 900_000);
    }

    #[test]
    fn too_many_stacks_are_cut() {
        let limits = Limits {
            stacks_max: 4,
            ..Limits::default()
        };
        let (mut builder, _, stacks) = builder(limits);
        assert_eq!(builder.stack(None, 3), None);
        assert_eq!(builder.stack_of([0, 1, 3]), (Some(stacks[1]), true));
        assert_eq!(builder.stack_of([0, 1, 2]), (Some(stacks[2]), false));
    }
}
