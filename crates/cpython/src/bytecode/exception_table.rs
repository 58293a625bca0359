//! The exception table of 3.11 and later (`Objects/exception_handling_notes.txt` of CPython).

/// A range of instructions and its handler; offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub start: u32,
    pub end: u32,
    pub target: u32,
    /// Depth to which the value stack is cut.
    pub depth: u32,
    /// Whether the raising instruction's offset is pushed before the exception.
    pub lasti: bool,
}

/// A number in six-bit groups, most significant first; bit 6 says that more follow.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut byte = bytes.next()?;
    let mut value = u32::from(byte & 63);
    while byte & 64 != 0 {
        byte = bytes.next()?;
        value = value.checked_mul(64)? | u32::from(byte & 63);
    }
    Some(value)
}

/// All entries up to the first that makes no sense.
pub(super) fn parse(table: &[u8]) -> Vec<Entry> {
    let mut bytes = table.iter().copied();
    std::iter::from_fn(|| {
        let start = varint(&mut bytes)?.checked_mul(2)?;
        let length = varint(&mut bytes)?.checked_mul(2)?;
        let target = varint(&mut bytes)?.checked_mul(2)?;
        let depth_lasti = varint(&mut bytes)?;
        Some(Entry {
            start,
            end: start.checked_add(length)?,
            target,
            depth: depth_lasti >> 1,
            lasti: depth_lasti & 1 != 0,
        })
    })
    .collect()
}

/// The entry that covers `offset`. Entries do not overlap and are in order.
pub(super) fn find(entries: &[Entry], offset: u32) -> Option<&Entry> {
    let after = entries.partition_point(|entry| entry.start <= offset);
    entries
        .get(after.checked_sub(1)?)
        .filter(|entry| offset < entry.end)
}
