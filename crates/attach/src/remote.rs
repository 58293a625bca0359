//! PEP 768, by hand: a script's path and a flag in a thread's own state, and its eval breaker (3.14+).
//! Modelled on what Python/remote_debugging.c does in a process from which it is called.

use crate::error::Shut;
use cpython::reader::Reader;
use process::{Hold, Patch, ReadError};
use snapshot::Address;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `_PY_EVAL_PLEASE_STOP_BIT` (pycore_ceval.h): the evaluation loop leaves its way, and looks for a script too.
const PLEASE_STOP: u64 = 1 << 5;

/// Where a thread keeps what a remote debugger tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mailbox {
    /// `debugger_pending_call`.
    flag: Address,
    /// `debugger_script_path`.
    pub path: Address,
    /// Bytes that fit there.
    pub path_bytes: u64,
    breaker: Address,
}

impl Mailbox {
    /// Of the thread whose state is at `state`; absent before 3.14.
    pub fn of(reader: &Reader<'_>, state: Address) -> Result<Mailbox, ReadError> {
        let (thread, debugger) = (&reader.layout.thread_state, &reader.layout.remote_debugger);
        let support = reader.place(state, thread.remote_debugger_support)?;
        let path_at = debugger
            .debugger_script_path
            .offset()
            .ok_or(ReadError::Absent)?;
        Ok(Mailbox {
            flag: reader.place(support, debugger.debugger_pending_call)?,
            path: support.plus(path_at),
            path_bytes: debugger.size.saturating_sub(path_at),
            breaker: reader.place(state, thread.eval_breaker)?,
        })
    }

    /// Whether the thread has still to look.
    pub fn is_full(&self, reader: &Reader<'_>) -> Result<bool, ReadError> {
        Ok(reader.scalar::<i32>(self.flag)? != 0)
    }

    /// Hands the script over.
    pub fn put(&self, reader: &Reader<'_>, hold: &Hold, script: &Path) -> Result<(), Shut> {
        let mut path = script.as_os_str().as_bytes().to_vec();
        path.push(0);
        if path.len() as u64 > self.path_bytes {
            return Err(Shut::Because("the script's path is too long for it"));
        }
        if self.is_full(reader)? {
            return Err(Shut::Because("another debugger's script waits there"));
        }
        Ok(hold.write(&[
            Patch::new(self.path, path),
            Patch::new(self.flag, 1_i32.to_le_bytes()),
            self.bell(reader)?,
        ])?)
    }

    /// Makes the evaluation loop look.
    pub fn ring(&self, reader: &Reader<'_>, hold: &Hold) -> Result<(), Shut> {
        Ok(hold.write(&[self.bell(reader)?])?)
    }

    fn bell(&self, reader: &Reader<'_>) -> Result<Patch, ReadError> {
        let breaker: u64 = reader.scalar(self.breaker)?;
        let breaker = breaker | PLEASE_STOP;
        Ok(Patch::new(self.breaker, breaker.to_le_bytes()))
    }

    /// Takes the script back that the thread has not looked at.
    pub fn take_back(&self, hold: &Hold) -> Result<(), Shut> {
        Ok(hold.write(&[Patch::new(self.flag, 0_i32.to_le_bytes())])?)
    }
}
