//! What a function's bytecode says about a frame that runs it: pure functions over byte slices.
//!
//! A [`CodeView`] describes a code object; [`Analysis::new`] interprets it once, abstractly, and can be kept
//! with the code object; [`Analysis::at`] gives the [`Moment`] of a frame: the value stack before the current
//! instruction, slot by slot, as symbolic values. From the moment follow the `with` blocks in force
//! ([`Analysis::with_blocks`]), the call in flight ([`Analysis::in_flight`]) and so on.
//!
//! # The current instruction
//! Everything here takes the byte offset, from the start of the code, of the instruction that the frame executes:
//!
//! | version | where it stands |
//! |---|---|
//! | 3.8, 3.9 | `f_lasti` as it is |
//! | 3.10 | `f_lasti * 2` |
//! | 3.11, 3.12 | `prev_instr - first instruction`, in bytes; for a frame that waits for a Python callee it points at the last inline cache entry of the call, which is understood |
//! | 3.13 and later | `instr_ptr - first instruction`, in bytes; a suspended generator's points at the `RESUME` after its `YIELD_VALUE` |
//!
//! In free-threaded builds from 3.14 on, `instr_ptr` lies in the thread's own copy of the bytecode (`co_tlbc`), and
//! the copy's bytes are the ones to hand in. A frame that has not started yet (`f_lasti` of -1, `prev_instr` before the
//! code) has an empty stack, and there is nothing to ask.
//!
//! # Slots
//! A slot is an index into the frame's value stack, 0 at the bottom: `f_valuestack[slot]` up to 3.10,
//! `localsplus[co_nlocalsplus + slot]` from 3.11 on. The saved stack pointer is never needed.
//! During a C call the callable and its arguments stay in their slots, owned by the frame. During a call
//! from Python to Python of 3.11 and later the slots still have the same words, but the references now belong to the
//! callee's frame, which may drop them: read the callee's locals instead.
//!
//! No bytes can make this panic or run for long: work and memory are bounded, and what cannot be followed is left out.

mod acquire;
mod call;
mod decode;
mod dialect;
mod exception_table;
mod flow;
mod lines;
mod op;
mod path;
mod step;
mod tables;
mod uses;
mod value;
mod with;

#[cfg(test)]
mod tests;

pub use acquire::{
    AcquireSite, CallEffect, CallSite, Callees, LeftBehind, NoCallees, Subject, Taken,
};
pub use call::{Arguments, Callee, InFlight, Resolved};
pub use dialect::{Dialect, PairOrder, StackRefs};
pub use flow::{Analysis, Moment};
pub use lines::{LineTable, Position};
pub use op::{Unary, operator_text};
pub use path::{Key, Path, Root, Step};
pub use uses::Uses;
pub use value::{Value, ValueId};
pub use with::{ExitSlot, Phase, WithBlock};

/// A code object's parts.
#[derive(Clone, Copy)]
pub struct CodeView<'a> {
    /// The opcodes of its version.
    pub dialect: &'static Dialect,
    /// `co_code` (up to 3.10) or `co_code_adaptive` (3.11+), as it is in memory. The analysis stops at a stand-in that a
    /// tool has put there (`INSTRUMENTED_LINE`, `INSTRUMENTED_INSTRUCTION`), and takes an `ENTER_EXECUTOR` for the
    /// end of a loop; [`crate::code::CodeInfo::instructions`] has put back what they stand for.
    pub code: &'a [u8],
    /// `co_exceptiontable` (3.11+); empty before.
    pub exception_table: &'a [u8],
    /// `co_stacksize`.
    pub stacksize: u32,
    /// `co_nlocals`: up to 3.10 the cells' place after the locals follows from it.
    pub nlocals: u32,
}

/// The names and constants of a code object, for rendering. Each may be unknown.
pub trait Names {
    /// `co_names[index]`
    fn name(&self, index: u32) -> Option<String>;
    /// The variable in slot `index` of the locals, cells and free variables.
    fn local(&self, index: u32) -> Option<String>;
    /// `repr(co_consts[index])`, short.
    fn constant(&self, index: u32) -> Option<String>;
}

/// An entry of a frame's block stack (`PyTryBlock`, up to 3.10), as it is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameBlock {
    /// `b_type`: 122 (`SETUP_FINALLY`) or 257 (`EXCEPT_HANDLER`).
    pub kind: i32,
    /// `b_handler`: in bytes (3.8, 3.9) or code units (3.10); -1 for `EXCEPT_HANDLER`.
    pub handler: i32,
    /// `b_level`: depth of the value stack at its start.
    pub level: i32,
}
