//! The bytes of an ELF file, from the file or from where it is mapped, and its headers.

use super::ElfError;
use crate::Memory;
use snapshot::Address;
use std::fs::File;
use std::os::unix::fs::FileExt;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const PROGRAM_HEADERS_MAX: usize = 4096;
const NOTES_BYTES_MAX: u64 = 64 * 1024;
const NT_GNU_BUILD_ID: u32 = 3;
const BUILD_ID_BYTES_MAX: usize = 64;
/// Mappings begin on multiples of this on every machine that matters here.
const PAGE_MASK: u64 = !0xfff;

pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_DYNAMIC: u32 = 2;
pub(crate) const PT_NOTE: u32 = 4;
pub(crate) const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// Where the bytes come from.
#[derive(Clone, Copy)]
enum At {
    /// A place in the file.
    Offset(u64),
    /// An address as the file has it, before the load bias.
    Virtual(u64),
}

pub(super) enum Image<'m> {
    File(File),
    Memory {
        memory: &'m dyn Memory,
        start: Address,
        bias: u64,
    },
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Image::File(file) => file.fmt(f),
            Image::Memory { start, .. } => write!(f, "Memory({start})"),
        }
    }
}

impl Image<'_> {
    /// Reads at a place in the file. From memory only the first mapping can be reached so.
    pub fn read_offset(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ElfError> {
        match self {
            Image::File(file) => Ok(file.read_exact_at(buffer, offset)?),
            Image::Memory { memory, start, .. } => Ok(memory.read(start.plus(offset), buffer)?),
        }
    }

    /// Reads at an address as the file has it.
    pub fn read_virtual(
        &self,
        headers: &Headers,
        address: u64,
        buffer: &mut [u8],
    ) -> Result<(), ElfError> {
        match self {
            Image::File(_) => {
                let offset = headers.offset_of(address).ok_or(ElfError::Damaged)?;
                self.read_offset(offset, buffer)
            }
            Image::Memory { memory, bias, .. } => {
                Ok(memory.read(Address(address.wrapping_add(*bias)), buffer)?)
            }
        }
    }

    fn read(&self, headers: &Headers, at: At, buffer: &mut [u8]) -> Result<(), ElfError> {
        match at {
            At::Offset(offset) => self.read_offset(offset, buffer),
            At::Virtual(address) => self.read_virtual(headers, address, buffer),
        }
    }

    /// Whether addresses in the dynamic section may have the load bias added already.
    pub fn relocated_by(&self) -> Option<u64> {
        match self {
            Image::File(_) => None,
            Image::Memory { bias, .. } => Some(*bias),
        }
    }
}

/// The number at `at`, little-endian; 0 beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

/// The number at `at`, little-endian; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The number at `at`, little-endian; 0 beyond the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_size: u64,
    pub memory_size: u64,
}

impl Segment {
    pub fn parse(bytes: &[u8]) -> Segment {
        Segment {
            kind: u32_at(bytes, 0),
            flags: u32_at(bytes, 4),
            offset: u64_at(bytes, 8),
            address: u64_at(bytes, 16),
            file_size: u64_at(bytes, 32),
            memory_size: u64_at(bytes, 40),
        }
    }
}

/// The fixed part of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FileHeader {
    pub kind: u16,
    pub machine: u16,
    pub segments_offset: u64,
    pub segments: usize,
    pub sections_offset: u64,
    pub sections: usize,
    pub names_section: usize,
}

impl FileHeader {
    /// Takes the first 64 bytes of a file apart.
    pub fn parse(bytes: &[u8]) -> Result<FileHeader, ElfError> {
        const CLASS_64_LITTLE_ENDIAN_V1: &[u8] = b"\x7fELF\x02\x01\x01";
        if !bytes.starts_with(CLASS_64_LITTLE_ENDIAN_V1) || bytes.len() < HEADER_BYTES {
            return Err(ElfError::Foreign);
        }
        let header = FileHeader {
            kind: u16_at(bytes, 16),
            machine: u16_at(bytes, 18),
            segments_offset: u64_at(bytes, 32),
            segments: usize::from(u16_at(bytes, 56)),
            sections_offset: u64_at(bytes, 40),
            sections: usize::from(u16_at(bytes, 60)),
            names_section: usize::from(u16_at(bytes, 62)),
        };
        let entry_bytes = usize::from(u16_at(bytes, 54));
        if header.segments > 0 && entry_bytes != PROGRAM_HEADER_BYTES {
            return Err(ElfError::Damaged);
        }
        Ok(header)
    }
}

/// An ELF file's header and program headers.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub file: FileHeader,
    pub segments: Vec<Segment>,
}

impl Headers {
    pub fn read(image: &Image<'_>) -> Result<Headers, ElfError> {
        let mut bytes = [0; HEADER_BYTES];
        image.read_offset(0, &mut bytes)?;
        let file = FileHeader::parse(&bytes)?;
        if file.segments > PROGRAM_HEADERS_MAX {
            return Err(ElfError::Damaged);
        }
        let mut table = vec![0; file.segments * PROGRAM_HEADER_BYTES];
        image.read_offset(file.segments_offset, &mut table)?;
        let segments = table
            .chunks_exact(PROGRAM_HEADER_BYTES)
            .map(Segment::parse)
            .collect();
        Ok(Headers { file, segments })
    }

    pub fn segments_of(&self, kind: u32) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(move |segment| segment.kind == kind)
    }

    /// The load bias, given where the file's place `offset` is mapped.
    pub fn bias(&self, start: Address, offset: u64) -> Result<u64, ElfError> {
        let segment = self
            .segments_of(PT_LOAD)
            .find(|segment| {
                let first = segment.offset & PAGE_MASK;
                let end = segment.offset.saturating_add(segment.file_size);
                (first..end).contains(&offset)
            })
            .ok_or(ElfError::Damaged)?;
        // Both are on page bounds, and the segment's address and offset agree modulo a page.
        let address = segment
            .address
            .wrapping_sub(segment.offset)
            .wrapping_add(offset);
        Ok(start.0.wrapping_sub(address))
    }

    /// Where in the file an address is. Whole pages are mapped, and tools that rewrite files (patchelf) put the dynamic
    /// section behind the end of a segment, on its last page.
    fn offset_of(&self, address: u64) -> Option<u64> {
        let end = |segment: &Segment| segment.address.saturating_add(segment.file_size);
        let within = |segment: &&Segment| (segment.address..end(segment)).contains(&address);
        let on_its_pages = |segment: &&Segment| {
            let mapped = end(segment).saturating_add(!PAGE_MASK) & PAGE_MASK;
            (segment.address & PAGE_MASK..mapped).contains(&address)
        };
        let segment = self
            .segments_of(PT_LOAD)
            .find(within)
            .or_else(|| self.segments_of(PT_LOAD).find(on_its_pages))?;
        segment
            .offset
            .checked_add(address)?
            .checked_sub(segment.address)
    }

    pub fn build_id(&self, image: &Image<'_>) -> Option<Vec<u8>> {
        self.segments_of(PT_NOTE).find_map(|segment| {
            let mut notes = vec![0; segment.file_size.min(NOTES_BYTES_MAX) as usize];
            let at = match image {
                Image::File(_) => At::Offset(segment.offset),
                Image::Memory { .. } => At::Virtual(segment.address),
            };
            image.read(self, at, &mut notes).ok()?;
            let found = notes_of(&notes)
                .find(|note| note.kind == NT_GNU_BUILD_ID && note.name == b"GNU\0")?;
            let usable = (1..=BUILD_ID_BYTES_MAX).contains(&found.content.len());
            usable.then(|| found.content.to_vec())
        })
    }
}

/// An ELF note.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    pub kind: u32,
    /// With its closing NUL.
    pub name: &'a [u8],
    pub content: &'a [u8],
}

/// The notes of a note segment, up to the first that makes no sense.
pub(crate) fn notes_of(bytes: &[u8]) -> impl Iterator<Item = Note<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (header, behind) = rest.split_at_checked(12)?;
        let name_bytes = u32_at(header, 0) as usize;
        let content_bytes = u32_at(header, 4) as usize;
        let content_at = name_bytes.checked_next_multiple_of(4)?;
        let content_end = content_at.checked_add(content_bytes)?;
        let note = Note {
            kind: u32_at(header, 8),
            name: behind.get(..name_bytes)?,
            content: behind.get(content_at..content_end)?,
        };
        let next = content_end.checked_next_multiple_of(4)?;
        rest = behind.get(next..).unwrap_or_default();
        Some(note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded() {
        let mut bytes = Vec::new();
        for number in [4_u32, 2, 3] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"GNU\0\xab\xcd\0\0");
        bytes.extend([0xff; 30]);
        let notes: Vec<Note<'_>> = notes_of(&bytes).collect();
        let expected = Note {
            kind: 3,
            name: b"GNU\0",
            content: b"\xab\xcd",
        };
        assert_eq!(notes, [expected]);
        assert_eq!(notes_of(&[0; 11]).count(), 0);
        // Empty notes are legal; each takes twelve bytes, so there is an end.
        assert_eq!(notes_of(&[0; 1200]).count(), 100);
    }

    #[test]
    fn addresses_on_a_segments_pages_are_in_the_file() {
        let load = |offset, address, file_size| Segment {
            kind: PT_LOAD,
            offset,
            address,
            file_size,
            memory_size: file_size,
            ..Segment::default()
        };
        let headers = Headers {
            segments: vec![load(0, 0x3ff000, 0x1be80), load(0x1cdf2, 0x41bdf2, 0x100)],
            ..Headers::default()
        };
        assert_eq!(headers.offset_of(0x3ff010), Some(0x10));
        assert_eq!(headers.offset_of(0x41aea0), Some(0x1bea0));
        assert_eq!(headers.offset_of(0x41be00), Some(0x1ce00));
        assert_eq!(headers.offset_of(0x41b010), Some(0x1c010));
        assert_eq!(headers.offset_of(0x41c000), None);
    }

    #[test]
    fn foreign_headers_are_refused() {
        assert!(matches!(FileHeader::parse(b""), Err(ElfError::Foreign)));
        assert!(matches!(
            FileHeader::parse(&[0x7f; 64]),
            Err(ElfError::Foreign)
        ));
        assert!(matches!(
            FileHeader::parse(b"\x7fELF\x02\x01\x01"),
            Err(ElfError::Foreign)
        ));
    }
}
