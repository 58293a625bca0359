//! Stacks by task: which task a loop's thread runs a step of, and where the suspended ones are.
//!
//! A task's stack is its coroutine's await chain, below it those of the tasks that wait for it, with a frame
//! between that names the task that is waited for. The frames of the loop itself are left out. Which task a thread runs follows from
//! the outermost coroutine on its stack, so a sample of a running task costs no further reading. The suspended ones
//! are seen by the look that explains waits; each stands for the time since the look before.
//!
//! Tasks with a name that the program gave are told apart by it, all others by their coroutine's function: tasks
//! come and go without end, and what is kept must not grow with them.

use crate::explain::{Explainer, Waiter};
use crate::python::special;
use cpython::sweep::{CodeId, CodeTable, Step};
use profile::{
    Builder, Frame, FrameKind, Function, ProcessId, Sample, StackId, State, StringId, Track,
    TrackId,
};
use rustc_hash::{FxHashMap, FxHashSet};
use snapshot::{Address, Process, Task, TaskState};

/// Most names given by the program that are told apart in one process.
const NAMES_MAX: usize = 1000;
/// Tasks may be awaited by each other in a circle, or very deep.
const AWAITED_MAX: usize = 64;
/// What a task waits for whose next step is due.
const TURN_TEXT: &str = "waits for its turn in the loop";
/// Who drives coroutines in asyncio: `asyncio/events.py`, 3.8 to 3.15.
const DRIVER: &str = "Handle._run";

/// A task whose coroutine may be met on a stack.
#[derive(Debug, Clone)]
struct Known {
    /// The qualified name of its coroutine's function: another coroutine may have taken its place in memory.
    coroutine: String,
    label: StringId,
    /// What its own frames stand upon.
    base: Option<StackId>,
}

/// A suspended task that nothing but itself keeps waiting.
#[derive(Debug, Clone, Copy)]
struct Suspended {
    tid: u32,
    label: StringId,
    stack: Option<StackId>,
}

/// What a thread's stack is built upon from a certain frame on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ground {
    /// The coroutine's frame, by its index among the thread's.
    pub index: usize,
    pub base: Option<StackId>,
    pub label: StringId,
}

/// The tasks of one process.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    known: FxHashMap<Address, Known>,
    suspended: Vec<Suspended>,
    /// Functions that were seen to drive tasks.
    drivers: FxHashSet<CodeId>,
    /// Names that the program gave.
    names: FxHashSet<StringId>,
    /// One for each thread and label.
    tracks: FxHashMap<(u32, StringId), TrackId>,
    /// Whether a step of a task was met that is not known yet.
    unknown: bool,
    /// Suspended tasks that could not be read.
    unclear: u64,
    /// When the suspended ones were looked at, in nanoseconds since the recording began, and what had run by then.
    looked_ns: Option<u64>,
    runs: u64,
}

impl Tasks {
    /// Whether a look would tell of more tasks than are known.
    pub fn wants_look(&self) -> bool {
        self.unknown
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What a thread's stack stands upon from the coroutine on that its loop drives; `None` where the coroutine is no
    /// task's.
    pub fn ground(
        &mut self,
        step: Step,
        codes: &CodeTable,
        builder: &mut Builder,
    ) -> Option<Ground> {
        let code = codes.code(step.code)?;
        let of_task = self.known.get(&step.coroutine);
        if let Some(known) = of_task.filter(|known| *known.coroutine == *code.qualname) {
            self.drivers.extend(step.driver);
            return Some(Ground {
                index: step.index,
                base: known.base,
                label: known.label,
            });
        }
        let driver = step.driver?;
        let by_loop = self.drivers.contains(&driver)
            || codes
                .code(driver)
                .is_some_and(|code| is_driver(&code.qualname, &code.file));
        if !by_loop {
            return None;
        }
        self.unknown = true;
        let label = builder.string(&code.qualname);
        Some(Ground {
            index: step.index,
            base: None,
            label,
        })
    }

    /// The track of a task that this thread runs.
    pub fn track(
        &mut self,
        label: StringId,
        tid: u32,
        thread: TrackId,
        builder: &mut Builder,
    ) -> TrackId {
        *self.tracks.entry((tid, label)).or_insert_with(|| {
            let of_thread = builder.so_far().tracks.get(thread as usize);
            let track = Track {
                task: Some(label),
                ..of_thread.cloned().unwrap_or_default()
            };
            builder.track(track)
        })
    }

    /// Takes over what a look has found.
    pub fn take(&mut self, process: &Process, explainer: &mut Explainer, builder: &mut Builder) {
        self.known.clear();
        self.suspended.clear();
        self.unknown = false;
        self.unclear = 0;
        let by_address: FxHashMap<Address, &Task> = process
            .tasks
            .iter()
            .map(|task| (task.address, task))
            .collect();
        let waited_for: FxHashSet<Address> = process
            .tasks
            .iter()
            .filter(|task| is_alive(task))
            .flat_map(|task| task.awaited_by_addresses.iter().copied())
            .collect();
        for task in process.tasks.iter().filter(|task| is_alive(task)) {
            let label = self.label(task, builder);
            let base = base(task, &by_address, builder);
            self.known.insert(
                task.coroutine_address,
                Known {
                    coroutine: task.coroutine.clone(),
                    label,
                    base,
                },
            );
            // The time of one that waits for others is theirs.
            let elsewhere = task.state == TaskState::Running || waited_for.contains(&task.address);
            // It went on while it was looked at.
            let unclear = task.torn || task.frames.is_empty() && task.waits_for.is_none();
            if elsewhere || unclear {
                self.unclear += u64::from(unclear && !elsewhere);
                continue;
            }
            let stack = with_frames(task, base, builder);
            let waiter = Waiter::Task(task.address);
            let frame = match &task.waits_for {
                _ if task.scheduled => Some(special(TURN_TEXT, FrameKind::Wait, builder)),
                Some(wait) => Some(explainer.wait(process, wait, waiter, builder)),
                None => None,
            };
            let stack = match frame {
                Some(frame) => builder.stack(stack, frame).or(stack),
                None => stack,
            };
            self.suspended.push(Suspended {
                tid: task.loop_tid.unwrap_or(0),
                label,
                stack,
            });
        }
    }

    /// Whether threads that had run so often in all may have brought tasks on since they were looked at.
    pub fn may_have_changed(&self, runs: u64) -> bool {
        self.runs != runs
    }

    /// Adds a sample of each suspended task, for the time since the look before. Gives how many could not be read.
    pub fn add(
        &mut self,
        process: ProcessId,
        at_ns: u64,
        runs: u64,
        thread_of: impl Fn(u32) -> Option<TrackId>,
        builder: &mut Builder,
    ) -> u64 {
        let since_ns = self.looked_ns.replace(at_ns).unwrap_or(at_ns);
        self.runs = runs;
        let suspended = std::mem::take(&mut self.suspended);
        for task in &suspended {
            let track = match thread_of(task.tid) {
                Some(thread) => self.track(task.label, task.tid, thread, builder),
                // Nobody runs its loop.
                None => *self.tracks.entry((0, task.label)).or_insert_with(|| {
                    builder.track(Track {
                        process,
                        task: Some(task.label),
                        ..Track::default()
                    })
                }),
            };
            let total = builder.total(track, task.stack, State::Suspended);
            builder.add(Sample {
                total,
                at_ns: since_ns,
                wall_ns: at_ns.saturating_sub(since_ns),
                cpu_ns: 0,
            });
        }
        self.suspended = suspended;
        self.unclear
    }

    fn label(&mut self, task: &Task, builder: &mut Builder) -> StringId {
        let given = name_given(task).map(|name| builder.string(name));
        if let Some(name) = given
            && (self.names.contains(&name) || self.names.len() < NAMES_MAX)
        {
            self.names.insert(name);
            return name;
        }
        builder.string(&task.coroutine)
    }
}

fn is_alive(task: &Task) -> bool {
    matches!(task.state, TaskState::Pending | TaskState::Running)
}

fn is_driver(function: &str, file: &str) -> bool {
    let simple = DRIVER.rsplit('.').next().unwrap_or(DRIVER);
    (function == DRIVER || function == simple) && file.ends_with("asyncio/events.py")
}

/// How a task is called that may be one of many.
pub(crate) fn called(task: &Task) -> &str {
    name_given(task).unwrap_or(&task.coroutine)
}

/// The name that the program gave it; `None` for asyncio's own numbering.
fn name_given(task: &Task) -> Option<&str> {
    let number = task.name.strip_prefix("Task-");
    let numbered = number.is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
    (!numbered && !task.name.is_empty()).then_some(&task.name)
}

/// A frame that names a task.
fn marker(name: &str, below: Option<StackId>, builder: &mut Builder) -> Option<StackId> {
    let frame = special(&format!("task {name}"), FrameKind::Task, builder);
    builder.stack(below, frame).or(below)
}

/// What a task's own frames stand upon: those of the tasks that wait for it, and its name.
fn base(
    task: &Task,
    by_address: &FxHashMap<Address, &Task>,
    builder: &mut Builder,
) -> Option<StackId> {
    let waiter_of = |task: &Task| {
        let mut awaiting = task.awaited_by_addresses.iter();
        awaiting.find_map(|at| by_address.get(at)).copied()
    };
    let mut chain: Vec<&Task> = vec![task];
    while chain.len() < AWAITED_MAX
        && let Some(waiter) = chain.last().and_then(|last| waiter_of(last))
        && !chain.iter().any(|known| known.address == waiter.address)
    {
        chain.push(waiter);
    }
    if chain.len() == 1 {
        // What it is called its track says.
        return None;
    }
    let mut stack = None;
    while let Some(next) = chain.pop() {
        stack = marker(called(next), stack, builder);
        if !chain.is_empty() && next.state != TaskState::Running {
            stack = with_frames(next, stack, builder);
        }
    }
    stack
}

/// A suspended task's stack.
fn with_frames(task: &Task, base: Option<StackId>, builder: &mut Builder) -> Option<StackId> {
    let mut stack = base;
    for frame in task.frames.iter().rev() {
        let name = builder.string(&frame.function);
        let file = builder.string(&frame.file);
        let function = builder.function(Function {
            name,
            file,
            first_line: frame.first_line,
            kind: FrameKind::Python,
        });
        let frame = builder.frame(Frame {
            function,
            line: frame.line,
            instruction: None,
        });
        stack = builder.stack(stack, frame).or(stack);
    }
    stack
}
