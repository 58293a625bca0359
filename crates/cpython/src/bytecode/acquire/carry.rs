//! What one instruction does to the facts, and where they go from there.

use super::super::decode::Instruction;
use super::super::flow::State;
use super::super::op::{Condition, Op, Unary};
use super::super::value::{Value, ValueId};
use super::super::{Analysis, Moment, exception_table};
use super::{Context, Fact, FactEdges, Facts, Subject};
use std::collections::BTreeMap;

impl Analysis {
    /// Carries the facts over one instruction, and to wherever it may jump. Whether the next one follows.
    pub(super) fn carry(
        &mut self,
        state: &mut State,
        at: usize,
        facts: &mut Facts,
        edges: &mut FactEdges,
        context: &Context<'_>,
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
        let mut raised = Facts::new();
        if let Op::Call(_) = instruction.op {
            raised = self.note_call(&moment, facts, context);
        }
        let mut steps = Vec::new();
        let falls = self.machine().step(state, at, &mut steps).unwrap_or(false);
        let awaited = match instruction.op {
            Op::Send | Op::YieldFrom | Op::CleanupThrow => {
                self.awaited_acquire(&moment, &context.known)
            }
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
        self.on_exception(
            &instruction,
            state,
            at,
            (&before, facts, raised),
            edges,
            context,
        );
        falls
    }

    /// An exception in the instruction: to its handler, or out of the function.
    fn on_exception(
        &self,
        instruction: &Instruction,
        state: &State,
        at: usize,
        (before, after, raised): (&Facts, &Facts, Facts),
        edges: &mut FactEdges,
        context: &Context<'_>,
    ) {
        if after != before || !raised.is_empty() {
            let mut facts = after.clone();
            for (subject, fact) in &raised {
                facts.entry(*subject).or_insert_with(|| fact.clone());
            }
            self.to_handler(state, at, &facts, edges);
        }
        let may_raise = matches!(
            instruction.op,
            Op::Call(_) | Op::Raise | Op::Subscript | Op::Binary(_) | Op::Send | Op::YieldFrom
        );
        if may_raise && self.handler_at(state, at).is_none() {
            let mut out = context.raised.borrow_mut();
            // What the instruction itself takes or gives back, it has not when it fails.
            for (subject, fact) in before
                .iter()
                .filter(|(subject, _)| after.contains_key(subject))
            {
                out.entry(*subject).or_insert_with(|| fact.clone());
            }
            out.extend(raised);
        }
    }

    /// An exception here takes the facts to the handler in force.
    pub(super) fn to_handler(
        &self,
        state: &State,
        at: usize,
        facts: &Facts,
        edges: &mut FactEdges,
    ) {
        if let Some(target) = self.handler_at(state, at) {
            edges.push((target, facts.clone()));
        }
    }

    /// The handler in force, by index.
    fn handler_at(&self, state: &State, at: usize) -> Option<usize> {
        let instruction = self.instructions.get(at)?;
        let handler = if self.dialect.has_exception_table() {
            exception_table::find(&self.entries, instruction.start).map(|entry| entry.target)
        } else {
            state.blocks.iter().rev().find_map(|block| block.handler)
        };
        self.instructions.index_at(handler?)
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
        for (subject, fact) in facts.iter_mut() {
            fact.rebound |= match subject {
                Subject::Expression(id) => self.mentions(*id, set),
                Subject::Object(_) => fact.from.iter().any(|id| self.mentions(*id, set)),
            };
        }
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
pub(super) fn merge(kept: &mut BTreeMap<usize, Facts>, target: usize, facts: Facts) -> bool {
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
                fact.others |= other.others;
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
