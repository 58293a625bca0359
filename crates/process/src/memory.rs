//! Reading another process's memory: one small trait, whatever the source.

use snapshot::Address;

/// Why a read failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing readable is mapped there.
    #[error("nothing is mapped at {0}")]
    Unmapped(Address),
    /// The kernel refused: the target belongs to somebody else, or changed its credentials.
    #[error("reading the target's memory is not permitted")]
    Denied,
    /// The target has ended.
    #[error("the target has ended")]
    Gone,
    /// What was read there makes no sense: a length out of bounds, a cycle, a type that is none.
    #[error("what stands at {0} is not what it should be")]
    Nonsense(Address),
    /// This layout has no such field.
    #[error("this version of CPython has no such field")]
    Absent,
}

/// One range of a batched read.
#[derive(Debug)]
pub struct Range<'a> {
    /// Where it starts in the target.
    pub address: Address,
    /// Filled with what stands there.
    pub buffer: &'a mut [u8],
    /// Whether all of it was read; set by the read.
    pub ok: bool,
}

/// Memory of a live process, of one held still, of a core file, of a test.
pub trait Memory {
    /// Fills `buffer` from `address`, all of it or an error.
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError>;

    /// Reads many ranges, in as few system calls as the source allows. Each range tells by its `ok`
    /// whether it was read; the call as a whole fails only when the target is gone or refuses.
    fn read_batch(&self, ranges: &mut [Range<'_>]) -> Result<(), ReadError> {
        for range in ranges {
            range.ok = self.read(range.address, range.buffer).is_ok();
        }
        Ok(())
    }

    /// Tells that these ranges (address, length in bytes) will be read soon, so that a cache may bring
    /// them in at once. What cannot be read is left out.
    fn prefetch(&self, ranges: &[(Address, u64)]) {
        let _ = ranges;
    }

    /// As [`Memory::prefetch`], of small ranges far from each other, around which nothing else will be read.
    fn prefetch_alone(&self, ranges: &[(Address, u64)]) {
        self.prefetch(ranges);
    }
}

impl<M: Memory + ?Sized> Memory for &M {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        (**self).read(address, buffer)
    }

    fn read_batch(&self, ranges: &mut [Range<'_>]) -> Result<(), ReadError> {
        (**self).read_batch(ranges)
    }

    fn prefetch(&self, ranges: &[(Address, u64)]) {
        (**self).prefetch(ranges);
    }

    fn prefetch_alone(&self, ranges: &[(Address, u64)]) {
        (**self).prefetch_alone(ranges);
    }
}
