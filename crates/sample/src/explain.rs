//! What waiting threads wait for, as frames: so that time off the CPU says why.

use crate::python::special;
use look::{Eye, LookError, Options, Source};
use profile::{Builder, FrameId, FrameKind};
use rustc_hash::FxHashMap;
use snapshot::{Kind, Operation, Process, Thread, ThreadState};
use std::path::Path;
use std::time::{Duration, Instant};

/// Of the time that passes, this share at most goes into explanations: one in so many parts.
const SHARE: u32 = 50;
/// Between two explanations at least so long.
const PAUSE_MIN: Duration = Duration::from_millis(100);

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
}

impl Explainer {
    pub fn new(pid: u32) -> Explainer {
        Explainer {
            pid,
            eye: None,
            next: Instant::now(),
        }
    }

    /// Whether it is time for one.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    /// Looks at the process, without holding it, and says of each thread (by its kernel id) what it waits for.
    pub fn explain(&mut self, builder: &mut Builder) -> FxHashMap<u32, Explained> {
        let began = Instant::now();
        let found = self.look(builder).unwrap_or_default();
        self.next = Instant::now() + PAUSE_MIN.max(began.elapsed() * SHARE);
        found
    }

    fn look(&mut self, builder: &mut Builder) -> Result<FxHashMap<u32, Explained>, LookError> {
        let mut eye = match self.eye.take() {
            Some(eye) => eye,
            None => Eye::open(
                Source::Pid(self.pid),
                Options {
                    pause: false,
                    locals: false,
                    children: false,
                    reach: false,
                },
            )?,
        };
        let snapshot = eye.look()?;
        self.eye = Some(eye);
        let Some(process) = snapshot.processes.iter().find(|p| p.pid == self.pid) else {
            return Ok(FxHashMap::default());
        };
        let mut explained = |thread: &Thread| Explained {
            frame: text(process, thread).map(|text| special(&text, FrameKind::Wait, builder)),
            idle: thread.state == ThreadState::Idle,
        };
        Ok(process
            .threads
            .iter()
            .map(|thread| (thread.tid, explained(thread)))
            .collect())
    }
}

/// What a thread waits for and who has it, in words.
fn text(process: &Process, thread: &Thread) -> Option<String> {
    let wait = thread.waits_for.as_ref()?;
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
    let places = [wait.address, wait.inner_address];
    let holder = process
        .threads
        .iter()
        .filter(|other| other.tid != thread.tid)
        .find_map(|other| {
            let held =
                |hold: &&snapshot::Hold| !hold.given_up && places.contains(&Some(hold.address));
            Some((other, other.holds.iter().find(held)?))
        });
    if let Some((other, hold)) = holder {
        let file = Path::new(&hold.place.file).file_name();
        let file = file.map(|name| name.to_string_lossy()).unwrap_or_default();
        text = format!(
            "{text}, held by {} at {file}:{}",
            other.name, hold.place.line
        );
    }
    Some(text)
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
