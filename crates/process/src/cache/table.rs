//! From a page's number to where it is kept.

/// A page number that no address has.
pub(super) const NO_PAGE: u64 = u64::MAX;

/// From page number to slot: open addressing, at most half full.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<(u64, u32)>,
    used: usize,
    shift: u32,
}

impl Table {
    pub fn with_room_for(pages: usize) -> Table {
        let size = (pages * 2).next_power_of_two().max(512);
        Table {
            entries: vec![(NO_PAGE, 0); size],
            used: 0,
            shift: u64::BITS - size.trailing_zeros(),
        }
    }

    /// Where to look for `page` first.
    #[inline]
    fn home(&self, page: u64) -> usize {
        // 2^64 divided by the golden ratio: spreads neighbours over the whole table.
        (page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    #[inline]
    pub fn get(&self, page: u64) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(page);
        loop {
            let &(key, index) = self.entries.get(at & mask)?;
            if key == page {
                return Some(index as usize);
            }
            if key == NO_PAGE {
                return None;
            }
            at += 1;
        }
    }

    pub fn insert(&mut self, page: u64, index: usize) {
        if (self.used + 1) * 2 > self.entries.len() {
            let mut larger = Table::with_room_for(self.entries.len());
            for &(key, index) in self.entries.iter().filter(|entry| entry.0 != NO_PAGE) {
                larger.insert(key, index as usize);
            }
            *self = larger;
        }
        let mask = self.entries.len() - 1;
        let mut at = self.home(page);
        while let Some(entry) = self.entries.get_mut(at & mask) {
            if entry.0 == NO_PAGE || entry.0 == page {
                if entry.0 == NO_PAGE {
                    self.used += 1;
                }
                *entry = (page, index as u32);
                return;
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pages_are_all_found() {
        let mut table = Table::with_room_for(0);
        for page in 0..5000 {
            table.insert(page * 0x1000, page as usize);
        }
        for page in 0..5000 {
            assert_eq!(table.get(page * 0x1000), Some(page as usize));
        }
        assert_eq!(table.get(77), None);
    }
}
