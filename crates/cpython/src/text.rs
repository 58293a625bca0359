//! Strings and bytes.

use crate::object::flags;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// A string's characters, as far as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Code points; lone surrogates are possible.
    pub characters: Vec<u32>,
    /// Characters of the whole string.
    pub length: u64,
}

impl Text {
    /// As UTF-8; lone surrogates become U+FFFD.
    pub fn to_text(&self) -> String {
        self.characters
            .iter()
            .map(|c| char::from_u32(*c).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

impl Reader<'_> {
    /// The text of a `str` (or of an instance of a subclass), at most `limit` characters of it; lone surrogates
    /// become U+FFFD.
    ///
    /// # Errors
    /// When it cannot be read or is no string.
    pub fn string(&self, object: Address, limit: usize) -> Result<String, ReadError> {
        self.class_with(object, flags::UNICODE)?;
        self.raw_string(object, limit)
    }

    /// The code points of a `str`, at most `limit` of them, and its length.
    ///
    /// # Errors
    /// When it cannot be read or is no string.
    pub fn text(&self, object: Address, limit: usize) -> Result<Text, ReadError> {
        self.class_with(object, flags::UNICODE)?;
        self.raw_text(object, limit)
    }

    /// The content of a `bytes` object, at most `limit` bytes of it.
    ///
    /// # Errors
    /// When it cannot be read or is no bytes object.
    pub fn bytes_object(&self, object: Address, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.class_with(object, flags::BYTES)?;
        let length = self.size_of_var(object)?.min(limit as u64);
        self.bytes(
            self.place(object, self.layout.bytes.ob_sval)?,
            length,
            limit,
        )
    }

    /// `ob_size` of an object of variable size, which is not negative for any but `int`.
    pub(crate) fn size_of_var(&self, object: Address) -> Result<u64, ReadError> {
        u64::try_from(self.get(object, self.layout.object.ob_size)?)
            .map_err(|_| ReadError::Nonsense(object))
    }

    /// As [`Reader::string`], of what is known to be a string.
    pub(crate) fn raw_string(&self, object: Address, limit: usize) -> Result<String, ReadError> {
        Ok(self.raw_text(object, limit)?.to_text())
    }

    fn raw_text(&self, object: Address, limit: usize) -> Result<Text, ReadError> {
        let layout = self.layout;
        let nonsense = ReadError::Nonsense(object);
        let length = u64::try_from(self.get(object, layout.ascii.length)?).map_err(|_| nonsense)?;
        let state = self.get(object, layout.ascii.state)?;
        let (kind, compact, ascii) = layout.traits.unicode.split(state);
        // Kind 0 is a string from the old C API that has not been made ready.
        if !matches!(kind, 1 | 2 | 4) {
            return Err(nonsense);
        }
        let data = match (compact, ascii) {
            (true, true) => object.plus(layout.ascii.size),
            (true, false) => object.plus(layout.compact_unicode.size),
            (false, _) => self.get(object, layout.unicode.data)?,
        };
        let count = length.min(limit as u64);
        let bytes = self.bytes(
            data,
            count.saturating_mul(kind.into()),
            limit.saturating_mul(4),
        )?;
        let characters = bytes
            .chunks_exact(kind as usize)
            .map(|piece| {
                piece
                    .iter()
                    .rev()
                    .fold(0u32, |value, byte| value << 8 | u32::from(*byte))
            })
            .collect();
        Ok(Text { characters, length })
    }
}
