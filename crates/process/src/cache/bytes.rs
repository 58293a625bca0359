//! Where the bytes of cached pages are: in pieces that never move and are not touched before they are filled.

use super::PAGE;

/// Pages of one piece.
const PIECE_PAGES: usize = 256;

/// The bytes of pages, by number.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    pieces: Vec<Box<[u8]>>,
}

impl Bytes {
    /// Makes room for so many pages.
    pub fn make_room(&mut self, pages: usize) {
        while self.pieces.len() * PIECE_PAGES < pages {
            // Zeroes fresh from the kernel cost nothing until they are written over.
            self.pieces
                .push(vec![0; PIECE_PAGES * PAGE].into_boxed_slice());
        }
    }

    /// Page number `index`; empty where there is no room for it.
    #[inline]
    pub fn page(&self, index: usize) -> &[u8] {
        let start = index % PIECE_PAGES * PAGE;
        let piece = self.pieces.get(index / PIECE_PAGES);
        piece
            .and_then(|piece| piece.get(start..start + PAGE))
            .unwrap_or_default()
    }

    /// The same, to be filled.
    pub fn page_mut(&mut self, index: usize) -> &mut [u8] {
        let start = index % PIECE_PAGES * PAGE;
        let piece = self.pieces.get_mut(index / PIECE_PAGES);
        piece
            .and_then(|piece| piece.get_mut(start..start + PAGE))
            .unwrap_or_default()
    }

    /// The pages from number `start` on, cut into buffers of so many pages each; a buffer that would lie in two pieces
    /// becomes two.
    pub fn pieces(&mut self, start: usize, lengths: impl Iterator<Item = usize>) -> Vec<&mut [u8]> {
        let mut pieces = self.pieces.iter_mut().skip(start / PIECE_PAGES);
        let mut rest: &mut [u8] = pieces.next().map(|piece| &mut **piece).unwrap_or_default();
        rest = rest
            .get_mut(start % PIECE_PAGES * PAGE..)
            .unwrap_or_default();
        let mut buffers = Vec::new();
        for length in lengths {
            let mut left = length * PAGE;
            while left > 0 {
                if rest.is_empty() {
                    let Some(piece) = pieces.next() else {
                        return buffers;
                    };
                    rest = piece;
                }
                let (buffer, behind) = rest.split_at_mut(left.min(rest.len()));
                left -= buffer.len();
                buffers.push(buffer);
                rest = behind;
            }
        }
        buffers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_follow_one_another_over_the_pieces() {
        let mut bytes = Bytes::default();
        bytes.make_room(2 * PIECE_PAGES + 1);
        assert_eq!(bytes.pieces.len(), 3);
        let start = PIECE_PAGES - 2;
        for (number, buffer) in (1..).zip(bytes.pieces(start, [1, 3, 1].into_iter())) {
            buffer.fill(number);
        }
        let first: Vec<u8> = (start..start + 6)
            .map(|index| bytes.page(index)[0])
            .collect();
        assert_eq!(first, [1, 2, 3, 3, 4, 0]);
        assert!(bytes.page(3 * PIECE_PAGES).is_empty());
    }
}
