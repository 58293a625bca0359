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
    /// Name of the opcode that it is a specialised or instrumented form of; its own name otherwise.
    pub base: &'static str,
    /// Inline cache entries that follow it, in code units of two bytes.
    pub caches: u8,
}

/// A row, short enough for one line of a table. The opcode's own name is there for the reader.
const fn row(opcode: u8, _name: &'static str, base: &'static str, caches: u8) -> Row {
    Row {
        opcode,
        base,
        caches,
    }
}

/// What one version's `opcode` module says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// The opcodes.
    pub rows: &'static [Row],
    /// The constants of `LOAD_COMMON_CONSTANT` (3.14+), as `repr` or by name.
    pub common: &'static [&'static str],
    /// The methods of `LOAD_SPECIAL` (3.14+).
    pub special: &'static [&'static str],
}

/// The table of CPython 3.`minor`.
pub(super) fn table(minor: u32) -> Option<Table> {
    macro_rules! table {
        ($module:ident) => {
            Table {
                rows: $module::ROWS,
                common: $module::COMMON,
                special: $module::SPECIAL,
            }
        };
    }
    Some(match minor {
        8 => table!(v3_8),
        9 => table!(v3_9),
        10 => table!(v3_10),
        11 => table!(v3_11),
        12 => table!(v3_12),
        13 => table!(v3_13),
        14 => table!(v3_14),
        15 => table!(v3_15),
        _ => return None,
    })
}
