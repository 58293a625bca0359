//! The `with` blocks that a frame is in.

use super::op::Op;
use super::value::{Value, ValueId};
use super::{Analysis, Moment};

/// How far a `with` block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its `__enter__` runs or is awaited: a lock is waited for, not held.
    Entering,
    /// Its body runs: a lock is held.
    Held,
    /// Its `__exit__` runs or is awaited: a lock may be held still.
    Exiting,
}

/// What the slot of a `with` block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitSlot {
    /// The bound `__exit__` or `__aexit__`; its `m_self` (or `__self__`) is the manager.
    Bound,
    /// The `__exit__` function; the manager itself is in the next slot (3.14+). That slot is NULL where the
    /// attribute was no plain method: then it is as [`ExitSlot::Bound`].
    FunctionAndSelf,
    /// The manager itself.
    Manager,
    /// The manager up to a point within the instruction, then its bound `__exit__`.
    ManagerOrBound,
    /// The awaitable that `__aenter__()` or `__aexit__()` gave; a coroutine's first local is the manager.
    Awaitable,
    /// Not kept any more (3.8, while `__exit__` runs): the first local of the callee's frame is the manager.
    Gone,
}

/// A `with` item that the frame has reached and not left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithBlock {
    /// Slot of the value stack.
    pub slot: u32,
    /// What lies in it.
    pub holds: ExitSlot,
    /// Offset of the instruction that belongs to the `with` item, in bytes; its line is the `with`'s.
    pub site: u32,
    /// The manager's expression.
    pub manager: ValueId,
    /// Whether it is an `async with`.
    pub is_async: bool,
    /// How far it is.
    pub phase: Phase,
}

impl Analysis {
    /// The `with` items that the frame is in, the outermost first. What is being entered or left is among them, and
    /// says so in [`WithBlock::phase`].
    pub fn with_blocks(&self, moment: &Moment) -> Vec<WithBlock> {
        let exiting = self.slot_of_called_exit(moment);
        let mut found = Vec::new();
        for (slot, id) in moment.stack.iter().enumerate() {
            let slot_number = u32::try_from(slot).unwrap_or(u32::MAX);
            match self.values.get(*id) {
                Value::Exit {
                    site,
                    manager,
                    is_async,
                    entered,
                } => {
                    let phase = match (exiting == Some(slot), entered) {
                        (true, _) => Phase::Exiting,
                        (false, true) => Phase::Held,
                        (false, false) => Phase::Entering,
                    };
                    let holds = self.exit_slot(moment, phase);
                    found.push(WithBlock {
                        slot: slot_number,
                        holds,
                        site,
                        manager,
                        is_async,
                        phase,
                    });
                }
                Value::Exiting { site, manager } => found.push(WithBlock {
                    slot: slot_number,
                    holds: ExitSlot::Awaitable,
                    site,
                    manager,
                    is_async: true,
                    phase: Phase::Exiting,
                }),
                _ => {}
            }
        }
        found.extend(self.being_entered(moment));
        found
    }

    fn exit_slot(&self, moment: &Moment, phase: Phase) -> ExitSlot {
        let cleanup = self
            .instructions
            .get(moment.index)
            .is_some_and(|at| at.op == Op::WithCleanupStart);
        if phase == Phase::Exiting && cleanup {
            ExitSlot::Gone
        } else if self.dialect.exit_in_two_slots() {
            ExitSlot::FunctionAndSelf
        } else {
            ExitSlot::Bound
        }
    }

    /// The item whose `__enter__` the current instruction calls, while the manager is the stack's top.
    pub(super) fn being_entered(&self, moment: &Moment) -> Option<WithBlock> {
        let instruction = self.instructions.get(moment.index)?;
        let is_async = match instruction.op {
            Op::SetupWith | Op::BeforeWith => false,
            Op::BeforeAsyncWith => true,
            _ => return None,
        };
        let holds = if self.dialect.minor() >= 12 {
            ExitSlot::Manager
        } else {
            ExitSlot::ManagerOrBound
        };
        Some(WithBlock {
            slot: u32::try_from(moment.stack.len().checked_sub(1)?).ok()?,
            holds,
            site: instruction.offset,
            manager: *moment.stack.last()?,
            is_async,
            phase: Phase::Entering,
        })
    }

    /// The slot of the `__exit__` that the current instruction calls.
    fn slot_of_called_exit(&self, moment: &Moment) -> Option<usize> {
        let instruction = self.instructions.get(moment.index)?;
        let depth = moment.stack.len();
        match instruction.op {
            Op::Call(_) => {
                let callee = self.callee(moment)?;
                let slot = usize::try_from(callee.lower).ok()?;
                matches!(
                    self.values.get(*moment.stack.get(slot)?),
                    Value::Exit { .. }
                )
                .then_some(slot)
            }
            Op::WithExceptStart => depth.checked_sub(match self.dialect.minor() {
                ..=10 => 7,
                11..=13 => 4,
                _ => 5,
            }),
            Op::WithCleanupStart => {
                let exception = matches!(self.values.get(*moment.stack.last()?), Value::Exception);
                depth.checked_sub(if exception { 7 } else { 2 })
            }
            _ => None,
        }
    }
}
