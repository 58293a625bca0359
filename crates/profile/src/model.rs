//! What a recording found, as plain data.

use serde::{Deserialize, Serialize};

/// The version of the form in which a [`Profile`] is stored.
pub const SCHEMA: u32 = 1;

/// Index into [`Profile::strings`].
pub type StringId = u32;
/// Index into [`Profile::functions`].
pub type FunctionId = u32;
/// Index into [`Profile::frames`].
pub type FrameId = u32;
/// Index into [`Profile::stacks`].
pub type StackId = u32;
/// Index into [`Profile::processes`].
pub type ProcessId = u32;
/// Index into [`Profile::tracks`].
pub type TrackId = u32;
/// Index into [`Profile::totals`].
pub type TotalId = u32;

/// What a total's weight means, and what views show unless asked for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Time that passed, [`Total::wall_ns`].
    #[default]
    Wall,
    /// Time on a CPU, [`Total::cpu_ns`].
    Cpu,
    /// Time that passed while holding the GIL, [`Total::wall_ns`].
    Gil,
}

/// What kind of frame a function makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameKind {
    /// A function of the program or of a library, in Python.
    #[default]
    Python,
    /// Machine code: the interpreter's own, an extension's, libc's.
    Native,
    /// The garbage collector at work.
    Gc,
    /// What the frame below waits for: its name says what that is and who holds it.
    Wait,
    /// A task that the frames below were awaited by.
    Task,
}

/// What a track did in a sample.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// On a CPU, or about to be, in Python.
    #[default]
    Running,
    /// On a CPU outside Python.
    Native,
    /// Waiting for the GIL.
    Gil,
    /// Waiting for a lock, a thread, a child, a descriptor, a timer.
    Waiting,
    /// Of a task: suspended in an `await`, or due for its next step.
    Suspended,
    /// A pool's worker or a loop with nothing to do.
    Idle,
}

impl State {
    /// All of them, the busiest first.
    pub const ALL: [State; 6] = [
        State::Running,
        State::Native,
        State::Gil,
        State::Waiting,
        State::Suspended,
        State::Idle,
    ];

    /// Its name, as the stored form has it.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Native => "native",
            State::Gil => "gil",
            State::Waiting => "waiting",
            State::Suspended => "suspended",
            State::Idle => "idle",
        }
    }
}

/// About a recording as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// What made it: `unknot 0.1.0`.
    pub recorder: String,
    /// The command line of the first process, a word each.
    pub command: Vec<String>,
    /// Its Python, as `3.13.0`.
    pub python: String,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// The mean interval between two sweeps that was asked for, in nanoseconds; 0: as short as possible.
    pub interval_ns: u64,
    /// What the weights mean.
    pub metric: Metric,
    /// Samples kept: one is one thread's or task's stack at one time.
    pub samples: u64,
    /// Samples that could not be read, by no fault that a repetition mended.
    pub errors: u64,
    /// Sweeps that began late by more than half an interval, or not at all.
    pub late: u64,
    /// Samples whose stack is not kept, because [`crate::Limits`] on distinct stacks was reached.
    pub truncated: u64,
    /// One in so many samples is in the timeline (1: all are). Totals have all.
    pub timeline_every: u64,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Function {
    /// Its qualified name.
    pub name: StringId,
    /// The path of its source file, or of the library with its code; an empty string where unknown.
    pub file: StringId,
    /// Its first line; 0 where unknown.
    pub first_line: u32,
    /// What kind of frame it makes.
    pub kind: FrameKind,
}

/// A place in a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The function.
    pub function: FunctionId,
    /// The line, from 1; 0 where unknown or not recorded.
    pub line: u32,
    /// Bytes from the function's first instruction; `None` unless instructions are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<u32>,
}

/// A stack: a frame and the stack that called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// The caller's stack, whose index is smaller than this one's; `None` for an outermost frame.
    pub parent: Option<StackId>,
    /// The innermost frame.
    pub frame: FrameId,
}

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its PID.
    pub pid: u32,
    /// Its parent's PID.
    pub parent: u32,
    /// How it was called, in short.
    pub name: StringId,
    /// When it was first seen, in nanoseconds since the recording began.
    pub start_ns: u64,
    /// When it was found to have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ns: Option<u64>,
}

/// Who has stacks: a thread, or a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The process.
    pub process: ProcessId,
    /// The thread; of a task, the one that runs its loop.
    pub tid: u32,
    /// The thread's name.
    pub thread: StringId,
    /// The task's name; `None` for a thread's own stacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<StringId>,
    /// Whether the thread is its process's first one.
    #[serde(default)]
    pub main: bool,
}

/// All samples of one track with the same stack and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Who.
    pub track: TrackId,
    /// Where; `None`: outside Python, with no frame known.
    pub stack: Option<StackId>,
    /// What it did there.
    pub state: State,
    /// How many samples.
    pub samples: u64,
    /// The time they stand for, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time spent between them, in nanoseconds.
    pub cpu_ns: u64,
}

/// A stretch of time in which a track's samples were all of one total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// When it began, in nanoseconds since the recording began.
    pub start_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// The total that its samples belong to, which names track, stack and state.
    pub total: TotalId,
}

/// A source file's text, as it was when the recording was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file, as [`Function::file`] names it.
    pub file: StringId,
    /// Its text.
    pub text: String,
}

/// A recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// About it as a whole.
    pub about: About,
    /// All texts.
    pub strings: Vec<String>,
    /// All functions.
    pub functions: Vec<Function>,
    /// All places.
    pub frames: Vec<Frame>,
    /// All stacks; parents come before children.
    pub stacks: Vec<Stack>,
    /// All processes, in the order in which they were seen.
    pub processes: Vec<Process>,
    /// All threads and tasks, in the order in which they were seen.
    pub tracks: Vec<Track>,
    /// What was found, one for each track, stack and state.
    pub totals: Vec<Total>,
    /// When it was found, by start; slices of different tracks overlap.
    pub timeline: Vec<Slice>,
    /// The sources of the functions' files, as far as they were at hand; for views of lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

impl Profile {
    /// A text; empty for an index out of bounds.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id as usize).map_or("", String::as_str)
    }

    /// The frames of a stack, from the innermost outwards.
    pub fn frames_of(&self, stack: Option<StackId>) -> impl Iterator<Item = &Frame> {
        let mut at = stack;
        std::iter::from_fn(move || {
            let here = at?;
            let stack = self.stacks.get(here as usize)?;
            // A parent that is not before its child would be a cycle.
            at = stack.parent.filter(|parent| *parent < here);
            self.frames.get(stack.frame as usize)
        })
    }

    /// A frame's function; `None` for an index out of bounds.
    pub fn function_of(&self, frame: &Frame) -> Option<&Function> {
        self.functions.get(frame.function as usize)
    }

    /// What a total weighs, in nanoseconds, by the recording's own metric.
    pub fn weight_ns(&self, total: &Total) -> u64 {
        match self.about.metric {
            Metric::Cpu => total.cpu_ns,
            Metric::Wall | Metric::Gil => total.wall_ns,
        }
    }

    /// Checks every index.
    ///
    /// # Errors
    /// Says which table has an index out of bounds.
    pub fn check(&self) -> Result<(), String> {
        let within = |id: u32, length: usize| (id as usize) < length;
        let strings = self.strings.len();
        let checks: [(&str, bool); 7] = [
            (
                "functions",
                self.functions
                    .iter()
                    .all(|f| within(f.name, strings) && within(f.file, strings)),
            ),
            (
                "frames",
                self.frames
                    .iter()
                    .all(|f| within(f.function, self.functions.len())),
            ),
            (
                "stacks",
                self.stacks.iter().enumerate().all(|(index, stack)| {
                    within(stack.frame, self.frames.len())
                        && stack.parent.is_none_or(|parent| within(parent, index))
                }),
            ),
            (
                "tracks",
                self.processes.iter().all(|p| within(p.name, strings))
                    && self.tracks.iter().all(|track| {
                        within(track.process, self.processes.len())
                            && within(track.thread, strings)
                            && track.task.is_none_or(|task| within(task, strings))
                    }),
            ),
            (
                "totals",
                self.totals.iter().all(|total| {
                    within(total.track, self.tracks.len())
                        && total
                            .stack
                            .is_none_or(|stack| within(stack, self.stacks.len()))
                }),
            ),
            (
                "timeline",
                self.timeline
                    .iter()
                    .all(|slice| within(slice.total, self.totals.len())),
            ),
            (
                "sources",
                self.sources.iter().all(|s| within(s.file, strings)),
            ),
        ];
        match checks.iter().find(|(_, fine)| !fine) {
            Some((table, _)) => Err(format!("its table `{table}` points outside another one")),
            None => Ok(()),
        }
    }
}
