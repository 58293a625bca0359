//! Opcode numbers of each CPython, as its own `opcode` module has them.
//!
//! The files beside this one are written by `cargo xtask opcodes`; a test of `xtask` compares them with every
//! interpreter present.

mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;
mod v3_8;
mod v3_9;

/// One opcode.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number.
    pub opcode: u8,
    /// Its name.
    pub name: &'static str,
    /// Name of the opcode that it is a specialised or instrumented form of; its own name otherwise.
    pub base: &'static str,
    /// Inline cache entries that follow it, in code units of two bytes.
    pub caches: u8,
}

/// A row, short enough for one line of a table.
const fn row(opcode: u8, name: &'static str, base: &'static str, caches: u8) -> Row {
    Row {
        opcode,
        name,
        base,
        caches,
    }
}

/// The rows of CPython 3.`minor`.
pub(super) fn rows(minor: u32) -> Option<&'static [Row]> {
    Some(match minor {
        8 => v3_8::ROWS,
        9 => v3_9::ROWS,
        10 => v3_10::ROWS,
        11 => v3_11::ROWS,
        12 => v3_12::ROWS,
        13 => v3_13::ROWS,
        14 => v3_14::ROWS,
        15 => v3_15::ROWS,
        _ => return None,
    })
}
