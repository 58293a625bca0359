//! Strings and bytes.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

impl Reader<'_> {
    /// The text of a `str` (or of an instance of a subclass), at most `limit` characters of it; lone surrogates
    /// become U+FFFD.
    ///
    /// # Errors
    /// When it cannot be read or is no string.
    pub fn string(&self, object: Address, limit: usize) -> Result<String, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
    }

    /// The content of a `bytes` object, at most `limit` bytes of it.
    ///
    /// # Errors
    /// When it cannot be read or is no bytes object.
    pub fn bytes_object(&self, object: Address, limit: usize) -> Result<Vec<u8>, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
    }
}
