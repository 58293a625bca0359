//! The code objects that frames run, each read once.

use crate::code::CodeInfo;
use crate::reader::Reader;
use process::ReadError;
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::rc::Rc;

/// `CO_COROUTINE`, `CO_ITERABLE_COROUTINE`, `CO_ASYNC_GENERATOR` (`Include/cpython/code.h`, 3.8 to 3.15).
const COROUTINE: u32 = 0x80 | 0x100 | 0x200;

/// A code object's number, in the order in which they were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeId(pub u32);

/// All code objects met so far.
#[derive(Debug, Default)]
pub struct CodeTable {
    codes: Vec<Rc<CodeInfo>>,
    /// By address and number of the thread's copy of the instructions.
    known: FxHashMap<(Address, i32), Known>,
    /// Counts [`CodeTable::recheck`].
    round: u64,
}

/// What a walk needs of a code object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub id: CodeId,
    /// Where its instructions begin, and their bytes.
    pub start: u64,
    pub length: u64,
    /// Bytes before the instruction with which it begins for tracers.
    pub first_traceable: u64,
    /// Whether it is a coroutine's or an asynchronous generator's.
    pub coroutine: bool,
    round: u64,
}

impl CodeTable {
    /// A code object by its number.
    pub fn code(&self, id: CodeId) -> Option<&Rc<CodeInfo>> {
        self.codes.get(id.0 as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether none was met.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    pub(super) fn recheck(&mut self) {
        self.round += 1;
    }

    #[inline]
    pub(super) fn get(
        &mut self,
        reader: &Reader<'_>,
        address: Address,
        copy: i32,
    ) -> Result<Known, ReadError> {
        match self.known.get(&(address, copy)) {
            Some(known) if known.round == self.round => Ok(*known),
            known => {
                let known = known.copied();
                self.read(reader, address, copy, known)
            }
        }
    }

    fn read(
        &mut self,
        reader: &Reader<'_>,
        address: Address,
        copy: i32,
        known: Option<Known>,
    ) -> Result<Known, ReadError> {
        let before = known.and_then(|known| self.code(known.id).cloned());
        let code = match before {
            Some(code) if code.is_as_read(reader) => code,
            _ => Rc::new(CodeInfo::read_anew(reader, address)?),
        };
        let same = known.filter(|known| {
            self.code(known.id)
                .is_some_and(|before| Rc::ptr_eq(before, &code))
        });
        let id = match same {
            Some(known) => known.id,
            None => self.number(&code),
        };
        let known = Known {
            id,
            start: code.start_of_copy(reader, copy)?.0,
            length: code.code_len as u64,
            first_traceable: code.first_traceable as u64,
            coroutine: code.flags & COROUTINE != 0,
            round: self.round,
        };
        self.known.insert((address, copy), known);
        Ok(known)
    }

    /// The number of a code object that was read; one that is in the table under another copy keeps its number.
    fn number(&mut self, code: &Rc<CodeInfo>) -> CodeId {
        let other = self.known.iter().find_map(|((address, _), known)| {
            let same = *address == code.address && known.round == self.round;
            same.then_some(known.id)
        });
        other.unwrap_or_else(|| {
            self.codes.push(Rc::clone(code));
            CodeId(u32::try_from(self.codes.len() - 1).unwrap_or(u32::MAX))
        })
    }
}
