//! Thread states.

use crate::frame::{RawFrame, Walk, frames_of_thread};
use crate::gil::Gil;
use crate::interpreter::Interp;
use crate::raw::Raw;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::collections::HashMap;

/// Most threads of one interpreter.
const THREADS_MAX: usize = 100_000;
/// Most exceptions that are being handled, one within the other.
const HANDLED_MAX: usize = 1000;
/// Most bytes of a thread's frames that are brought in ahead.
const CHUNK_MAX: u64 = 1 << 20;

/// How much of a `pthread_t` is searched for the kernel's thread id: glibc has it at 720, musl at 48.
const PTHREAD_BYTES: usize = 1024;
/// Most characters of a thread's name.
const NAME_MAX: usize = 200;

/// A thread as the interpreter sees it.
#[derive(Debug, Clone)]
pub struct RawThread {
    /// Its `PyThreadState`.
    pub state: Address,
    /// Its interpreter's number.
    pub interpreter: i64,
    /// `threading.get_ident()`: the pthread_t; 0 while the thread has not begun.
    pub ident: u64,
    /// Kernel thread id, as the target numbers it (3.11+).
    pub native_id: Option<u32>,
    /// Whether it has its interpreter's GIL.
    pub holds_gil: bool,
    /// From the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// Whether `frames` ends before the outermost frame.
    pub cut: bool,
    /// The exception that its innermost `except` or `finally` handles.
    pub handling: Option<Address>,
}

impl RawThread {
    /// Those of its frames that it will come back to. In a process that `multiprocessing` made by a fork, the frames
    /// outside of `BaseProcess._bootstrap` are its parent's, copied: it ends without returning to them
    /// (`popen_fork.Popen._launch` calls `os._exit`).
    pub fn own_frames(&self) -> &[RawFrame] {
        let begins = |frame: &RawFrame| {
            &*frame.code.name == "_bootstrap"
                && frame.code.file.ends_with("multiprocessing/process.py")
        };
        let end = self.frames.iter().position(begins);
        let end = end.map_or(self.frames.len(), |at| at + 1);
        self.frames.get(..end).unwrap_or_default()
    }

    /// Whether it is the thread of a `multiprocessing` queue that sends what others have put, and can do nothing else.
    pub fn is_feeder(&self) -> bool {
        let mut frames = self.frames.iter();
        frames.any(|frame| {
            &*frame.code.name == "_feed" && frame.code.file.ends_with("multiprocessing/queues.py")
        })
    }
}

/// The threads of the interpreter whose list begins at `head`, the oldest first, and whether the list was cut.
pub(crate) fn threads(
    reader: &Reader<'_>,
    head: Address,
    interpreter: i64,
    gil: Option<&Gil>,
) -> (Vec<RawThread>, bool) {
    let (states, cut) = thread_states(reader, head);
    prefetch(reader, &states);
    let mut threads: Vec<RawThread> = states
        .iter()
        .map(|state| thread(reader, state, interpreter, gil))
        .collect();
    // New threads are put at the head of the list.
    threads.reverse();
    (threads, cut)
}

fn thread_states(reader: &Reader<'_>, head: Address) -> (Vec<Raw>, bool) {
    let fields = &reader.layout.thread_state;
    let mut states: Vec<Raw> = Vec::new();
    let mut at = head;
    let mut remembered = Address::NULL;
    while !at.is_null() {
        if at == remembered || states.len() >= THREADS_MAX {
            return (states, true);
        }
        if states.len().is_power_of_two() {
            remembered = at;
        }
        let read = Raw::read(reader, at, fields.size)
            .and_then(|state| Ok((state.get(reader, fields.next)?, state)));
        let Ok((next, state)) = read else {
            return (states, true);
        };
        states.push(state);
        at = next;
    }
    (states, false)
}

/// Brings in at once what the walks along the frames will read (3.11+).
fn prefetch(reader: &Reader<'_>, states: &[Raw]) {
    let thread = &reader.layout.thread_state;
    let chunk = &reader.layout.stack_chunk;
    let find = |field| {
        let found: Vec<Address> = states
            .iter()
            .filter_map(|state| state.get(reader, field).ok().and_then(Address::non_null))
            .collect();
        found
    };
    let chunks = find(thread.datastack_chunk);
    let heads: Vec<(Address, u64)> = chunks.iter().map(|at| (*at, chunk.size)).collect();
    reader.memory.prefetch(&heads);
    let in_use = |at: &Address| {
        let slots: u64 = reader.get(*at, chunk.top).unwrap_or(0);
        (*at, slots.saturating_mul(8).min(CHUNK_MAX))
    };
    let bodies: Vec<(Address, u64)> = chunks.iter().map(in_use).collect();
    reader.memory.prefetch(&bodies);
}

fn thread(reader: &Reader<'_>, state: &Raw, interpreter: i64, gil: Option<&Gil>) -> RawThread {
    let fields = &reader.layout.thread_state;
    let native = state.get(reader, fields.native_thread_id).unwrap_or(0);
    let Walk { frames, cut } = frames_of_thread(reader, state).unwrap_or(Walk {
        frames: Vec::new(),
        cut: true,
    });
    RawThread {
        state: state.base(),
        interpreter,
        ident: state.get(reader, fields.thread_id).unwrap_or(0),
        native_id: u32::try_from(native).ok().filter(|id| *id != 0),
        holds_gil: gil.is_some_and(|gil| gil.holder == Some(state.base())),
        frames,
        cut,
        handling: handled(reader, state).unwrap_or_default(),
    }
}

/// The exception that is being handled.
fn handled(reader: &Reader<'_>, state: &Raw) -> Result<Option<Address>, ReadError> {
    let fields = &reader.layout.exc_info;
    let mut item: Address = state.get(reader, reader.layout.thread_state.exc_info)?;
    for _ in 0..HANDLED_MAX {
        if item.is_null() {
            break;
        }
        let value: Address = reader.get(item, fields.exc_value)?;
        if !value.is_null() && !reader.is_none(value) {
            return Ok(Some(value));
        }
        item = reader.get(item, fields.previous_item)?;
    }
    Ok(None)
}

/// The `threading.Thread` objects of an interpreter by their ident (`threading._active`); empty where
/// `threading` was not imported or cannot be read.
pub fn thread_objects(reader: &Reader<'_>, interpreter: &Interp) -> HashMap<u64, Address> {
    active_threads(reader, interpreter.address)
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn active_threads(
    reader: &Reader<'_>,
    interpreter: Address,
) -> Result<Option<HashMap<u64, Address>>, ReadError> {
    let Some(module) = reader.module(interpreter, "threading")? else {
        return Ok(None);
    };
    let Some(active) = reader.dict_get(module, "_active")? else {
        return Ok(None);
    };
    let threads = reader.dict_items(active, THREADS_MAX)?;
    let ident = |key| reader.int(key).map(i64::cast_unsigned);
    Ok(Some(
        threads
            .into_iter()
            .filter_map(|(key, thread)| Some((ident(key).ok()?, thread)))
            .collect(),
    ))
}

/// The kernel's id of the thread whose `pthread_t` is `ident`, by what libc keeps there; one of `ids`, as the target
/// numbers them.
pub fn kernel_id(reader: &Reader<'_>, ident: u64, ids: &[u32]) -> Option<u32> {
    let mut bytes = [0u8; PTHREAD_BYTES];
    reader.memory.read(Address(ident), &mut bytes).ok()?;
    let mut words = bytes
        .chunks_exact(4)
        .map(|word| word.try_into().map_or(0, u32::from_le_bytes));
    words.find(|word| *word > 1 && ids.contains(word))
}

/// The names of the threads of the interpreter whose state is at `interpreter`, by their ident, as `threading` has
/// them; those that it does not know are missing.
pub fn thread_names(reader: &Reader<'_>, interpreter: Address) -> HashMap<u64, String> {
    let objects = active_threads(reader, interpreter).ok().flatten();
    let name = |object| {
        let name = reader.attribute(object, "_name").ok()??;
        reader.string(name, NAME_MAX).ok()
    };
    objects
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(ident, object)| Some((ident, name(object)?)))
        .collect()
}
