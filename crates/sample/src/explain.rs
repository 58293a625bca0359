//! What waiting threads wait for, as frames: so that time off the CPU says why.

use crate::python::special;
use crate::tasks::called;
use look::{Eye, LookError, Options, Source};
use profile::{Builder, FrameId, FrameKind};
use rustc_hash::{FxHashMap, FxHashSet};
use snapshot::{Address, Hold, Kind, Operation, Process, Thread, ThreadState, Wait};
use std::path::Path;
use std::time::{Duration, Instant};

/// Of the time that passes, this share at most goes into explanations: one in so many parts.
const SHARE: u32 = 50;
/// Between two explanations at least so long.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Most distinct texts that name a holder in one process: threads come and go without end, and what is kept must not grow
/// with them.
const TEXTS_MAX: usize = 2000;

/// What is known of one thread.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Explained {
    /// What it waits for.
    pub frame: Option<FrameId>,
    /// Whether it has nothing to do.
    pub idle: bool,
}

/// Explains the waits of one process.
#[derive(Debug)]
pub(crate) struct Explainer {
    pid: u32,
    eye: Option<Eye>,
    next: Instant,
    texts: FxHashSet<FrameId>,
}

impl Explainer {
    pub fn new(pid: u32) -> Explainer {
        Explainer {
            pid,
            eye: None,
            next: Instant::now(),
            texts: FxHashSet::default(),
        }
    }

    /// Whether nothing was looked at yet.
    pub fn is_new(&self) -> bool {
        self.eye.is_none()
    }

    /// Whether it is time for one.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    /// Leaves it at what was found at the last look.
    pub fn postpone(&mut self) {
        self.next = Instant::now() + PAUSE_MIN;
    }

    /// Looks at the process, without holding it.
    pub fn look(&mut self) -> Option<Process> {
        let began = Instant::now();
        let found = self.try_look().ok().flatten();
        self.next = Instant::now() + PAUSE_MIN.max(began.elapsed() * SHARE);
        found
    }

    /// What each thread (by its kernel id) waits for.
    pub fn waits(&mut self, found: &Process, builder: &mut Builder) -> FxHashMap<u32, Explained> {
        let mut explained = |thread: &Thread| {
            let waiter = Waiter::Thread(thread.tid);
            let wait = thread.waits_for.as_ref();
            Explained {
                frame: wait.map(|wait| self.wait(found, wait, waiter, builder)),
                idle: thread.state == ThreadState::Idle,
            }
        };
        let threads = found.threads.iter();
        threads
            .map(|thread| (thread.tid, explained(thread)))
            .collect()
    }

    /// A frame that says what is waited for and who has it.
    pub fn wait(
        &mut self,
        found: &Process,
        wait: &Wait,
        waiter: Waiter,
        builder: &mut Builder,
    ) -> FrameId {
        let text = text(wait);
        if self.texts.len() < TEXTS_MAX
            && let Some(holder) = holder(found, wait, waiter)
        {
            let frame = special(&format!("{text}, {holder}"), FrameKind::Wait, builder);
            self.texts.insert(frame);
            return frame;
        }
        special(&text, FrameKind::Wait, builder)
    }

    fn try_look(&mut self) -> Result<Option<Process>, LookError> {
        let mut eye = match self.eye.take() {
            Some(eye) => eye,
            None => Eye::open(
                Source::Pid(self.pid),
                Options {
                    pause: false,
                    locals: false,
                    children: false,
                    reach: false,
                    native: false,
                },
            )?,
        };
        let snapshot = eye.look()?;
        self.eye = Some(eye);
        let mut processes = snapshot.processes.into_iter();
        Ok(processes.find(|process| process.pid == self.pid))
    }
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiter {
    Thread(u32),
    Task(Address),
}

/// What is waited for, in words.
fn text(wait: &Wait) -> String {
    let kind = kind(wait.kind);
    let mut text = match (wait.kind, wait.operation) {
        (Kind::Timer, _) | (_, Operation::Sleep) => "sleeps".to_owned(),
        (Kind::Child | Kind::Process, _) => "waits for a child to end".to_owned(),
        (Kind::Thread, Operation::Join) => "waits for a thread to end".to_owned(),
        (_, Operation::Get) => format!("waits for an item in {kind}"),
        (_, Operation::Put) => format!("waits for room in {kind}"),
        (_, Operation::Read) => format!("reads from {kind}"),
        (_, Operation::Write) => format!("writes to {kind}"),
        _ => format!("waits for {kind}"),
    };
    if let Some(name) = &wait.name {
        text = format!("{text} {name}");
    }
    text
}

/// Who holds what is waited for, in words.
fn holder(process: &Process, wait: &Wait, waiter: Waiter) -> Option<String> {
    let places = [wait.address, wait.inner_address];
    let holding = |holds: &[Hold]| {
        let held = |hold: &&Hold| !hold.given_up && places.contains(&Some(hold.address));
        holds.iter().find(held).cloned()
    };
    let threads = process.threads.iter();
    let mut threads = threads.filter(|other| waiter != Waiter::Thread(other.tid));
    let mut tasks = process
        .tasks
        .iter()
        .filter(|other| waiter != Waiter::Task(other.address));
    let (name, hold) = threads
        .find_map(|other| Some((other.name.clone(), holding(&other.holds)?)))
        .or_else(|| {
            tasks.find_map(|other| {
                let name = format!("task {}", called(other));
                Some((name, holding(&other.holds)?))
            })
        })?;
    let file = Path::new(&hold.place.file).file_name();
    let file = file.map(|name| name.to_string_lossy()).unwrap_or_default();
    Some(format!("held by {name} at {file}:{}", hold.place.line))
}

/// A kind as it is called in a sentence.
fn kind(kind: Kind) -> String {
    let word = kind.to_string();
    match kind {
        Kind::Gil => "the GIL".to_owned(),
        Kind::Descriptors => "descriptors".to_owned(),
        Kind::Signal
        | Kind::Timer
        | Kind::Terminal
        | Kind::Pipe
        | Kind::Socket
        | Kind::File
        | Kind::FileLock
        | Kind::NativeMutex => format!("a {word}"),
        Kind::Unknown => "something".to_owned(),
        _ => word,
    }
}
