//! What a frame can still use: the names, variables and constants of the instructions that can be reached from the current
//! one.

use super::decode::Instruction;
use super::op::Op;
use super::{Analysis, FrameBlock, exception_table};
use std::collections::BTreeSet;

/// What the instructions ahead of a frame use; each list in order and without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Indices into `co_names`: globals, attributes, modules.
    pub names: BTreeSet<u32>,
    /// Slots of the locals, cells and free variables that are read.
    pub locals: BTreeSet<u32>,
    /// Indices into `co_consts`.
    pub constants: BTreeSet<u32>,
}

impl Analysis {
    /// What can be used from the instruction at `offset` on, itself included, with the handlers in force there.
    /// `blocks` as for [`Analysis::at`]. `None` when not every way ahead is known.
    pub fn uses_from(&self, offset: u32, blocks: &[FrameBlock]) -> Option<Uses> {
        let first = self.instructions.index_at(offset)?;
        let unit = self.dialect.unit();
        let mut seen = vec![false; self.instructions.len()];
        let mut ahead = vec![first];
        for block in blocks {
            if let Ok(handler) = u32::try_from(block.handler) {
                ahead.push(self.instructions.index_at(handler.checked_mul(unit)?)?);
            }
        }
        let mut uses = Uses::default();
        while let Some(index) = ahead.pop() {
            let Some(instruction) = self.instructions.get(index) else {
                continue;
            };
            if std::mem::replace(seen.get_mut(index)?, true) {
                continue;
            }
            if matches!(instruction.op, Op::Invalid | Op::EnterExecutor) {
                return None;
            }
            self.add(instruction, &mut uses);
            if !matches!(
                instruction.op,
                Op::Jump(_) | Op::Return | Op::ReturnConst | Op::Raise
            ) {
                ahead.push(index + 1);
            }
            ahead.extend(self.instructions.jump_target(index));
            let handler = exception_table::find(&self.entries, instruction.offset);
            ahead.extend(handler.and_then(|entry| self.instructions.index_at(entry.target)));
        }
        Some(uses)
    }

    fn add(&self, instruction: &Instruction, uses: &mut Uses) {
        let (minor, arg) = (self.dialect.minor(), instruction.arg);
        // Cells and free variables have numbers of their own up to 3.10.
        let cell = if minor <= 10 {
            self.nlocals.saturating_add(arg)
        } else {
            arg
        };
        match instruction.name {
            "LOAD_NAME"
            | "LOAD_METHOD"
            | "IMPORT_FROM"
            | "STORE_ATTR"
            | "DELETE_ATTR"
            | "LOAD_FROM_DICT_OR_GLOBALS" => {
                uses.names.insert(arg);
            }
            "LOAD_GLOBAL" => {
                uses.names.insert(if minor >= 11 { arg >> 1 } else { arg });
            }
            "LOAD_ATTR" => {
                uses.names.insert(if minor >= 12 { arg >> 1 } else { arg });
            }
            "LOAD_SUPER_ATTR" => {
                uses.names.insert(arg >> 2);
            }
            "IMPORT_NAME" => {
                // From 3.15 on the two lowest bits tell how lazily.
                uses.names.insert(if minor >= 15 { arg >> 2 } else { arg });
            }
            "LOAD_CONST" | "RETURN_CONST" | "KW_NAMES" => {
                uses.constants.insert(arg);
            }
            "LOAD_CLOSURE" | "LOAD_DEREF" | "LOAD_CLASSDEREF" | "LOAD_FROM_DICT_OR_DEREF" => {
                uses.locals.insert(cell);
            }
            _ => match instruction.op {
                Op::LoadFast => {
                    uses.locals.insert(arg);
                }
                Op::LoadFastTwo => uses.locals.extend([arg >> 4, arg & 15]),
                Op::StoreFastLoadFast => {
                    uses.locals.insert(arg & 15);
                }
                _ => {}
            },
        }
    }
}
