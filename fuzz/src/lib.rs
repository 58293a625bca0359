//! What the fuzz targets share: memory and input whose content the fuzzer chooses.

#[path = "../../crates/cpython/tests/common/mod.rs"]
pub mod common;
#[path = "../../crates/cpython/tests/common/image.rs"]
pub mod image;

use cpython::bytecode::Dialect;
use process::{Memory, ReadError};
use snapshot::Address;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// The input, mapped at [`Noise::START`], and as far as [`Noise::END`] again and again: wherever a pointer made of the input leads,
/// there is something to misread.
pub struct Noise<'a>(pub &'a [u8]);

impl Noise<'_> {
    /// The first address.
    pub const START: Address = Address(0x10_0000);
    /// The first address behind.
    pub const END: Address = Address(0x8000_0000_0000);
}

impl Memory for Noise<'_> {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let end = address
            .0
            .checked_add(buffer.len() as u64)
            .ok_or(ReadError::Unmapped(address))?;
        if address.0 < Self::START.0 || end > Self::END.0 || self.0.is_empty() {
            return Err(ReadError::Unmapped(address));
        }
        let length = self.0.len() as u64;
        let mut at = ((address.0 - Self::START.0) % length) as usize;
        for byte in buffer {
            *byte = self.0[at];
            at = (at + 1) % self.0.len();
        }
        Ok(())
    }
}

/// Numbers and pieces taken from the front of the input; 0 and nothing once it is used up.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// So many bytes, or those that are left.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A piece with its length before it.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.number::<2>() as u16);
        self.take(length)
    }

    /// A number of so many bytes.
    pub fn number<const BYTES: usize>(&mut self) -> u64 {
        let bytes = self.take(BYTES).iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether there is any left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytecode of one of the versions.
    pub fn dialect(&mut self) -> &'static Dialect {
        let minor = 8 + self.number::<1>() as u32 % 8;
        Dialect::for_version(0x0300_0000 | minor << 16).expect("a version that is known")
    }
}

/// Runs `read` on a file with this content, given its path.
pub fn with_file(content: &[u8], read: impl FnOnce(PathBuf)) {
    thread_local! {
        static FILE: std::fs::File = {
            let path = std::env::temp_dir().join(format!("unknot-fuzz-{}", std::process::id()));
            let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path);
            // It stays open, and goes with this process.
            let _ = std::fs::remove_file(path);
            file.expect("a file")
        };
    }
    FILE.with(|mut file| {
        file.set_len(0).expect("it can be emptied");
        file.seek(SeekFrom::Start(0)).expect("it can be wound back");
        file.write_all(content).expect("it can be written");
        read(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    });
}
