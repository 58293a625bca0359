//! What is kept of a thread that stands still, so that it can be let go and unwound afterwards.

use process::arch::Registers;
use process::{Maps, Memory, Range};
use snapshot::Address;

/// Most bytes of a stack that are captured.
pub const CAPTURE_BYTES_MAX: usize = 1 << 20;
/// A stack is read page by page, in one call: the kernel stops at the first range that it cannot read in full. Guard pages
/// between the stacks of two threads need not show in the list of mappings (MADV_GUARD_INSTALL).
const PAGE_BYTES: usize = 4096;

/// Where a thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Program counter.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer; `None` where it is not known.
    pub fp: Option<u64>,
}

impl Place {
    /// That of a thread that sleeps, as the kernel tells it.
    pub fn asleep(pc: Address, sp: Address) -> Place {
        Place {
            pc: pc.0,
            sp: sp.0,
            fp: None,
        }
    }
}

impl From<&Registers> for Place {
    fn from(registers: &Registers) -> Place {
        Place {
            pc: registers.pc().0,
            sp: registers.sp().0,
            fp: Some(registers.fp().0),
        }
    }
}

/// A thread's place and the upper part of its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Where it stood.
    pub place: Place,
    /// The stack from the stack pointer on.
    pub stack: Vec<u8>,
    /// Whether the stack goes on behind what was captured.
    pub cut: bool,
}

impl Captured {
    /// Reads the stack from `place.sp` on, at most `bytes_max` bytes of it, in one call.
    pub fn read(maps: &Maps, memory: &dyn Memory, place: Place, bytes_max: usize) -> Captured {
        let whole = stack_bytes(maps, place.sp);
        let bytes_max = bytes_max.min(CAPTURE_BYTES_MAX);
        let wanted = whole.map_or(bytes_max, |whole| whole.min(bytes_max));
        let mut stack = vec![0; wanted];
        let mut at = place.sp;
        let mut ranges: Vec<Range<'_>> = Vec::with_capacity(wanted / PAGE_BYTES + 2);
        let to_page = PAGE_BYTES - (place.sp % PAGE_BYTES as u64) as usize;
        let (first, rest) = stack.split_at_mut(to_page.min(wanted));
        for buffer in std::iter::once(first).chain(rest.chunks_mut(PAGE_BYTES)) {
            let address = Address(at);
            at = at.saturating_add(buffer.len() as u64);
            ranges.push(Range {
                address,
                buffer,
                ok: false,
            });
        }
        let read = memory.read_batch(&mut ranges);
        let good = ranges.iter().take_while(|range| range.ok);
        let count = good.map(|range| range.buffer.len()).sum();
        stack.truncate(if read.is_ok() { count } else { 0 });
        Captured {
            place,
            cut: whole.is_none_or(|whole| whole > count),
            stack,
        }
    }

    /// The word at this address; `Err` where it was not captured.
    pub(crate) fn word(&self, address: u64) -> Result<u64, ()> {
        let at = address.checked_sub(self.place.sp).ok_or(())?;
        let at = usize::try_from(at).map_err(drop)?;
        let bytes = self.stack.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or(())
    }

    /// The address behind the last byte captured.
    pub(crate) fn end(&self) -> u64 {
        self.place.sp.saturating_add(self.stack.len() as u64)
    }
}

/// Bytes from the stack pointer to the end of the stack; `None` where it is on no known mapping. The main thread's stack
/// may have grown down since its mapping was listed.
fn stack_bytes(maps: &Maps, sp: u64) -> Option<usize> {
    const GROWS_BY: u64 = 64 << 20;
    let end = match maps.find(Address(sp)) {
        Some(mapping) => mapping.end.0,
        None => {
            let stack = maps
                .iter()
                .find(|mapping| mapping.path.as_deref() == Some("[stack]".as_ref()))?;
            let grown = stack.start.0.checked_sub(sp)? < GROWS_BY;
            grown.then_some(stack.end.0)?
        }
    };
    usize::try_from(end.checked_sub(sp)?).ok()
}
