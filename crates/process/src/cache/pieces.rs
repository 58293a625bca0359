//! Small pieces of memory kept beside the pages, where a page would be brought in for a few bytes of it.

use crate::{Memory, Range, ReadError};
use snapshot::Address;
use std::collections::BTreeMap;

/// Longest piece, in bytes.
const PIECE_MAX: u64 = 1024;
/// Most bytes of all pieces.
const BYTES_MAX: usize = 64 << 20;

/// Pieces by where they begin.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: BTreeMap<u64, Piece>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where in `bytes` it begins.
    at: usize,
    length: usize,
    /// Whether it was asked for since the last refresh.
    touched: bool,
}

impl Pieces {
    /// Brings these ranges in; what cannot be read is left out.
    pub fn add<M: Memory>(
        &mut self,
        memory: &M,
        ranges: impl Iterator<Item = (Address, u64)>,
    ) -> Result<(), ReadError> {
        let mut wanted: Vec<(u64, usize)> = ranges
            .filter(|&(at, length)| {
                at.checked_add(length).is_some() && (1..=PIECE_MAX).contains(&length)
            })
            .map(|(at, length)| (at.0, length as usize))
            .filter(|(at, _)| !self.pieces.contains_key(at))
            .collect();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(at, _)| *at);
        let mut room = BYTES_MAX.saturating_sub(self.bytes.len());
        wanted.retain(|(_, length)| {
            let fits = *length <= room;
            room = room.saturating_sub(*length);
            fits
        });
        self.fill(memory, &wanted)
    }

    fn fill<M: Memory>(&mut self, memory: &M, wanted: &[(u64, usize)]) -> Result<(), ReadError> {
        let start = self.bytes.len();
        let total: usize = wanted.iter().map(|(_, length)| length).sum();
        self.bytes.resize(start + total, 0);
        let mut rest = self.bytes.get_mut(start..).unwrap_or_default();
        let mut ranges: Vec<Range<'_>> = Vec::with_capacity(wanted.len());
        for &(at, length) in wanted {
            let (buffer, behind) = rest.split_at_mut(length);
            rest = behind;
            ranges.push(Range {
                address: Address(at),
                buffer,
                ok: false,
            });
        }
        memory.read_batch(&mut ranges)?;
        let mut at = start;
        for range in &ranges {
            let length = range.buffer.len();
            if range.ok {
                let touched = true;
                let piece = Piece {
                    at,
                    length,
                    touched,
                };
                self.pieces.insert(range.address.0, piece);
            }
            at += length;
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// These bytes, where one piece has them all.
    pub fn get(&mut self, address: Address, length: usize) -> Option<&[u8]> {
        let (&start, piece) = self.pieces.range_mut(..=address.0).next_back()?;
        let within = usize::try_from(address.0 - start).ok()?;
        if within.checked_add(length)? > piece.length {
            return None;
        }
        piece.touched = true;
        self.bytes
            .get(piece.at + within..piece.at + within + length)
    }

    /// Reads the pieces again, all or those that were asked for since the last time; the others are forgotten.
    pub fn refresh<M: Memory>(&mut self, memory: &M, only_touched: bool) -> Result<(), ReadError> {
        let kept = std::mem::take(&mut self.pieces);
        self.bytes.clear();
        let wanted: Vec<(u64, usize)> = kept
            .iter()
            .filter(|(_, piece)| piece.touched || !only_touched)
            .map(|(&at, piece)| (at, piece.length))
            .collect();
        self.fill(memory, &wanted)?;
        for piece in self.pieces.values_mut() {
            piece.touched = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte is the low byte of its address; nothing from 0x9000 on.
    struct Fake;

    impl Memory for Fake {
        fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
            if address.0 + buffer.len() as u64 > 0x9000 {
                return Err(ReadError::Unmapped(address));
            }
            for (byte, at) in buffer.iter_mut().zip(address.0..) {
                *byte = at as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn only_what_lies_within_one_piece_is_given() {
        let mut pieces = Pieces::default();
        let ranges = [
            (Address(0x1010), 16),
            (Address(0x8ff8), 16),
            (Address(0x2000), 8),
            (Address(0x2000), 8),
            (Address(u64::MAX), 8),
            (Address(0x3000), 5000),
        ];
        pieces
            .add(&Fake, ranges.into_iter())
            .expect("the fake memory is always there");
        assert_eq!(pieces.get(Address(0x1018), 8).map(|b| b[0]), Some(0x18));
        assert_eq!(pieces.get(Address(0x1018), 9), None);
        assert_eq!(pieces.get(Address(0x100f), 1), None);
        assert_eq!(pieces.get(Address(0x8ff8), 1), None);
        assert_eq!(pieces.get(Address(0x3000), 1), None);
        assert_eq!(pieces.pieces.len(), 2);
        for left in [2, 0] {
            pieces
                .refresh(&Fake, true)
                .expect("the fake memory is always there");
            assert_eq!(pieces.pieces.len(), left);
        }
        assert!(pieces.is_empty() && pieces.get(Address(0x2000), 8).is_none());
    }
}
