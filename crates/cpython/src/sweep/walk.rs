//! From a thread's innermost frame outwards, in a copy of its memory, up to the frames that have not changed.

use super::CodeId;
use super::codes::CodeTable;
use super::copy::Copy;
use super::form::{Form, Words};
use crate::layout::{FrameOwner, InstructionForm};
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Most frames of one thread.
const FRAMES_MAX: usize = 100_000;

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it runs; `None` for a frame that Python itself does not show: the mark of an entry from C, a frame that
    /// has not begun.
    pub code: Option<CodeId>,
    /// Bytes from the first instruction to the current one.
    pub offset: u32,
}

/// Where on a stack a coroutine is driven: by an event loop, as a step of a task, as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The coroutine's frame, by its index in [`super::SweptThread::entries`].
    pub index: usize,
    /// The coroutine.
    pub coroutine: Address,
    /// What its code is.
    pub code: CodeId,
    /// Who drives it.
    pub driver: Option<CodeId>,
}

/// What became of reading a thread's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was read.
    #[default]
    Read,
    /// It changed while it was read.
    Torn,
    /// Its memory could not be read.
    Unreadable,
}

/// How far a walk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    /// To the outermost frame.
    Whole,
    /// To a frame that is not in the copy.
    Missing(u64),
    /// To what is no frame.
    Broken,
}

/// A thread's frames.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// From the outermost inwards, as of the last good reading.
    frames: Vec<Words>,
    /// One for each of `frames`.
    entries: Vec<Entry>,
    /// Frames, from the outermost on, that the copy has as they were.
    same: usize,
    /// New frames, from the innermost outwards.
    walked: Vec<Words>,
    /// The frame to go on with.
    at: u64,
    /// Frames that stay, once the walk is done.
    joined: usize,
    unchanged: usize,
    /// Of `frames`, from the outermost on, those that are as the last good reading gave them to the caller: a reading
    /// that fails half-way leaves others behind.
    given: usize,
    /// The outermost frame of a coroutine.
    step: Option<Step>,
    outcome: Outcome,
}

impl Chain {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn frames(&self) -> &[Words] {
        &self.frames
    }

    /// Whether the walk just done led straight to the innermost frame of before, with nothing changed below it.
    pub fn is_unchanged(&self) -> bool {
        self.walked.is_empty() && self.joined == self.frames.len()
    }

    pub fn unchanged(&self) -> usize {
        self.unchanged
    }

    pub fn step(&self) -> Option<Step> {
        self.step
    }

    /// Gives up; `false`: nothing more is to be read.
    pub fn fail(&mut self, outcome: Outcome) -> bool {
        self.outcome = outcome;
        self.walked.clear();
        false
    }

    /// Begins at the innermost frame.
    pub fn begin(&mut self, top: u64, copy: &mut Copy, form: &Form) {
        self.walked.clear();
        self.at = top;
        self.joined = 0;
        self.outcome = Outcome::Read;
        let unchanged = |frame: &&Words| {
            copy.find(frame.at, form.frame_len)
                .and_then(|bytes| form.words(frame.at, bytes))
                .is_some_and(|words| words == **frame)
        };
        self.same = self.frames.iter().take_while(unchanged).count();
    }

    /// Goes on as far as the copy leads.
    pub fn walk(&mut self, copy: &mut Copy, form: &Form) -> Walked {
        let mut remembered = 0;
        while self.at != 0 {
            let known = self.frames.get(..self.same).unwrap_or_default();
            if let Some(index) = known.iter().rposition(|frame| frame.at == self.at) {
                self.joined = index + 1;
                return Walked::Whole;
            }
            let Some(bytes) = copy.find(self.at, form.frame_len) else {
                return Walked::Missing(self.at);
            };
            let Some(words) = form.words(self.at, bytes) else {
                return Walked::Broken;
            };
            let count = self.walked.len();
            if words.previous == remembered && remembered != 0 || count >= FRAMES_MAX {
                return Walked::Broken;
            }
            if count.is_power_of_two() {
                remembered = self.at;
            }
            self.walked.push(words);
            self.at = words.previous;
        }
        self.joined = 0;
        Walked::Whole
    }

    /// Finds out what code the new frames run; what was read before stays as it was where that fails.
    pub fn resolve(&mut self, form: &Form, codes: &mut CodeTable, reader: &Reader<'_>) -> Outcome {
        if self.outcome != Outcome::Read {
            return self.outcome;
        }
        self.given = self.given.min(self.joined);
        self.frames.truncate(self.joined);
        self.entries.truncate(self.joined);
        self.step = self.step.filter(|step| step.index < self.joined);
        while let Some(words) = self.walked.pop() {
            match entry(&words, form, codes, reader) {
                Ok((entry, coroutine)) => {
                    if let (None, true, Some(code)) = (self.step, coroutine, entry.code) {
                        self.step = Some(Step {
                            index: self.entries.len(),
                            coroutine: Address(words.generator),
                            code,
                            driver: self.entries.iter().rev().find_map(|entry| entry.code),
                        });
                    }
                    self.frames.push(words);
                    self.entries.push(entry);
                }
                Err(error) => {
                    self.fail(match error {
                        ReadError::Gone | ReadError::Denied => Outcome::Unreadable,
                        _ => Outcome::Torn,
                    });
                    return self.outcome;
                }
            }
        }
        self.unchanged = self.given;
        self.given = self.frames.len();
        Outcome::Read
    }
}

/// The entry, and whether it is a coroutine's.
fn entry(
    words: &Words,
    form: &Form,
    codes: &mut CodeTable,
    reader: &Reader<'_>,
) -> Result<(Entry, bool), ReadError> {
    const HIDDEN: Entry = Entry {
        code: None,
        offset: 0,
    };
    let nonsense = ReadError::Nonsense(Address(words.at));
    let owner = form.owner(words).ok_or(nonsense)?;
    if owner == FrameOwner::Shim {
        return Ok((HIDDEN, false));
    }
    let executable = form.traits.untag(Address(words.executable));
    let code = codes.get(reader, executable.ok_or(nonsense)?, words.copy_index)?;
    let from_start = match form.traits.instruction {
        InstructionForm::LastByte => Some(words.instruction),
        InstructionForm::LastUnit => words.instruction.checked_mul(2),
        InstructionForm::Previous | InstructionForm::Pointer => {
            words.instruction.checked_sub(code.start)
        }
    };
    let begun = |offset: &u64| *offset < code.length;
    let Some(offset) = from_start.filter(begun) else {
        // Before the first instruction; what points behind the last one is no frame of this code.
        let before = !form.data_stack || words.instruction < code.start;
        return if before {
            Ok((HIDDEN, false))
        } else {
            Err(nonsense)
        };
    };
    if form.data_stack && owner != FrameOwner::Generator && offset < code.first_traceable {
        return Ok((HIDDEN, false));
    }
    let entry = Entry {
        code: Some(code.id),
        offset: u32::try_from(offset).map_err(|_| nonsense)?,
    };
    Ok((entry, code.coroutine && words.generator != 0))
}
