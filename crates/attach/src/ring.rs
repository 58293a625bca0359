//! The ring of pending calls (Python/ceval_gil.c, `_PyEval_AddPendingCall`): a function and its argument, which the
//! evaluation loop calls when its eval breaker is set. What that function does by itself is done here while all threads
//! stand still and nobody has the ring's lock.

use crate::error::Shut;
use cpython::layout::PendingCalls;
use cpython::reader::Reader;
use process::{Hold, Patch, ReadError};
use snapshot::Address;

/// `_PY_CALLS_TO_DO_BIT` of a thread's eval breaker (3.13+).
const CALLS_TO_DO: u64 = 1 << 2;
/// Bytes of an entry up to 3.11: a function and its argument.
const ENTRY_BYTES: u64 = 16;
/// Most entries that a ring has (`PENDINGCALLSARRAYSIZE`).
const ENTRIES_MAX: u64 = 1024;

/// A ring, as of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    base: Address,
    /// Bytes of an entry.
    stride: u64,
    /// Entries.
    capacity: u64,
    first: u64,
    last: u64,
    /// Whether nobody has its lock.
    free: bool,
    /// From 3.13 the number of calls; before, a flag.
    counts: bool,
}

impl Ring {
    /// The ring at `base`.
    pub fn read(reader: &Reader<'_>, base: Address) -> Result<Ring, ReadError> {
        let fields: &PendingCalls = &reader.layout.pending_calls;
        let nonsense = ReadError::Nonsense(base);
        let stride = match reader.layout.pending_call.size {
            0 => ENTRY_BYTES,
            size => size,
        };
        let start = fields.calls.offset().ok_or(ReadError::Absent)?;
        let end = fields.first.offset().ok_or(ReadError::Absent)?;
        let bytes = end.checked_sub(start).ok_or(nonsense)?;
        let capacity = bytes / stride;
        if !bytes.is_multiple_of(stride) || !(2..ENTRIES_MAX).contains(&capacity) {
            return Err(nonsense);
        }
        let index = |field| -> Result<u64, ReadError> {
            let index: i32 = reader.get(base, field)?;
            let index = u64::try_from(index).map_err(|_| nonsense)?;
            if index < capacity {
                Ok(index)
            } else {
                Err(nonsense)
            }
        };
        let (first, last) = (index(fields.first)?, index(fields.last)?);
        let counts = fields.max.exists();
        let used = (last + capacity - first) % capacity;
        if counts {
            let to_do: i32 = reader.get(base, fields.calls_to_do)?;
            let max: i32 = reader.get(base, fields.max)?;
            // A full ring and an empty one have the same indices.
            let fits = u64::try_from(to_do).is_ok_and(|to_do| to_do % capacity == used);
            if !fits || u64::try_from(max).is_ok_and(|max| max > capacity) {
                return Err(nonsense);
            }
            if used >= u64::try_from(max).unwrap_or(0) || (used == 0 && to_do != 0) {
                return Err(nonsense);
            }
        }
        Ok(Ring {
            base,
            stride,
            capacity,
            first,
            last,
            free: is_free(reader, base)?,
            counts,
        })
    }

    fn entry(&self, reader: &Reader<'_>, index: u64) -> Address {
        let start = reader.layout.pending_calls.calls.offset().unwrap_or(0);
        self.base.plus(start + index * self.stride)
    }

    fn used(&self) -> u64 {
        (self.last + self.capacity - self.first) % self.capacity
    }

    /// The indices of the calls that wait.
    fn waiting(&self) -> impl Iterator<Item = u64> + use<> {
        let (first, capacity) = (self.first, self.capacity);
        (0..self.used()).map(move |step| (first + step) % capacity)
    }

    /// Which of the waiting calls is this one.
    fn find(&self, reader: &Reader<'_>, call: Call) -> Result<Option<u64>, ReadError> {
        for index in self.waiting() {
            let entry = self.entry(reader, index);
            let (function, argument): (Address, Address) =
                (reader.scalar(entry)?, reader.scalar(entry.plus(8))?);
            if function == call.function && argument == call.argument {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Whether this call still waits to be made.
    pub fn has(&self, reader: &Reader<'_>, call: Call) -> Result<bool, ReadError> {
        Ok(self.find(reader, call)?.is_some())
    }

    /// Whether a call waits whose argument is this one.
    pub fn refers_to(&self, reader: &Reader<'_>, argument: Address) -> bool {
        self.waiting().any(|index| {
            let word = reader.scalar(self.entry(reader, index).plus(8));
            word.is_ok_and(|word: Address| word == argument)
        })
    }

    /// Puts a call at its end, with `text` where the call's argument points to.
    pub fn push(
        &self,
        reader: &Reader<'_>,
        hold: &Hold,
        call: Call,
        text: &[u8],
    ) -> Result<(), Shut> {
        if !self.free {
            return Err(Shut::Because(
                "a thread is just changing the ring of pending calls",
            ));
        }
        if self.used() + 2 > self.capacity {
            return Err(Shut::Because("the ring of pending calls is full"));
        }
        let mut entry = Vec::with_capacity(24);
        entry.extend(call.function.0.to_le_bytes());
        entry.extend(call.argument.0.to_le_bytes());
        entry.resize(usize::try_from(self.stride).unwrap_or(16), 0);
        let last = (self.last + 1) % self.capacity;
        let mut patches = vec![
            Patch::new(call.argument, text),
            Patch::new(self.entry(reader, self.last), entry),
        ];
        patches.extend(self.bounds(reader, last, self.used() + 1)?);
        Ok(hold.write(&patches)?)
    }

    /// Takes a call out that was not made yet; the ones behind it move up.
    pub fn take_out(&self, reader: &Reader<'_>, hold: &Hold, call: Call) -> Result<(), Shut> {
        if !self.free {
            return Err(Shut::Because(
                "a thread is just changing the ring of pending calls",
            ));
        }
        let Some(place) = self.find(reader, call)? else {
            return Ok(());
        };
        let size = usize::try_from(self.stride).unwrap_or(16);
        let last = (self.last + self.capacity - 1) % self.capacity;
        let mut patches = Vec::new();
        let mut at = place;
        while at != last {
            let next = (at + 1) % self.capacity;
            let bytes = reader.bytes(self.entry(reader, next), self.stride, size)?;
            patches.push(Patch::new(self.entry(reader, at), bytes));
            at = next;
        }
        patches.push(Patch::new(self.entry(reader, last), vec![0; size]));
        patches.extend(self.bounds(reader, last, self.used() - 1)?);
        Ok(hold.write(&patches)?)
    }

    /// The index of the end, and what tells that there are calls.
    fn bounds(&self, reader: &Reader<'_>, last: u64, used: u64) -> Result<[Patch; 2], Shut> {
        let fields = &reader.layout.pending_calls;
        let number = |value: u64| i32::try_from(value).unwrap_or(0).to_le_bytes();
        // Before 3.13 a flag: one too many costs a look, one too few a call.
        let to_do = if self.counts { used } else { 1 };
        Ok([
            Patch::new(reader.place(self.base, fields.last)?, number(last)),
            Patch::new(reader.place(self.base, fields.calls_to_do)?, number(to_do)),
        ])
    }
}

/// A call: `PyRun_SimpleString` and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub function: Address,
    pub argument: Address,
}

/// Whether nobody has the lock of the ring at `base`.
fn is_free(reader: &Reader<'_>, base: Address) -> Result<bool, ReadError> {
    const LOCKED: u8 = 1;
    let fields = &reader.layout.pending_calls;
    if fields.mutex.exists() {
        return Ok(reader.get(base, fields.mutex)? & LOCKED == 0);
    }
    // A `sem_t`, whose value stands in its first word: 1 while nobody has it.
    let lock: Address = reader.get(base, fields.lock)?;
    let value: i32 = reader.scalar(lock)?;
    Ok(value & 0x7fff_ffff == 1)
}

/// Makes the evaluation loop look for pending calls: of one thread where each has its own eval breaker (3.13+), of the
/// interpreter before, of the process in 3.8.
pub(crate) fn ring_bell(
    reader: &Reader<'_>,
    hold: &Hold,
    runtime: Address,
    interpreter: Address,
    states: &[Address],
) -> Result<(), Shut> {
    let layout = reader.layout;
    let mut patches = Vec::new();
    if layout.thread_state.eval_breaker.exists() {
        for &state in states {
            let place = reader.place(state, layout.thread_state.eval_breaker)?;
            let breaker: u64 = reader.scalar(place)?;
            patches.push(Patch::new(place, (breaker | CALLS_TO_DO).to_le_bytes()));
        }
    } else {
        let place = if layout.interpreter.eval_breaker.exists() {
            reader.place(interpreter, layout.interpreter.eval_breaker)?
        } else {
            reader.place(runtime, layout.runtime.eval_breaker)?
        };
        patches.push(Patch::new(place, 1_i32.to_le_bytes()));
    }
    Ok(hold.write(&patches)?)
}
