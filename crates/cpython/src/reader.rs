//! Reading typed fields of foreign structs: every address is an allegation, every failure a value.

use crate::caches::Caches;
use crate::code::CodeCache;
use crate::hash::Hashes;
use crate::layout::{Field, Layout};
use crate::object::TypeCache;
use process::{Memory, ReadError};
use snapshot::Address;

/// A value that can be read from memory as it stands (little-endian targets).
pub trait Scalar: Sized {
    /// Bytes that it takes in the target.
    const SIZE: usize;
    /// From its bytes; `bytes` has [`Self::SIZE`] of them.
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! scalars {
    ($($ty:ty)*) => { $(
        impl Scalar for $ty {
            const SIZE: usize = size_of::<$ty>();
            fn from_bytes(bytes: &[u8]) -> Self {
                let mut buffer = [0; size_of::<$ty>()];
                buffer.copy_from_slice(&bytes[..size_of::<$ty>()]);
                <$ty>::from_le_bytes(buffer)
            }
        }
    )* };
}
scalars!(u8 i8 u16 i16 u32 i32 u64 i64);

impl Scalar for Address {
    const SIZE: usize = 8;
    fn from_bytes(bytes: &[u8]) -> Self {
        Address(u64::from_bytes(bytes))
    }
}

/// Memory and the layout to read it by.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The target's memory.
    pub memory: &'a dyn Memory,
    /// Where things lie in it.
    pub layout: &'a Layout,
    /// The types met so far in this look.
    pub types: &'a TypeCache,
    /// The code objects met so far.
    pub codes: &'a CodeCache,
    /// How strings are hashed.
    pub hashes: &'a Hashes,
}

impl<'a> Reader<'a> {
    /// A reader with these caches.
    pub fn new(memory: &'a dyn Memory, layout: &'a Layout, caches: &'a Caches) -> Self {
        Reader {
            memory,
            layout,
            types: &caches.types,
            codes: &caches.codes,
            hashes: &caches.hashes,
        }
    }

    /// The value at `address`.
    ///
    /// # Errors
    /// When nothing is mapped there or the target is gone.
    pub fn scalar<T: Scalar>(&self, address: Address) -> Result<T, ReadError> {
        let mut buffer = [0u8; 8];
        self.memory.read(address, &mut buffer[..T::SIZE])?;
        Ok(T::from_bytes(&buffer))
    }

    /// The field `field` of the struct at `base`.
    ///
    /// # Errors
    /// [`ReadError::Absent`] where the layout has no such field; otherwise as [`Reader::scalar`].
    pub fn get<T: Scalar>(&self, base: Address, field: Field<T>) -> Result<T, ReadError> {
        self.scalar(self.place(base, field)?)
    }

    /// Where the field `field` of the struct at `base` lies.
    ///
    /// # Errors
    /// [`ReadError::Absent`] where the layout has no such field; [`ReadError::Unmapped`] for a null `base`.
    pub fn place<T>(&self, base: Address, field: Field<T>) -> Result<Address, ReadError> {
        let offset = field.offset().ok_or(ReadError::Absent)?;
        if base.is_null() {
            return Err(ReadError::Unmapped(base));
        }
        base.checked_add(offset).ok_or(ReadError::Unmapped(base))
    }

    /// `length` bytes from `address`, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError::Nonsense`] where `length` is over `limit`; otherwise as [`Reader::scalar`].
    pub fn bytes(&self, address: Address, length: u64, limit: usize) -> Result<Vec<u8>, ReadError> {
        let length = usize::try_from(length)
            .ok()
            .filter(|n| *n <= limit)
            .ok_or(ReadError::Nonsense(address))?;
        let mut buffer = vec![0; length];
        self.memory.read(address, &mut buffer)?;
        Ok(buffer)
    }

    /// A C string at `address`, at most `limit` bytes of it, lossily decoded.
    ///
    /// # Errors
    /// As [`Reader::scalar`].
    pub fn c_string(&self, address: Address, limit: usize) -> Result<String, ReadError> {
        const PIECE: u64 = 64;
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < limit {
            // Up to the end of the page: the next one may not be mapped.
            let piece = PIECE.min(4096 - at.0 % 4096);
            let mut buffer = [0u8; PIECE as usize];
            let buffer = &mut buffer[..piece as usize];
            self.memory.read(at, buffer)?;
            if let Some(end) = buffer.iter().position(|b| *b == 0) {
                text.extend_from_slice(&buffer[..end]);
                break;
            }
            text.extend_from_slice(buffer);
            at = at.checked_add(piece).ok_or(ReadError::Unmapped(address))?;
        }
        text.truncate(limit);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
