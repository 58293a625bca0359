//! Pages of a target's memory, kept so that a second reading of the same things is one system call.
//!
//! The way to hold a target for a very short time: read all that is wanted once while it runs (which
//! fills the cache), hold it, [`PageCache::refresh_all`] (a copy of the same pages, as of one
//! moment), and read again from the cache. What that second reading meets and the first did not is
//! counted in [`PageCache::misses`].

mod bytes;
mod pieces;
mod table;

use crate::{Memory, Range, ReadError};
use bytes::Bytes;
use pieces::Pieces;
use snapshot::Address;
use std::cell::RefCell;
use table::{NO_PAGE, Table};

/// Bytes of a page.
pub const PAGE: usize = 4096;
const PAGE_SHIFT: u32 = 12;
/// Most pages kept: 256 MiB. Reads beyond go to the memory below, uncached.
const PAGES_MAX: usize = 65_536;

/// A cache of pages over another source of memory, whose mappings must begin and end on page
/// bounds (a live process, a core file).
#[derive(Debug)]
pub struct PageCache<M> {
    memory: M,
    pages: RefCell<Pages>,
}

/// One cached page.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Address divided by [`PAGE`].
    page: u64,
    /// Whether the page could be read; otherwise nothing was mapped there.
    mapped: bool,
    /// Whether it was asked for since the last refresh.
    touched: bool,
}

#[derive(Debug)]
struct Pages {
    /// The pages' bytes, in the order of `slots`.
    bytes: Bytes,
    slots: Vec<Slot>,
    table: Table,
    /// The page found last, and which slot is its.
    last_page: u64,
    last_index: usize,
    /// Whether a page that is not there is an error instead of being read.
    frozen: bool,
    /// Pages that were asked for while frozen: the next refresh reads them too.
    wanted: Vec<u64>,
    /// What is kept beside the pages.
    pieces: Pieces,
    misses: u64,
}

impl<M: Memory> PageCache<M> {
    /// An empty cache over `memory`.
    pub fn new(memory: M) -> PageCache<M> {
        PageCache {
            memory,
            pages: RefCell::new(Pages::new()),
        }
    }

    /// The memory below.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Reads every cached page again, and those that were missed while frozen: few system calls,
    /// each for long runs of pages. After it, all that the cache holds is of one moment, if the
    /// target is held. Resets [`PageCache::misses`].
    pub fn refresh_all(&self) -> Result<(), ReadError> {
        let mut pages = self.pages.borrow_mut();
        pages.pieces.refresh(&self.memory, false)?;
        pages.refresh(&self.memory, |_| true)
    }

    /// As [`PageCache::refresh_all`], but forgets the pages that nobody asked for since the last
    /// refresh, for one who looks again and again.
    pub fn refresh_touched(&self) -> Result<(), ReadError> {
        let mut pages = self.pages.borrow_mut();
        pages.pieces.refresh(&self.memory, true)?;
        pages.refresh(&self.memory, |slot| slot.touched)
    }

    /// Brings the pages of all these ranges (address, length in bytes) in, in few system calls.
    /// While frozen, it only notes them for the next refresh.
    pub fn prefetch(&self, ranges: &[(Address, u64)]) -> Result<(), ReadError> {
        let mut pages = self.pages.borrow_mut();
        let missing = pages.missing(ranges.iter().copied());
        pages.load(&self.memory, missing)
    }

    /// As [`PageCache::prefetch`], but keeps these bytes alone, not the pages around them. While frozen it does nothing.
    pub fn prefetch_alone(&self, ranges: &[(Address, u64)]) -> Result<(), ReadError> {
        let pages = &mut *self.pages.borrow_mut();
        if pages.frozen {
            return Ok(());
        }
        let table = &pages.table;
        let absent = ranges
            .iter()
            .copied()
            .filter(|(at, _)| table.get(at.0 >> PAGE_SHIFT).is_none());
        pages.pieces.add(&self.memory, absent)
    }

    /// From now on a page that is not in the cache is an error (`Unmapped`), counted as a miss, and
    /// noted for the next refresh: for reading on after the target was let go.
    pub fn freeze(&self) {
        self.pages.borrow_mut().frozen = true;
    }

    /// From now on a page that is not in the cache is read, and counted as a miss. So it is at first.
    pub fn thaw(&self) {
        self.pages.borrow_mut().frozen = false;
    }

    /// Forgets all pages.
    pub fn clear(&self) {
        let mut pages = self.pages.borrow_mut();
        let bytes = std::mem::take(&mut pages.bytes);
        *pages = Pages::new();
        pages.bytes = bytes;
    }

    /// How many pages were asked for and not there, since the last refresh.
    pub fn misses(&self) -> u64 {
        self.pages.borrow().misses
    }

    /// How many pages are kept.
    pub fn len(&self) -> usize {
        self.pages.borrow().slots.len()
    }

    /// Whether no page is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: Memory> Memory for PageCache<M> {
    #[inline]
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let pages = &mut *self.pages.borrow_mut();
        let within = (address.0 % PAGE as u64) as usize;
        if address.0 >> PAGE_SHIFT == pages.last_page && within + buffer.len() <= PAGE {
            let page = pages.bytes.page(pages.last_index);
            if let Some(bytes) = page.get(within..within + buffer.len()) {
                buffer.copy_from_slice(bytes);
                return Ok(());
            }
        }
        pages.read(&self.memory, address, buffer)
    }

    fn read_batch(&self, ranges: &mut [Range<'_>]) -> Result<(), ReadError> {
        let mut pages = self.pages.borrow_mut();
        let wanted = ranges
            .iter()
            .map(|range| (range.address, range.buffer.len() as u64));
        let missing = pages.missing(wanted);
        if !missing.is_empty() {
            pages.misses += missing.len() as u64;
            pages.load(&self.memory, missing)?;
        }
        for range in ranges {
            match pages.read(&self.memory, range.address, range.buffer) {
                Ok(()) => range.ok = true,
                Err(error @ (ReadError::Gone | ReadError::Denied)) => return Err(error),
                Err(_) => range.ok = false,
            }
        }
        Ok(())
    }

    fn prefetch(&self, ranges: &[(Address, u64)]) {
        // What fails here fails again, and tells, when it is read.
        let _ = PageCache::prefetch(self, ranges);
    }

    fn prefetch_alone(&self, ranges: &[(Address, u64)]) {
        // As above.
        let _ = PageCache::prefetch_alone(self, ranges);
    }
}

impl Pages {
    fn new() -> Pages {
        Pages {
            bytes: Bytes::default(),
            slots: Vec::new(),
            table: Table::with_room_for(512),
            last_page: NO_PAGE,
            last_index: 0,
            frozen: false,
            wanted: Vec::new(),
            pieces: Pieces::default(),
            misses: 0,
        }
    }

    fn read<M: Memory>(
        &mut self,
        memory: &M,
        address: Address,
        buffer: &mut [u8],
    ) -> Result<(), ReadError> {
        let length = buffer.len() as u64;
        if length > (PAGES_MAX * PAGE) as u64 {
            return Err(ReadError::Nonsense(address));
        }
        address
            .checked_add(length)
            .ok_or(ReadError::Unmapped(address))?;
        if !self.pieces.is_empty()
            && self.table.get(address.0 >> PAGE_SHIFT).is_none()
            && let Some(bytes) = self.pieces.get(address, buffer.len())
        {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        if (address.0 % PAGE as u64) as usize + buffer.len() > PAGE && !self.frozen {
            let missing = self.missing([(address, length)].into_iter());
            if missing.len() > 1 {
                self.misses += missing.len() as u64;
                self.load(memory, missing)?;
            }
        }
        let mut at = address;
        let mut rest = buffer;
        while !rest.is_empty() {
            let within = (at.0 % PAGE as u64) as usize;
            let count = rest.len().min(PAGE - within);
            let (part, behind) = rest.split_at_mut(count);
            match self.find(memory, at)? {
                Some(index) => {
                    let bytes = self.bytes.page(index).get(within..within + count);
                    part.copy_from_slice(bytes.ok_or(ReadError::Unmapped(at))?);
                }
                None => memory.read(at, part)?,
            }
            at = at.plus(count as u64);
            rest = behind;
        }
        Ok(())
    }

    /// Which slot has the page around `address`; `None` when the cache is full and the
    /// page must be read without it.
    fn find<M: Memory>(
        &mut self,
        memory: &M,
        address: Address,
    ) -> Result<Option<usize>, ReadError> {
        let page = address.0 >> PAGE_SHIFT;
        let index = match self.table.get(page) {
            Some(index) => index,
            None => {
                self.misses += 1;
                if self.frozen {
                    self.want(page);
                    return Err(ReadError::Unmapped(address));
                }
                if self.slots.len() >= PAGES_MAX {
                    return Ok(None);
                }
                self.load_one(memory, page)?
            }
        };
        let slot = self
            .slots
            .get_mut(index)
            .ok_or(ReadError::Unmapped(address))?;
        slot.touched = true;
        if !slot.mapped {
            return Err(ReadError::Unmapped(address));
        }
        self.last_page = page;
        self.last_index = index;
        Ok(Some(index))
    }

    fn want(&mut self, page: u64) {
        if self.wanted.len() < PAGES_MAX {
            self.wanted.push(page);
        }
    }

    fn load_one<M: Memory>(&mut self, memory: &M, page: u64) -> Result<usize, ReadError> {
        let index = self.slots.len();
        self.bytes.make_room(index + 1);
        let mapped = match memory.read(Address(page << PAGE_SHIFT), self.bytes.page_mut(index)) {
            Ok(()) => true,
            Err(error @ (ReadError::Gone | ReadError::Denied)) => return Err(error),
            Err(_) => false,
        };
        self.slots.push(Slot {
            page,
            mapped,
            touched: true,
        });
        self.table.insert(page, index);
        Ok(index)
    }

    /// The pages of these ranges that are not in the cache, in order, each once.
    fn missing(&self, ranges: impl Iterator<Item = (Address, u64)>) -> Vec<u64> {
        let mut missing = Vec::new();
        for (address, length) in ranges {
            let Some(last) = address.checked_add(length.saturating_sub(1)) else {
                continue;
            };
            let (first, last) = (address.0 >> PAGE_SHIFT, last.0 >> PAGE_SHIFT);
            if length == 0 || last - first >= PAGES_MAX as u64 {
                continue;
            }
            missing.extend((first..=last).filter(|&page| self.table.get(page).is_none()));
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Brings in `pages` (sorted, each once, none cached yet); as many as there is room for.
    fn load<M: Memory>(&mut self, memory: &M, mut pages: Vec<u64>) -> Result<(), ReadError> {
        if self.frozen {
            pages.iter().for_each(|&page| self.want(page));
            return Ok(());
        }
        pages.truncate(PAGES_MAX - self.slots.len().min(PAGES_MAX));
        let index = self.slots.len();
        let slots = fill(memory, &pages, &mut self.bytes, index, |_| true)?;
        self.slots.extend(slots);
        for (offset, &page) in pages.iter().enumerate() {
            self.table.insert(page, index + offset);
        }
        Ok(())
    }

    /// Reads again what `keep` chooses, and what was missed. The pages are laid out anew in the
    /// order of their addresses, so that neighbours are one range of one system call.
    fn refresh<M: Memory>(
        &mut self,
        memory: &M,
        keep: impl Fn(&Slot) -> bool,
    ) -> Result<(), ReadError> {
        let mut kept: Vec<Slot> = self.slots.iter().copied().filter(keep).collect();
        kept.sort_unstable_by_key(|slot| slot.page);
        let unmapped: Vec<u64> = kept
            .iter()
            .filter(|slot| !slot.mapped)
            .map(|slot| slot.page)
            .collect();
        let mut pages: Vec<u64> = kept.iter().map(|slot| slot.page).collect();
        if !self.wanted.is_empty() {
            pages.append(&mut self.wanted);
            pages.sort_unstable();
            pages.dedup();
        }
        pages.truncate(PAGES_MAX);
        self.last_page = NO_PAGE;
        self.misses = 0;
        let likely = |page| unmapped.binary_search(&page).is_err();
        match fill(memory, &pages, &mut self.bytes, 0, likely) {
            Ok(slots) => self.slots = slots,
            Err(error) => {
                let frozen = self.frozen;
                *self = Pages::new();
                self.frozen = frozen;
                return Err(error);
            }
        }
        for slot in &mut self.slots {
            slot.touched = false;
        }
        self.table = Table::with_room_for(pages.len());
        for (index, &page) in pages.iter().enumerate() {
            self.table.insert(page, index);
        }
        Ok(())
    }
}

/// Reads `pages` (sorted) into `bytes` from slot `start` on, one range for each run of neighbours. Pages that are not
/// `likely` to be mapped get ranges of their own. A run that fails is read again page by page.
fn fill<M: Memory>(
    memory: &M,
    pages: &[u64],
    bytes: &mut Bytes,
    start: usize,
    likely: impl Fn(u64) -> bool,
) -> Result<Vec<Slot>, ReadError> {
    let mut slots: Vec<Slot> = pages
        .iter()
        .map(|&page| Slot {
            page,
            mapped: true,
            touched: true,
        })
        .collect();
    bytes.make_room(start + pages.len());
    let runs = pages.chunk_by(|&a, &b| b == a + 1 && likely(a) && likely(b));
    let pieces = bytes.pieces(start, runs.map(<[u64]>::len));
    let mut first = 0;
    let mut ranges: Vec<Range<'_>> = Vec::with_capacity(pieces.len());
    for buffer in pieces {
        let page = pages.get(first).map_or(0, |page| page << PAGE_SHIFT);
        first += buffer.len() / PAGE;
        ranges.push(Range {
            address: Address(page),
            buffer,
            ok: false,
        });
    }
    memory.read_batch(&mut ranges)?;
    let mut first = 0;
    for range in &mut ranges {
        if !range.ok {
            let ok = single_pages(memory, range)?;
            for (slot, ok) in slots.iter_mut().skip(first).zip(ok) {
                slot.mapped = ok;
            }
        }
        first += range.buffer.len() / PAGE;
    }
    Ok(slots)
}

fn single_pages<M: Memory>(memory: &M, run: &mut Range<'_>) -> Result<Vec<bool>, ReadError> {
    if run.buffer.len() <= PAGE {
        return Ok(vec![false]);
    }
    let first = run.address;
    let mut ranges: Vec<Range<'_>> = run
        .buffer
        .chunks_mut(PAGE)
        .enumerate()
        .map(|(index, buffer)| Range {
            address: first.plus((index * PAGE) as u64),
            buffer,
            ok: false,
        })
        .collect();
    memory.read_batch(&mut ranges)?;
    Ok(ranges.iter().map(|range| range.ok).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Pages 16 to 31 and 40, each byte the page's number plus what was added since.
    struct Fake {
        added: Cell<u8>,
        calls: Cell<u32>,
    }

    impl Fake {
        fn new() -> Fake {
            Fake {
                added: Cell::new(0),
                calls: Cell::new(0),
            }
        }
    }

    impl Memory for Fake {
        fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.calls.set(self.calls.get() + 1);
            for (offset, byte) in buffer.iter_mut().enumerate() {
                let page = (address.0 + offset as u64) >> PAGE_SHIFT;
                if !(16..32).contains(&page) && page != 40 {
                    return Err(ReadError::Unmapped(address));
                }
                *byte = page as u8 + self.added.get();
            }
            Ok(())
        }
    }

    fn byte(cache: &PageCache<Fake>, page: u64) -> Result<u8, ReadError> {
        let mut buffer = [0];
        cache.read(Address((page << PAGE_SHIFT) + 5), &mut buffer)?;
        Ok(buffer[0])
    }

    #[test]
    fn a_page_is_read_once() {
        let cache = PageCache::new(Fake::new());
        assert_eq!(byte(&cache, 17), Ok(17));
        assert_eq!(byte(&cache, 40), Ok(40));
        assert_eq!(byte(&cache, 17), Ok(17));
        assert!(byte(&cache, 41).is_err());
        assert!(byte(&cache, 41).is_err());
        assert_eq!(cache.memory().calls.get(), 3);
        assert_eq!(cache.misses(), 3);
    }

    #[test]
    fn a_read_over_pages_is_whole_or_an_error() {
        let cache = PageCache::new(Fake::new());
        let mut buffer = vec![0; 3 * PAGE];
        let address = Address((17 << PAGE_SHIFT) + 100);
        assert_eq!(cache.read(address, &mut buffer), Ok(()));
        assert_eq!(
            (buffer[0], buffer[PAGE], buffer[3 * PAGE - 1]),
            (17, 18, 20)
        );
        let address = Address((30 << PAGE_SHIFT) + 100);
        assert!(cache.read(address, &mut buffer).is_err());
        assert!(cache.read(Address(u64::MAX - 10), &mut buffer).is_err());
    }

    #[test]
    fn refresh_reads_the_same_pages_again_in_few_calls() {
        let cache = PageCache::new(Fake::new());
        for page in [20, 18, 19, 40, 41, 31, 32, 30] {
            let _ = byte(&cache, page);
        }
        let before = cache.memory().calls.get();
        cache.memory().added.set(100);
        cache
            .refresh_all()
            .expect("the fake memory is always there");
        // 18–20, 30–31, 32, 40, 41: pages known to be unmapped do not spoil a run.
        assert_eq!(cache.memory().calls.get() - before, 5);
        cache.freeze();
        assert_eq!(byte(&cache, 19), Ok(119));
        assert_eq!(byte(&cache, 40), Ok(140));
        assert!(byte(&cache, 41).is_err());
        assert_eq!(cache.misses(), 0);
        assert!(byte(&cache, 22).is_err());
        assert_eq!(cache.misses(), 1);
        cache
            .refresh_all()
            .expect("the fake memory is always there");
        assert_eq!(byte(&cache, 22), Ok(122));
        assert_eq!(cache.misses(), 0);
    }

    #[test]
    fn refresh_touched_forgets_the_rest() {
        let cache = PageCache::new(Fake::new());
        for page in 16..32 {
            assert_eq!(byte(&cache, page), Ok(page as u8));
        }
        cache
            .refresh_all()
            .expect("the fake memory is always there");
        assert_eq!(byte(&cache, 20), Ok(20));
        cache
            .refresh_touched()
            .expect("the fake memory is always there");
        assert_eq!(cache.len(), 1);
        assert_eq!(byte(&cache, 20), Ok(20));
        assert_eq!(byte(&cache, 21), Ok(21));
    }

    #[test]
    fn batches_and_prefetches_tell_range_by_range() {
        let cache = PageCache::new(Fake::new());
        let (mut a, mut b, mut c) = ([0; 8], [0; 8], [0; 8]);
        let at = |page: u64| Address(page << PAGE_SHIFT);
        let mut ranges = [
            Range {
                address: at(16),
                buffer: &mut a,
                ok: false,
            },
            Range {
                address: at(50),
                buffer: &mut b,
                ok: true,
            },
            Range {
                address: at(31),
                buffer: &mut c,
                ok: false,
            },
        ];
        cache
            .read_batch(&mut ranges)
            .expect("the fake memory is always there");
        assert_eq!(ranges.each_ref().map(|range| range.ok), [true, false, true]);
        assert_eq!((a[0], c[0]), (16, 31));
        cache
            .prefetch(&[
                (at(20), 5000),
                (at(60), 1),
                (Address(u64::MAX), 100),
                (at(1), u64::MAX),
            ])
            .expect("the fake memory is always there");
        let calls = cache.memory().calls.get();
        assert_eq!(byte(&cache, 21), Ok(21));
        assert_eq!(cache.memory().calls.get(), calls);
    }
}
