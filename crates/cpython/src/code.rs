//! Code objects: names, lines, variables, instructions.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::rc::Rc;

/// What a local variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalKind {
    /// A plain local variable (an argument too).
    Fast,
    /// A variable that inner functions share; its slot holds a cell.
    Cell,
    /// A variable of an outer function; its slot holds a cell.
    Free,
}

/// A local variable of a code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalName {
    /// Its name.
    pub name: Rc<str>,
    /// What it is.
    pub kind: LocalKind,
    /// Which slot from [`crate::frame::RawFrame::locals`] on holds it.
    pub slot: usize,
    /// Hidden: an inlined comprehension's (3.12+).
    pub hidden: bool,
}

/// A code object.
#[derive(Debug)]
pub struct CodeInfo {
    /// The code object.
    pub address: Address,
    /// `co_name`.
    pub name: Rc<str>,
    /// `co_qualname`; the plain name up to 3.10.
    pub qualname: Rc<str>,
    /// `co_filename`.
    pub file: Rc<str>,
    /// `co_firstlineno`.
    pub first_line: i32,
    /// `co_flags`.
    pub flags: u32,
    /// `co_argcount`: positional arguments, the positional-only ones included.
    pub argcount: usize,
    /// `co_kwonlyargcount`.
    pub kwonlyargcount: usize,
    /// Slots before the value stack.
    pub nlocalsplus: usize,
    /// Most slots of the value stack.
    pub stacksize: usize,
    /// First of the instructions.
    pub code_start: Address,
    /// Bytes of instructions, inline caches included.
    pub code_len: usize,
    /// The tuple of constants.
    pub consts: Address,
    /// The tuple of names.
    pub names: Address,
    /// `co_linetable` (`co_lnotab` up to 3.9).
    pub linetable: Vec<u8>,
}

impl CodeInfo {
    /// The code object at `address`, from the reader's cache where it has one.
    ///
    /// # Errors
    /// When it cannot be read or is no code object.
    pub fn read(reader: &Reader<'_>, address: Address) -> Result<Rc<CodeInfo>, ReadError> {
        let _ = (reader, address);
        Err(ReadError::Absent)
    }

    /// The instructions as they stand in memory: specialised and instrumented ones included (3.11+).
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn instructions(&self, reader: &Reader<'_>) -> Result<&[u8], ReadError> {
        let _ = reader;
        Err(ReadError::Absent)
    }

    /// The exception table; empty up to 3.10.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn exception_table(&self, reader: &Reader<'_>) -> Result<&[u8], ReadError> {
        let _ = reader;
        Err(ReadError::Absent)
    }

    /// `co_names[index]`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn name_at(&self, reader: &Reader<'_>, index: usize) -> Result<Rc<str>, ReadError> {
        let _ = (reader, index);
        Err(ReadError::Absent)
    }

    /// `co_consts[index]`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn const_at(&self, reader: &Reader<'_>, index: usize) -> Result<Address, ReadError> {
        let _ = (reader, index);
        Err(ReadError::Absent)
    }

    /// The local variables in the order of their slots.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn locals(&self, reader: &Reader<'_>) -> Result<&[LocalName], ReadError> {
        let _ = reader;
        Err(ReadError::Absent)
    }
}

/// Code objects that were read, by address.
#[derive(Debug, Default)]
pub struct CodeCache {}

impl CodeCache {
    /// From now on each code object is checked once before it is used again.
    pub fn begin_look(&self) {}
}
