//! Code objects that were read are kept, over the looks at one process too.

use super::{CodeInfo, TEXT_MAX};
use crate::bytecode::Dialect;
use crate::raw::Raw;
use crate::reader::Reader;
use process::ReadError;
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What changes when a code object dies and another takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pointers: [Address; 5],
    numbers: [i32; 3],
}

impl Identity {
    pub(super) fn of(reader: &Reader<'_>, raw: &Raw) -> Result<Identity, ReadError> {
        let fields = &reader.layout.code;
        Ok(Identity {
            pointers: [
                raw.get(reader, fields.co_name)?,
                raw.get(reader, fields.co_filename)?,
                raw.get(reader, fields.co_linetable)?,
                raw.get(reader, fields.co_consts)?,
                // The array of copies is replaced by a longer one when threads come.
                raw.find(reader, fields.co_tlbc)?.unwrap_or(Address::NULL),
            ],
            numbers: [
                raw.get(reader, fields.co_firstlineno)?,
                raw.get(reader, fields.co_flags)?,
                raw.get(reader, fields.co_stacksize)?,
            ],
        })
    }
}

/// Code objects that were read, by address.
#[derive(Debug)]
pub struct CodeCache {
    dialect: &'static Dialect,
    codes: RefCell<FxHashMap<Address, Known>>,
    /// Names and paths of this look: most code objects share theirs.
    texts: RefCell<FxHashMap<Address, Rc<str>>>,
    /// The type of code objects, once it was seen.
    code_type: Cell<Address>,
    look: Cell<u64>,
}

#[derive(Debug)]
struct Known {
    code: Rc<CodeInfo>,
    identity: Identity,
    /// The look in which it was last checked.
    look: u64,
}

impl CodeCache {
    /// An empty one, for a process whose bytecode is of this dialect.
    pub fn new(dialect: &'static Dialect) -> Self {
        CodeCache {
            dialect,
            codes: RefCell::default(),
            texts: RefCell::default(),
            code_type: Cell::default(),
            look: Cell::default(),
        }
    }

    /// The bytecode of the process.
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// From now on each code object is checked once before it is used again.
    pub fn begin_look(&self) {
        let ended = self.look.get();
        self.look.set(ended + 1);
        self.texts.borrow_mut().clear();
        self.code_type.set(Address::NULL);
        // What the look just ended did not meet is not likely to come again.
        self.codes
            .borrow_mut()
            .retain(|_, known| known.look == ended);
    }

    pub(super) fn known(&self, address: Address) -> Option<Rc<CodeInfo>> {
        let codes = self.codes.borrow();
        let known = codes.get(&address)?;
        (known.look == self.look.get()).then(|| Rc::clone(&known.code))
    }

    pub(super) fn unchanged(&self, address: Address, identity: &Identity) -> Option<Rc<CodeInfo>> {
        let mut codes = self.codes.borrow_mut();
        let known = codes.get_mut(&address)?;
        if known.identity != *identity {
            return None;
        }
        known.look = self.look.get();
        Some(Rc::clone(&known.code))
    }

    pub(super) fn keep(&self, code: Rc<CodeInfo>, identity: Identity) {
        let look = self.look.get();
        let known = Known {
            code,
            identity,
            look,
        };
        self.codes.borrow_mut().insert(known.code.address, known);
    }

    /// An error unless the object is a code object.
    pub(super) fn check_type(&self, reader: &Reader<'_>, raw: &Raw) -> Result<(), ReadError> {
        let ty: Address = raw.get(reader, reader.layout.object.ob_type)?;
        if !ty.is_null() && ty == self.code_type.get() {
            return Ok(());
        }
        let name: Address = reader.get(ty, reader.layout.type_object.tp_name)?;
        if reader.c_string(name, 8)? != "code" {
            return Err(ReadError::Nonsense(raw.base()));
        }
        self.code_type.set(ty);
        Ok(())
    }

    /// The string object at `address`.
    pub(super) fn text(&self, reader: &Reader<'_>, address: Address) -> Result<Rc<str>, ReadError> {
        if let Some(text) = self.texts.borrow().get(&address) {
            return Ok(Rc::clone(text));
        }
        let text: Rc<str> = reader.string(address, TEXT_MAX)?.into();
        self.texts.borrow_mut().insert(address, Rc::clone(&text));
        Ok(text)
    }
}
