//! Where in the bytes of a thread state and of a frame the words lie that a sweep needs.

use crate::layout::{Field, FrameOwner, InstructionForm, Layout, Traits};
use snapshot::Address;

/// Offsets in bytes, each checked once to exist.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Bytes of a thread state that are read in each sweep.
    pub head_len: usize,
    /// Bytes of a frame that are read in each sweep.
    pub frame_len: usize,
    /// Whether frames lie in the thread's data stack (3.11+), not in the allocator's pools.
    pub data_stack: bool,
    pub traits: Traits,
    prev: usize,
    next: usize,
    top: Top,
    previous: usize,
    executable: usize,
    instruction: usize,
    owner: Option<usize>,
    /// 3.11: whether C code called the frame.
    is_entry: Option<usize>,
    copy_index: Option<usize>,
    /// Where in a generator the frame lies (3.11+).
    embedded: Option<u64>,
    /// Where in a frame object the pointer to its generator is (up to 3.10).
    generator: Option<usize>,
}

/// How a thread state names its innermost frame.
#[derive(Debug, Clone, Copy)]
enum Top {
    /// By a pointer to it.
    Frame(usize),
    /// By a pointer to a `_PyCFrame` (3.11, 3.12), which has one: the offsets of both.
    CFrame(usize, u64),
}

/// The innermost frame, or where the pointer to it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Innermost {
    Frame(u64),
    At(u64),
}

/// The words of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    pub at: u64,
    pub previous: u64,
    pub executable: u64,
    pub instruction: u64,
    pub owner: i8,
    /// 3.11: whether C code called it.
    pub is_entry: bool,
    pub copy_index: i32,
    /// The generator or coroutine whose frame it is; 0 for a function's.
    pub generator: u64,
}

impl Form {
    pub fn of(layout: &Layout) -> Form {
        let thread = &layout.thread_state;
        let object = thread.frame.exists();
        let frame = &layout.interpreter_frame;
        let old = &layout.frame_object;
        let top = if object {
            Top::Frame(at(thread.frame))
        } else if thread.current_frame.exists() {
            Top::Frame(at(thread.current_frame))
        } else {
            let inner = layout.cframe.current_frame.offset();
            Top::CFrame(at(thread.cframe), inner.unwrap_or(u64::MAX))
        };
        let (previous, executable, instruction) = match (object, layout.traits.instruction) {
            (true, _) => (at(old.f_back), at(old.f_code), at(old.f_lasti)),
            (false, InstructionForm::Pointer) => (
                at(frame.previous),
                at(frame.executable),
                at(frame.instr_ptr),
            ),
            (false, _) => (
                at(frame.previous),
                at(frame.executable),
                at(frame.prev_instr),
            ),
        };
        let find = |field: Field<i8>| (!object && field.exists()).then(|| at(field));
        let owner = find(frame.owner);
        let is_entry = (!object && frame.is_entry.exists()).then(|| at(frame.is_entry));
        let copy_index = frame.tlbc_index.exists().then(|| at(frame.tlbc_index));
        let generator = old.f_gen.exists().then(|| at(old.f_gen));
        let (prev, next) = (at(thread.prev), at(thread.next));
        let pointer = match top {
            Top::Frame(offset) | Top::CFrame(offset, _) => offset,
        };
        let end = |offsets: &[usize]| {
            offsets
                .iter()
                .max()
                .map_or(0, |last| last.saturating_add(8))
        };
        Form {
            head_len: end(&[prev, next, pointer]).min(HEAD_MAX),
            frame_len: end(&[
                previous,
                executable,
                instruction,
                owner.unwrap_or(0),
                is_entry.unwrap_or(0),
                copy_index.unwrap_or(0),
                generator.unwrap_or(0),
            ])
            .min(FRAME_MAX),
            data_stack: !object,
            traits: layout.traits,
            prev,
            next,
            top,
            previous,
            executable,
            instruction,
            owner,
            is_entry,
            copy_index,
            embedded: layout.generator.gi_iframe.offset(),
            generator,
        }
    }

    /// The innermost frame, by the head of a thread's state.
    pub fn innermost(&self, head: &[u8]) -> Option<Innermost> {
        match self.top {
            Top::Frame(offset) => word(head, offset).map(Innermost::Frame),
            Top::CFrame(offset, inner) => {
                let cframe = word(head, offset)?;
                Some(match cframe {
                    0 => Innermost::Frame(0),
                    _ => Innermost::At(cframe.checked_add(inner)?),
                })
            }
        }
    }

    /// Whether two readings of a thread's state name the same neighbours.
    pub fn neighbours(&self, head: &[u8]) -> Option<(u64, u64)> {
        Some((word(head, self.prev)?, word(head, self.next)?))
    }

    /// The words of the frame at `at`, whose [`Form::frame_len`] bytes these are.
    pub fn words(&self, at: u64, bytes: &[u8]) -> Option<Words> {
        let instruction = if self.data_stack {
            word(bytes, self.instruction)?
        } else {
            // An int; -1 before the first instruction.
            let low = u32::try_from(word(bytes, self.instruction)? & 0xffff_ffff).ok()?;
            i64::from(low.cast_signed()).cast_unsigned()
        };
        let byte = |offset: usize| bytes.get(offset).map(|byte| byte.cast_signed());
        let copy_index = match self.copy_index {
            Some(offset) => i32::try_from(word(bytes, offset)?.cast_signed() << 32 >> 32).ok()?,
            None => 0,
        };
        let owner = match self.owner {
            Some(offset) => byte(offset)?,
            None => 0,
        };
        let is_entry = match self.is_entry {
            Some(offset) => byte(offset)? != 0,
            None => false,
        };
        let generator = match (self.generator, self.embedded) {
            (Some(offset), _) => word(bytes, offset)?,
            (None, Some(offset))
                if self.traits.frame_owner(owner) == Some(FrameOwner::Generator) =>
            {
                at.saturating_sub(offset)
            }
            _ => 0,
        };
        Some(Words {
            at,
            previous: word(bytes, self.previous)?,
            executable: word(bytes, self.executable)?,
            instruction,
            owner,
            is_entry,
            copy_index,
            generator,
        })
    }

    /// Whether a run of the interpreter's loop begins with this frame, and the place on the C stack that it has there.
    pub fn begins(&self, words: &Words) -> Option<Option<Address>> {
        if !self.data_stack || words.is_entry {
            return Some(None);
        }
        let shim = self.owner(words) == Some(FrameOwner::Shim);
        shim.then_some(Some(Address(words.at)))
    }

    /// Who owns the frame; `None` where that makes no sense.
    pub fn owner(&self, words: &Words) -> Option<FrameOwner> {
        if self.owner.is_none() {
            return Some(FrameOwner::Thread);
        }
        self.traits.frame_owner(words.owner)
    }
}

/// Most bytes of a head and of a frame: the structs are smaller in each version.
const HEAD_MAX: usize = 1024;
const FRAME_MAX: usize = 512;

/// The offset, beyond all bounds where the layout has no such field.
fn at<T>(field: Field<T>) -> usize {
    field
        .offset()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(usize::MAX - 8)
}

/// The eight bytes at `offset`.
#[inline]
pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let piece = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(piece.try_into().ok()?))
}
