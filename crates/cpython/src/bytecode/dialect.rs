//! The bytecode of one CPython minor version.

use super::op::Op;
use super::tables;
use std::sync::OnceLock;

/// The opcodes and conventions of one minor version; free-threaded builds share it.
#[derive(Debug)]
pub struct Dialect {
    /// Minor version: 8 for CPython 3.8.
    minor: u32,
    /// Constants and special methods that instructions name by number.
    table: tables::Table,
    /// What each opcode number means.
    opcodes: [Opcode; 256],
}

/// One opcode number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opcode {
    /// Name of the base opcode (specialised and instrumented forms share it); empty when there is none.
    pub name: &'static str,
    /// Its meaning.
    pub op: Op,
    /// Inline cache entries of two bytes that follow it.
    pub caches: u8,
}

/// In which order a method pair lies on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairOrder {
    /// Up to 3.12: the method, then its receiver; for anything else NULL, then the callable.
    MethodOrNull,
    /// From 3.13: the callable, then its receiver or NULL.
    CallableFirst,
}

const FIRST_MINOR: u32 = 8;
const LAST_MINOR: u32 = 15;

impl Dialect {
    /// The dialect of the process whose `PY_VERSION_HEX` is given (`0x030d00f0` for 3.13.0); `None` for a version
    /// that is not known.
    pub fn for_version(version_hex: u32) -> Option<&'static Dialect> {
        static KNOWN: [OnceLock<Dialect>; (LAST_MINOR - FIRST_MINOR + 1) as usize] =
            [const { OnceLock::new() }; (LAST_MINOR - FIRST_MINOR + 1) as usize];
        if version_hex >> 24 != 3 {
            return None;
        }
        let minor = (version_hex >> 16) & 0xff;
        let table = tables::table(minor)?;
        let cell = KNOWN.get(minor.checked_sub(FIRST_MINOR)? as usize)?;
        Some(cell.get_or_init(|| Dialect::from_table(minor, table)))
    }

    fn from_table(minor: u32, table: tables::Table) -> Dialect {
        let unknown = Opcode {
            name: "",
            op: Op::Invalid,
            caches: 0,
        };
        let mut opcodes = [unknown; 256];
        for row in table.rows {
            let op = Op::from_name(row.base, minor);
            // An executor replaces JUMP_BACKWARD (3.13+) or RESUME (3.15+), each with one cache entry.
            let caches = if op == Op::EnterExecutor {
                1
            } else {
                row.caches
            };
            opcodes[usize::from(row.opcode)] = Opcode {
                name: row.base,
                op,
                caches,
            };
        }
        Dialect {
            minor,
            table,
            opcodes,
        }
    }

    pub(super) fn opcode(&self, number: u8) -> Opcode {
        self.opcodes[usize::from(number)]
    }

    /// The name of an opcode's base form: `LOAD_ATTR` also for `LOAD_ATTR_SLOT` and `INSTRUMENTED_LOAD_ATTR`; empty
    /// when this version has no such opcode.
    pub fn opcode_name(&self, number: u8) -> &'static str {
        self.opcodes[usize::from(number)].name
    }

    /// Bytes that one unit of `f_lasti`, of a jump's argument and of a block's handler stands for:
    /// 1 in 3.8 and 3.9, 2 from 3.10 on.
    pub fn unit(&self) -> u32 {
        if self.minor <= 9 { 1 } else { 2 }
    }

    /// Whether code objects have an exception table (3.11+) instead of block setup instructions.
    pub fn has_exception_table(&self) -> bool {
        self.minor >= 11
    }

    /// Whether `with` keeps the `__exit__` function and its receiver in two slots (3.14+) instead of one bound method.
    pub fn exit_in_two_slots(&self) -> bool {
        self.minor >= 14
    }

    /// The order of a method pair on the stack.
    pub fn pair_order(&self) -> PairOrder {
        if self.minor <= 12 {
            PairOrder::MethodOrNull
        } else {
            PairOrder::CallableFirst
        }
    }

    /// How values lie on the stack of this version's build.
    pub fn stack_refs(&self, free_threaded: bool) -> StackRefs {
        match (self.minor, free_threaded) {
            (..=12, _) | (13, false) => StackRefs { tag_mask: 0 },
            (13, true) => StackRefs { tag_mask: 1 },
            _ => StackRefs { tag_mask: 3 },
        }
    }

    /// The constant that `LOAD_COMMON_CONSTANT` loads, as its `repr` or name.
    pub(super) fn common_constant(&self, number: u32) -> Option<&'static str> {
        self.table.common.get(number as usize).copied()
    }

    /// The method that `LOAD_SPECIAL` looks up.
    pub(super) fn special_method(&self, number: u32) -> Option<&'static str> {
        self.table.special.get(number as usize).copied()
    }

    /// The index into `co_names` in the argument of `IMPORT_NAME`; from 3.15 on the two lowest bits tell how lazily.
    pub(super) fn import_name(&self, arg: u32) -> u32 {
        if self.minor >= 15 { arg >> 2 } else { arg }
    }

    pub(super) fn minor(&self) -> u32 {
        self.minor
    }
}

/// How a slot of locals or stack holds a reference (`_PyStackRef`, pycore_stackref.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackRefs {
    /// Low bits that are no part of the address: none up to 3.12 and in 3.13 with the GIL, one in 3.13t (deferred),
    /// two from 3.14 on (1: no count held; 3: a small integer, no object).
    pub tag_mask: u64,
}

impl StackRefs {
    /// The object's address in a slot's word; `None` for NULL and for a tagged integer.
    pub fn object(self, word: u64) -> Option<u64> {
        if self.tag_mask == 3 && word & 3 == 3 {
            return None;
        }
        Some(word & !self.tag_mask).filter(|address| *address != 0)
    }
}
