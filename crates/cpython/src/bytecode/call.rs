//! What the current instruction is doing that can run other code.

use super::op::{CallForm, Op};
use super::value::{Value, ValueId};
use super::with::WithBlock;
use super::{Analysis, Moment, PairOrder};

/// The slots of a callable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    /// The lower slot, or the only one.
    pub lower: u32,
    /// The upper slot of a method pair.
    pub upper: Option<u32>,
    /// What the two mean.
    pub order: PairOrder,
}

/// A callable as found in the frame's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Address of the callable.
    pub callable: u64,
    /// Address of the receiver, where it is a slot of its own; a bound method has its own in `__self__`.
    pub receiver: Option<u64>,
}

impl Callee {
    /// The callable and its receiver; `object` gives the address in a slot, `None` for NULL or unreadable.
    pub fn resolve(&self, mut object: impl FnMut(u32) -> Option<u64>) -> Option<Resolved> {
        let lower = object(self.lower);
        let Some(upper) = self.upper else {
            return Some(Resolved {
                callable: lower?,
                receiver: None,
            });
        };
        let upper = object(upper);
        match (self.order, lower) {
            (PairOrder::MethodOrNull, None) => Some(Resolved {
                callable: upper?,
                receiver: None,
            }),
            (_, Some(callable)) => Some(Resolved {
                callable,
                receiver: upper,
            }),
            (PairOrder::CallableFirst, None) => None,
        }
    }
}

/// Where the arguments of a call lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// One slot each: `count` from `first` on, the last ones by keyword when there are `names`.
    Slots {
        /// First slot.
        first: u32,
        /// How many, without a receiver.
        count: u32,
        /// The tuple of the keywords' names, as a rule a [`Value::Const`].
        names: Option<ValueId>,
    },
    /// `f(*args, **kwargs)`
    Spread {
        /// Slot of the tuple (or other iterable) of positional arguments.
        positional: u32,
        /// Slot of the dict of keyword arguments; NULL there for none.
        keyword: Option<u32>,
    },
}

/// What an instruction is in the middle of while other code runs or a thread waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// A call. Where the callable is [`Value::Exit`] it leaves a `with`; where it is [`Value::Enter`] it enters one.
    Call {
        /// Slots of the callable.
        callee: Callee,
        /// Slots of the arguments.
        arguments: Arguments,
        /// The callable's expression.
        callable: ValueId,
    },
    /// `__enter__` or `__aenter__` (up to 3.13).
    Enter(WithBlock),
    /// `__exit__` or `__aexit__`, because of an exception, or in any case in 3.8.
    Exit(WithBlock),
    /// An `await` or `yield from`.
    Await {
        /// Slot of what is awaited.
        slot: u32,
        /// Its expression.
        awaited: ValueId,
    },
    /// The next item of an iterator.
    Iterate {
        /// Slot of the iterator.
        slot: u32,
        /// Its expression.
        iterator: ValueId,
    },
    /// Reading, setting or deleting an attribute.
    Attribute {
        /// Slot of the object.
        slot: u32,
        /// Its expression.
        object: ValueId,
        /// Index into `co_names`.
        name: u32,
    },
    /// An operator, a comparison, an item, a truth test, an iterator or awaitable being made.
    Operator {
        /// Slot of the first operand.
        slot: u32,
        /// Its expression.
        operand: ValueId,
    },
    /// `import name`, or a name from a module.
    Import {
        /// Index into `co_names`.
        name: u32,
    },
    /// A generator or coroutine that has yielded.
    Yield,
}

impl Analysis {
    /// What the current instruction is in the middle of; `None` for one that runs no other code.
    pub fn in_flight(&self, moment: &Moment) -> Option<InFlight> {
        let instruction = *self.instructions.get(moment.index)?;
        let name = instruction.arg;
        match instruction.op {
            Op::Call(_) => self.call_in_flight(moment),
            Op::SetupWith | Op::BeforeWith | Op::BeforeAsyncWith => {
                self.being_entered(moment).map(InFlight::Enter)
            }
            Op::WithExceptStart | Op::WithCleanupStart => {
                let exiting = |block: &WithBlock| block.phase == super::Phase::Exiting;
                self.with_blocks(moment)
                    .into_iter()
                    .rev()
                    .find(exiting)
                    .map(InFlight::Exit)
            }
            Op::YieldFrom | Op::Send => self.awaiting(moment),
            Op::Yield => self.await_of_yield(moment, 1),
            Op::Resume => self.await_of_yield(moment, 2),
            Op::ForIter => {
                let below_top = if self.dialect.minor() >= 15 { 2 } else { 1 };
                self.operand(moment, below_top)
                    .map(|(slot, iterator)| InFlight::Iterate { slot, iterator })
            }
            Op::LoadAttr if self.dialect.minor() >= 12 => self.attribute(moment, 1, name >> 1),
            Op::LoadAttr | Op::LoadMethod | Op::StoreAttr | Op::DeleteAttr => {
                self.attribute(moment, 1, name)
            }
            Op::LoadSuperAttr => self.attribute(moment, 1, name >> 2),
            Op::ImportName => Some(InFlight::Import {
                name: self.dialect.import_name(name),
            }),
            Op::ImportFrom => Some(InFlight::Import { name }),
            Op::Subscript | Op::Binary(_) | Op::Compare => self.operator(moment, 2),
            Op::Unary(_)
            | Op::Bool
            | Op::PopJump(..)
            | Op::JumpOrPop(..)
            | Op::GetIter
            | Op::GetIterPair
            | Op::Await
            | Op::Unpack(_) => self.operator(moment, 1),
            Op::Plain(pops, _) if pops > 0 => self.operator(moment, usize::from(pops)),
            _ => None,
        }
    }

    /// The slot and value so many below the stack's end.
    fn operand(&self, moment: &Moment, below_top: usize) -> Option<(u32, ValueId)> {
        let slot = moment.stack.len().checked_sub(below_top)?;
        Some((u32::try_from(slot).ok()?, *moment.stack.get(slot)?))
    }

    fn operator(&self, moment: &Moment, below_top: usize) -> Option<InFlight> {
        let (slot, operand) = self.operand(moment, below_top)?;
        Some(InFlight::Operator { slot, operand })
    }

    fn attribute(&self, moment: &Moment, below_top: usize, name: u32) -> Option<InFlight> {
        let (slot, object) = self.operand(moment, below_top)?;
        Some(InFlight::Attribute { slot, object, name })
    }

    /// The receiver of a `SEND` or `YIELD_FROM`, also once the value was yielded.
    fn awaiting(&self, moment: &Moment) -> Option<InFlight> {
        let (slot, awaited) =
            self.operand(moment, if self.dialect.minor() >= 15 { 3 } else { 2 })?;
        let awaited = match self.values.get(awaited) {
            Value::Awaitable(inner) => inner,
            _ => awaited,
        };
        Some(InFlight::Await { slot, awaited })
    }

    /// A `YIELD_VALUE`, or the `RESUME` after it, that belongs to a `SEND` so many instructions before.
    fn await_of_yield(&self, moment: &Moment, before: usize) -> Option<InFlight> {
        let op = |back: usize| Some(self.instructions.get(moment.index.checked_sub(back)?)?.op);
        if before == 2 && op(1) != Some(Op::Yield) {
            return None;
        }
        if op(before) == Some(Op::Send) {
            self.awaiting(moment)
        } else {
            Some(InFlight::Yield)
        }
    }

    /// The slots of what the current call instruction calls.
    pub(super) fn callee(&self, moment: &Moment) -> Option<Callee> {
        let instruction = self.instructions.get(moment.index)?;
        let Op::Call(form) = instruction.op else {
            return None;
        };
        let (pair, operands) = operands(form, instruction.arg)?;
        let top = u32::try_from(moment.stack.len())
            .ok()?
            .checked_sub(operands)?;
        let order = self.dialect.pair_order();
        if pair {
            Some(Callee {
                lower: top.checked_sub(2)?,
                upper: Some(top - 1),
                order,
            })
        } else {
            Some(Callee {
                lower: top.checked_sub(1)?,
                upper: None,
                order,
            })
        }
    }

    fn call_in_flight(&self, moment: &Moment) -> Option<InFlight> {
        let instruction = self.instructions.get(moment.index)?;
        let Op::Call(form) = instruction.op else {
            return None;
        };
        let callee = self.callee(moment)?;
        let first = callee.upper.unwrap_or(callee.lower) + 1;
        let value = |slot: u32| moment.stack.get(slot as usize).copied();
        let callable = match callee.upper {
            Some(upper) => {
                self.values
                    .callable_of(value(callee.lower)?, value(upper)?, callee.order)
            }
            None => value(callee.lower)?,
        };
        let arguments = match form {
            CallForm::Spread | CallForm::SpreadNull => Arguments::Spread {
                positional: first,
                keyword: (instruction.arg & 1 != 0).then_some(first + 1),
            },
            CallForm::SpreadBoth => Arguments::Spread {
                positional: first,
                keyword: Some(first + 1),
            },
            CallForm::FunctionKw | CallForm::MethodKw => Arguments::Slots {
                first,
                count: instruction.arg,
                names: moment.stack.last().copied(),
            },
            CallForm::Function | CallForm::Method | CallForm::Pre => Arguments::Slots {
                first,
                count: instruction.arg,
                names: self.names_before(moment.index),
            },
            CallForm::Intrinsic(_) => return None,
        };
        Some(InFlight::Call {
            callee,
            arguments,
            callable,
        })
    }

    /// The names that `KW_NAMES` (3.11, 3.12) gave to the call at `index`.
    fn names_before(&self, index: usize) -> Option<ValueId> {
        let before = (1..=2).filter_map(|back| self.instructions.get(index.checked_sub(back)?));
        for instruction in before {
            match instruction.op {
                Op::KwNames => return self.values.find(Value::Const(instruction.arg)),
                Op::Call(CallForm::Pre) => {}
                _ => return None,
            }
        }
        None
    }
}

/// Whether the callable is a pair, and how many slots lie above it.
fn operands(form: CallForm, arg: u32) -> Option<(bool, u32)> {
    Some(match form {
        CallForm::Function => (false, arg),
        CallForm::FunctionKw => (false, arg.checked_add(1)?),
        CallForm::Method | CallForm::Pre => (true, arg),
        CallForm::MethodKw => (true, arg.checked_add(1)?),
        CallForm::Spread => (false, 1 + (arg & 1)),
        CallForm::SpreadNull => (true, 1 + (arg & 1)),
        CallForm::SpreadBoth => (true, 2),
        CallForm::Intrinsic(_) => return None,
    })
}
