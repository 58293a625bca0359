//! Locks on files (`fcntl.flock`, `fcntl.lockf`) that a function has taken, by its code: the kernel tells only which process
//! has them.

use super::holds::Holder;
use super::insight::CodeNames;
use super::objects::attribute;
use super::scope::Scope;
use crate::bytecode::{Subject, Taken};
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::{Address, Certainty, Hold, Kind};

/// A text file is a buffer around a raw file.
const LAYERS_MAX: usize = 3;
/// How far into a file object the file that it is built on is looked for, in bytes.
const LAYER_BYTES_MAX: u64 = 256;

impl Holder<'_> {
    /// The file locks that a function of the program's own has taken and, as far as its code tells, not given back.
    pub(super) fn file_locks(&self, frame: &RawFrame, holds: &mut Vec<Hold>) {
        let insight = self.insight;
        let code = &frame.code;
        if !frame.complete || !insight.calls(code).file_lock || !self.is_own(frame) {
            return;
        }
        let Some((analysis, moment)) = insight.moment(frame) else {
            return;
        };
        let reader = &insight.reader;
        let names = CodeNames { reader, code };
        let taken = analysis.borrow_mut().held_by_acquire(&moment, &names);
        let analysis = analysis.borrow();
        let value = |id| analysis.value(id);
        for taken in taken {
            let Subject::Expression(object) = taken.subject else {
                continue;
            };
            // The call that it is in takes nothing yet.
            if taken.taken != Taken::FileLock || taken.offset == moment.offset {
                continue;
            }
            let now = || insight.evaluate(Scope::Frame(frame), &value, object, 0);
            let file = if taken.rebound { None } else { now() };
            let Some(address) = file else { continue };
            let line = code.line_at(taken.offset as usize).unwrap_or(0);
            holds.push(Hold {
                kind: Kind::FileLock,
                address,
                fd: descriptor_of(reader, address, 0),
                name: insight.name_of(frame, &analysis, object),
                place: insight.place(frame, Some(line)),
                now: self.now.clone(),
                given_up: false,
                evidence: format!(
                    "{}() locked this file in line {line}, and nothing on the way to line {} unlocks it",
                    code.name,
                    frame.line().unwrap_or(0)
                ),
                certainty: Certainty::Probable,
            });
        }
    }
}

/// The number of a descriptor, or of the one that a file object is for.
fn descriptor_of(reader: &Reader<'_>, file: Address, depth: usize) -> Option<i32> {
    if let Ok(number) = reader.int(file) {
        return i32::try_from(number).ok();
    }
    let class = reader.class_of(file).ok()?;
    let first = reader
        .place(file, reader.layout.object.ob_type)
        .ok()?
        .plus(8);
    // `fileio` begins with it (Modules/_io/fileio.c, the same from 3.8 to 3.15).
    if reader.is_subclass(&class, "_io", "FileIO") {
        return reader.scalar(first).ok();
    }
    if depth >= LAYERS_MAX {
        return None;
    }
    if !reader.is_subclass(&class, "_io", "_IOBase") {
        // What `tempfile` wraps around its files.
        return descriptor_of(reader, attribute(reader, file, "file")?, depth + 1);
    }
    // The others have theirs among their first fields.
    let words = class.basicsize.min(LAYER_BYTES_MAX) / 8;
    let layer = |word: u64| -> Option<Address> {
        let object: Address = reader.scalar(first.plus(word * 8)).ok()?;
        let class = reader.class_of(object.non_null()?).ok()?;
        let is = |name| reader.is_subclass(&class, "_io", name);
        (is("FileIO") || is("_BufferedIOBase")).then_some(object)
    };
    descriptor_of(reader, (0..words).find_map(layer)?, depth + 1)
}
