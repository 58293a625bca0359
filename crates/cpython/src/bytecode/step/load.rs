//! Names, constants, attributes.

use super::{Machine, pop};
use crate::bytecode::decode::Instruction;
use crate::bytecode::flow::State;
use crate::bytecode::op::Op;
use crate::bytecode::value::{Value, ValueId, Values};

impl Machine<'_> {
    /// Names, constants, attributes.
    pub(super) fn load(&mut self, state: &mut State, instruction: &Instruction) -> Option<()> {
        let arg = instruction.arg;
        match instruction.op {
            Op::LoadFast => self.push(state, Value::Local(arg)),
            Op::LoadFastTwo => {
                self.push(state, Value::Local(arg >> 4));
                self.push(state, Value::Local(arg & 15));
            }
            Op::StoreFastLoadFast => {
                pop(state)?;
                self.push(state, Value::Local(arg & 15));
            }
            Op::LoadDeref => {
                let index = if self.dialect.minor() <= 10 {
                    self.nlocals.saturating_add(arg)
                } else {
                    arg
                };
                self.push(state, Value::Cell(index));
            }
            Op::LoadName => self.push(state, Value::Name(arg)),
            Op::LoadConst => self.push(state, Value::Const(arg)),
            Op::LoadSmallInt => self.push(state, Value::Integer(i64::from(arg))),
            Op::LoadCommon => {
                let constant = self.dialect.common_constant(arg);
                self.push(state, constant.map_or(Value::Unknown, Value::Common));
            }
            Op::LoadGlobal if self.dialect.minor() <= 10 => self.push(state, Value::Global(arg)),
            Op::LoadGlobal => {
                let (null, below) = (arg & 1 != 0, self.dialect.minor() <= 12);
                if null && below {
                    state.stack.push(Values::NULL);
                }
                self.push(state, Value::Global(arg >> 1));
                if null && !below {
                    state.stack.push(Values::NULL);
                }
            }
            Op::LoadAttr if self.dialect.minor() <= 11 => {
                let object = pop(state)?;
                self.push(state, Value::Attr { object, name: arg });
            }
            Op::LoadAttr => {
                let object = pop(state)?;
                self.push_attribute(state, object, arg >> 1, arg & 1 != 0);
            }
            Op::LoadMethod => {
                let object = pop(state)?;
                self.push_attribute(state, object, arg, true);
            }
            Op::LoadSuperAttr => {
                let object = pop(state)?;
                pop(state)?;
                pop(state)?;
                self.push_attribute(state, object, arg >> 2, arg & 1 != 0);
            }
            Op::LoadSpecial => self.load_special(state, instruction)?,
            _ => {}
        }
        Some(())
    }

    fn push_attribute(&mut self, state: &mut State, object: ValueId, name: u32, pair: bool) {
        if pair {
            self.push(state, Value::Method { object, name });
            self.push(state, Value::MethodSelf { object, name });
        } else {
            self.push(state, Value::Attr { object, name });
        }
    }

    /// `LOAD_SPECIAL` of 3.14: a method and its receiver.
    fn load_special(&mut self, state: &mut State, instruction: &Instruction) -> Option<()> {
        let manager = pop(state)?;
        let site = instruction.offset;
        let method = self.dialect.special_method(instruction.arg);
        match method {
            Some("__enter__" | "__aenter__") => {
                let is_async = method == Some("__aenter__");
                self.push(state, Value::Enter { manager, is_async });
                self.push(state, Value::EnterSelf { manager });
            }
            Some("__exit__" | "__aexit__") => {
                let (is_async, entered) = (method == Some("__aexit__"), false);
                self.push(
                    state,
                    Value::Exit {
                        site,
                        manager,
                        is_async,
                        entered,
                    },
                );
                self.push(state, Value::ExitSelf { site, manager });
            }
            _ => state.stack.extend([Values::UNKNOWN; 2]),
        }
        Some(())
    }
}
