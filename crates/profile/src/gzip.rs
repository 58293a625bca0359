//! gzip, with a bound on what comes out of it.

use crate::ReadError;
use std::io::{self, Read, Write};

/// What a file may unpack to, in bytes.
pub const UNPACKED_MAX: u64 = 1 << 29;

/// A writer that packs into `out`; the same input gives the same bytes. Call `finish` at the end.
pub fn packer<W: Write>(out: W) -> flate2::write::GzEncoder<W> {
    flate2::GzBuilder::new()
        .mtime(0)
        .write(out, flate2::Compression::new(6))
}

/// Unpacks.
///
/// # Errors
/// When it is damaged or unpacks to more than [`UNPACKED_MAX`].
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(UNPACKED_MAX + 1);
    let outcome: io::Result<usize> = reader.read_to_end(&mut unpacked);
    if unpacked.len() as u64 > UNPACKED_MAX {
        return Err(ReadError::TooLarge("512 MiB when unpacked"));
    }
    outcome.map_err(|error| ReadError::Gzip(error.to_string()))?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_and_a_cut() {
        let mut packer = packer(Vec::new());
        packer.write_all(&[7; 100_000]).expect("memory");
        let packed = packer.finish().expect("memory");
        assert_eq!(unpack(&packed), Ok(vec![7; 100_000]));
        assert!(unpack(&packed[..packed.len() / 2]).is_err());
        assert!(unpack(b"\x1f\x8b").is_err());
    }
}
