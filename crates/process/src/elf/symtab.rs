//! Sections, and the static symbol table, which has no index and is looked through from end to end.

use super::Raw;
use super::dynamic::SYMBOL_BYTES;
use super::image::{Headers, Image, u16_at, u32_at, u64_at};
use crate::text;
use std::collections::{BTreeMap, HashMap};

const SECTION_BYTES: usize = 64;
const NAMES_BYTES_MAX: u64 = 1 << 20;
/// Most bytes of a static symbol table, and of its names, that are looked through.
const TABLE_BYTES_MAX: u64 = 512 << 20;
/// Bytes read at a time; a multiple of a symbol's.
const CHUNK_BYTES: usize = 2048 * SYMBOL_BYTES;
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const SHN_UNDEF: u16 = 0;

struct Section {
    name: u32,
    kind: u32,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

/// The section headers and their names.
pub(super) struct Sections {
    sections: Vec<Section>,
    names: Vec<u8>,
}

impl Sections {
    /// `None` when the file has none, or was opened from memory, where they are not mapped.
    pub fn read(image: &Image<'_>, headers: &Headers) -> Option<Sections> {
        let (Image::File(_), true) = (image, headers.file.sections > 0) else {
            return None;
        };
        let mut table = vec![0; headers.file.sections * SECTION_BYTES];
        image
            .read_offset(headers.file.sections_offset, &mut table)
            .ok()?;
        let parse = |bytes: &[u8]| Section {
            name: u32_at(bytes, 0),
            kind: u32_at(bytes, 4),
            address: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
            size: u64_at(bytes, 32),
            link: u32_at(bytes, 40),
        };
        let sections: Vec<Section> = table.chunks_exact(SECTION_BYTES).map(parse).collect();
        let strings = sections.get(headers.file.names_section)?;
        let mut names = vec![0; strings.size.min(NAMES_BYTES_MAX) as usize];
        image.read_offset(strings.offset, &mut names).ok()?;
        Some(Sections { sections, names })
    }

    /// The section of this name that is mapped.
    pub fn find(&self, name: &[u8]) -> Option<Raw> {
        let section = self.sections.iter().find(|section| {
            let text = self.names.get(section.name as usize..).unwrap_or_default();
            section.address != 0
                && text.strip_prefix(name).and_then(|rest| rest.first()) == Some(&0)
        })?;
        Some(Raw {
            value: section.address,
            size: section.size,
        })
    }
}

/// The static or the dynamic symbol table and the names to it, as bytes; `None` where there is none, or it is larger than
/// `bytes_max`.
pub(super) fn whole_table(
    image: &Image<'_>,
    sections: &Sections,
    dynamic: bool,
    bytes_max: u64,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let kind = if dynamic { SHT_DYNSYM } else { SHT_SYMTAB };
    let symbols = sections.sections.iter().find(|s| s.kind == kind)?;
    let strings = sections.sections.get(symbols.link as usize)?;
    let read = |section: &Section| {
        let fits = section.size <= bytes_max;
        let mut bytes = fits.then(|| vec![0; section.size as usize])?;
        image.read_offset(section.offset, &mut bytes).ok()?;
        Some(bytes)
    };
    Some((read(symbols)?, read(strings)?))
}

/// Looks `names` up in the static symbol table; `None` for each that is not there.
pub(super) fn find_symbols(
    image: &Image<'_>,
    headers: &Headers,
    names: &[&str],
) -> Vec<Option<Raw>> {
    let mut found = vec![None; names.len()];
    let Some(table) = Sections::read(image, headers) else {
        return found;
    };
    for symbols in table.sections.iter().filter(|s| s.kind == SHT_SYMTAB) {
        let Some(strings) = table.sections.get(symbols.link as usize) else {
            continue;
        };
        let wanted = name_offsets(image, strings, names);
        if wanted.is_empty() {
            continue;
        }
        for_chunks(image, symbols, CHUNK_BYTES, |chunk, _| {
            for symbol in chunk.chunks_exact(SYMBOL_BYTES) {
                let defined = u16_at(symbol, 6) != SHN_UNDEF;
                if let (true, Some(&index)) = (defined, wanted.get(&u32_at(symbol, 0)))
                    && let Some(answer) = found.get_mut(index)
                {
                    *answer = Some(Raw {
                        value: u64_at(symbol, 8),
                        size: u64_at(symbol, 16),
                    });
                }
            }
        });
    }
    found
}

/// Where in the string table each name begins. A name may be the end of a longer string.
fn name_offsets(image: &Image<'_>, strings: &Section, names: &[&str]) -> HashMap<u32, usize> {
    let mut offsets = HashMap::new();
    let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
    // The end of one chunk is kept in front of the next: a string may lie across.
    let mut kept: Vec<u8> = Vec::new();
    for_chunks(image, strings, CHUNK_BYTES, |chunk, offset| {
        let start = offset - kept.len() as u64;
        kept.extend_from_slice(chunk);
        let mut at = 0;
        for string in kept.split_inclusive(|&byte| byte == 0) {
            at += string.len();
            let Some(string) = string.strip_suffix(b"\0") else {
                continue;
            };
            for (index, name) in names.iter().enumerate() {
                if string.ends_with(name.as_bytes()) {
                    let offset = start + (at - 1 - name.len()) as u64;
                    offsets.insert(u32::try_from(offset).unwrap_or(u32::MAX), index);
                }
            }
        }
        let keep_from = kept.len().saturating_sub(longest);
        kept.drain(..keep_from);
    });
    offsets
}

/// Reads a section piece by piece; stops silently where it cannot be read.
fn for_chunks(
    image: &Image<'_>,
    section: &Section,
    chunk_bytes: usize,
    mut visit: impl FnMut(&[u8], u64),
) {
    let mut buffer = vec![0; chunk_bytes];
    let size = section.size.min(TABLE_BYTES_MAX);
    let mut done = 0;
    while done < size {
        let count = (size - done).min(chunk_bytes as u64) as usize;
        let Some(chunk) = buffer.get_mut(..count) else {
            return;
        };
        if image
            .read_offset(section.offset.saturating_add(done), chunk)
            .is_err()
        {
            return;
        }
        visit(chunk, done);
        done += count as u64;
    }
}

/// How large the static symbol table is, in bytes; 0 in a file that was stripped of it.
pub(super) fn table_bytes(image: &Image<'_>, headers: &Headers) -> u64 {
    let sections = Sections::read(image, headers).map(|table| table.sections);
    let tables = sections.iter().flatten().filter(|s| s.kind == SHT_SYMTAB);
    tables.fold(0, |sum, table| sum.saturating_add(table.size))
}

/// What was found out about names in a file, as text: `name value size`, or `name - size of the table`. Files of one
/// build-id differ by what they were stripped of: that a name is missing holds only where as much is left.
pub(super) fn encode_known(known: &BTreeMap<String, Option<Raw>>, table_bytes: u64) -> Vec<u8> {
    let mut content = String::new();
    for (name, raw) in known {
        let line = match raw {
            Some(raw) => format!("{name} {:x} {:x}\n", raw.value, raw.size),
            None => format!("{name} - {table_bytes:x}\n"),
        };
        content.push_str(&line);
    }
    content.into_bytes()
}

/// The reverse of [`encode_known`] for a file with such a table; lines that make no sense, or that are about another
/// table, are left out.
pub(crate) fn decode_known(content: &[u8], table_bytes: u64) -> BTreeMap<String, Option<Raw>> {
    let decode = |line: &[u8]| {
        let mut fields = text::fields(line);
        let name = String::from_utf8(fields.next()?.to_vec()).ok()?;
        let raw = match fields.next()? {
            b"-" if text::hexadecimal(fields.next()?)? == table_bytes => None,
            b"-" => return None,
            value => Some(Raw {
                value: text::hexadecimal(value)?,
                size: text::hexadecimal(fields.next()?)?,
            }),
        };
        Some((name, raw))
    };
    text::lines(content).filter_map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_survives_the_cache() {
        let raw = Raw {
            value: 0xfff0,
            size: 8,
        };
        let known: BTreeMap<String, Option<Raw>> =
            [("_start".into(), Some(raw)), ("nowhere".into(), None)].into();
        let mut content = encode_known(&known, 4800);
        assert_eq!(decode_known(&content, 4800), known);
        content.extend(b"\xff\nx\nx y z\nold -\n");
        assert_eq!(decode_known(&content, 4800), known);
    }

    #[test]
    fn what_a_stripped_twin_lacks_may_be_in_this_one() {
        let raw = Raw { value: 16, size: 8 };
        let known: BTreeMap<String, Option<Raw>> =
            [("_start".into(), Some(raw)), ("stripped".into(), None)].into();
        let of_twin = decode_known(&encode_known(&known, 0), 4800);
        assert_eq!(of_twin, [("_start".to_owned(), Some(raw))].into());
    }
}
