//! From a thread's innermost frame outwards.

use super::{Block, RawFrame};
use crate::code::CodeInfo;
use crate::layout::{FrameOwner, InstructionForm};
use crate::raw::Raw;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Most frames of one thread.
pub const FRAMES_MAX: usize = 100_000;
/// Most entries of a block stack (`CO_MAXBLOCKS` is 20).
const BLOCKS_MAX: usize = 64;

/// Where C code called Python: one run of the interpreter's loop, which may run several frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// How many frames, from the innermost on, run in this loop and in those that were called from it.
    pub frames: usize,
    /// A place on the C stack in the loop's own frame, where Python has one there (3.12 and later).
    pub on_stack: Option<Address>,
}

/// The frames of a thread.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// From the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// The loops that they run in, from the innermost outwards.
    pub marks: Vec<Mark>,
    /// Whether `frames` ends before the outermost one: the limit, a cycle, memory that changed under the reading.
    pub cut: bool,
}

/// The frames of the thread whose state was read as `thread_state`.
///
/// # Errors
/// When it cannot be told where the innermost frame is.
pub fn frames_of_thread(reader: &Reader<'_>, thread_state: &Raw) -> Result<Walk, ReadError> {
    let fields = &reader.layout.thread_state;
    if fields.frame.exists() {
        let innermost = thread_state.get(reader, fields.frame)?;
        return Ok(walk(innermost, |frame| object_frame(reader, frame)));
    }
    let innermost = innermost_frame(reader, thread_state)?;
    Ok(walk(innermost, |frame| interpreter_frame(reader, frame)))
}

/// The innermost `_PyInterpreterFrame` of the thread whose state was read as `thread_state` (3.11+); null where it runs
/// no Python.
///
/// # Errors
/// When it cannot be told.
pub fn innermost_frame(reader: &Reader<'_>, thread_state: &Raw) -> Result<Address, ReadError> {
    let fields = &reader.layout.thread_state;
    if fields.current_frame.exists() {
        return thread_state.get(reader, fields.current_frame);
    }
    let cframe: Address = thread_state.get(reader, fields.cframe)?;
    match cframe.non_null() {
        Some(cframe) => reader.get(cframe, reader.layout.cframe.current_frame),
        None => Ok(Address::NULL),
    }
}

/// One step of a walk.
#[derive(Debug)]
pub struct Step {
    /// The frame, unless it is one of the interpreter's own.
    pub frame: Option<RawFrame>,
    /// The next outer one; null at the end.
    pub previous: Address,
}

fn walk(innermost: Address, step: impl Fn(Address) -> Result<Step, ReadError>) -> Walk {
    let mut result = Walk::default();
    let mut at = innermost;
    // A cycle comes back to a place that is remembered ever more rarely.
    let mut remembered = Address::NULL;
    let mut steps: usize = 0;
    while !at.is_null() {
        if at == remembered || steps >= FRAMES_MAX {
            result.cut = true;
            break;
        }
        if steps.is_power_of_two() {
            remembered = at;
        }
        steps += 1;
        let Ok(Step { frame, previous }) = step(at) else {
            result.cut = true;
            break;
        };
        if frame.as_ref().is_none_or(|frame| frame.entry) {
            let shown = frame.as_ref().is_some_and(|frame| frame.complete);
            result.marks.push(Mark {
                frames: result.frames.len() + usize::from(shown),
                on_stack: frame.is_none().then_some(at),
            });
        }
        match frame {
            // Not begun, or a trampoline around `__init__` (3.12+), which never gets that far: Python itself
            // does not show them.
            Some(frame) if !frame.complete => (),
            Some(frame) => result.frames.push(frame),
            // The interpreter's own frame marks where C code called Python.
            None => mark_entry(&mut result.frames),
        }
        at = previous;
    }
    if !result.cut {
        mark_entry(&mut result.frames);
    }
    result
}

fn mark_entry(frames: &mut [RawFrame]) {
    if let Some(frame) = frames.last_mut() {
        frame.entry = true;
    }
}

/// The `PyFrameObject` at `address` (up to 3.10).
pub fn object_frame(reader: &Reader<'_>, address: Address) -> Result<Step, ReadError> {
    let fields = &reader.layout.frame_object;
    let raw = Raw::read(reader, address, fields.size)?;
    let code = CodeInfo::read(reader, raw.get(reader, fields.f_code)?)?;
    let stack: Address = raw.get(reader, fields.f_valuestack)?;
    let in_use = |slots: u64| {
        usize::try_from(slots)
            .ok()
            .filter(|slots| *slots <= code.stacksize)
    };
    let stack_depth = match raw.find(reader, fields.f_stacktop)? {
        Some(top) => top
            .0
            .checked_sub(stack.0)
            .and_then(|bytes| in_use(bytes / 8)),
        None => u64::try_from(raw.get(reader, fields.f_stackdepth)?)
            .ok()
            .and_then(in_use),
    };
    let unit = match reader.layout.traits.instruction {
        InstructionForm::LastByte => 1,
        _ => 2,
    };
    let offset = usize::try_from(raw.get(reader, fields.f_lasti)?)
        .ok()
        .map(|last| last.saturating_mul(unit))
        .filter(|offset| *offset < code.code_len);
    let namespace: Address = raw.get(reader, fields.f_locals)?;
    let generator: Address = raw.get(reader, fields.f_gen)?;
    let frame = RawFrame {
        address,
        offset: offset.unwrap_or(0),
        complete: offset.is_some(),
        locals: reader.place(address, fields.f_localsplus)?,
        stack,
        stack_depth,
        blocks: blocks(reader, &raw)?,
        globals: raw.get(reader, fields.f_globals)?,
        namespace: namespace_of(&code, namespace),
        function: Address::NULL,
        generator: generator.non_null(),
        entry: true,
        code,
    };
    Ok(Step {
        frame: Some(frame),
        previous: raw.get(reader, fields.f_back)?,
    })
}

/// The frame's block stack, outermost first.
fn blocks(reader: &Reader<'_>, frame: &Raw) -> Result<Vec<Block>, ReadError> {
    let fields = &reader.layout.frame_object;
    let block = &reader.layout.try_block;
    let count = usize::try_from(frame.get(reader, fields.f_iblock)?)
        .ok()
        .filter(|count| *count <= BLOCKS_MAX)
        .ok_or(ReadError::Nonsense(frame.base()))?;
    let first = reader.place(frame.base(), fields.f_blockstack)?;
    (0..count)
        .map(|index| {
            let at = first.plus(index as u64 * block.size);
            Ok(Block {
                kind: reader.get(at, block.b_type)?,
                handler: reader.get(at, block.b_handler)?,
                level: reader.get(at, block.b_level)?,
            })
        })
        .collect()
}

/// The `_PyInterpreterFrame` at `address` (3.11+).
pub fn interpreter_frame(reader: &Reader<'_>, address: Address) -> Result<Step, ReadError> {
    let fields = &reader.layout.interpreter_frame;
    let raw = Raw::read(reader, address, fields.size)?;
    let previous = raw.get(reader, fields.previous)?;
    let traits = &reader.layout.traits;
    let nonsense = ReadError::Nonsense(address);
    let owner = traits
        .frame_owner(raw.get(reader, fields.owner)?)
        .ok_or(nonsense)?;
    if owner == FrameOwner::Shim {
        return Ok(Step {
            frame: None,
            previous,
        });
    }
    let executable = traits.untag(raw.get(reader, fields.executable)?);
    let code = CodeInfo::read(reader, executable.ok_or(nonsense)?)?;
    let owned = owner == FrameOwner::Generator;
    let locals = reader.place(address, fields.localsplus)?;
    let stack = locals.plus(code.nlocalsplus as u64 * 8);
    let offset = offset_of(reader, &raw, &code)?;
    let namespace: Address = raw.get(reader, fields.f_locals)?;
    let frame = RawFrame {
        address,
        offset: offset.unwrap_or(0),
        complete: offset.is_some_and(|offset| owned || offset >= code.first_traceable),
        locals,
        stack,
        stack_depth: stack_depth(reader, &raw, &code, stack)?,
        blocks: Vec::new(),
        globals: raw.get(reader, fields.f_globals)?,
        namespace: namespace_of(&code, namespace),
        function: traits
            .untag(raw.get(reader, fields.funcobj)?)
            .unwrap_or(Address::NULL),
        generator: generator_of(reader, address).filter(|_| owned),
        entry: raw
            .find(reader, fields.is_entry)?
            .is_some_and(|entry| entry != 0),
        code,
    };
    Ok(Step {
        frame: Some(frame),
        previous,
    })
}

/// Bytes from the first instruction to the current one; `None` before the first.
fn offset_of(reader: &Reader<'_>, raw: &Raw, code: &CodeInfo) -> Result<Option<usize>, ReadError> {
    let fields = &reader.layout.interpreter_frame;
    let at: Address = match raw.find(reader, fields.instr_ptr)? {
        Some(at) => at,
        None => raw.get(reader, fields.prev_instr)?,
    };
    let start = match raw.find(reader, fields.tlbc_index)? {
        Some(copy) => code.start_of_copy(reader, copy)?,
        None => code.code_start,
    };
    let Some(offset) = at.0.checked_sub(start.0) else {
        return Ok(None);
    };
    usize::try_from(offset)
        .ok()
        .filter(|offset| *offset < code.code_len)
        .map(Some)
        .ok_or(ReadError::Nonsense(raw.base()))
}

/// Slots of the value stack in use, as noted.
fn stack_depth(
    reader: &Reader<'_>,
    raw: &Raw,
    code: &CodeInfo,
    stack: Address,
) -> Result<Option<usize>, ReadError> {
    let fields = &reader.layout.interpreter_frame;
    let depth = match raw.find(reader, fields.stackpointer)? {
        Some(top) => top.0.checked_sub(stack.0).map(|bytes| bytes / 8),
        None => match raw.find(reader, fields.stacktop)? {
            Some(top) => u64::try_from(top)
                .ok()
                .and_then(|top| top.checked_sub(code.nlocalsplus as u64)),
            None => None,
        },
    };
    Ok(depth
        .and_then(|depth| usize::try_from(depth).ok())
        .filter(|depth| *depth <= code.stacksize))
}

/// The generator around its frame.
fn generator_of(reader: &Reader<'_>, frame: Address) -> Option<Address> {
    let offset = reader.layout.generator.gi_iframe.offset()?;
    frame.0.checked_sub(offset).map(Address)
}

/// What the frame notes as its local namespace counts only where its variables have no slots.
fn namespace_of(code: &CodeInfo, noted: Address) -> Address {
    if code.is_optimized() {
        Address::NULL
    } else {
        noted
    }
}
