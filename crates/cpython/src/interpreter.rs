//! Interpreters: the main one and its subinterpreters.

use crate::gil::Gil;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::runtime::Runtime;
use crate::threads::{RawThread, threads};
use process::ReadError;
use snapshot::Address;

/// Most interpreters of one process.
const INTERPRETERS_MAX: usize = 10_000;

/// One interpreter.
#[derive(Debug, Clone)]
pub struct Interp {
    /// Its `PyInterpreterState`.
    pub address: Address,
    /// Its number; 0 is the main one.
    pub id: i64,
    /// Its threads, the oldest first.
    pub threads: Vec<RawThread>,
    /// Its GIL; `None` where the build has none or it is off.
    pub gil: Option<Gil>,
    /// Its modules (`sys.modules`).
    pub modules: Address,
    /// Whether the list of threads could not be read to its end.
    pub cut: bool,
}

/// All interpreters, the main one first, with their threads and frames. What cannot be read is left out and
/// marked as cut.
///
/// # Errors
/// When not even the first interpreter can be read.
pub fn interpreters(reader: &Reader<'_>, runtime: &Runtime) -> Result<Vec<Interp>, ReadError> {
    let fields = &reader.layout.interpreter;
    let mut at: Address = reader.get(runtime.address, reader.layout.runtime.interpreters_head)?;
    let mut found: Vec<Interp> = Vec::new();
    let mut remembered = Address::NULL;
    while !at.is_null() && at != remembered && found.len() < INTERPRETERS_MAX {
        if found.len().is_power_of_two() {
            remembered = at;
        }
        let read = interpreter(reader, runtime, at)
            .and_then(|interp| Ok((reader.get(at, fields.next)?, interp)));
        match read {
            Ok((next, interp)) => {
                found.push(interp);
                at = next;
            }
            Err(error) if found.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    found.sort_by_key(|interp| interp.id);
    Ok(found)
}

fn interpreter(
    reader: &Reader<'_>,
    runtime: &Runtime,
    address: Address,
) -> Result<Interp, ReadError> {
    let fields = &reader.layout.interpreter;
    // The whole struct is large; only these fields of it matter.
    let raw = Raw::read(reader, address, 0)?;
    let id = raw.get(reader, fields.id)?;
    let head = raw.get(reader, fields.threads_head)?;
    let gil = Gil::read(reader, runtime.address, address).unwrap_or(None);
    let (threads, cut) = threads(reader, head, id, gil.as_ref());
    Ok(Interp {
        address,
        id,
        threads,
        gil,
        modules: raw.get(reader, fields.modules).unwrap_or(Address::NULL),
        cut,
    })
}
