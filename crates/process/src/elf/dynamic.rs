//! The dynamic symbol table and its hash index: a name is found in a handful of small reads.

use super::Raw;
use super::image::{Headers, Image, PT_DYNAMIC, u16_at, u32_at, u64_at};

const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

const DYNAMIC_BYTES_MAX: u64 = 64 * 1024;
/// Most symbols looked at in one chain of a hash table.
const CHAIN_MAX: u64 = 4096;
pub(super) const SYMBOL_BYTES: usize = 24;
const SHN_UNDEF: u16 = 0;

/// Where the parts of the dynamic symbol table are, as addresses of the file.
pub(super) struct Table<'a, 'm> {
    image: &'a Image<'m>,
    headers: &'a Headers,
    symbols: u64,
    strings: u64,
    strings_bytes: u64,
    gnu_hash: Option<u64>,
    old_hash: Option<u64>,
}

impl<'a, 'm> Table<'a, 'm> {
    pub fn open(image: &'a Image<'m>, headers: &'a Headers) -> Option<Table<'a, 'm>> {
        let segment = headers.segments_of(PT_DYNAMIC).next()?;
        let mut bytes = vec![0; segment.memory_size.min(DYNAMIC_BYTES_MAX) as usize];
        image
            .read_virtual(headers, segment.address, &mut bytes)
            .ok()?;
        let value = |tag: u64| {
            let entries = bytes.chunks_exact(16).map(|e| (u64_at(e, 0), u64_at(e, 8)));
            let found = entries.take_while(|entry| entry.0 != 0);
            let address = found.into_iter().find(|entry| entry.0 == tag)?.1;
            // glibc adds the bias in memory, musl does not.
            Some(match image.relocated_by() {
                Some(bias) if address >= bias => address.wrapping_sub(bias),
                _ => address,
            })
        };
        Some(Table {
            image,
            headers,
            symbols: value(DT_SYMTAB)?,
            strings: value(DT_STRTAB)?,
            strings_bytes: value(DT_STRSZ).unwrap_or(0),
            gnu_hash: value(DT_GNU_HASH),
            old_hash: value(DT_HASH),
        })
    }

    /// All symbols and the names to them, as bytes, for a file whose sections cannot be read. The file does not say how
    /// many symbols there are; every linker puts the names right behind them.
    pub fn whole(&self, bytes_max: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        let read = |address: u64, bytes: u64| {
            let mut buffer = (bytes <= bytes_max).then(|| vec![0; bytes as usize])?;
            self.image
                .read_virtual(self.headers, address, &mut buffer)
                .ok()?;
            Some(buffer)
        };
        let symbols_bytes = self.strings.checked_sub(self.symbols)?;
        Some((
            read(self.symbols, symbols_bytes)?,
            read(self.strings, self.strings_bytes)?,
        ))
    }

    /// The symbol of this name that the file defines.
    pub fn find(&self, name: &[u8]) -> Option<Raw> {
        match (self.gnu_hash, self.old_hash) {
            (Some(table), _) => self.find_gnu(table, name),
            (None, Some(table)) => self.find_old(table, name),
            (None, None) => None,
        }
    }

    fn read<const N: usize>(&self, base: u64, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let address = base.checked_add(offset)?;
        self.image
            .read_virtual(self.headers, address, &mut bytes)
            .ok()?;
        Some(bytes)
    }

    fn u32(&self, base: u64, offset: u64) -> Option<u32> {
        self.read(base, offset).map(u32::from_le_bytes)
    }

    fn find_gnu(&self, table: u64, name: &[u8]) -> Option<Raw> {
        let header: [u8; 16] = self.read(table, 0)?;
        let buckets = u64::from(u32_at(&header, 0));
        let first_symbol = u64::from(u32_at(&header, 4));
        let bloom_words = u64::from(u32_at(&header, 8));
        let shift = u32_at(&header, 12);
        let hash = gnu_hash(name);
        if buckets == 0 || bloom_words == 0 {
            return None;
        }
        let word_at = 16 + (u64::from(hash) / 64 % bloom_words) * 8;
        let word = u64::from_le_bytes(self.read(table, word_at)?);
        let second = hash.checked_shr(shift).unwrap_or(0);
        let bits = (1_u64 << (hash % 64)) | (1 << (second % 64));
        if word & bits != bits {
            return None;
        }
        let buckets_at = 16 + bloom_words * 8;
        let chains_at = buckets_at + buckets * 4;
        let first = self.u32(table, buckets_at + u64::from(hash) % buckets * 4)?;
        let first = u64::from(first);
        for index in first..first.saturating_add(CHAIN_MAX) {
            let place = index.checked_sub(first_symbol)?;
            let found = self.u32(table, chains_at + place * 4)?;
            if found | 1 == hash | 1
                && let Some(raw) = self.symbol(index, name)
            {
                return Some(raw);
            }
            if found & 1 == 1 {
                return None;
            }
        }
        None
    }

    fn find_old(&self, table: u64, name: &[u8]) -> Option<Raw> {
        let buckets = u64::from(self.u32(table, 0)?);
        let bucket = u64::from(old_hash(name)).checked_rem(buckets)?;
        let mut index = u64::from(self.u32(table, 8 + bucket * 4)?);
        for _ in 0..CHAIN_MAX {
            if index == 0 {
                return None;
            }
            if let Some(raw) = self.symbol(index, name) {
                return Some(raw);
            }
            index = u64::from(self.u32(table, 8 + (buckets + index) * 4)?);
        }
        None
    }

    /// Symbol number `index`, if it has this name and is defined here.
    fn symbol(&self, index: u64, name: &[u8]) -> Option<Raw> {
        let offset = index.checked_mul(SYMBOL_BYTES as u64)?;
        let symbol: [u8; SYMBOL_BYTES] = self.read(self.symbols, offset)?;
        if u16_at(&symbol, 6) == SHN_UNDEF {
            return None;
        }
        let mut text = vec![0; name.len() + 1];
        let address = self.strings.checked_add(u64::from(u32_at(&symbol, 0)))?;
        self.image
            .read_virtual(self.headers, address, &mut text)
            .ok()?;
        let same = text.strip_suffix(b"\0") == Some(name);
        same.then(|| Raw {
            value: u64_at(&symbol, 8),
            size: u64_at(&symbol, 16),
        })
    }
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

fn old_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_specification() {
        assert_eq!(gnu_hash(b""), 5381);
        assert_eq!(gnu_hash(b"printf"), 0x156b_2bb8);
        assert_eq!(old_hash(b"printf"), 0x077_905a6);
    }
}
