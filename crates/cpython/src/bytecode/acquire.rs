//! Locks taken by a call and not given back since: by `acquire()`, or by a function that takes one and returns.
//!
//! A second interpretation over the states that the first one found: at each place, the calls that may have taken a
//! lock on the way there. Paths join with "may"; what every path has taken stays "must".

mod calls;
mod carry;

use super::op::Op;
use super::path::{Path, indices_of};
use super::value::{Value, ValueId};
use super::{Analysis, Moment, Names};
use carry::merge;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// `object.acquire()`
    Lock,
    /// `await object.acquire()`
    AsyncLock,
    /// `fcntl.flock(object, …)` or `fcntl.lockf`
    FileLock,
}

/// How a lock that was taken is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// By the expression in this code: `self.lock` of `self.lock.acquire()`.
    Expression(ValueId),
    /// By its address: another function took it, see [`Callees`].
    Object(u64),
}

/// A lock that the frame has taken by a call and not given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireSite {
    /// Offset of the call that took it, in bytes.
    pub offset: u32,
    /// What kind of call that was.
    pub taken: Taken,
    /// What was taken.
    pub subject: Subject,
    /// How to find the object now; `None` when the expression is more than variables, attributes and items, or when a
    /// variable in it was set again since.
    pub path: Option<Path>,
    /// A variable in the expression was set again since: it means something else now.
    pub rebound: bool,
    /// The same call may have taken other objects before, by the same expression: in a loop.
    pub others: bool,
    /// The expressions by which it is known: its own, or those of the call that took it.
    pub from: Vec<ValueId>,
    /// Whether every way to the current instruction has taken it, and none may have failed to (`acquire(False)`, untested).
    pub on_every_path: bool,
}

/// A call of another function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSite {
    /// Offset of the call, in bytes.
    pub offset: u32,
    /// The expression of what is called.
    pub callable: ValueId,
    /// The expressions of the arguments, the last of them by keyword where there are `names`.
    pub arguments: Vec<ValueId>,
    /// The tuple of the keywords' names, as a rule a [`super::Value::Const`].
    pub names: Option<ValueId>,
}

/// What a call of another function has done to a lock once it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallEffect {
    /// The lock's address.
    pub object: u64,
    /// It has taken it; otherwise it has given it back.
    pub takes: bool,
    /// It has done so on each of its ways.
    pub certain: bool,
    /// Only where an exception has ended it.
    pub raised: bool,
    /// The lock was found by the call's arguments, not by what is called alone.
    pub by_arguments: bool,
}

/// What the functions that the code calls do to locks, told by whoever can see the objects.
pub trait Callees {
    /// What this call does when it is over.
    fn effects(&self, analysis: &Analysis, call: &CallSite) -> Vec<CallEffect>;
    /// The address of the object that an expression means now.
    fn object(&self, analysis: &Analysis, expression: ValueId) -> Option<u64>;
}

/// Calls of other functions are not looked into.
#[derive(Debug, Clone, Copy)]
pub struct NoCallees;

impl Callees for NoCallees {
    fn effects(&self, _: &Analysis, _: &CallSite) -> Vec<CallEffect> {
        Vec::new()
    }

    fn object(&self, _: &Analysis, _: ValueId) -> Option<u64> {
        None
    }
}

/// What a function leaves behind when it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Taken and not given back, where it returns.
    pub taken: Vec<AcquireSite>,
    /// The same where an exception ends it.
    pub raised: Vec<AcquireSite>,
    /// Given back without having been taken.
    pub given: Vec<Subject>,
}

/// A call on the way that took a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fact {
    /// Offset of the call; of the first where several on different paths took the same.
    offset: u32,
    taken: Taken,
    certain: bool,
    /// A variable in the expression was set again.
    rebound: bool,
    /// The expression meant something else that was taken too.
    others: bool,
    /// The local that the call's result was stored in.
    result: Option<u32>,
    /// The expressions that an object was found by.
    from: Vec<ValueId>,
}

impl Fact {
    fn new(offset: u32, taken: Taken, certain: bool) -> Fact {
        Fact {
            offset,
            taken,
            certain,
            rebound: false,
            others: false,
            result: None,
            from: Vec::new(),
        }
    }
}

/// By what was taken.
type Facts = BTreeMap<Subject, Fact>;

/// Facts that reach other places, by index.
type FactEdges = Vec<(usize, Facts)>;

/// How often each instruction is looked at, at most.
const PASSES_MAX: usize = 64;
/// Calls followed in one function.
const FACTS_MAX: usize = 256;

/// Indices into `co_names` of the names that matter.
struct Known {
    acquire: Vec<u32>,
    release: Vec<u32>,
    /// `ExitStack.enter_context(lock)`
    enter: Vec<u32>,
    file_lock: Vec<u32>,
    unlock: Vec<u32>,
}

impl Known {
    fn of(names: &dyn Names) -> Known {
        Known {
            acquire: indices_of(names, &["acquire", "acquire_lock", "__enter__"]),
            release: indices_of(names, &["release", "release_lock", "__exit__"]),
            enter: indices_of(names, &["enter_context"]),
            file_lock: indices_of(names, &["flock", "lockf"]),
            unlock: indices_of(names, &["LOCK_UN"]),
        }
    }
}

/// What an interpretation is given, and what it notes down besides facts.
struct Context<'c> {
    known: Known,
    names: &'c dyn Names,
    callees: &'c dyn Callees,
    given: RefCell<BTreeSet<Subject>>,
    raised: RefCell<Facts>,
}

impl<'c> Context<'c> {
    fn new(names: &'c dyn Names, callees: &'c dyn Callees) -> Context<'c> {
        Context {
            known: Known::of(names),
            names,
            callees,
            given: RefCell::default(),
            raised: RefCell::default(),
        }
    }
}

impl Analysis {
    /// The locks that the frame has taken by `acquire()` (or `flock`) and not given back before the current
    /// instruction. A call that is in flight has not taken its lock; a `release()` in flight has not given it back.
    pub fn held_by_acquire(&mut self, moment: &Moment, names: &dyn Names) -> Vec<AcquireSite> {
        let context = Context::new(names, &NoCallees);
        let known = &context.known;
        if known.acquire.is_empty() && known.file_lock.is_empty() && known.enter.is_empty() {
            return Vec::new();
        }
        self.held_at(moment, &context)
    }

    /// The same, with what was taken and given back by the functions that the frame has called.
    pub fn held_by_calls(
        &mut self,
        moment: &Moment,
        names: &dyn Names,
        callees: &dyn Callees,
    ) -> Vec<AcquireSite> {
        self.held_at(moment, &Context::new(names, callees))
    }

    fn held_at(&mut self, moment: &Moment, context: &Context<'_>) -> Vec<AcquireSite> {
        let mut facts = self.facts_at(&[moment.index], context);
        self.sites(facts.remove(&moment.index).unwrap_or_default())
    }

    /// What the code has taken and given back when it is over, from its first instruction on.
    pub fn left_behind(&mut self, names: &dyn Names, callees: &dyn Callees) -> LeftBehind {
        self.left(&Context::new(names, callees))
    }

    fn left(&mut self, context: &Context<'_>) -> LeftBehind {
        let returns: Vec<usize> = (0..self.instructions.len())
            .filter(|at| {
                let op = self.instructions.get(*at).map(|at| at.op);
                matches!(op, Some(Op::Return | Op::ReturnConst))
            })
            .collect();
        let facts = self.facts_at(&returns, context);
        let mut joined: BTreeMap<usize, Facts> = BTreeMap::new();
        for facts in facts.into_values() {
            merge(&mut joined, 0, facts);
        }
        LeftBehind {
            taken: self.sites(joined.remove(&0).unwrap_or_default()),
            raised: self.sites(context.raised.take()),
            given: context.given.take().into_iter().collect(),
        }
    }

    /// Whether an expression reads one of the first `count` variables: the arguments.
    pub fn reads_arguments(&self, expression: ValueId, count: u32) -> bool {
        let reads = |value| matches!(value, Value::Local(slot) | Value::Cell(slot) if slot < count);
        self.mentions(expression, &reads)
    }

    /// Which of the methods named `calls` have been called, on which expressions, where the code returns.
    pub fn called_at_each_return(&mut self, names: &dyn Names, calls: &[&str]) -> Vec<AcquireSite> {
        let mut context = Context::new(names, &NoCallees);
        context.known = Known {
            acquire: indices_of(names, calls),
            release: Vec::new(),
            enter: Vec::new(),
            file_lock: Vec::new(),
            unlock: Vec::new(),
        };
        self.left(&context).taken
    }

    fn sites(&self, facts: Facts) -> Vec<AcquireSite> {
        let site = |(subject, fact): (Subject, Fact)| AcquireSite {
            offset: fact.offset,
            taken: fact.taken,
            subject,
            path: match subject {
                Subject::Expression(id) if !fact.rebound => self.path(id),
                _ => None,
            },
            rebound: fact.rebound,
            others: fact.others,
            from: match subject {
                Subject::Expression(id) => vec![id],
                Subject::Object(_) => fact.from,
            },
            on_every_path: fact.certain,
        };
        facts.into_iter().map(site).collect()
    }

    /// Runs to a fixpoint; the facts before each of the instructions at `wanted` that can be reached.
    fn facts_at(&mut self, wanted: &[usize], context: &Context<'_>) -> BTreeMap<usize, Facts> {
        let mut kept: BTreeMap<usize, Facts> = BTreeMap::from([(0, Facts::new())]);
        let mut work = BTreeSet::from([0]);
        let mut budget = self.instructions.len().saturating_mul(PASSES_MAX);
        let mut found: BTreeMap<usize, Facts> = BTreeMap::new();
        while let Some(leader) = work.pop_first() {
            let before = kept.get(&leader).cloned().unwrap_or_default();
            for mut state in self.kept_states(leader) {
                let mut facts = before.clone();
                let mut edges = FactEdges::new();
                let mut at = leader;
                self.to_handler(&state, at, &facts, &mut edges);
                loop {
                    if wanted.contains(&at) {
                        // The last time that the fixpoint comes by is the one with all that is known.
                        found.insert(at, facts.clone());
                    }
                    budget = budget.saturating_sub(1);
                    let falls = self.carry(&mut state, at, &mut facts, &mut edges, context);
                    at += 1;
                    if !falls {
                        break;
                    }
                    if self.is_leader(at) || at >= self.instructions.len() {
                        edges.push((at, facts));
                        break;
                    }
                }
                for (target, facts) in edges {
                    if merge(&mut kept, target, facts) {
                        work.insert(target);
                    }
                }
            }
            if budget == 0 {
                return BTreeMap::new();
            }
        }
        found
    }
}
