//! Frames of Python code, running or suspended.

mod walk;

pub use walk::{
    FRAMES_MAX, Mark, Step, Walk, frames_of_thread, innermost_frame, interpreter_frame,
    object_frame,
};

use crate::code::{CodeInfo, LocalKind};
use crate::reader::Reader;
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
    /// Bytes from the first instruction to the current one; 0 where it has not begun. In 3.11 and 3.12 the code
    /// unit before the next instruction, which may be the last of the current one's inline cache.
    pub offset: usize,
    /// Slot 0 of its local variables.
    pub locals: Address,
    /// Slot 0 of its value stack.
    pub stack: Address,
    /// Slots of the value stack in use, where the frame has it noted: suspended, or in a call that put it down.
    /// From 3.14 the note of a running frame is of its last call that could look at the stack.
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
    /// Whether it has begun to run. A walk along a thread leaves out one that has not, as Python does.
    pub complete: bool,
}

impl RawFrame {
    /// The current line, from 1; `None` where the code has none there.
    pub fn line(&self) -> Option<u32> {
        self.code.line_at(self.offset)
    }

    /// The current column, from 1, in UTF-8 bytes (3.11+).
    pub fn column(&self) -> Option<u32> {
        let position = self.code.position_at(self.offset)?;
        position.column.map(|column| column.saturating_add(1))
    }

    /// The local variable in this slot, a cell's content if it is one, without tags; `None`: unbound or not readable.
    pub fn slot(&self, reader: &Reader<'_>, slot: usize) -> Option<Address> {
        let locals = self.code.locals(reader).ok()?;
        let local = locals.iter().find(|local| local.slot == slot)?;
        self.value(reader, local.slot, local.kind)
    }

    /// The local variable of this name; cells dereferenced, tags stripped. In a module or class body, the name in
    /// its namespace.
    pub fn local(&self, reader: &Reader<'_>, name: &str) -> Option<Address> {
        let locals = self.code.locals(reader).unwrap_or_default();
        locals
            .iter()
            .filter(|local| &*local.name == name)
            .find_map(|local| self.value(reader, local.slot, local.kind))
            .or_else(|| {
                let namespace = self.namespace.non_null()?;
                reader.dict_get(namespace, name).ok()?
            })
    }

    /// What stands in this slot of the value stack, without tags; `None`: empty or not readable.
    pub fn stack_slot(&self, reader: &Reader<'_>, slot: usize) -> Option<Address> {
        (slot < self.code.stacksize)
            .then(|| reference(reader, self.stack.plus(slot as u64 * 8)))
            .flatten()
    }

    fn value(&self, reader: &Reader<'_>, slot: usize, kind: LocalKind) -> Option<Address> {
        if slot >= self.code.nlocalsplus {
            return None;
        }
        let object = reference(reader, self.locals.plus(slot as u64 * 8))?;
        // Before the function has begun, a shared argument is not in its cell yet.
        if kind == LocalKind::Fast || !is_cell(reader, object) {
            return Some(object);
        }
        let content: Address = reader.get(object, reader.layout.cell.ob_ref).ok()?;
        content.non_null()
    }
}

/// The object that a stack reference at `place` is to.
fn reference(reader: &Reader<'_>, place: Address) -> Option<Address> {
    reader.layout.traits.untag(reader.scalar(place).ok()?)
}

fn is_cell(reader: &Reader<'_>, object: Address) -> bool {
    reader
        .class_of(object)
        .is_ok_and(|class| &*class.name == "cell")
}
