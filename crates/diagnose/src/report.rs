//! What a diagnosis says, in the form that `why --json` prints.

use serde::{Deserialize, Serialize};
use snapshot::{Address, Certainty, Kind, Place};

/// The version of the JSON form.
pub const SCHEMA: u32 = 1;

/// What is wrong, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A cycle of waits, through threads, tasks or processes.
    Deadlock,
    /// It waits for what it holds itself.
    SelfDeadlock,
    /// The holder is gone: ended, killed, left behind by fork.
    OrphanedLock,
    /// Each side waits for the other to read or to end.
    PipeDeadlock,
    /// Every worker, or every holder of a permit, waits for what only they could give.
    PoolStarvation,
    /// Nothing alive can signal, release or finish what it waits for.
    NoWaker,
    /// One thread keeps the GIL in native code while others wait.
    GilHeld,
    /// The loop's thread waits or computes inside one step of a task.
    BlockedEventLoop,
    /// It waits, for a reason named but not proven.
    Stuck,
    /// It spins or computes without yielding. No fault by itself.
    Busy,
}

impl FindingKind {
    /// The word used in JSON and text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deadlock => "deadlock",
            Self::SelfDeadlock => "self-deadlock",
            Self::OrphanedLock => "orphaned-lock",
            Self::PipeDeadlock => "pipe-deadlock",
            Self::PoolStarvation => "pool-starvation",
            Self::NoWaker => "no-waker",
            Self::GilHeld => "gil-held",
            Self::BlockedEventLoop => "blocked-event-loop",
            Self::Stuck => "stuck",
            Self::Busy => "busy",
        }
    }
}

/// The gravest finding's kind, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing wrong was found.
    #[default]
    Ok,
    /// See the findings.
    #[serde(untagged)]
    Found(FindingKind),
}

impl Verdict {
    /// The word used in JSON and text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Found(kind) => kind.word(),
        }
    }
}

/// Who: a thread, a task on it, or what is left of one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// PID, in unknot's numbering.
    pub pid: Option<u32>,
    /// Kernel thread id, in unknot's numbering; for a task, of the thread that runs its loop.
    pub tid: Option<u32>,
    /// The thread's name; the process's where no thread of it is known.
    pub thread: Option<String>,
    /// The task's name.
    pub task: Option<String>,
    /// Where: of a waiter, its wait; of a holder, where it took the thing.
    #[serde(flatten)]
    pub place: Place,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What the program's own code called.
    pub kind: Kind,
    /// The object.
    pub address: Option<Address>,
    /// How the program names it.
    pub name: Option<String>,
    /// Where it is waited for.
    #[serde(flatten)]
    pub place: Place,
    /// The innermost frame of all.
    pub inner: Option<Place>,
}

/// Who holds it, or who alone could have given it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Who, and where it took the thing.
    #[serde(flatten)]
    pub party: Party,
    /// Where it is at present.
    pub now: Option<Place>,
    /// Whether it is gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// How it went: `killed by SIGTERM`, `ended by KeyError('sku')`, `only in the parent, PID 7, at fork`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

/// One waits for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Who waits.
    pub waiter: Party,
    /// For what.
    pub waits_for: Target,
    /// Who has it; `None` where it has no owner or nobody has it.
    pub held_by: Option<Holder>,
    /// How sure both are.
    #[serde(default)]
    pub certainty: Certainty,
    /// How both were found out.
    #[serde(default)]
    pub evidence: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// How sure that is.
    #[serde(default)]
    pub certainty: Certainty,
    /// It in a sentence.
    pub summary: String,
    /// Why it cannot go on, in a sentence.
    pub cause: String,
    /// The knot's own edges first, then those of others that wait for a member of it.
    pub edges: Vec<Edge>,
    /// How many of `edges` are the knot's own.
    #[serde(default)]
    pub knot_edges: usize,
    /// Where the waiters, or the culprit, are.
    pub places: Vec<Party>,
}

/// All that a diagnosis says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The gravest finding's kind.
    pub verdict: Verdict,
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Whether a second look, 100 ms later or more, could change the verdict.
    pub wants_second_look: bool,
}

impl Report {
    /// Whether anything other than `busy` was found: `why` ends with 1 then.
    pub fn is_fault(&self) -> bool {
        self.findings.iter().any(|f| f.kind != FindingKind::Busy)
    }

    /// The exit code of `why`: 1 when something is wrong, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.is_fault())
    }
}
