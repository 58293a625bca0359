//! Locks taken by a call of `acquire()` and not given back since.
//!
//! A second interpretation over the states that the first one found: at each place, the calls that may have taken a
//! lock on the way there. Paths join with "may"; what every path has taken stays "must".

use super::call::{Arguments, InFlight};
use super::decode::Instruction;
use super::flow::State;
use super::op::{Condition, Op, Unary};
use super::path::{Path, indices_of};
use super::value::{Value, ValueId};
use super::{Analysis, Moment, Names, exception_table};
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

/// A lock that the frame has taken by a call and not given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireSite {
    /// Offset of the call that took it, in bytes.
    pub offset: u32,
    /// What kind of call that was.
    pub taken: Taken,
    /// The expression of what was taken: `self.lock` of `self.lock.acquire()`.
    pub object: ValueId,
    /// How to find the object now; `None` when the expression is more than variables, attributes and items, or when a
    /// variable in it was set again since.
    pub path: Option<Path>,
    /// A variable in the expression was set again since: it means something else now.
    pub rebound: bool,
    /// Whether every way to the current instruction has taken it, and none may have failed to (`acquire(False)`, untested).
    pub on_every_path: bool,
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
    /// The local that the call's result was stored in.
    result: Option<u32>,
}

impl Fact {
    fn new(offset: u32, taken: Taken, certain: bool) -> Fact {
        Fact {
            offset,
            taken,
            certain,
            rebound: false,
            result: None,
        }
    }
}

/// By the expression of what was taken.
type Facts = BTreeMap<ValueId, Fact>;

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
    file_lock: Vec<u32>,
    unlock: Vec<u32>,
}

impl Analysis {
    /// The locks that the frame has taken by `acquire()` (or `flock`) and not given back before the current
    /// instruction. A call that is in flight has not taken its lock; a `release()` in flight has not given it back.
    pub fn held_by_acquire(&mut self, moment: &Moment, names: &dyn Names) -> Vec<AcquireSite> {
        let known = Known {
            acquire: indices_of(names, &["acquire", "acquire_lock", "__enter__"]),
            release: indices_of(names, &["release", "release_lock", "__exit__"]),
            file_lock: indices_of(names, &["flock", "lockf"]),
            unlock: indices_of(names, &["LOCK_UN"]),
        };
        if known.acquire.is_empty() && known.file_lock.is_empty() {
            return Vec::new();
        }
        let facts = self.facts_at(moment.index, &known, names);
        let site = |(object, fact): (ValueId, Fact)| AcquireSite {
            offset: fact.offset,
            taken: fact.taken,
            object,
            path: if fact.rebound {
                None
            } else {
                self.path(object)
            },
            rebound: fact.rebound,
            on_every_path: fact.certain,
        };
        facts.into_iter().map(site).collect()
    }

    /// Runs to a fixpoint, then once more to the instruction at `index`.
    fn facts_at(&mut self, index: usize, known: &Known, names: &dyn Names) -> Facts {
        let mut kept: BTreeMap<usize, Facts> = BTreeMap::from([(0, Facts::new())]);
        let mut work = BTreeSet::from([0]);
        let mut budget = self.instructions.len().saturating_mul(PASSES_MAX);
        let mut found: Option<Facts> = None;
        while let Some(leader) = work.pop_first() {
            let before = kept.get(&leader).cloned().unwrap_or_default();
            for mut state in self.kept_states(leader) {
                let mut facts = before.clone();
                let mut edges = FactEdges::new();
                let mut at = leader;
                self.to_handler(&state, at, &facts, &mut edges);
                loop {
                    if at == index {
                        found = Some(facts.clone());
                    }
                    budget = budget.saturating_sub(1);
                    let falls = self.carry(&mut state, at, &mut facts, &mut edges, (known, names));
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
                return Facts::new();
            }
        }
        // The last time that the fixpoint came by is the one with all that is known.
        found.unwrap_or_default()
    }

    /// Carries the facts over one instruction, and to wherever it may jump. Whether the next one follows.
    fn carry(
        &mut self,
        state: &mut State,
        at: usize,
        facts: &mut Facts,
        edges: &mut FactEdges,
        context: (&Known, &dyn Names),
    ) -> bool {
        let Some(instruction) = self.instructions.get(at).copied() else {
            return false;
        };
        let moment = Moment {
            index: at,
            offset: instruction.offset,
            stack: state.stack.clone(),
            exact: true,
        };
        let before = facts.clone();
        self.rebind(&instruction, &moment, facts);
        if let Op::Call(_) = instruction.op {
            self.note_call(&moment, facts, context);
        }
        let mut steps = Vec::new();
        let falls = self.machine().step(state, at, &mut steps).unwrap_or(false);
        let awaited = match instruction.op {
            Op::Send | Op::YieldFrom | Op::CleanupThrow => self.awaited_acquire(&moment, context.0),
            _ => None,
        };
        // SEND jumps when the awaitable is done; the others go on.
        let (jumps, goes_on) = if instruction.op == Op::Send {
            (awaited, None)
        } else {
            (None, awaited)
        };
        facts.extend(goes_on);
        for (target, _) in steps {
            let mut taken = facts.clone();
            taken.extend(jumps.clone());
            self.test(&instruction, &moment, true, &mut taken);
            edges.push((target, taken));
        }
        self.test(&instruction, &moment, false, facts);
        if *facts != before {
            self.to_handler(state, at, facts, edges);
        }
        falls
    }

    /// An exception here takes the facts to the handler in force.
    fn to_handler(&self, state: &State, at: usize, facts: &Facts, edges: &mut FactEdges) {
        let Some(instruction) = self.instructions.get(at) else {
            return;
        };
        let handler = if self.dialect.has_exception_table() {
            exception_table::find(&self.entries, instruction.start).map(|entry| entry.target)
        } else {
            state.blocks.iter().rev().find_map(|block| block.handler)
        };
        if let Some(target) = handler.and_then(|offset| self.instructions.index_at(offset)) {
            edges.push((target, facts.clone()));
        }
    }

    /// A variable that is set again: expressions with it mean something else from now on.
    fn rebind(&self, instruction: &Instruction, moment: &Moment, facts: &mut Facts) {
        let arg = instruction.arg;
        let top = |below: usize| {
            let at = moment.stack.len().checked_sub(below)?;
            moment.stack.get(at).copied()
        };
        let cell = if self.dialect.has_exception_table() {
            arg
        } else {
            self.nlocals.saturating_add(arg)
        };
        match instruction.op {
            Op::StoreFast => self.set_local(arg, top(1), facts),
            Op::StoreFastLoadFast => self.set_local(arg >> 4, top(1), facts),
            Op::StoreFastTwo => {
                self.set_local(arg >> 4, top(1), facts);
                self.set_local(arg & 15, top(2), facts);
            }
            Op::DeleteFast => self.set_local(arg, None, facts),
            Op::StoreDeref | Op::DeleteDeref => {
                self.forget(facts, &|value| value == Value::Cell(cell))
            }
            Op::StoreName => self.forget(facts, &|value| value == Value::Name(arg)),
            Op::StoreGlobal => self.forget(facts, &|value| value == Value::Global(arg)),
            Op::StoreAttr | Op::DeleteAttr => {
                let object = top(1);
                let set = |value| matches!(value, Value::Attr { object: of, name } if Some(of) == object && name == arg);
                self.forget(facts, &set);
            }
            _ => {}
        }
    }

    fn set_local(&self, local: u32, value: Option<ValueId>, facts: &mut Facts) {
        self.forget(facts, &|value| value == Value::Local(local));
        let stored = value.map(|id| self.value(id));
        for fact in facts.values_mut() {
            match stored {
                Some(Value::Call { offset, .. }) if offset == fact.offset => {
                    fact.result = Some(local);
                }
                _ if fact.result == Some(local) => fact.result = None,
                _ => {}
            }
        }
    }

    fn forget(&self, facts: &mut Facts, set: &dyn Fn(Value) -> bool) {
        for (object, fact) in facts.iter_mut() {
            fact.rebound |= self.mentions(*object, set);
        }
    }

    /// A call that takes or gives back a lock.
    fn note_call(
        &mut self,
        moment: &Moment,
        facts: &mut Facts,
        (known, names): (&Known, &dyn Names),
    ) {
        let Some(InFlight::Call {
            callable,
            arguments,
            ..
        }) = self.in_flight(moment)
        else {
            return;
        };
        if matches!(self.instructions.get(moment.index), Some(at) if at.name == "PRECALL") {
            return;
        }
        let (object, name) = match self.value(callable) {
            Value::Method { object, name } | Value::Attr { object, name } => (Some(object), name),
            Value::Global(name) | Value::Name(name) => (None, name),
            _ => return,
        };
        if known.file_lock.contains(&name) {
            self.note_file_lock(moment, &arguments, known, facts);
            return;
        }
        let Some(object) = object else { return };
        if known.release.contains(&name) {
            facts.remove(&object);
        } else if known.acquire.contains(&name)
            && self.result_is_used_here(moment.index)
            && facts.len() < FACTS_MAX
        {
            let certain = self.blocks_until_taken(moment, &arguments, names);
            facts.insert(object, Fact::new(moment.offset, Taken::Lock, certain));
        }
    }

    fn note_file_lock(
        &self,
        moment: &Moment,
        arguments: &Arguments,
        known: &Known,
        facts: &mut Facts,
    ) {
        let Arguments::Slots { first, count, .. } = *arguments else {
            return;
        };
        let argument = |number: u32| {
            let slot = first.checked_add(number).filter(|_| number < count)?;
            moment.stack.get(slot as usize).copied()
        };
        let (Some(object), Some(operation)) = (argument(0), argument(1)) else {
            return;
        };
        let unlocks = |value| {
            matches!(value, Value::Attr { name, .. } | Value::Global(name) | Value::Name(name)
                if known.unlock.contains(&name))
        };
        facts.remove(&object);
        if !self.mentions(operation, &unlocks) && facts.len() < FACTS_MAX {
            facts.insert(object, Fact::new(moment.offset, Taken::FileLock, true));
        }
    }

    /// Whether the call's result is dropped, tested, stored or returned. A coroutine's is awaited or handed on instead:
    /// then the call alone takes nothing.
    fn result_is_used_here(&self, index: usize) -> bool {
        let after = self.instructions.get(index + 1).map(|after| after.op);
        matches!(
            after,
            Some(
                Op::Pop
                    | Op::StoreFast
                    | Op::StoreFastLoadFast
                    | Op::StoreDeref
                    | Op::StoreName
                    | Op::StoreGlobal
                    | Op::PopJump(..)
                    | Op::JumpOrPop(..)
                    | Op::Bool
                    | Op::Unary(_)
                    | Op::Copy
                    | Op::Dup
                    | Op::Return
            )
        )
    }

    /// Whether the call cannot come back without the lock: no argument, or a constant that says so.
    fn blocks_until_taken(
        &self,
        moment: &Moment,
        arguments: &Arguments,
        names: &dyn Names,
    ) -> bool {
        let Arguments::Slots {
            first,
            count,
            names: keywords,
        } = *arguments
        else {
            return false;
        };
        if count == 0 {
            return true;
        }
        let only = moment.stack.get(first as usize).map(|id| self.value(*id));
        let is_true = match only {
            Some(Value::Const(index)) => names.constant(index).as_deref() == Some("True"),
            Some(Value::Common(constant)) => constant == "True",
            Some(Value::Integer(number)) => number != 0,
            _ => false,
        };
        let blocking = match keywords.map(|id| self.value(id)) {
            None => true,
            Some(Value::Const(index)) => names
                .constant(index)
                .is_some_and(|text| text == "('blocking',)"),
            _ => false,
        };
        count == 1 && blocking && is_true
    }

    /// The acquire whose awaitable the current instruction waits for, or was thrown an exception while it waited.
    fn awaited_acquire(&self, moment: &Moment, known: &Known) -> Option<(ValueId, Fact)> {
        /// The awaitable lies among so many values at the top.
        const NEAR_TOP: usize = 4;
        let near = moment.stack.iter().rev().take(NEAR_TOP);
        near.filter_map(|id| {
            let Value::Awaitable(inner) = self.value(*id) else {
                return None;
            };
            let Value::Call { offset, callable } = self.value(inner) else {
                return None;
            };
            let (Value::Method { object, name } | Value::Attr { object, name }) =
                self.value(callable)
            else {
                return None;
            };
            let acquires = known.acquire.contains(&name);
            acquires.then_some((object, Fact::new(offset, Taken::AsyncLock, true)))
        })
        .next()
    }

    /// A conditional jump on an acquire's result: where it is false nothing was taken, where it is true it was.
    fn test(&self, instruction: &Instruction, moment: &Moment, jumped: bool, facts: &mut Facts) {
        let (Op::PopJump(_, condition) | Op::JumpOrPop(_, condition)) = instruction.op else {
            return;
        };
        let mut truth = match condition {
            Condition::True => jumped,
            Condition::False => !jumped,
            Condition::None | Condition::NotNone => return,
        };
        let Some(mut tested) = moment.stack.last().copied() else {
            return;
        };
        while let Value::Unary {
            operator: Unary::Not,
            operand,
        } = self.value(tested)
        {
            truth = !truth;
            tested = operand;
        }
        let tested = self.value(tested);
        facts.retain(|_, fact| {
            let is_result = match tested {
                Value::Call { offset, .. } => offset == fact.offset,
                Value::Local(local) => fact.result == Some(local),
                _ => false,
            };
            if is_result {
                fact.certain = truth;
            }
            !is_result || truth
        });
    }
}

/// Joins facts with those kept for a place; whether that changed something.
fn merge(kept: &mut BTreeMap<usize, Facts>, target: usize, facts: Facts) -> bool {
    let Some(known) = kept.get_mut(&target) else {
        kept.insert(target, facts);
        return true;
    };
    let mut joined = known.clone();
    for (object, fact) in &mut joined {
        match facts.get(object) {
            Some(other) => {
                fact.certain &= other.certain;
                fact.rebound |= other.rebound;
                fact.offset = fact.offset.min(other.offset);
                fact.result = fact.result.filter(|local| other.result == Some(*local));
            }
            None => fact.certain = false,
        }
    }
    for (object, fact) in facts {
        joined.entry(object).or_insert(Fact {
            certain: false,
            ..fact
        });
    }
    let changed = joined != *known;
    *known = joined;
    changed
}
