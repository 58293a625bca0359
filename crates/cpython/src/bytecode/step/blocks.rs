//! Blocks, exception handlers and `with`.

use super::{Edges, Machine, pop, replace};
use crate::bytecode::decode::Instruction;
use crate::bytecode::flow::{Block, State};
use crate::bytecode::op::Op;
use crate::bytecode::value::{Value, ValueId, Values};

/// Values that an exception handler of 3.8–3.10 is entered with: the exception handled before, and the new one.
const HANDLER_VALUES: usize = 6;

impl Machine<'_> {
    /// `SETUP_*` up to 3.10: a block whose handler is entered with six more values.
    pub(super) fn setup(
        &mut self,
        state: &mut State,
        index: usize,
        instruction: &Instruction,
        edges: &mut Edges,
    ) -> Option<()> {
        let target = self.instructions.jump_target(index)?;
        let mut result = None;
        if instruction.op == Op::SetupWith {
            let manager = pop(state)?;
            let site = instruction.offset;
            self.push(
                state,
                Value::Exit {
                    site,
                    manager,
                    is_async: false,
                    entered: true,
                },
            );
            result = Some(self.values.id(Value::Entered { site, manager }));
        } else if instruction.op == Op::SetupAsyncWith {
            let entered = pop(state)?;
            if let Value::Exit { site, .. } = self.values.get(*state.stack.last()?) {
                self.mark_entered(state, site);
            }
            result = Some(entered);
        }
        let level = state.stack.len();
        let mut handler = state.clone();
        handler.blocks.push(Block {
            handler: None,
            level,
        });
        handler.stack.extend([Values::EXCEPTION; HANDLER_VALUES]);
        edges.push((target, handler));
        let handler = self.handler_offset(instruction);
        state.blocks.push(Block { handler, level });
        state.stack.extend(result);
        Some(())
    }

    /// The handler as the frame's block stack has it, in bytes.
    fn handler_offset(&self, instruction: &Instruction) -> Option<u32> {
        let unit = if self.dialect.minor() <= 9 { 1 } else { 2 };
        instruction
            .end
            .checked_add(instruction.arg.checked_mul(unit)?)
    }

    /// Blocks, handlers and the exits of `with`.
    pub(super) fn block(&mut self, state: &mut State, instruction: &Instruction) -> Option<()> {
        match instruction.op {
            Op::PopBlock => {
                state.blocks.pop()?;
            }
            Op::BeginFinally => state.stack.push(Values::NULL),
            Op::PopFinally => {
                let kept = if instruction.arg != 0 {
                    Some(pop(state)?)
                } else {
                    None
                };
                if pop(state)? == Values::EXCEPTION {
                    replace(state, HANDLER_VALUES - 1, 0)?;
                    state.blocks.pop()?;
                }
                state.stack.extend(kept);
            }
            Op::WithCleanupStart => self.with_cleanup_start(state)?,
            Op::WithExceptStart => self.with_except_start(state)?,
            Op::BeforeWith => {
                let (site, manager) = (instruction.offset, pop(state)?);
                self.push(
                    state,
                    Value::Exit {
                        site,
                        manager,
                        is_async: false,
                        entered: true,
                    },
                );
                self.push(state, Value::Entered { site, manager });
            }
            Op::BeforeAsyncWith => {
                let (site, manager) = (instruction.offset, pop(state)?);
                self.push(
                    state,
                    Value::Exit {
                        site,
                        manager,
                        is_async: true,
                        entered: false,
                    },
                );
                self.push(state, Value::Entering { site, manager });
            }
            Op::PushExcInfo => {
                let exception = pop(state)?;
                state.stack.extend([Values::UNKNOWN, exception]);
            }
            Op::PopExcept if self.dialect.minor() <= 10 => {
                replace(state, 3, 0)?;
                state.blocks.pop()?;
            }
            Op::PopExcept => replace(state, 1, 0)?,
            Op::EndAsyncFor if self.dialect.minor() <= 10 => {
                replace(state, 7, 0)?;
                state.blocks.pop()?;
            }
            Op::EndAsyncFor => replace(state, 2, 0)?,
            _ => {}
        }
        Some(())
    }

    /// 3.8: calls the exit, which lies below a marker or an exception's six values, and takes it off the stack.
    fn with_cleanup_start(&mut self, state: &mut State) -> Option<()> {
        let depth = state.stack.len();
        let result;
        if *state.stack.last()? == Values::EXCEPTION {
            let exit = state.stack.get(depth.checked_sub(7)?).copied()?;
            result = self.result_of_exit(exit);
            state.stack.remove(depth - 7);
            state.stack.insert(depth - 4, Values::NULL);
            let block = state.blocks.last_mut()?;
            block.level = block.level.checked_sub(1)?;
        } else {
            let exit = state.stack.get(depth.checked_sub(2)?).copied()?;
            result = self.result_of_exit(exit);
            state.stack.remove(depth - 2);
        }
        let exception = *state.stack.last()?;
        let exception = if exception == Values::EXCEPTION {
            exception
        } else {
            Values::UNKNOWN
        };
        state.stack.extend([exception, result]);
        Some(())
    }

    /// 3.8: the exit has returned; a true result ends the exception's handler.
    pub(super) fn with_cleanup_finish(
        &mut self,
        state: &mut State,
        index: usize,
        edges: &mut Edges,
    ) -> Option<()> {
        replace(state, 2, 0)?;
        if *state.stack.last()? == Values::EXCEPTION {
            let mut swallowed = state.clone();
            let block = swallowed.blocks.pop()?;
            swallowed.stack.truncate(block.level);
            swallowed.stack.push(Values::NULL);
            edges.push((index + 1, swallowed));
        }
        Some(())
    }

    /// 3.8: goes on, returns to the caller of the body, or raises again.
    pub(super) fn end_finally(&mut self, state: &mut State, edges: &mut Edges) -> Option<bool> {
        let depth = state.stack.len();
        let marker = pop(state)?;
        match self.values.get(marker) {
            Value::Exception => return Some(false),
            Value::Finally { body, falls } => {
                let body = self.instructions.index_at(body)?;
                let calls = self
                    .finally_calls
                    .iter()
                    .filter(|call| call.0 == body && call.1 == depth);
                edges.extend(calls.map(|call| (call.2, state.clone())));
                return Some(falls);
            }
            _ => {}
        }
        Some(true)
    }

    /// Calls the exit because of an exception; the exit stays where it is, but is not in force any more.
    fn with_except_start(&mut self, state: &mut State) -> Option<()> {
        let below_top = match self.dialect.minor() {
            ..=10 => 7,
            11..=13 => 4,
            _ => 5,
        };
        let at = state.stack.len().checked_sub(below_top)?;
        let exit = state.stack.get_mut(at)?;
        let called = std::mem::replace(exit, Values::UNKNOWN);
        let result = self.result_of_exit(called);
        state.stack.push(result);
        Some(())
    }

    /// What calling a `with` item's exit gives: for an asynchronous one, something to be awaited.
    pub(super) fn result_of_exit(&mut self, exit: ValueId) -> ValueId {
        match self.values.get(exit) {
            Value::Exit {
                site,
                manager,
                is_async: true,
                ..
            } => self.values.id(Value::Exiting { site, manager }),
            _ => Values::UNKNOWN,
        }
    }
}
