//! Frames of Python code, running or suspended.

use crate::code::CodeInfo;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::rc::Rc;

/// An entry of a frame's block stack (up to 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The opcode that opened it (`SETUP_FINALLY`, …) or 257 for an exception handler.
    pub kind: i32,
    /// Where its handler starts, in units of `f_lasti`.
    pub handler: i32,
    /// Slots of the value stack when it was opened.
    pub level: i32,
}

/// One frame.
#[derive(Debug, Clone)]
pub struct RawFrame {
    /// The frame: `PyFrameObject` up to 3.10, `_PyInterpreterFrame` from 3.11.
    pub address: Address,
    /// Its code.
    pub code: Rc<CodeInfo>,
    /// Bytes from the first instruction to the current one. In 3.11 and 3.12 it may lie within the current
    /// instruction's inline cache; -2 … means that it has not begun and is given as 0 with `complete` false.
    pub offset: usize,
    /// Slot 0 of its local variables.
    pub locals: Address,
    /// Slot 0 of its value stack.
    pub stack: Address,
    /// Slots of the value stack in use, where the frame has it noted (suspended, or in a call that spilled it).
    pub stack_depth: Option<usize>,
    /// Its block stack, outermost first (up to 3.10).
    pub blocks: Vec<Block>,
    /// Its module's namespace.
    pub globals: Address,
    /// Its local namespace where that is a mapping (class bodies, `exec`, modules); else null.
    pub namespace: Address,
    /// The function that it runs (3.11+); else null.
    pub function: Address,
    /// The generator or coroutine that owns it.
    pub generator: Option<Address>,
    /// Called from C, not from the next outer Python frame.
    pub entry: bool,
    /// Whether it has begun to run: `sys._current_frames()` leaves out one that has not.
    pub complete: bool,
}

impl RawFrame {
    /// The current line, from 1; `None` where the code has none there.
    pub fn line(&self) -> Option<u32> {
        None
    }

    /// The current column, from 1, in UTF-8 bytes (3.11+).
    pub fn column(&self) -> Option<u32> {
        None
    }

    /// The local variable in this slot, a cell's content if it is one, without tags; `None`: unbound or not readable.
    pub fn slot(&self, reader: &Reader<'_>, slot: usize) -> Option<Address> {
        let _ = (reader, slot);
        None
    }

    /// The local variable of this name; cells dereferenced, tags stripped.
    pub fn local(&self, reader: &Reader<'_>, name: &str) -> Option<Address> {
        let _ = (reader, name);
        None
    }

    /// What stands in this slot of the value stack, without tags; `None`: empty or not readable.
    pub fn stack_slot(&self, reader: &Reader<'_>, slot: usize) -> Option<Address> {
        let _ = (reader, slot);
        None
    }
}

/// The frames of a thread, from the innermost outwards, and whether they were cut short.
///
/// # Errors
/// When not even the thread state can be read.
pub fn frames_of_thread(
    reader: &Reader<'_>,
    thread_state: Address,
) -> Result<(Vec<RawFrame>, bool), ReadError> {
    let _ = (reader, thread_state);
    Err(ReadError::Absent)
}
