//! Numbers.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

impl Reader<'_> {
    /// The value of an `int` (or `bool`) that fits.
    ///
    /// # Errors
    /// [`ReadError::Nonsense`] when it is no int or does not fit.
    pub fn int(&self, object: Address) -> Result<i64, ReadError> {
        let _ = object;
        Err(ReadError::Absent)
    }

    /// The value of a `float`.
    ///
    /// # Errors
    /// When it cannot be read or is no float.
    pub fn float(&self, object: Address) -> Result<f64, ReadError> {
        let _ = object;
        Err(ReadError::Absent)
    }

    /// Whether `True`, `False`, `None` or a number counts as true.
    ///
    /// # Errors
    /// [`ReadError::Nonsense`] for other objects.
    pub fn truth(&self, object: Address) -> Result<bool, ReadError> {
        let _ = object;
        Err(ReadError::Absent)
    }
}
