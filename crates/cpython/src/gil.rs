//! The global interpreter lock.

use crate::raw::Raw;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// An interpreter's GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gil {
    /// `struct _gil_runtime_state`.
    pub address: Address,
    /// Its size in bytes: a futex within it is the wait for the GIL.
    pub size: u64,
    /// Whether some thread has it.
    pub locked: bool,
    /// The thread state that has it.
    pub holder: Option<Address>,
}

impl Gil {
    /// Whether this address (a futex's) lies within the GIL.
    pub fn contains(&self, address: Address) -> bool {
        address
            .0
            .checked_sub(self.address.0)
            .is_some_and(|offset| offset < self.size)
    }

    /// The GIL of the interpreter state at `interpreter`, `None` where the build has none or it is off.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(
        reader: &Reader<'_>,
        runtime: Address,
        interpreter: Address,
    ) -> Result<Option<Gil>, ReadError> {
        let fields = &reader.layout.gil;
        let own = reader.layout.interpreter.gil;
        let address: Address = if own.exists() {
            reader.get(interpreter, own)?
        } else {
            reader.place(runtime, reader.layout.runtime.gil)?
        };
        let raw = Raw::read(reader, address, fields.size)?;
        if raw.find(reader, fields.enabled)? == Some(0) {
            return Ok(None);
        }
        let locked = raw.get(reader, fields.locked)? == 1;
        let current = reader.layout.runtime.tstate_current;
        let holder: Address = if current.exists() {
            reader.get(runtime, current)?
        } else {
            raw.get(reader, fields.last_holder)?
        };
        Ok(Some(Gil {
            address,
            size: fields.size,
            locked,
            holder: holder.non_null().filter(|_| locked),
        }))
    }
}
