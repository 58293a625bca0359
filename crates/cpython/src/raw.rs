//! A foreign struct read in one piece.

use crate::layout::Field;
use crate::reader::{Reader, Scalar};
use process::ReadError;
use snapshot::Address;

/// Most bytes that are taken in one piece; fields beyond are read one by one.
const SIZE_MAX: usize = 1024;

/// The bytes of a struct, as of one moment.
#[derive(Debug, Clone)]
pub struct Raw {
    base: Address,
    bytes: Vec<u8>,
}

impl Raw {
    /// The struct of `size` bytes at `base`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(reader: &Reader<'_>, base: Address, size: u64) -> Result<Raw, ReadError> {
        if base.is_null() {
            return Err(ReadError::Unmapped(base));
        }
        let size = usize::try_from(size).map_or(SIZE_MAX, |size| size.min(SIZE_MAX));
        let mut bytes = vec![0; size];
        reader.memory.read(base, &mut bytes)?;
        Ok(Raw { base, bytes })
    }

    /// Where the struct lies.
    pub fn base(&self) -> Address {
        self.base
    }

    /// Its field `field`; read on its own where it lies outside of what was read.
    ///
    /// # Errors
    /// [`ReadError::Absent`] where the layout has no such field; otherwise as [`Reader::get`].
    pub fn get<T: Scalar>(&self, reader: &Reader<'_>, field: Field<T>) -> Result<T, ReadError> {
        let offset = field.offset().ok_or(ReadError::Absent)?;
        let piece = usize::try_from(offset)
            .ok()
            .and_then(|start| self.bytes.get(start..)?.get(..T::SIZE));
        match piece {
            Some(piece) => Ok(T::from_bytes(piece)),
            None => reader.get(self.base, field),
        }
    }

    /// The same, `None` where the layout has no such field.
    ///
    /// # Errors
    /// As [`Raw::get`], but for an absent field.
    pub fn find<T: Scalar>(
        &self,
        reader: &Reader<'_>,
        field: Field<T>,
    ) -> Result<Option<T>, ReadError> {
        match self.get(reader, field) {
            Ok(value) => Ok(Some(value)),
            Err(ReadError::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
