//! From bytes to instructions.

use super::CodeView;
use super::op::{Op, Target};

/// Code longer than this is not analysed (bytes). The largest seen in generated modules is below 4 MiB.
pub(super) const CODE_BYTES_MAX: usize = 16 << 20;

/// One instruction with its prefixes and inline caches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    /// Offset of its first `EXTENDED_ARG`, or its own (bytes).
    pub start: u32,
    /// Offset of the opcode itself (bytes).
    pub offset: u32,
    /// Offset of what follows it and its inline caches (bytes).
    pub end: u32,
    /// The whole argument.
    pub arg: u32,
    pub op: Op,
    /// The base opcode's name.
    pub name: &'static str,
}

/// All instructions of a code object, in order and without gaps.
#[derive(Debug)]
pub(super) struct Instructions {
    list: Vec<Instruction>,
    /// Bytes that a jump's unit stands for.
    unit: u32,
}

impl Instructions {
    /// Decodes as far as the bytes go; an instruction that hides another one becomes [`Op::Invalid`].
    pub(super) fn decode(view: &CodeView<'_>) -> Instructions {
        let bytes = &view.code[..view.code.len().min(CODE_BYTES_MAX)];
        let mut list = Vec::with_capacity(bytes.len() / 4 + 1);
        let (mut at, mut start, mut high) = (0usize, None, 0u32);
        while let Some(&[number, low]) = bytes.get(at..at + 2) {
            let offset = at as u32;
            let opcode = view.dialect.opcode(number);
            let arg = high | u32::from(low);
            if opcode.op == Op::ExtendedArg {
                start.get_or_insert(offset);
                high = arg << 8;
                at += 2;
                continue;
            }
            let op = settle(opcode.op, arg);
            let end = at + 2 + 2 * usize::from(opcode.caches);
            let start = start.take().unwrap_or(offset);
            list.push(Instruction {
                start,
                offset,
                end: end as u32,
                arg,
                op,
                name: opcode.name,
            });
            high = 0;
            at = end;
        }
        Instructions {
            list,
            unit: view.dialect.unit(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Instruction> {
        self.list.get(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Instruction> {
        self.list.iter()
    }

    /// The instruction that the byte at `offset` belongs to: its prefix, itself, or its inline caches.
    pub(super) fn index_at(&self, offset: u32) -> Option<usize> {
        let index = self
            .list
            .partition_point(|instruction| instruction.end <= offset);
        self.list
            .get(index)
            .filter(|instruction| instruction.start <= offset)
            .map(|_| index)
    }

    /// Where a jump of this kind in this instruction goes, as an instruction's index.
    pub(super) fn target(&self, instruction: &Instruction, target: Target) -> Option<usize> {
        let distance = instruction.arg.checked_mul(self.unit)?;
        let offset = match target {
            Target::Absolute => distance,
            Target::Forward => instruction.end.checked_add(distance)?,
            Target::Backward => instruction.end.checked_sub(distance)?,
        };
        self.index_at(offset)
    }

    /// Where a taken branch or a block's handler goes, whichever kind of instruction this is.
    pub(super) fn jump_target(&self, index: usize) -> Option<usize> {
        let instruction = self.get(index)?;
        let target = match instruction.op {
            Op::Jump(target)
            | Op::PopJump(target, _)
            | Op::JumpOrPop(target, _)
            | Op::JumpNotMatch(target) => target,
            Op::ForIter | Op::Send => Target::Forward,
            Op::SetupFinally | Op::SetupWith | Op::SetupAsyncWith | Op::CallFinally => {
                Target::Forward
            }
            _ => return None,
        };
        self.target(instruction, target)
    }
}

/// An opcode whose effect depends on its argument beyond a count.
fn settle(op: Op, arg: u32) -> Op {
    match op {
        Op::BinaryArg if arg == super::op::OPERATOR_SUBSCRIPT => Op::Subscript,
        Op::BinaryArg => Op::Binary((arg % super::op::OPERATORS.len() as u32) as u8),
        other => other,
    }
}
