//! Where an exception came through.

use crate::frame::{RawFrame, Step, interpreter_frame, object_frame};
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::collections::VecDeque;

/// Most entries of a traceback.
const ENTRIES_MAX: usize = 100_000;

/// The last `limit` frames of an exception's traceback, from where it was raised outwards, each at the instruction
/// at which the exception came through. What cannot be read is left out.
pub fn traceback(reader: &Reader<'_>, exception: Address, limit: usize) -> Vec<RawFrame> {
    let fields = &reader.layout.traceback;
    // Only the last ones are wanted, and the list begins with the outermost.
    let mut last: VecDeque<Address> = VecDeque::new();
    let mut at = reader
        .get(exception, reader.layout.exception.traceback)
        .unwrap_or(Address::NULL);
    for _ in 0..ENTRIES_MAX {
        if at.is_null() || reader.is_none(at) {
            break;
        }
        if last.len() >= limit {
            last.pop_front();
        }
        last.push_back(at);
        at = reader.get(at, fields.tb_next).unwrap_or(Address::NULL);
    }
    last.iter()
        .rev()
        .filter_map(|at| entry(reader, *at).ok())
        .collect()
}

/// All frames of an exception's traceback, from where it was raised outwards.
pub fn frames_of_traceback(reader: &Reader<'_>, exception: Address) -> Vec<RawFrame> {
    traceback(reader, exception, ENTRIES_MAX)
}

/// The frame that raised the exception.
pub fn raised_at(reader: &Reader<'_>, exception: Address) -> Option<RawFrame> {
    traceback(reader, exception, 1).pop()
}

fn entry(reader: &Reader<'_>, at: Address) -> Result<RawFrame, ReadError> {
    let fields = &reader.layout.traceback;
    let Step { frame, .. } = frame_of_object(reader, reader.get(at, fields.tb_frame)?)?;
    let frame = frame.ok_or(ReadError::Nonsense(at))?;
    // The frame may have gone on since; in bytes, in all versions.
    let offset = usize::try_from(reader.get(at, fields.tb_lasti)?)
        .ok()
        .filter(|offset| *offset < frame.code.code_len);
    Ok(RawFrame {
        offset: offset.unwrap_or(0),
        complete: offset.is_some(),
        stack_depth: None,
        blocks: Vec::new(),
        ..frame
    })
}

/// The frame of a `PyFrameObject`.
fn frame_of_object(reader: &Reader<'_>, object: Address) -> Result<Step, ReadError> {
    let fields = &reader.layout.frame_object;
    if fields.f_code.exists() {
        return object_frame(reader, object);
    }
    interpreter_frame(reader, reader.get(object, fields.f_frame)?)
}
