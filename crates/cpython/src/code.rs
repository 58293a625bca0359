//! Code objects: names, lines, variables, instructions.

mod cache;
mod hidden;

pub use cache::CodeCache;

use crate::bytecode::{Dialect, LineTable, Position};
use crate::raw::Raw;
use crate::reader::Reader;
use crate::sync::Understood;
use cache::Identity;
use process::ReadError;
use snapshot::Address;
use std::cell::OnceCell;
use std::rc::Rc;

/// Most characters of a name or path.
const TEXT_MAX: usize = 4096;
/// Most bytes of instructions.
const CODE_MAX: usize = 1 << 24;
/// Most bytes of a line or exception table.
const TABLE_MAX: usize = 1 << 24;
/// Most local variables.
const LOCALS_MAX: usize = 1 << 16;
/// Most slots of a value stack.
const STACK_MAX: usize = 1 << 20;
/// Most names or constants.
const TUPLE_MAX: usize = 1 << 20;

/// `co_flags`: local variables lie in slots, not in a namespace.
const CO_OPTIMIZED: u32 = 0x1;

/// `co_localspluskinds`: hidden from the locals (an inlined comprehension's).
const CO_FAST_HIDDEN: u8 = 0x10;
/// `co_localspluskinds`: a cell of this function's.
const CO_FAST_CELL: u8 = 0x40;
/// `co_localspluskinds`: a cell of an outer function's.
const CO_FAST_FREE: u8 = 0x80;

/// What a local variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalKind {
    /// A plain local variable (an argument too).
    Fast,
    /// A variable that inner functions share; its slot holds a cell once the function has begun.
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
    /// Bytes before the instruction with which the function begins for tracers (3.11+); 0 before.
    pub first_traceable: usize,
    /// The tuple of constants.
    pub consts: Address,
    /// The tuple of names.
    pub names: Address,
    /// `co_linetable` (`co_lnotab` up to 3.9).
    pub linetable: Vec<u8>,
    /// What its instructions mean.
    pub dialect: &'static Dialect,
    /// Thread-local copies of the instructions (3.14t+); null without.
    copies: Address,
    exception_table_at: Address,
    local_names_at: LocalNamesAt,
    instructions: OnceCell<Vec<u8>>,
    exception_table: OnceCell<Vec<u8>>,
    name_items: OnceCell<Vec<Address>>,
    const_items: OnceCell<Vec<Address>>,
    local_names: OnceCell<Vec<LocalName>>,
    /// What tells it from another one that takes its place.
    identity: Identity,
    /// What its bytecode says, once somebody has asked.
    pub(crate) understood: Understood,
}

/// Where the names of the local variables stand.
#[derive(Debug, Clone, Copy)]
enum LocalNamesAt {
    /// Up to 3.10: `co_varnames`, `co_cellvars`, `co_freevars`.
    Three([Address; 3]),
    /// From 3.11: `co_localsplusnames`, `co_localspluskinds`.
    One(Address, Address),
}

impl CodeInfo {
    /// The code object at `address`, from the reader's cache where it has one.
    ///
    /// # Errors
    /// When it cannot be read or is no code object.
    pub fn read(reader: &Reader<'_>, address: Address) -> Result<Rc<CodeInfo>, ReadError> {
        let cache = reader.codes;
        if let Some(code) = cache.known(address) {
            return Ok(code);
        }
        let raw = Raw::read(reader, address, reader.layout.code.size)?;
        cache.check_type(reader, &raw)?;
        let identity = Identity::of(reader, &raw)?;
        if let Some(code) = cache.unchanged(address, &identity) {
            return Ok(code);
        }
        let code = Rc::new(CodeInfo::build(reader, &raw)?);
        cache.keep(Rc::clone(&code), identity);
        Ok(code)
    }

    /// The code object at `address` as it stands there now, for one who keeps a table of its own.
    ///
    /// # Errors
    /// As [`CodeInfo::read`].
    pub fn read_anew(reader: &Reader<'_>, address: Address) -> Result<CodeInfo, ReadError> {
        let raw = Raw::read(reader, address, reader.layout.code.size)?;
        reader.codes.check_type(reader, &raw)?;
        CodeInfo::build(reader, &raw)
    }

    /// Whether the code object that this was read from is still in its place.
    pub fn is_as_read(&self, reader: &Reader<'_>) -> bool {
        Raw::read(reader, self.address, reader.layout.code.size)
            .and_then(|raw| {
                reader.codes.check_type(reader, &raw)?;
                Identity::of(reader, &raw)
            })
            .is_ok_and(|identity| identity == self.identity)
    }

    fn build(reader: &Reader<'_>, raw: &Raw) -> Result<CodeInfo, ReadError> {
        let fields = &reader.layout.code;
        let address = raw.base();
        let nonsense = ReadError::Nonsense(address);
        let count = |value: i32, limit: usize| {
            usize::try_from(value)
                .ok()
                .filter(|value| *value <= limit)
                .ok_or(nonsense)
        };
        let (code_start, code_len) = instructions_place(reader, raw)?;
        let name = reader
            .codes
            .text(reader, raw.get(reader, fields.co_name)?)?;
        let qualname = match raw.find(reader, fields.co_qualname)? {
            Some(text) => reader.codes.text(reader, text)?,
            None => Rc::clone(&name),
        };
        let file = reader
            .codes
            .text(reader, raw.get(reader, fields.co_filename)?)?;
        let first_traceable = raw.find(reader, fields.co_firsttraceable)?.unwrap_or(0);
        Ok(CodeInfo {
            address,
            name,
            qualname,
            file,
            first_line: raw.get(reader, fields.co_firstlineno)?,
            flags: raw.get(reader, fields.co_flags)?.cast_unsigned(),
            argcount: count(raw.get(reader, fields.co_argcount)?, LOCALS_MAX)?,
            kwonlyargcount: count(
                raw.find(reader, fields.co_kwonlyargcount)?.unwrap_or(0),
                LOCALS_MAX,
            )?,
            nlocalsplus: slots_before_stack(reader, raw)?,
            stacksize: count(raw.get(reader, fields.co_stacksize)?, STACK_MAX)?,
            code_start,
            code_len,
            first_traceable: count(first_traceable, CODE_MAX)? * 2,
            consts: raw.get(reader, fields.co_consts)?,
            names: raw.get(reader, fields.co_names)?,
            linetable: reader.bytes_object(raw.get(reader, fields.co_linetable)?, TABLE_MAX)?,
            dialect: reader.codes.dialect(),
            copies: raw.find(reader, fields.co_tlbc)?.unwrap_or(Address::NULL),
            exception_table_at: raw
                .find(reader, fields.co_exceptiontable)?
                .unwrap_or(Address::NULL),
            local_names_at: local_names_at(reader, raw)?,
            instructions: OnceCell::new(),
            exception_table: OnceCell::new(),
            name_items: OnceCell::new(),
            const_items: OnceCell::new(),
            local_names: OnceCell::new(),
            identity: Identity::of(reader, raw)?,
            understood: Understood::default(),
        })
    }

    /// Whether its local variables lie in slots; otherwise (modules, class bodies, `exec`) in a namespace.
    pub fn is_optimized(&self) -> bool {
        self.flags & CO_OPTIMIZED != 0
    }

    /// Where the instruction at `offset` (bytes) comes from in the file; `None` for one that comes from nowhere.
    pub fn position_at(&self, offset: usize) -> Option<Position> {
        let offset = u32::try_from(offset).ok()?;
        LineTable::new(self.dialect, &self.linetable, self.first_line).position_at(offset)
    }

    /// The line of the instruction at `offset` (bytes), from 1.
    pub fn line_at(&self, offset: usize) -> Option<u32> {
        self.position_at(offset).map(|position| position.line)
    }

    /// The instructions as they stand in memory, specialised and instrumented ones included (3.11+); where a tool has
    /// put a stand-in, what it stands for.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn instructions(&self, reader: &Reader<'_>) -> Result<&[u8], ReadError> {
        lazily(&self.instructions, || {
            let mut bytes = reader.bytes(self.code_start, self.code_len as u64, CODE_MAX)?;
            hidden::uncover(reader, self.dialect, self.address, &mut bytes);
            Ok(bytes)
        })
        .map(Vec::as_slice)
    }

    /// Where the instructions that a frame runs begin: the thread's own copy of number `copy` (3.14t+),
    /// otherwise [`CodeInfo::code_start`].
    ///
    /// # Errors
    /// When the copies cannot be read.
    pub fn start_of_copy(&self, reader: &Reader<'_>, copy: i32) -> Result<Address, ReadError> {
        if self.copies.is_null() || copy == 0 {
            return Ok(self.code_start);
        }
        let fields = &reader.layout.code_array;
        let size: i64 = reader.get(self.copies, fields.size_entries)?;
        let index = u64::try_from(copy)
            .ok()
            .filter(|_| i64::from(copy) < size)
            .ok_or(ReadError::Nonsense(self.copies))?;
        let entries = reader.place(self.copies, fields.entries)?;
        let start: Address = reader.scalar(entries.plus(index * 8))?;
        start.non_null().ok_or(ReadError::Nonsense(self.copies))
    }

    /// The exception table; empty up to 3.10.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn exception_table(&self, reader: &Reader<'_>) -> Result<&[u8], ReadError> {
        lazily(&self.exception_table, || {
            match self.exception_table_at.non_null() {
                Some(table) => reader.bytes_object(table, TABLE_MAX),
                None => Ok(Vec::new()),
            }
        })
        .map(Vec::as_slice)
    }

    /// `co_names[index]`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn name_at(&self, reader: &Reader<'_>, index: usize) -> Result<Rc<str>, ReadError> {
        let items = lazily(&self.name_items, || reader.items(self.names, TUPLE_MAX))?;
        let item = items.get(index).ok_or(ReadError::Nonsense(self.names))?;
        reader.codes.text(reader, *item)
    }

    /// `co_consts[index]`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn const_at(&self, reader: &Reader<'_>, index: usize) -> Result<Address, ReadError> {
        let items = lazily(&self.const_items, || reader.items(self.consts, TUPLE_MAX))?;
        items
            .get(index)
            .copied()
            .ok_or(ReadError::Nonsense(self.consts))
    }

    /// The local variables in the order of their slots. An argument that inner functions share is listed once, as
    /// a cell.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn locals(&self, reader: &Reader<'_>) -> Result<&[LocalName], ReadError> {
        lazily(&self.local_names, || match self.local_names_at {
            LocalNamesAt::One(names, kinds) => names_with_kinds(reader, names, kinds),
            LocalNamesAt::Three(tuples) => names_of_three(reader, tuples),
        })
        .map(Vec::as_slice)
    }
}

/// The cell's value, made by `make` the first time that it succeeds.
fn lazily<T>(
    cell: &OnceCell<T>,
    make: impl FnOnce() -> Result<T, ReadError>,
) -> Result<&T, ReadError> {
    if cell.get().is_none() {
        let value = make()?;
        return Ok(cell.get_or_init(|| value));
    }
    cell.get().ok_or(ReadError::Absent)
}

/// Where the instructions begin, and their bytes.
fn instructions_place(reader: &Reader<'_>, raw: &Raw) -> Result<(Address, usize), ReadError> {
    let fields = &reader.layout.code;
    let length = |count: i64, unit: u64| {
        u64::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(unit))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| *bytes <= CODE_MAX)
            .ok_or(ReadError::Nonsense(raw.base()))
    };
    if fields.co_code_adaptive.exists() {
        let units = raw.get(reader, fields.ob_size)?;
        return Ok((
            reader.place(raw.base(), fields.co_code_adaptive)?,
            length(units, 2)?,
        ));
    }
    let bytes = raw.get(reader, fields.co_code)?;
    let size = reader.get(bytes, reader.layout.object.ob_size)?;
    Ok((
        reader.place(bytes, reader.layout.bytes.ob_sval)?,
        length(size, 1)?,
    ))
}

/// Slots of a frame that come before its value stack.
fn slots_before_stack(reader: &Reader<'_>, raw: &Raw) -> Result<usize, ReadError> {
    let fields = &reader.layout.code;
    let slots = match raw.find(reader, fields.co_nlocalsplus)? {
        Some(slots) => i64::from(slots),
        None => {
            let mut slots = i64::from(raw.get(reader, fields.co_nlocals)?);
            for tuple in [fields.co_cellvars, fields.co_freevars] {
                let tuple = raw.get(reader, tuple)?;
                slots = slots.saturating_add(reader.get(tuple, reader.layout.object.ob_size)?);
            }
            slots
        }
    };
    usize::try_from(slots)
        .ok()
        .filter(|slots| *slots <= LOCALS_MAX)
        .ok_or(ReadError::Nonsense(raw.base()))
}

fn local_names_at(reader: &Reader<'_>, raw: &Raw) -> Result<LocalNamesAt, ReadError> {
    let fields = &reader.layout.code;
    if fields.co_localsplusnames.exists() {
        return Ok(LocalNamesAt::One(
            raw.get(reader, fields.co_localsplusnames)?,
            raw.get(reader, fields.co_localspluskinds)?,
        ));
    }
    Ok(LocalNamesAt::Three([
        raw.get(reader, fields.co_varnames)?,
        raw.get(reader, fields.co_cellvars)?,
        raw.get(reader, fields.co_freevars)?,
    ]))
}

fn names_with_kinds(
    reader: &Reader<'_>,
    names: Address,
    kinds: Address,
) -> Result<Vec<LocalName>, ReadError> {
    let kinds = reader.bytes_object(kinds, LOCALS_MAX)?;
    let names = reader.items(names, LOCALS_MAX)?;
    let local = |(slot, (name, kind)): (usize, (Address, u8))| {
        Ok(LocalName {
            name: reader.codes.text(reader, name)?,
            kind: if kind & CO_FAST_FREE != 0 {
                LocalKind::Free
            } else if kind & CO_FAST_CELL != 0 {
                LocalKind::Cell
            } else {
                LocalKind::Fast
            },
            slot,
            hidden: kind & CO_FAST_HIDDEN != 0,
        })
    };
    names
        .into_iter()
        .zip(kinds)
        .enumerate()
        .map(local)
        .collect()
}

fn names_of_three(reader: &Reader<'_>, tuples: [Address; 3]) -> Result<Vec<LocalName>, ReadError> {
    let kinds = [LocalKind::Fast, LocalKind::Cell, LocalKind::Free];
    let mut locals: Vec<LocalName> = Vec::new();
    let mut slot = 0;
    for (tuple, kind) in tuples.into_iter().zip(kinds) {
        for name in reader.items(tuple, LOCALS_MAX)? {
            let name = reader.codes.text(reader, name)?;
            locals.push(LocalName {
                name,
                kind,
                slot,
                hidden: false,
            });
            slot += 1;
        }
    }
    // An argument that is a cell has two slots; the first one is emptied when the function begins.
    let cells: Vec<Rc<str>> = locals
        .iter()
        .filter(|local| local.kind == LocalKind::Cell)
        .map(|local| Rc::clone(&local.name))
        .collect();
    locals.retain(|local| local.kind != LocalKind::Fast || !cells.contains(&local.name));
    Ok(locals)
}
