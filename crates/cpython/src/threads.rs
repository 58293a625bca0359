//! Thread states.

use crate::frame::{Mark, RawFrame, Walk, frames_of_thread, innermost_frame};
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
/// Most bytes of a chunk of a thread's frames that are brought in ahead.
const CHUNK_MAX: u64 = 1 << 20;
/// Most bytes of all older chunks together that are brought in ahead.
const OLDER_CHUNKS_MAX: u64 = 32 << 20;
/// Most entries from C of one thread that are brought in ahead.
const ENTRIES_AHEAD: usize = 32;
/// Most frames of one thread that are brought in ahead, where each is an object.
const DEPTH_AHEAD: usize = 200;

/// How much of a `pthread_t` is searched for the kernel's thread id: glibc has it at 720, musl at 48.
pub(crate) const PTHREAD_BYTES: usize = 1024;
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
    /// The interpreter's loops that they run in, from the innermost outwards.
    pub marks: Vec<Mark>,
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

/// Brings in at once what the walks along the frames of all threads will read.
fn prefetch(reader: &Reader<'_>, states: &[Raw]) {
    let fields = &reader.layout.thread_state;
    if fields.frame.exists() {
        return prefetch_objects(reader, states);
    }
    let mut ranges: Vec<(Address, u64)> = Vec::new();
    let mut cframes: Vec<(Address, u64)> = Vec::new();
    let mut chunks: Vec<Address> = Vec::new();
    for state in states {
        let get = |field| state.get(reader, field).ok().and_then(Address::non_null);
        cframes.extend(get(fields.cframe).map(|at| (at, reader.layout.cframe.size)));
        let Some(chunk) = get(fields.datastack_chunk) else {
            continue;
        };
        chunks.push(chunk);
        // Of the chunk in use only the thread knows where its end is.
        let used = get(fields.datastack_top).and_then(|top| top.0.checked_sub(chunk.0));
        let used = used.filter(|used| *used <= CHUNK_MAX);
        ranges.push((chunk, used.unwrap_or(reader.layout.stack_chunk.size)));
    }
    reader.memory.prefetch_alone(&cframes);
    reader.memory.prefetch(&ranges);
    prefetch_older_chunks(reader, chunks);
    prefetch_entries(reader, states);
}

/// Brings in the frames that lie on the threads' C stacks, the marks of where C code called Python (3.12+).
fn prefetch_entries(reader: &Reader<'_>, states: &[Raw]) {
    let fields = &reader.layout.thread_state;
    let frame = &reader.layout.interpreter_frame;
    let previous = |at: Address| reader.get(at, frame.previous).unwrap_or(Address::NULL);
    let mut walks: Vec<(Address, std::ops::Range<u64>)> = Vec::new();
    for state in states {
        let get = |field| state.get(reader, field).unwrap_or(Address::NULL);
        let chunk = get(fields.datastack_chunk).0..get(fields.datastack_top).0;
        if let Ok(innermost) = innermost_frame(reader, state) {
            walks.push((innermost, chunk));
        }
    }
    for _ in 0..ENTRIES_AHEAD {
        walks.retain_mut(|(at, chunk)| {
            let mut steps = 0;
            while chunk.contains(&at.0) && steps < DEPTH_AHEAD {
                *at = previous(*at);
                steps += 1;
            }
            !at.is_null()
        });
        // One alone is brought in just as well by whoever reads it.
        if walks.len() < 2 {
            return;
        }
        let entries: Vec<(Address, u64)> = walks.iter().map(|(at, _)| (*at, frame.size)).collect();
        reader.memory.prefetch_alone(&entries);
        for (at, _) in &mut walks {
            *at = previous(*at);
        }
    }
}

/// Brings in the chunks that deep stacks had before their latest, of all threads together.
fn prefetch_older_chunks(reader: &Reader<'_>, mut chunks: Vec<Address>) {
    let fields = &reader.layout.stack_chunk;
    let mut left = OLDER_CHUNKS_MAX;
    loop {
        chunks.retain_mut(|at| {
            let previous = reader.get(*at, fields.previous).ok();
            *at = previous.unwrap_or(Address::NULL);
            !at.is_null()
        });
        let heads: Vec<(Address, u64)> = chunks.iter().map(|at| (*at, fields.size)).collect();
        reader.memory.prefetch(&heads);
        let in_use = |at: &Address| {
            let slots: u64 = reader.get(*at, fields.top).unwrap_or(0);
            let bytes = slots.saturating_mul(8).saturating_add(fields.size);
            (*at, bytes.min(CHUNK_MAX))
        };
        let bodies: Vec<(Address, u64)> = chunks.iter().map(in_use).collect();
        // A chunk is never smaller than a page.
        let bytes: u64 = bodies.iter().map(|(_, bytes)| bytes.max(&4096)).sum();
        left = left.saturating_sub(bytes);
        if chunks.is_empty() || left == 0 {
            return;
        }
        reader.memory.prefetch(&bodies);
    }
}

/// Brings in the frames of all threads, those at the same depth together (up to 3.10, where each is an object).
fn prefetch_objects(reader: &Reader<'_>, states: &[Raw]) {
    let fields = &reader.layout.frame_object;
    let frame = reader.layout.thread_state.frame;
    let mut frames: Vec<Address> = states
        .iter()
        .filter_map(|state| state.get(reader, frame).ok().and_then(Address::non_null))
        .collect();
    for _ in 0..DEPTH_AHEAD {
        // One alone is brought in just as well by whoever reads it.
        if frames.len() < 2 {
            return;
        }
        let ranges: Vec<(Address, u64)> = frames.iter().map(|at| (*at, fields.size)).collect();
        reader.memory.prefetch(&ranges);
        frames = frames
            .into_iter()
            .filter_map(|at| {
                reader
                    .get(at, fields.f_back)
                    .ok()
                    .and_then(Address::non_null)
            })
            .collect();
    }
}

fn thread(reader: &Reader<'_>, state: &Raw, interpreter: i64, gil: Option<&Gil>) -> RawThread {
    let fields = &reader.layout.thread_state;
    let native = state.get(reader, fields.native_thread_id).unwrap_or(0);
    let Walk { frames, marks, cut } = frames_of_thread(reader, state).unwrap_or(Walk {
        cut: true,
        ..Walk::default()
    });
    RawThread {
        state: state.base(),
        interpreter,
        ident: state.get(reader, fields.thread_id).unwrap_or(0),
        native_id: u32::try_from(native).ok().filter(|id| *id != 0),
        holds_gil: gil.is_some_and(|gil| gil.holder == Some(state.base())),
        frames,
        marks,
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

/// The kernel's id of the thread whose `pthread_t` is `ident`, by what libc keeps there; one of those for which `is_id`
/// says that a thread has it, as the target numbers them.
pub fn kernel_id(reader: &Reader<'_>, ident: u64, is_id: impl Fn(u32) -> bool) -> Option<u32> {
    let mut bytes = [0u8; PTHREAD_BYTES];
    reader.memory.read(Address(ident), &mut bytes).ok()?;
    let mut words = bytes
        .chunks_exact(4)
        .map(|word| word.try_into().map_or(0, u32::from_le_bytes));
    words.find(|word| *word > 1 && is_id(*word))
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
