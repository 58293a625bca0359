//! What a frame can still do from where it is.

use super::decode::Instruction;
use super::op::Op;
use super::{Analysis, FrameBlock, exception_table};
use std::collections::BTreeSet;

/// What the code from an instruction on may use; indices as in the code object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Indices into `co_names`: globals, names, attributes, modules.
    pub names: BTreeSet<u32>,
    /// Slots of the locals, cells and free variables whose values of now may be read.
    pub locals: BTreeSet<u32>,
    /// Indices into `co_consts` (code of functions made later is among them).
    pub constants: BTreeSet<u32>,
}

/// For each instruction the handlers that its exceptions may go to, by index.
type Handlers = Vec<Vec<usize>>;

/// Handlers per instruction, on average, beyond which they are not believed (CPython nests 20 blocks at most).
const HANDLERS_MAX: usize = 20;

/// Instructions times 64 local variables beyond which no liveness is worked out.
const LIVENESS_WORDS_MAX: usize = 1 << 19;
/// How often each instruction is looked at, at most.
const PASSES_MAX: usize = 64;
/// Indices beyond this are not believed.
const INDEX_MAX: u32 = 1 << 20;

/// What one instruction does to variables.
#[derive(Debug, Clone, Copy, Default)]
struct Access {
    reads: [Option<u32>; 2],
    sets: [Option<u32>; 2],
}

impl Analysis {
    /// What may be used from the instruction at `offset` on, that instruction and all handlers included; from 0 on, by
    /// the whole code. `blocks` as for [`Analysis::at`]. `None` when something ahead could not be followed.
    pub fn uses_from(&self, offset: u32, blocks: &[FrameBlock]) -> Option<Uses> {
        let start = self.instructions.index_at(offset)?;
        let mut handlers = self.handlers()?;
        for block in blocks {
            if let Ok(handler) = u32::try_from(block.handler) {
                let handler = handler.checked_mul(self.dialect.unit())?;
                handlers
                    .get_mut(start)?
                    .push(self.instructions.index_at(handler)?);
            }
        }
        let reached = self.reachable(start, &handlers)?;
        let mut uses = Uses {
            locals: self.live_locals(start, &reached, &handlers)?,
            ..Uses::default()
        };
        let all = self.instructions.iter().zip(&reached);
        for instruction in all.filter_map(|(at, reached)| reached.then_some(at)) {
            uses.names.extend(self.name_of(instruction));
            if matches!(
                instruction.op,
                Op::LoadConst | Op::ReturnConst | Op::KwNames
            ) {
                uses.constants.insert(instruction.arg);
            }
        }
        Some(uses)
    }

    /// The handlers that each instruction's exceptions may go to. Up to 3.10 the compiler lays a block's body out
    /// between its setup and its handler.
    fn handlers(&self) -> Option<Handlers> {
        let mut handlers: Handlers = vec![Vec::new(); self.instructions.len()];
        if self.dialect.has_exception_table() {
            for (instruction, list) in self.instructions.iter().zip(&mut handlers) {
                let entry = exception_table::find(&self.entries, instruction.start);
                list.extend(entry.and_then(|entry| self.instructions.index_at(entry.target)));
            }
            return Some(handlers);
        }
        let mut budget = HANDLERS_MAX.checked_mul(self.instructions.len())?;
        for (at, instruction) in self.instructions.iter().enumerate() {
            if !matches!(
                instruction.op,
                Op::SetupFinally | Op::SetupWith | Op::SetupAsyncWith
            ) {
                continue;
            }
            let target = self.instructions.jump_target(at)?;
            let covered = handlers.get_mut(at..target)?;
            budget = budget.checked_sub(covered.len())?;
            covered.iter_mut().for_each(|list| list.push(target));
        }
        Some(handlers)
    }

    /// Which instructions may run; `None` when one of them hides what it does.
    fn reachable(&self, start: usize, handlers: &Handlers) -> Option<Vec<bool>> {
        let mut reached = vec![false; self.instructions.len()];
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            let Some(instruction) = self.instructions.get(at) else {
                continue;
            };
            if std::mem::replace(reached.get_mut(at)?, true) {
                continue;
            }
            if matches!(instruction.op, Op::Invalid | Op::EnterExecutor) {
                return None;
            }
            self.follow(at, handlers, &mut |next| open.push(next));
        }
        Some(reached)
    }

    /// Calls `next` with each instruction that may follow the one at `at`.
    fn follow(&self, at: usize, handlers: &Handlers, next: &mut dyn FnMut(usize)) {
        let op = self.instructions.get(at).map(|instruction| instruction.op);
        if !matches!(
            op,
            Some(Op::Return | Op::ReturnConst | Op::Raise | Op::Jump(_) | Op::CallFinally)
        ) {
            next(at + 1);
        }
        self.instructions
            .jump_target(at)
            .into_iter()
            .for_each(&mut *next);
        if op == Some(Op::EndFinally) {
            self.finally_calls.iter().for_each(|call| next(call.2));
        }
        handlers
            .get(at)
            .into_iter()
            .flatten()
            .for_each(|handler| next(*handler));
    }

    /// Which slots' present values may be read from `start` on; `None` beyond the limits.
    fn live_locals(
        &self,
        start: usize,
        reached: &[bool],
        handlers: &Handlers,
    ) -> Option<BTreeSet<u32>> {
        let reads = self
            .instructions
            .iter()
            .flat_map(|at| self.access(at).reads)
            .flatten();
        let slots = reads.max().map_or(0, |most| most + 1);
        let words = (slots as usize).div_ceil(64);
        let size = self.instructions.len().checked_mul(words)?;
        if size > LIVENESS_WORDS_MAX {
            return None;
        }
        let mut live = vec![0u64; size];
        for _ in 0..PASSES_MAX {
            let mut changed = false;
            for at in (0..self.instructions.len()).rev() {
                if reached.get(at) == Some(&true) {
                    changed |= self.live_before(at, &mut live, words, handlers)?;
                }
            }
            if !changed {
                let row = live.get(start * words..(start + 1) * words)?;
                let is_live = |slot: &u32| {
                    row.get(*slot as usize / 64)
                        .is_some_and(|word| word >> (slot % 64) & 1 != 0)
                };
                return Some((0..slots).filter(is_live).collect());
            }
        }
        None
    }

    /// Updates liveness before an instruction from that of those that may follow it. Whether it changed.
    fn live_before(
        &self,
        at: usize,
        live: &mut [u64],
        words: usize,
        handlers: &Handlers,
    ) -> Option<bool> {
        let access = self.access(self.instructions.get(at)?);
        let mut changed = false;
        for word in 0..words {
            let mask = |slots: [Option<u32>; 2]| {
                let here = slots
                    .into_iter()
                    .flatten()
                    .filter(|slot| *slot as usize / 64 == word);
                here.fold(0u64, |mask, slot| mask | 1 << (slot % 64))
            };
            let (mut after, mut now) = (0, mask(access.reads));
            self.follow(at, handlers, &mut |next| {
                after |= live.get(next * words + word).copied().unwrap_or(0);
            });
            // An exception may come before the variable is set.
            for handler in handlers.get(at).into_iter().flatten() {
                now |= live.get(handler * words + word).copied().unwrap_or(0);
            }
            now |= after & !mask(access.sets);
            let slot = live.get_mut(at * words + word)?;
            changed |= *slot != now;
            *slot = now;
        }
        Some(changed)
    }

    /// The index into `co_names` that an instruction uses.
    fn name_of(&self, instruction: &Instruction) -> Option<u32> {
        let arg = instruction.arg;
        let minor = self.dialect.minor();
        match instruction.op {
            Op::LoadGlobal if minor >= 11 => Some(arg >> 1),
            Op::LoadAttr if minor >= 12 => Some(arg >> 1),
            Op::LoadSuperAttr => Some(arg >> 2),
            Op::LoadGlobal
            | Op::LoadAttr
            | Op::LoadMethod
            | Op::LoadName
            | Op::StoreAttr
            | Op::DeleteAttr
            | Op::ImportFrom => Some(arg),
            Op::ImportName => Some(self.dialect.import_name(arg)),
            _ if instruction.name == "LOAD_FROM_DICT_OR_GLOBALS" => Some(arg),
            _ => None,
        }
    }

    /// The slots that an instruction reads and sets. A cell's contents may be read by others: it is never set here.
    fn access(&self, instruction: &Instruction) -> Access {
        let arg = instruction.arg;
        let cell = if self.dialect.has_exception_table() {
            arg
        } else {
            self.nlocals.saturating_add(arg)
        };
        let (reads, sets) = match instruction.op {
            Op::LoadFast => ([Some(arg), None], [None, None]),
            Op::LoadFastTwo => ([Some(arg >> 4), Some(arg & 15)], [None, None]),
            Op::StoreFast | Op::DeleteFast => ([None, None], [Some(arg), None]),
            // Set first: the value of before is not read.
            Op::StoreFastLoadFast if arg >> 4 == arg & 15 => ([None, None], [Some(arg >> 4), None]),
            Op::StoreFastLoadFast => ([Some(arg & 15), None], [Some(arg >> 4), None]),
            Op::StoreFastTwo => ([None, None], [Some(arg >> 4), Some(arg & 15)]),
            Op::LoadDeref | Op::LoadClosure => ([Some(cell), None], [None, None]),
            _ if instruction.name == "LOAD_FROM_DICT_OR_DEREF" => {
                ([Some(cell), None], [None, None])
            }
            _ => ([None, None], [None, None]),
        };
        let known =
            |slots: [Option<u32>; 2]| slots.map(|slot| slot.filter(|slot| *slot < INDEX_MAX));
        Access {
            reads: known(reads),
            sets: known(sets),
        }
    }
}
