//! The sentences: what a person would say about a knot.

use crate::report::{Edge, FindingKind, Holder, Party};
use snapshot::{Kind, Operation, Place};

/// How many edges a summary tells one by one.
const TOLD_MAX: usize = 3;

/// An edge with what was asked of the thing.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub edge: Edge,
    pub operation: Operation,
}

/// What the sentences are about.
pub(crate) struct Story<'a> {
    pub kind: FindingKind,
    /// The knot's own edges.
    pub knot: &'a [Told],
    /// Whether more than one process takes part, so that names need their PID.
    pub several: bool,
    /// Whether the pool, and not a semaphore, is what is starved.
    pub pool: bool,
    /// Whether a loop sleeps although something is due in it.
    pub overslept: bool,
}

/// `bank.py:12`
pub(crate) fn spot(place: &Place) -> Option<String> {
    let name = place.file.rsplit('/').next().filter(|n| !n.is_empty())?;
    Some(format!("{name}:{}", place.line))
}

/// ` (bank.py:12)`, or nothing.
fn at(place: &Place) -> String {
    spot(place).map(|s| format!(" at {s}")).unwrap_or_default()
}

impl Story<'_> {
    fn who(&self, party: &Party) -> String {
        who(party, self.several)
    }

    /// One sentence that a person would say first.
    pub(crate) fn summary(&self) -> String {
        let Some(first) = self.knot.first() else {
            return String::new();
        };
        match self.kind {
            FindingKind::NoWaker | FindingKind::Stuck if self.overslept => {
                let verb = if self.knot.len() > 1 { "are" } else { "is" };
                format!(
                    "{} {verb} due, but the event loop sleeps and was not woken",
                    self.list()
                )
            }
            FindingKind::Deadlock if self.are_locks() && self.knot.len() == 2 => {
                format!("{} wait for each other's lock", self.list())
            }
            FindingKind::Deadlock if self.are_locks() && self.knot.len() > TOLD_MAX => {
                format!(
                    "{} wait in a circle, each for a lock that the next one holds",
                    self.list()
                )
            }
            FindingKind::SelfDeadlock => self.self_summary(first),
            FindingKind::PoolStarvation if self.pool => {
                format!(
                    "all workers of a pool ({}) wait for work that only they could do",
                    self.workers()
                )
            }
            FindingKind::PoolStarvation => {
                let thing = thing(first);
                format!(
                    "{} each hold a permit and wait {thing} that only they could give back",
                    self.list()
                )
            }
            FindingKind::NoWaker | FindingKind::Stuck
                if self.knot.len() > 1 && self.is_one_thing() =>
            {
                format!(
                    "{} wait {}, and nothing alive can {}",
                    self.list(),
                    thing(first),
                    remedy(first)
                )
            }
            FindingKind::NoWaker | FindingKind::Stuck => {
                let edge = &first.edge;
                format!(
                    "{} waits {}, and nothing alive can {}",
                    self.who(&edge.waiter),
                    thing(first),
                    remedy(first)
                )
            }
            FindingKind::OrphanedLock => {
                let gone = match &first.edge.held_by {
                    Some(holder) => self.gone(holder),
                    None => "nobody alive holds it".to_owned(),
                };
                let (names, verb) = (
                    self.list(),
                    if self.knot.len() > 1 { "wait" } else { "waits" },
                );
                format!("{names} {verb} {}, and {gone}", thing(first))
            }
            _ if self.knot.len() <= TOLD_MAX => self.sentences(),
            _ => format!("{} wait for one another in a circle", self.list()),
        }
    }

    /// One sentence: why it cannot go on.
    pub(crate) fn cause(&self) -> String {
        let Some(first) = self.knot.first() else {
            return String::new();
        };
        match self.kind {
            FindingKind::SelfDeadlock => match &first.edge.held_by {
                Some(holder) if is_lock(first.edge.waits_for.kind) => format!(
                    "it took it{} and asks for it again{}: only it could give it back",
                    at(&holder.party.place),
                    at(&first.edge.waiter.place)
                ),
                _ => format!(
                    "the wait{} blocks the very thread that would have to bring what it waits for",
                    at(&first.edge.waiter.place)
                ),
            },
            FindingKind::OrphanedLock => match first.edge.held_by.as_ref().and_then(|h| h.how.as_deref()) {
                Some(how) if !how.starts_with("only in") && self.took(first).is_some() => format!(
                    "{} and {} {how}, and never gave it back",
                    self.took(first).unwrap_or_default(),
                    copula(how)
                ),
                Some(how) if how.starts_with("only in the parent") => format!(
                    "the lock was taken when the process was forked, and the thread that would give it back is {how}"
                ),
                Some(how) => format!("whoever took the lock is gone ({how}) and never gave it back"),
                None => "the lock is taken, and no thread or task that could give it back is left".to_owned(),
            },
            FindingKind::NoWaker | FindingKind::Stuck if self.overslept => format!(
                "what {} waited for{} came from another thread, which did not wake the loop: only call_soon_threadsafe does",
                self.who(&first.edge.waiter),
                at(&first.edge.waiter.place)
            ),
            FindingKind::NoWaker | FindingKind::Stuck => match &first.edge.held_by {
                Some(holder) => format!("{}, and no other can {}", self.gone(holder), remedy(first)),
                None => format!(
                    "no thread, task or handler that can still go on is able to {}{}",
                    remedy(first),
                    at(&first.edge.waiter.place)
                ),
            },
            FindingKind::PoolStarvation if self.pool => {
                "every worker of the pool is taken by a job that waits, so what they wait for never gets a worker"
                    .to_owned()
            }
            FindingKind::PoolStarvation => {
                "all permits are held by those who wait for one more, so none is ever given back".to_owned()
            }
            _ => format!("{}: none of them can go on first", self.sentences()),
        }
    }

    fn self_summary(&self, first: &Told) -> String {
        let edge = &first.edge;
        let who = self.who(&edge.waiter);
        match is_lock(edge.waits_for.kind) || edge.held_by.is_none() {
            true if edge.held_by.is_some() => {
                format!("{who} waits {}, which it holds itself", thing(first))
            }
            _ => format!(
                "{who} waits {}, which only its own thread could bring",
                thing(first)
            ),
        }
    }

    fn are_locks(&self) -> bool {
        self.knot.iter().all(|t| is_lock(t.edge.waits_for.kind))
    }

    /// Whether all wait for one and the same object.
    fn is_one_thing(&self) -> bool {
        let first = self.knot.first().and_then(|t| t.edge.waits_for.address);
        first.is_some() && self.knot.iter().all(|t| t.edge.waits_for.address == first)
    }

    fn list(&self) -> String {
        self.names(|_| true)
    }

    /// The threads among them, where there are any.
    fn workers(&self) -> String {
        let is_thread = |party: &Party| party.task.is_none();
        let any = self.knot.iter().any(|told| is_thread(&told.edge.waiter));
        self.names(|party| is_thread(party) || !any)
    }

    fn names(&self, of: impl Fn(&Party) -> bool) -> String {
        let mut seen = std::collections::BTreeSet::new();
        let parties = self.knot.iter().map(|told| &told.edge.waiter);
        let all = parties.filter(|p| of(p)).map(|party| self.who(party));
        let names: Vec<String> = all.filter(|name| seen.insert(name.clone())).collect();
        enumerate(&names)
    }

    fn gone(&self, holder: &Holder) -> String {
        let how = holder.how.as_deref().unwrap_or("ended");
        let party = &holder.party;
        match (&party.thread, &party.task) {
            (None, None) if how.starts_with("only in") => format!("its holder is {how}"),
            (None, None) if !party.place.function.is_empty() => {
                format!("{}() {} {how}", party.place.function, copula(how))
            }
            (None, None) if party.pid.is_some() => {
                format!("process {} {} {how}", party.pid.unwrap_or(0), copula(how))
            }
            (None, None) => "its holder has ended".to_owned(),
            _ if how.starts_with("only in") => {
                format!("its holder, {}, is {how}", who(party, false))
            }
            _ => format!("{} {} {how}", self.who(party), copula(how)),
        }
    }

    /// `writer took it at cache.py:7`, of one who is gone, where the place is known.
    fn took(&self, told: &Told) -> Option<String> {
        let party = &told.edge.held_by.as_ref()?.party;
        let place = spot(&party.place)?;
        let who = match (&party.thread, &party.task) {
            (None, None) => format!("{}()", party.place.function),
            _ => self.who(party),
        };
        Some(format!("{who} took it at {place}"))
    }

    /// `A waits for B to end, and B waits for the lock x, which A holds`
    fn sentences(&self) -> String {
        let parts: Vec<String> = self
            .knot
            .iter()
            .take(TOLD_MAX)
            .map(|t| self.sentence(t))
            .collect();
        parts.join(", and ")
    }

    /// `A waits for B to end`.
    pub(crate) fn sentence(&self, told: &Told) -> String {
        let edge = &told.edge;
        let who = self.who(&edge.waiter);
        let holder = edge
            .held_by
            .as_ref()
            .filter(|h| !h.ended)
            .map(|h| self.who(&h.party));
        match (edge.waits_for.kind, holder) {
            (Kind::Thread | Kind::Child | Kind::Process, Some(other)) => {
                format!("{who} waits for {other} to end")
            }
            (Kind::Task, Some(other)) => format!("{who} waits for {other}"),
            (Kind::Gil, Some(other)) => format!("{who} waits for the GIL, which {other} holds"),
            (Kind::Pipe | Kind::Socket | Kind::Terminal | Kind::Descriptors, Some(other)) => {
                let noun = stream(edge.waits_for.kind);
                match told.operation {
                    Operation::Write | Operation::Put => format!(
                        "{who} waits for {other} to read {}",
                        named(edge, &format!("a full {noun}"))
                    ),
                    _ => format!(
                        "{who} waits for {other} to write to or close {}",
                        named(edge, &format!("a {noun}"))
                    ),
                }
            }
            (Kind::Future | Kind::Awaitable, Some(other)) => {
                format!("{who} waits for a result that {other} has to bring")
            }
            (kind, Some(other)) if is_given(kind) => {
                format!(
                    "{who} waits {}, and only {other} could {}",
                    thing(told),
                    remedy(told)
                )
            }
            (_, Some(other)) => format!("{who} waits {}, which {other} holds", thing(told)),
            (_, None) => format!("{who} waits {}", thing(told)),
        }
    }
}

/// `was` for what happened to it, nothing for what it did.
fn copula(how: &str) -> &'static str {
    if how.starts_with("killed") || how.starts_with("ended by") {
        "was"
    } else {
        "has"
    }
}

/// `A, B and C`
pub(crate) fn enumerate(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] if most.len() < 8 => format!("{} and {last}", most.join(", ")),
        [first, second, ..] => format!("{first}, {second} and {} others", names.len() - 2),
    }
}

/// How a person calls a party.
pub(crate) fn who(party: &Party, several: bool) -> String {
    let name = match (&party.task, &party.thread) {
        (Some(task), _) if task.starts_with("Task-") => task.clone(),
        (Some(task), _) => format!("task {task}"),
        (None, Some(thread)) if thread == "MainThread" => "main".to_owned(),
        (None, Some(thread)) => thread.clone(),
        (None, None) => match party.pid {
            Some(pid) => return format!("process {pid}"),
            None => "somebody".to_owned(),
        },
    };
    match party.pid {
        Some(pid) if several => format!("{name} (PID {pid})"),
        _ => name,
    }
}

pub(crate) fn is_lock(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Lock | Kind::RLock | Kind::ModuleLock | Kind::FileLock | Kind::NativeMutex
    )
}

fn stream(kind: Kind) -> &'static str {
    match kind {
        Kind::Socket => "socket",
        Kind::Terminal => "terminal",
        _ => "pipe",
    }
}

fn named(edge: &Edge, otherwise: &str) -> String {
    match &edge.waits_for.name {
        Some(name) => name.clone(),
        None => otherwise.to_owned(),
    }
}

/// What is waited for, after "waits".
pub(crate) fn thing(told: &Told) -> String {
    let edge = &told.edge;
    let name = |article: &str, noun: &str| match &edge.waits_for.name {
        Some(name) => format!("{noun} {name}"),
        None => format!("{article} {noun}"),
    };
    match (edge.waits_for.kind, told.operation) {
        (Kind::Lock | Kind::RLock, _) => match &edge.waits_for.name {
            Some(name) => format!("for {name}"),
            None => "for a lock".to_owned(),
        },
        (Kind::ModuleLock, _) => format!("for {}", name("the", "import of")),
        (Kind::FileLock, _) => format!("for {}", name("a", "file lock")),
        (Kind::NativeMutex, _) => "for a native mutex".to_owned(),
        (Kind::Gil, _) => "for the GIL".to_owned(),
        (Kind::Condition, Operation::Acquire) => {
            format!("for the lock of {}", name("a", "condition"))
        }
        (Kind::Condition, _) => format!("to be notified on {}", name("a", "condition")),
        (Kind::Event, _) => format!("for {} to be set", name("an", "event")),
        (Kind::Barrier, _) => format!("for the others at {}", name("a", "barrier")),
        (Kind::Semaphore | Kind::BoundedSemaphore, _) => {
            format!("for a permit of {}", name("a", "semaphore"))
        }
        (Kind::Queue | Kind::SimpleQueue, Operation::Put) => {
            format!("for room in {}", name("a", "queue"))
        }
        (Kind::Queue | Kind::SimpleQueue, Operation::Join) => {
            format!("for the items of {} to be done", name("a", "queue"))
        }
        (Kind::Queue | Kind::SimpleQueue, _) => format!("for an item in {}", name("a", "queue")),
        (Kind::Thread | Kind::Process | Kind::Child, _) => match &edge.held_by {
            Some(holder) => {
                let other = holder.party.pid != edge.waiter.pid;
                format!("for {} to end", who(&holder.party, other))
            }
            None => "for its end".to_owned(),
        },
        (Kind::Task, _) => format!("for {}", name("a", "task")),
        (Kind::Future | Kind::Awaitable, _) => format!("for the result of {}", name("a", "future")),
        (Kind::Executor, _) => format!("for the workers of {}", name("a", "pool")),
        (Kind::Pipe, Operation::Write) => format!("for room in {}", name("a", "pipe")),
        (Kind::Pipe, _) => format!("for data from {}", name("a", "pipe")),
        (Kind::Socket, Operation::Write) => format!("for room in {}", name("a", "socket")),
        (Kind::Socket, _) => format!("for data from {}", name("a", "socket")),
        (Kind::Descriptors, _) => "for one of its descriptors".to_owned(),
        (Kind::File, _) => "for a file".to_owned(),
        (Kind::Terminal, _) => "for the terminal".to_owned(),
        (Kind::Timer, _) => "for a timer".to_owned(),
        (Kind::Signal, _) => "for a signal".to_owned(),
        (Kind::Unknown, _) => "for something unknown".to_owned(),
    }
}

/// What somebody would have to do, after "can".
fn remedy(told: &Told) -> &'static str {
    match (told.edge.waits_for.kind, told.operation) {
        (Kind::Condition, _) => "notify it",
        (Kind::Event, _) => "set it",
        (Kind::Barrier, _) => "come to it",
        (Kind::Semaphore | Kind::BoundedSemaphore, _) => "give one back",
        (Kind::Queue | Kind::SimpleQueue, Operation::Put) => "take an item out",
        (Kind::Queue | Kind::SimpleQueue, Operation::Join) => "report them done",
        (Kind::Queue | Kind::SimpleQueue, _) => "put one in",
        (Kind::Future | Kind::Awaitable | Kind::Task, _) => "bring it",
        (Kind::Pipe | Kind::Socket | Kind::Descriptors, Operation::Write) => "read from it",
        (Kind::Pipe | Kind::Socket | Kind::Descriptors, _) => "write to it",
        _ => "release it",
    }
}

/// Whether nobody holds such a thing: it is set, notified, filled or emptied by another.
fn is_given(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Event | Kind::Condition | Kind::Queue | Kind::SimpleQueue
    )
}
