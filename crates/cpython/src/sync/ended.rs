//! Threads that have ended and that somebody still waits for or refers to.

use super::inspect::Inspection;
use super::objects::{Catalogue, attribute};
use crate::code::CodeInfo;
use crate::reader::Reader;
use snapshot::{Address, Ended, Place, SyncState};

/// The ended threads among the objects met.
pub(super) fn ended(inspection: &Inspection<'_>, catalogue: &Catalogue) -> Vec<Ended> {
    let reader = inspection.reader();
    catalogue
        .iter()
        .filter_map(|object| match &object.state {
            SyncState::Thread {
                ident,
                native_id,
                name,
                ended: true,
                ..
            } => Some(Ended {
                thread_object: object.address,
                name: name.clone(),
                native_id: *native_id,
                ident: *ident,
                target: target(reader, object.address),
                last: None,
                how: None,
            }),
            _ => None,
        })
        .collect()
}

/// The function that a thread was to run, where its object still has it (`run` deletes it at its end).
fn target(reader: &Reader<'_>, thread: Address) -> Option<Place> {
    let function = attribute(reader, thread, "_target")?;
    let code = reader
        .get(function, reader.layout.function.func_code)
        .ok()?;
    let code = CodeInfo::read(reader, code).ok()?;
    Some(Place {
        file: code.file.to_string(),
        line: u32::try_from(code.first_line).unwrap_or(0),
        function: code.qualname.to_string(),
    })
}
