//! Memory whose content the fuzzer chooses.

use process::{Memory, ReadError};
use snapshot::Address;

/// The input, mapped at [`Noise::START`], and as far as [`Noise::END`] again and again: wherever a pointer made of the input leads,
/// there is something to misread.
pub struct Noise<'a>(pub &'a [u8]);

impl Noise<'_> {
    /// The first address.
    pub const START: Address = Address(0x10_0000);
    /// The first address behind.
    pub const END: Address = Address(0x8000_0000_0000);
}

impl Memory for Noise<'_> {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end = address
            .0
            .checked_add(buffer.len() as u64)
            .ok_or(ReadError::Unmapped(address))?;
        if address.0 < Self::START.0 || end > Self::END.0 || self.0.is_empty() {
            return Err(ReadError::Unmapped(address));
        }
        let length = self.0.len() as u64;
        let mut at = ((address.0 - Self::START.0) % length) as usize;
        for byte in buffer {
            *byte = self.0[at];
            at = (at + 1) % self.0.len();
        }
        Ok(())
    }
}
