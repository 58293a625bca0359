//! Calls that take locks and give them back.

use super::super::call::{Arguments, InFlight};
use super::super::op::Op;
use super::super::value::{Value, ValueId};
use super::super::{Analysis, Moment, Names};
use super::{CallSite, Context, FACTS_MAX, Fact, Facts, Known, Subject, Taken};

impl Analysis {
    /// A call that takes or gives back a lock, or whose function does. What has been taken where it fails.
    pub(super) fn note_call(
        &mut self,
        moment: &Moment,
        facts: &mut Facts,
        context: &Context<'_>,
    ) -> Facts {
        let Some(InFlight::Call {
            callable,
            arguments,
            ..
        }) = self.in_flight(moment)
        else {
            return Facts::new();
        };
        if matches!(self.instructions.get(moment.index), Some(at) if at.name == "PRECALL") {
            return Facts::new();
        }
        let known = &context.known;
        let (object, name) = match self.value(callable) {
            Value::Method { object, name } | Value::Attr { object, name } => (Some(object), name),
            Value::Global(name) | Value::Name(name) => (None, name),
            _ => return self.note_callee(moment, callable, &arguments, facts, context),
        };
        if known.file_lock.contains(&name) {
            self.note_file_lock(moment, &arguments, known, facts);
            return Facts::new();
        }
        match object {
            Some(object) if known.release.contains(&name) => {
                self.give_back(object, facts, context);
            }
            Some(object) if known.acquire.contains(&name) => {
                if self.result_is_used_here(moment.index) && facts.len() < FACTS_MAX {
                    let certain = self.blocks_until_taken(moment, &arguments, context.names);
                    take(
                        object,
                        Fact::new(moment.offset, Taken::Lock, certain),
                        facts,
                    );
                }
            }
            Some(_) if known.enter.contains(&name) => {
                if let (Some(entered), true) =
                    (argument(moment, &arguments, 0), facts.len() < FACTS_MAX)
                {
                    take(entered, Fact::new(moment.offset, Taken::Lock, true), facts);
                }
            }
            _ => return self.note_callee(moment, callable, &arguments, facts, context),
        }
        Facts::new()
    }

    /// `object.release()`
    fn give_back(&self, object: ValueId, facts: &mut Facts, context: &Context<'_>) {
        let mut had = facts.remove(&Subject::Expression(object)).is_some();
        if let Some(address) = context.callees.object(self, object) {
            had |= self.forget_object(address, facts, context);
        }
        if !had {
            let mut given = context.given.borrow_mut();
            given.insert(Subject::Expression(object));
        }
    }

    /// Whether any of the facts was about the object at this address.
    fn forget_object(&self, address: u64, facts: &mut Facts, context: &Context<'_>) -> bool {
        let many = facts.len();
        facts.retain(|subject, _| match subject {
            Subject::Object(object) => *object != address,
            Subject::Expression(id) => context.callees.object(self, *id) != Some(address),
        });
        facts.len() != many
    }

    /// A call of another function.
    fn note_callee(
        &self,
        moment: &Moment,
        callable: ValueId,
        arguments: &Arguments,
        facts: &mut Facts,
        context: &Context<'_>,
    ) -> Facts {
        let (values, names) = match *arguments {
            Arguments::Slots {
                first,
                count,
                names,
            } => {
                let slots = first..first.saturating_add(count);
                let values = slots.map_while(|slot| moment.stack.get(slot as usize).copied());
                (values.collect(), names)
            }
            Arguments::Spread { .. } => (Vec::new(), None),
        };
        let call = CallSite {
            offset: moment.offset,
            callable,
            arguments: values,
            names,
        };
        let mut raised = Facts::new();
        for effect in context.callees.effects(self, &call) {
            if !effect.takes {
                if !self.forget_object(effect.object, facts, context) {
                    let mut given = context.given.borrow_mut();
                    given.insert(Subject::Object(effect.object));
                }
                continue;
            }
            let into = if effect.raised {
                &mut raised
            } else {
                &mut *facts
            };
            if into.len() >= FACTS_MAX {
                continue;
            }
            let mut fact = Fact::new(call.offset, Taken::Lock, effect.certain && !effect.raised);
            fact.from = vec![callable];
            if effect.by_arguments {
                fact.from.extend(&call.arguments);
            }
            into.insert(Subject::Object(effect.object), fact);
        }
        raised
    }

    fn note_file_lock(
        &self,
        moment: &Moment,
        arguments: &Arguments,
        known: &Known,
        facts: &mut Facts,
    ) {
        let argument = |number| argument(moment, arguments, number);
        let (Some(object), Some(operation)) = (argument(0), argument(1)) else {
            return;
        };
        let unlocks = |value| {
            matches!(value, Value::Attr { name, .. } | Value::Global(name) | Value::Name(name)
                if known.unlock.contains(&name))
        };
        facts.remove(&Subject::Expression(object));
        if !self.mentions(operation, &unlocks) && facts.len() < FACTS_MAX {
            take(
                object,
                Fact::new(moment.offset, Taken::FileLock, true),
                facts,
            );
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
    pub(super) fn awaited_acquire(
        &self,
        moment: &Moment,
        known: &Known,
    ) -> Option<(Subject, Fact)> {
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
            let fact = Fact::new(offset, Taken::AsyncLock, true);
            acquires.then_some((Subject::Expression(object), fact))
        })
        .next()
    }
}

/// The positional argument of this number.
fn argument(moment: &Moment, arguments: &Arguments, number: u32) -> Option<ValueId> {
    let Arguments::Slots { first, count, .. } = *arguments else {
        return None;
    };
    let slot = first.checked_add(number).filter(|_| number < count)?;
    moment.stack.get(slot as usize).copied()
}

/// Notes that the object of an expression was taken.
fn take(object: ValueId, fact: Fact, facts: &mut Facts) {
    let subject = Subject::Expression(object);
    let others = facts
        .get(&subject)
        .is_some_and(|known| known.rebound || known.others);
    facts.insert(subject, Fact { others, ..fact });
}
