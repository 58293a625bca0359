//! Who the threads of a process are.

use super::SweptThread;
use super::form::word;
use crate::layout::GilHome;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::runtime::Runtime;
use process::{Range, ReadError};
use snapshot::Address;
use std::collections::HashSet;

/// Most interpreters and threads of one process.
const INTERPRETERS_MAX: usize = 10_000;
const THREADS_MAX: usize = 100_000;
/// Most bytes of a GIL: the struct is smaller in each version.
const GIL_MAX: usize = 1024;

/// An interpreter, and where it says what it does.
#[derive(Debug, Clone)]
pub(super) struct Interpreter {
    pub state: Address,
    pub gil: Option<GilPlace>,
    collecting: Option<Address>,
    /// Of the GIL, the bytes from which it says who has it, as read last.
    gil_bytes: Vec<u8>,
    /// Whether a collection goes on, as read last.
    collecting_word: [u8; 4],
}

impl Interpreter {
    /// What is read of it in each sweep.
    pub fn push_ranges<'a>(&'a mut self, ranges: &mut Vec<Range<'a>>) {
        let mut push = |address, buffer: &'a mut [u8]| {
            ranges.push(Range {
                address,
                buffer,
                ok: false,
            });
        };
        if let Some(gil) = self.gil {
            push(gil.base(), &mut self.gil_bytes);
        }
        if let Some(address) = self.collecting {
            push(address, &mut self.collecting_word);
        }
    }

    /// Which of these ranges were read, in the same order.
    pub fn note(&mut self, mut read: impl FnMut() -> bool) {
        if self.gil.is_some() && !read() {
            self.gil_bytes.fill(0);
        }
        if self.collecting.is_some() && !read() {
            self.collecting_word = [0; 4];
        }
    }

    /// What it did when it was read.
    pub fn now(&self) -> super::InterpreterNow {
        let holder = self.gil.and_then(|gil| gil.holder(&self.gil_bytes));
        super::InterpreterNow {
            gil_holder: holder.unwrap_or(Address::NULL),
            collecting: u32::from_le_bytes(self.collecting_word) == 1,
        }
    }
}

/// Where a GIL says who has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct GilPlace {
    /// The GIL itself: a thread that waits for it sleeps on a futex within these bytes.
    pub place: (Address, u64),
    holder: Address,
    /// Up to 3.11 the holder is null while nobody has it.
    locked: Option<Address>,
}

impl GilPlace {
    /// From where on it is read in each sweep.
    fn base(&self) -> Address {
        self.locked
            .map_or(self.holder, |locked| locked.min(self.holder))
    }

    /// How many bytes are read: both words, which lie side by side.
    fn len(&self) -> usize {
        let end = |address: Address, len: u64| address.0.saturating_add(len);
        let locked = self.locked.map_or(0, |locked| end(locked, 4));
        let len = end(self.holder, 8).max(locked) - self.base().0;
        usize::try_from(len).unwrap_or(0).min(GIL_MAX)
    }

    /// Who has it, by the bytes that were read; `None`: nobody.
    fn holder(&self, bytes: &[u8]) -> Option<Address> {
        let offset = |address: Address| usize::try_from(address.0 - self.base().0).ok();
        if let Some(locked) = self.locked {
            let at = offset(locked)?;
            let word = bytes.get(at..at.checked_add(4)?)?;
            if word != 1_u32.to_le_bytes() {
                return None;
            }
        }
        Some(Address(word(bytes, offset(self.holder)?)?))
    }
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub interpreters: Vec<Interpreter>,
    pub threads: Vec<Fresh>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub state: Address,
    pub interpreter: Address,
    pub ident: u64,
    pub native_id: Option<u32>,
}

pub(super) fn read(
    reader: &Reader<'_>,
    runtime: &Runtime,
    known: &[SweptThread],
) -> Result<Found, ReadError> {
    let fields = &reader.layout.interpreter;
    let mut found = Found::default();
    let mut seen = HashSet::new();
    let mut at: Address = reader.get(runtime.address, reader.layout.runtime.interpreters_head)?;
    while !at.is_null() && found.interpreters.len() < INTERPRETERS_MAX && seen.insert(at) {
        let next = reader.get(at, fields.next);
        let head = reader.get(at, fields.threads_head);
        let (Ok(next), Ok(head)) = (next, head) else {
            break;
        };
        found.interpreters.push(interpreter(reader, runtime, at));
        threads(reader, at, head, known, &mut found.threads, &mut seen);
        at = next;
    }
    if found.interpreters.is_empty() {
        return Err(ReadError::Gone);
    }
    Ok(found)
}

fn threads(
    reader: &Reader<'_>,
    interpreter: Address,
    head: Address,
    known: &[SweptThread],
    threads: &mut Vec<Fresh>,
    seen: &mut HashSet<Address>,
) {
    let fields = &reader.layout.thread_state;
    let mut at = head;
    while !at.is_null() && threads.len() < THREADS_MAX && seen.insert(at) {
        let Ok(raw) = Raw::read(reader, at, fields.size) else {
            break;
        };
        let (Ok(next), Ok(ident)) = (
            raw.get(reader, fields.next),
            raw.get(reader, fields.thread_id),
        ) else {
            break;
        };
        let native: u64 = raw.get(reader, fields.native_thread_id).unwrap_or(0);
        let before = known.iter().find(|t| t.state == at && t.ident == ident);
        threads.push(Fresh {
            state: at,
            interpreter,
            ident,
            native_id: u32::try_from(native)
                .ok()
                .filter(|id| *id != 0)
                .or_else(|| before.and_then(|thread| thread.native_id)),
        });
        at = next;
    }
}

fn interpreter(reader: &Reader<'_>, runtime: &Runtime, state: Address) -> Interpreter {
    let layout = reader.layout;
    let gc = match reader.place(state, layout.interpreter.gc) {
        Ok(gc) => Ok(gc),
        Err(_) => reader.place(runtime.address, layout.runtime.gc),
    };
    let collecting = gc.and_then(|gc| reader.place(gc, layout.gc_state.collecting));
    let gil = gil(reader, runtime, state).ok().flatten();
    Interpreter {
        state,
        gil,
        collecting: collecting.ok(),
        gil_bytes: vec![0; gil.map_or(0, |gil| gil.len())],
        collecting_word: [0; 4],
    }
}

fn gil(
    reader: &Reader<'_>,
    runtime: &Runtime,
    interpreter: Address,
) -> Result<Option<GilPlace>, ReadError> {
    let fields = &reader.layout.gil;
    if reader.layout.traits.gil == GilHome::Runtime {
        let holder = reader.place(runtime.address, reader.layout.runtime.tstate_current)?;
        let place = reader.place(runtime.address, reader.layout.runtime.gil)?;
        return Ok(Some(GilPlace {
            place: (place, fields.size),
            holder,
            locked: None,
        }));
    }
    let gil: Address = reader.get(interpreter, reader.layout.interpreter.gil)?;
    if let Ok(0) = reader.get(gil, fields.enabled) {
        return Ok(None);
    }
    Ok(Some(GilPlace {
        place: (gil, fields.size),
        holder: reader.place(gil, fields.last_holder)?,
        locked: Some(reader.place(gil, fields.locked)?),
    }))
}
