//! One instruction's effect on the abstract state.

mod blocks;
mod load;

use super::Dialect;
use super::decode::{Instruction, Instructions};
use super::flow::State;
use super::op::{CallForm, Op};
use super::value::{Value, ValueId, Values};

/// Interprets single instructions.
pub(super) struct Machine<'m> {
    pub dialect: &'static Dialect,
    pub nlocals: u32,
    pub instructions: &'m Instructions,
    pub values: &'m mut Values,
    pub finally_calls: &'m mut Vec<(usize, usize, usize)>,
}

/// Calls of `finally` bodies remembered at most.
const FINALLY_CALLS_MAX: usize = 4096;
/// One instruction pushes at most so many values; more is not believed.
const PUSH_MAX: usize = 1 << 16;

/// States that jumps lead to, with the index of the instruction they lead to.
pub(super) type Edges = Vec<(usize, State)>;

impl Machine<'_> {
    /// Carries `state` over the instruction and adds the jumps that it may take to `edges`. Whether the next
    /// instruction follows; `None` when the instruction cannot be followed.
    pub(super) fn step(
        &mut self,
        state: &mut State,
        index: usize,
        edges: &mut Edges,
    ) -> Option<bool> {
        let instruction = *self.instructions.get(index)?;
        match instruction.op {
            Op::Invalid => return None,
            Op::EnterExecutor => return self.enter_executor(index),
            Op::Call(form) => self.call(state, &instruction, form)?,
            Op::Return => {
                pop(state)?;
                return Some(false);
            }
            Op::ReturnConst | Op::Raise => return Some(false),
            Op::Jump(_)
            | Op::PopJump(..)
            | Op::JumpOrPop(..)
            | Op::JumpNotMatch(_)
            | Op::ForIter
            | Op::Send
            | Op::CallFinally => return self.jump(state, index, &instruction, edges),
            Op::SetupFinally | Op::SetupWith | Op::SetupAsyncWith => {
                self.setup(state, index, &instruction, edges)?
            }
            Op::EndFinally => return self.end_finally(state, edges),
            Op::WithCleanupFinish => self.with_cleanup_finish(state, index, edges)?,
            Op::PopBlock
            | Op::BeginFinally
            | Op::PopFinally
            | Op::WithCleanupStart
            | Op::WithExceptStart
            | Op::BeforeWith
            | Op::BeforeAsyncWith
            | Op::PushExcInfo
            | Op::PopExcept
            | Op::EndAsyncFor => self.block(state, &instruction)?,
            Op::LoadFast
            | Op::LoadFastTwo
            | Op::StoreFastLoadFast
            | Op::LoadDeref
            | Op::LoadName
            | Op::LoadGlobal
            | Op::LoadAttr
            | Op::LoadMethod
            | Op::LoadSuperAttr
            | Op::LoadSpecial
            | Op::LoadConst
            | Op::LoadSmallInt
            | Op::LoadCommon => self.load(state, &instruction)?,
            Op::Pop
            | Op::Rotate(_)
            | Op::RotateArg
            | Op::Dup
            | Op::DupTwo
            | Op::Swap
            | Op::Copy
            | Op::PushNull => shuffle(state, &instruction)?,
            _ => self.compute(state, &instruction)?,
        }
        Some(true)
    }

    /// In place of a `RESUME` at the start (3.15) it changes nothing; otherwise it stands for a jump back whose
    /// target has been interpreted already.
    fn enter_executor(&self, index: usize) -> Option<bool> {
        let at_start = (0..index).all(|before| {
            let op = self
                .instructions
                .get(before)
                .map(|instruction| instruction.op);
            matches!(op, Some(Op::Nop | Op::ReturnGenerator | Op::Pop))
        });
        Some(at_start)
    }

    fn push(&mut self, state: &mut State, value: Value) {
        let id = self.values.id(value);
        state.stack.push(id);
    }

    /// Operators, iteration, suspension, and everything whose result nobody follows.
    fn compute(&mut self, state: &mut State, instruction: &Instruction) -> Option<()> {
        match instruction.op {
            Op::Subscript => {
                let index = pop(state)?;
                let object = pop(state)?;
                self.push(state, Value::Item { object, index });
            }
            Op::Binary(operator) => {
                let right = pop(state)?;
                let left = pop(state)?;
                self.push(
                    state,
                    Value::Binary {
                        operator,
                        left,
                        right,
                    },
                );
            }
            Op::Unary(operator) => {
                let operand = pop(state)?;
                self.push(state, Value::Unary { operator, operand });
            }
            Op::ImportName => {
                replace(state, 2, 0)?;
                let name = self.dialect.import_name(instruction.arg);
                self.push(state, Value::Import(name));
            }
            Op::ImportFrom => {
                let module = *state.stack.last()?;
                self.push(
                    state,
                    Value::ImportFrom {
                        module,
                        name: instruction.arg,
                    },
                );
            }
            Op::GetIter | Op::Await => {
                let inner = pop(state)?;
                let keep = matches!(
                    self.values.get(inner),
                    Value::Entering { .. } | Value::Exiting { .. }
                );
                let value = if keep {
                    inner
                } else {
                    self.values.id(Value::Awaitable(inner))
                };
                state.stack.push(value);
            }
            Op::GetIterPair => {
                let inner = pop(state)?;
                self.push(state, Value::Awaitable(inner));
                state.stack.push(Values::UNKNOWN);
            }
            Op::YieldFrom => {
                pop(state)?;
                let awaited = pop(state)?;
                let result = self.result_of_await(awaited, instruction.offset);
                state.stack.push(result);
            }
            Op::EndSend => {
                let result = pop(state)?;
                replace(state, if self.dialect.minor() >= 15 { 2 } else { 1 }, 0)?;
                state.stack.push(result);
            }
            Op::CleanupThrow => self.cleanup_throw(state)?,
            _ => self.count(state, instruction)?,
        }
        Some(())
    }

    /// Instructions whose results nobody follows: only the stack's depth matters.
    fn count(&mut self, state: &mut State, instruction: &Instruction) -> Option<()> {
        match instruction.op {
            Op::Yield => replace(state, 1, 1)?,
            Op::ReturnGenerator => state.stack.push(Values::UNKNOWN),
            Op::EndFor => replace(state, if self.dialect.minor() <= 12 { 2 } else { 1 }, 0)?,
            Op::Build(count) => replace(state, count.of(instruction.arg), 1)?,
            Op::Unpack(count) => replace(state, 1, count.of(instruction.arg))?,
            Op::Plain(pops, pushes) => replace(state, usize::from(pops), usize::from(pushes))?,
            Op::Compare => replace(state, 2, 1)?,
            Op::StoreFast | Op::StoreDeref | Op::StoreName | Op::StoreGlobal | Op::DeleteAttr => {
                replace(state, 1, 0)?
            }
            Op::StoreAttr | Op::StoreFastTwo => replace(state, 2, 0)?,
            Op::LoadClosure => state.stack.push(Values::UNKNOWN),
            // Kept among the values for the call that follows.
            Op::KwNames => {
                self.values.id(Value::Const(instruction.arg));
            }
            _ => {}
        }
        Some(())
    }

    /// What an `await` gives once its awaitable is done.
    fn result_of_await(&mut self, awaited: ValueId, offset: u32) -> ValueId {
        match self.values.get(awaited) {
            Value::Entering { site, manager } => self.values.id(Value::Entered { site, manager }),
            Value::Exiting { .. } => Values::UNKNOWN,
            Value::Awaitable(inner) => self.values.id(Value::Awaited {
                offset,
                awaited: inner,
            }),
            _ => self.values.id(Value::Awaited { offset, awaited }),
        }
    }

    /// The awaitable was thrown an exception and returned: its value takes the exception's place.
    fn cleanup_throw(&mut self, state: &mut State) -> Option<()> {
        let near = state.stack.len().saturating_sub(4);
        for at in near..state.stack.len() {
            if let Value::Entering { site, .. } = self.values.get(*state.stack.get(at)?) {
                self.mark_entered(state, site);
            }
        }
        replace(state, 3, 2)
    }

    /// The `with` item at `site` has been entered: its exit on the stack now means that it is in force.
    pub(super) fn mark_entered(&mut self, state: &mut State, site: u32) {
        for slot in &mut state.stack {
            if let Value::Exit {
                site: other,
                manager,
                is_async,
                ..
            } = self.values.get(*slot)
                && other == site
            {
                *slot = self.values.id(Value::Exit {
                    site,
                    manager,
                    is_async,
                    entered: true,
                });
            }
        }
    }

    fn jump(
        &mut self,
        state: &mut State,
        index: usize,
        instruction: &Instruction,
        edges: &mut Edges,
    ) -> Option<bool> {
        let target = self.instructions.jump_target(index)?;
        match instruction.op {
            Op::PopJump(..) => replace(state, 1, 0)?,
            Op::JumpNotMatch(_) => replace(state, 2, 0)?,
            _ => {}
        }
        let mut taken = state.clone();
        match instruction.op {
            Op::Jump(_) => {
                edges.push((target, taken));
                return Some(false);
            }
            Op::JumpOrPop(..) => replace(state, 1, 0)?,
            Op::ForIter => {
                let exhausted_pops = self.dialect.minor() <= 11;
                replace(
                    &mut taken,
                    usize::from(exhausted_pops),
                    usize::from(!exhausted_pops),
                )?;
                state.stack.push(Values::UNKNOWN);
            }
            Op::Send => self.send(state, &mut taken, instruction)?,
            Op::CallFinally => {
                let body = self.instructions.get(target)?.offset;
                self.push(&mut taken, Value::Finally { body, falls: false });
                self.remember_finally(target, taken.stack.len(), index + 1);
                edges.push((target, taken));
                // The body comes back here by END_FINALLY.
                return Some(false);
            }
            _ => {}
        }
        edges.push((target, taken));
        Some(true)
    }

    /// `SEND`: goes on with what was yielded, jumps when the awaitable is done.
    fn send(
        &mut self,
        state: &mut State,
        taken: &mut State,
        instruction: &Instruction,
    ) -> Option<()> {
        let receiver_at = taken
            .stack
            .len()
            .checked_sub(if self.dialect.minor() >= 15 { 3 } else { 2 })?;
        let receiver = *taken.stack.get(receiver_at)?;
        if let Value::Entering { site, .. } = self.values.get(receiver) {
            self.mark_entered(taken, site);
        }
        let result = self.result_of_await(receiver, instruction.offset);
        replace(taken, if self.dialect.minor() <= 11 { 2 } else { 1 }, 0)?;
        taken.stack.push(result);
        replace(state, 1, 1)
    }

    fn remember_finally(&mut self, body: usize, depth: usize, back: usize) {
        let call = (body, depth, back);
        if self.finally_calls.len() < FINALLY_CALLS_MAX && !self.finally_calls.contains(&call) {
            self.finally_calls.push(call);
        }
    }

    /// Takes the callable and its arguments off the stack and pushes the result.
    fn call(&mut self, state: &mut State, instruction: &Instruction, form: CallForm) -> Option<()> {
        let argc = instruction.arg as usize;
        let (pair, operands) = match form {
            CallForm::Pre => return Some(()),
            CallForm::Function => (false, argc),
            CallForm::FunctionKw => (false, argc.checked_add(1)?),
            CallForm::Method => (true, argc),
            CallForm::MethodKw => (true, argc.checked_add(1)?),
            CallForm::Spread => (false, 1 + (argc & 1)),
            CallForm::SpreadNull => (true, 1 + (argc & 1)),
            CallForm::SpreadBoth => (true, 2),
            CallForm::Intrinsic(operands) => return replace(state, usize::from(operands), 1),
        };
        replace(state, operands, 0)?;
        let upper = pop(state)?;
        let callable = if pair {
            let lower = pop(state)?;
            let order = self.dialect.pair_order();
            self.values.callable_of(lower, upper, order)
        } else {
            upper
        };
        let result = self.result_of_call(state, callable, instruction.offset);
        state.stack.push(result);
        Some(())
    }

    fn result_of_call(&mut self, state: &mut State, callable: ValueId, offset: u32) -> ValueId {
        match self.values.get(callable) {
            Value::Exit { .. } => self.result_of_exit(callable),
            // 3.14+: the exit and its receiver lie right below the pair that was called.
            Value::Enter { manager, is_async } => {
                let exit = state
                    .stack
                    .len()
                    .checked_sub(2)
                    .and_then(|at| state.stack.get(at));
                let site = match exit.map(|exit| self.values.get(*exit)) {
                    Some(Value::Exit { site, .. }) => site,
                    _ => return Values::UNKNOWN,
                };
                if is_async {
                    return self.values.id(Value::Entering { site, manager });
                }
                self.mark_entered(state, site);
                self.values.id(Value::Entered { site, manager })
            }
            _ => self.values.id(Value::Call { offset, callable }),
        }
    }
}

fn pop(state: &mut State) -> Option<ValueId> {
    state.stack.pop()
}

/// Pops and then pushes so many unknown values.
fn replace(state: &mut State, pops: usize, pushes: usize) -> Option<()> {
    if pushes > PUSH_MAX {
        return None;
    }
    let depth = state.stack.len().checked_sub(pops)?;
    state.stack.truncate(depth);
    state.stack.resize(depth + pushes, Values::UNKNOWN);
    Some(())
}

/// Instructions that only move values.
fn shuffle(state: &mut State, instruction: &Instruction) -> Option<()> {
    let (depth, arg) = (state.stack.len(), instruction.arg as usize);
    let mut rotate = |count: usize| {
        state
            .stack
            .get_mut(depth.checked_sub(count)?..)?
            .rotate_right(usize::from(count > 0));
        Some(())
    };
    match instruction.op {
        Op::Rotate(count) => rotate(usize::from(count))?,
        Op::RotateArg => rotate(arg)?,
        Op::Pop => {
            pop(state)?;
        }
        Op::Dup => state.stack.push(*state.stack.last()?),
        Op::DupTwo => state.stack.extend_from_within(depth.checked_sub(2)?..),
        Op::Swap => {
            let (top, other) = (depth.checked_sub(1)?, depth.checked_sub(arg)?);
            if other > top {
                return None;
            }
            state.stack.swap(top, other);
        }
        Op::Copy => {
            let value = *state.stack.get(depth.checked_sub(arg)?)?;
            state.stack.push(value);
        }
        Op::PushNull => state.stack.push(Values::NULL),
        _ => {}
    }
    Some(())
}
