//! `_Py_DebugOffsets`: from 3.13 on a process tells at the start of `_PyRuntime` where some fields lie
//! (Include/internal/pycore_debug_offsets.h). What it tells counts before the tables, once it has been checked:
//! every offset must lie within its struct and be aligned, or nothing of it is taken.

mod forms;

use super::{ABSENT, Layout, Version};
use forms::{Group, Place, Size, Slot};

/// The bytes with which the debug offsets begin.
pub const COOKIE: &[u8; 8] = b"xdebugpy";
/// Bytes that are enough for the debug offsets of each version known.
pub const DEBUG_OFFSETS_SIZE: usize = 1024;

const WORD: usize = 8;
/// Cookie, version, kind of build.
const HEAD_WORDS: usize = 3;

/// What the debug offsets told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugInfo {
    /// The version, and the kind of build.
    pub version: Version,
    /// Where they told something else than the layout had: the build differs from the one in the tables.
    pub corrected: Vec<Correction>,
}

/// A field that lies, or a struct that ends, elsewhere than the tables have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// `thread_state.next`, `thread_state` for its size.
    pub what: &'static str,
    /// In bytes, as the table had it.
    pub table: u64,
    /// In bytes, as the process has it.
    pub process: u64,
}

/// Why debug offsets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DebugOffsetsError {
    /// No cookie: there are none (before 3.13), or this is not `_PyRuntime`.
    #[error("there are no debug offsets")]
    None,
    /// They end too early.
    #[error("the debug offsets are cut short")]
    Truncated,
    /// A version that cannot have them, or is newer than what is known.
    #[error("the debug offsets are of Python {0}, which is not known")]
    Unknown(Version),
    /// They say what cannot be.
    #[error("the debug offsets make no sense: {what} is {value}")]
    Nonsense {
        /// Which of them.
        what: &'static str,
        /// What it says.
        value: u64,
    },
}

/// The version that debug offsets begin with.
///
/// # Errors
/// When these are none, or of no plausible version.
pub fn version(bytes: &[u8]) -> Result<Version, DebugOffsetsError> {
    if bytes.get(..WORD) != Some(COOKIE.as_slice()) {
        return Err(DebugOffsetsError::None);
    }
    let hex = word(bytes, 1)?;
    let version = u32::try_from(hex)
        .map(Version::from_hex)
        .ok()
        .filter(Version::is_plausible)
        .ok_or(DebugOffsetsError::Nonsense {
            what: "version",
            value: hex,
        })?;
    match word(bytes, 2)? {
        0 => Ok(version),
        1 => Ok(version.free_threaded()),
        value => Err(DebugOffsetsError::Nonsense {
            what: "free_threaded",
            value,
        }),
    }
}

fn word(bytes: &[u8], index: usize) -> Result<u64, DebugOffsetsError> {
    let start = index * WORD;
    let word = bytes
        .get(start..start + WORD)
        .and_then(|word| word.try_into().ok());
    word.map(u64::from_le_bytes)
        .ok_or(DebugOffsetsError::Truncated)
}

impl Layout {
    /// The layout of a process by its debug offsets, over the table of its minor version that is most like it.
    ///
    /// # Errors
    /// When there are none, or they are of an unknown version, or make no sense.
    pub fn from_debug_offsets(bytes: &[u8]) -> Result<(Layout, DebugInfo), DebugOffsetsError> {
        let version = version(bytes)?;
        let mut best: Option<(Layout, DebugInfo)> = None;
        let mut variants: Vec<_> = Layout::variants(&version).collect();
        variants.sort_by_key(|(variant, _)| variant.micro.abs_diff(version.micro));
        for (_, mut layout) in variants {
            let info = layout.with_debug_offsets(bytes)?;
            let corrections = |(_, info): &(Layout, DebugInfo)| info.corrected.len();
            if best
                .as_ref()
                .is_none_or(|best| info.corrected.len() < corrections(best))
            {
                best = Some((layout, info));
            }
        }
        best.ok_or(DebugOffsetsError::Unknown(version))
    }

    /// Takes the debug offsets of a process, [`DEBUG_OFFSETS_SIZE`] bytes from the start of its `_PyRuntime` or as
    /// many as there are, into this layout, which is of the same minor version and kind of build. Of a field that
    /// this layout has not nothing is taken.
    ///
    /// # Errors
    /// As [`Layout::from_debug_offsets`]; the layout is then as it was.
    pub fn with_debug_offsets(&mut self, bytes: &[u8]) -> Result<DebugInfo, DebugOffsetsError> {
        let version = version(bytes)?;
        let groups = forms::groups(&version).ok_or(DebugOffsetsError::Unknown(version))?;
        let mut layout = self.clone();
        let mut words = Words {
            bytes,
            next: HEAD_WORDS,
        };
        let mut corrected = Vec::new();
        for group in groups {
            words.take(group, &mut layout, &mut corrected)?;
        }
        layout.follow(self);
        *self = layout;
        Ok(DebugInfo { version, corrected })
    }
}

impl Layout {
    /// Moves what the debug offsets do not tell of with what they do tell of; `table` is the layout before them.
    fn follow(&mut self, table: &Layout) {
        // The fields that `_PyThreadStateImpl` adds begin where the thread state ends.
        let (old, new) = (table.thread_state.size, self.thread_state.size);
        if old != new {
            let moved = &mut self.thread_state_impl;
            moved.size = (moved.size + new).saturating_sub(old);
            for offset in [
                moved.asyncio_running_loop.raw_mut(),
                moved.asyncio_running_task.raw_mut(),
                moved.asyncio_tasks_head.raw_mut(),
            ] {
                move_by(offset, old, new);
            }
        }
        // Both lie in the state of imports.
        if let (Some(old), Some(new)) = (
            table.interpreter.modules.offset(),
            self.interpreter.modules.offset(),
        ) {
            move_by(self.interpreter.importlib.raw_mut(), old, new);
        }
        // It lies behind the allocator's state, which differs between patch releases.
        if table.interpreter.size != self.interpreter.size {
            *self.interpreter.asyncio_tasks_head.raw_mut() = ABSENT;
        }
    }
}

/// Moves an offset from what follows `old` to what follows `new`; an offset that leaves the range is absent.
fn move_by(offset: &mut u32, old: u64, new: u64) {
    if *offset != ABSENT {
        let moved = (u64::from(*offset) + new).checked_sub(old);
        *offset = moved
            .and_then(|moved| u32::try_from(moved).ok())
            .unwrap_or(ABSENT);
    }
}

/// The debug offsets from one word on.
struct Words<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl Words<'_> {
    fn word(&mut self) -> Result<u64, DebugOffsetsError> {
        let word = word(self.bytes, self.next)?;
        self.next += 1;
        Ok(word)
    }

    /// Takes the words of one struct.
    fn take(
        &mut self,
        group: &Group,
        layout: &mut Layout,
        corrected: &mut Vec<Correction>,
    ) -> Result<(), DebugOffsetsError> {
        let size = match group.size {
            Size::Unsaid => group.limit,
            Size::Bound | Size::Struct(_) => {
                let value = self.word()?;
                if value == 0 || value > group.limit {
                    return Err(DebugOffsetsError::Nonsense {
                        what: group.name,
                        value,
                    });
                }
                value
            }
        };
        if let Size::Struct(place) = group.size {
            let known = place(layout);
            note(corrected, group.name, *known, size);
            *known = size;
        }
        let mut base = 0;
        for slot in group.slots {
            let value = self.word()?;
            match slot {
                Slot::Skip => {}
                Slot::Base => base = value,
                Slot::At(place) => put(place(layout), value, size, corrected)?,
                Slot::Size(what, place) => {
                    if value == 0 || value > group.limit {
                        return Err(DebugOffsetsError::Nonsense { what, value });
                    }
                    let known = place(layout);
                    note(corrected, what, *known, value);
                    *known = value;
                }
                Slot::FromBase(place) => {
                    let bound = layout.gil.size;
                    put(place(layout), value.wrapping_sub(base), bound, corrected)?;
                }
            }
        }
        Ok(())
    }
}

/// Sets a field that the layout has, once the offset is seen to lie within `size` bytes and to be aligned.
fn put(
    place: Place<'_>,
    value: u64,
    size: u64,
    corrected: &mut Vec<Correction>,
) -> Result<(), DebugOffsetsError> {
    if *place.offset == ABSENT {
        return Ok(());
    }
    let fits = value
        .checked_add(place.width)
        .is_some_and(|end| end <= size);
    let aligned = value.is_multiple_of(place.width.max(1));
    let offset = u32::try_from(value).ok().filter(|_| fits && aligned);
    let offset = offset.ok_or(DebugOffsetsError::Nonsense {
        what: place.what,
        value,
    })?;
    note(corrected, place.what, u64::from(*place.offset), value);
    *place.offset = offset;
    Ok(())
}

fn note(corrected: &mut Vec<Correction>, what: &'static str, table: u64, process: u64) {
    if table != process {
        corrected.push(Correction {
            what,
            table,
            process,
        });
    }
}
