//! Who the threads of a process are.

use super::SweptThread;
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

/// An interpreter, and where it says what it does.
#[derive(Debug, Clone)]
pub(super) struct Interpreter {
    pub state: Address,
    pub gil: Option<GilPlace>,
    collecting: Option<Address>,
    /// The holder, whether it is locked, whether a collection goes on: as read last.
    words: [[u8; 8]; 3],
}

impl Interpreter {
    /// What is read of it in each sweep.
    pub fn push_ranges<'a>(&'a mut self, ranges: &mut Vec<Range<'a>>) {
        let places = self.places();
        for (address, word) in places.into_iter().zip(&mut self.words) {
            if let Some((address, length)) = address {
                ranges.push(Range {
                    address,
                    buffer: word.get_mut(..length).unwrap_or_default(),
                    ok: false,
                });
            }
        }
    }

    /// Which of these ranges were read, in the same order.
    pub fn note(&mut self, mut read: impl FnMut() -> bool) {
        let places = self.places();
        for (place, word) in places.into_iter().zip(&mut self.words) {
            if place.is_some() && !read() {
                *word = [0; 8];
            }
        }
    }

    fn places(&self) -> [Option<(Address, usize)>; 3] {
        [
            self.gil.map(|gil| (gil.holder, 8)),
            self.gil.and_then(|gil| Some((gil.locked?, 4))),
            self.collecting.map(|address| (address, 4)),
        ]
    }

    /// What it did when it was read.
    pub fn now(&self) -> super::InterpreterNow {
        let [holder, locked, collecting] = self.words.map(u64::from_le_bytes);
        let free = self.gil.is_some_and(|gil| gil.locked.is_some()) && locked != 1;
        super::InterpreterNow {
            gil_holder: if free { Address::NULL } else { Address(holder) },
            collecting: collecting == 1,
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
    Interpreter {
        state,
        gil: gil(reader, runtime, state).ok().flatten(),
        collecting: collecting.ok(),
        words: Default::default(),
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
