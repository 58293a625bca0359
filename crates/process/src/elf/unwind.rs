//! What a file says of how its functions' frames are left: `.eh_frame` and its index, `.eh_frame_hdr` (Linux Standard
//! Base, "Exception Frames").

use super::image::{Headers, Image, PT_GNU_EH_FRAME, PT_LOAD};
use super::symtab::Sections;
use super::{Elf, Raw};

/// Most bytes that are read of each: the largest libraries have some 20 MB.
const BYTES_MAX: u64 = 128 << 20;
/// The same from a target's memory.
const MEMORY_BYTES_MAX: u64 = 16 << 20;

/// Some bytes of a file, and where the file has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// The address of the first one, as the file has it.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How the frames of a file's functions are left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnwindData {
    /// The index, `.eh_frame_hdr`, where there is one.
    pub index: Option<Piece>,
    /// `.eh_frame`, perhaps with what lies behind it.
    pub frames: Piece,
}

impl Elf<'_> {
    /// Its unwind data; `None` where it has none.
    pub fn unwind_data(&self) -> Option<UnwindData> {
        let (image, headers) = (&self.image, &self.headers);
        let found = headers.segments_of(PT_GNU_EH_FRAME).next();
        let index = found.and_then(|segment| {
            let raw = Raw {
                value: segment.address,
                size: segment.memory_size,
            };
            piece(image, headers, raw)
        });
        let section = Sections::read(image, headers).and_then(|table| table.find(b".eh_frame"));
        let place = section.or_else(|| {
            let at = frames_address(index.as_ref()?)?;
            Some(Raw {
                value: at,
                size: until_end(headers, at)?,
            })
        })?;
        let frames = piece(image, headers, place)?;
        Some(UnwindData {
            index: index.filter(|index| is_searchable(index, &frames)),
            frames,
        })
    }
}

fn piece(image: &Image<'_>, headers: &Headers, place: Raw) -> Option<Piece> {
    let bytes_max = match image {
        Image::File(_) => BYTES_MAX,
        Image::Memory { .. } => MEMORY_BYTES_MAX,
    };
    let count = place.size.min(until_end(headers, place.value)?);
    let mut bytes = (count <= bytes_max).then(|| vec![0; count as usize])?;
    image.read_virtual(headers, place.value, &mut bytes).ok()?;
    Some(Piece {
        address: place.value,
        bytes,
    })
}

/// Bytes from an address to the end of the file's part of its segment.
fn until_end(headers: &Headers, address: u64) -> Option<u64> {
    headers.segments_of(PT_LOAD).find_map(|segment| {
        let end = segment.address.checked_add(segment.file_size)?;
        (segment.address..end)
            .contains(&address)
            .then(|| end - address)
    })
}

/// Where the index says that `.eh_frame` is: version 1, and a 32-bit distance from that field (DW_EH_PE_pcrel | sdata4),
/// which is what all linkers write.
fn frames_address(index: &Piece) -> Option<u64> {
    const PCREL_SDATA4: u8 = 0x1b;
    let (&head, rest) = index.bytes.split_first_chunk::<4>()?;
    if head[0] != 1 || head[1] != PCREL_SDATA4 {
        return None;
    }
    let distance = i32::from_le_bytes(*rest.first_chunk()?);
    index
        .address
        .wrapping_add(4)
        .checked_add_signed(i64::from(distance))
}

/// Bytes of the index before its table, and of an entry of that.
const HEAD_BYTES: usize = 12;
const ENTRY_BYTES: usize = 8;

/// Whether the index has the table that can be searched (counted by udata4, of DW_EH_PE_datarel | sdata4), all of it, in
/// order, and of what is in `frames`.
fn is_searchable(index: &Piece, frames: &Piece) -> bool {
    let [1, _, 0x03, 0x3b, ..] = *index.bytes else {
        return false;
    };
    let Some(table) = index.bytes.get(HEAD_BYTES..) else {
        return false;
    };
    let count = index.bytes.get(8..).and_then(<[u8]>::first_chunk);
    let count = count.map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    let distance = |bytes: &[u8]| {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        i64::from(i32::from_le_bytes(bytes))
    };
    let inside = |entry: &[u8]| {
        let at = entry.get(4..).map_or(0, distance);
        let at = index.address.checked_add_signed(at);
        let at = at.and_then(|at| at.checked_sub(frames.address));
        at.is_some_and(|at| at < frames.bytes.len() as u64)
    };
    let entries = || table.chunks_exact(ENTRY_BYTES).take(count);
    count > 0
        && entries().count() == count
        && entries().all(inside)
        && entries().is_sorted_by_key(distance)
        && frames_address(index) == Some(frames.address)
}

impl UnwindData {
    /// Where the function starts that `address` lies in, by the index. Code that no entry covers counts as the one before.
    pub fn function_start(&self, address: u64) -> Option<u64> {
        let index = self.index.as_ref()?;
        let table = index.bytes.get(HEAD_BYTES..)?;
        let count = u32::from_le_bytes(*index.bytes.get(8..)?.first_chunk()?) as usize;
        let count = count.min(table.len() / ENTRY_BYTES);
        let start = |entry: usize| {
            let bytes = table.get(entry * ENTRY_BYTES..)?.first_chunk()?;
            let distance = i64::from(i32::from_le_bytes(*bytes));
            index.address.checked_add_signed(distance)
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match start(middle)? <= address {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        start(low.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(starts: &[i32]) -> UnwindData {
        let mut bytes = vec![1, 0x1b, 0x03, 0x3b];
        bytes.extend((-0x104_i32).to_le_bytes());
        bytes.extend((starts.len() as u32).to_le_bytes());
        for start in starts {
            bytes.extend(start.to_le_bytes());
            bytes.extend([0; 4]);
        }
        UnwindData {
            index: Some(Piece {
                address: 0x1000,
                bytes,
            }),
            frames: Piece::default(),
        }
    }

    #[test]
    fn the_index_tells_where_functions_start() {
        let data = index(&[-0x800, -0x700, 0x20]);
        assert_eq!(data.function_start(0x7ff), None);
        assert_eq!(data.function_start(0x800), Some(0x800));
        assert_eq!(data.function_start(0x950), Some(0x900));
        assert_eq!(data.function_start(u64::MAX), Some(0x1020));
        assert_eq!(index(&[]).function_start(7), None);
        let piece = data.index.expect("one");
        assert_eq!(frames_address(&piece), Some(0xf00));
        let frames = Piece {
            address: 0xf00,
            bytes: vec![0; 0x200],
        };
        assert!(is_searchable(&piece, &frames));
        assert!(!is_searchable(&Piece::default(), &frames));
        assert!(!is_searchable(&piece, &Piece::default()));
    }

    #[test]
    fn a_count_beyond_the_table_is_bounded() {
        let mut data = index(&[0, 1]);
        if let Some(index) = &mut data.index {
            index.bytes[8..12].fill(0xff);
        }
        assert_eq!(data.function_start(0x1001), Some(0x1001));
    }
}
