//! What is mapped where in a process: `/proc/PID/maps`.

use crate::proc::{ProcError, read_file};
use crate::text;
use snapshot::{Address, SharedKey};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most mappings that are kept of one process.
const MAPPINGS_MAX: usize = 1 << 20;

/// What may be done with a mapping's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Perms {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// It may be executed.
    pub execute: bool,
    /// Writes are seen by other processes that map the same (`MAP_SHARED`).
    pub shared: bool,
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    /// First address.
    pub start: Address,
    /// The address behind the last one.
    pub end: Address,
    /// What may be done with it.
    pub perms: Perms,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The file's device, in the form of `st_dev`. On btrfs and overlayfs `stat` says another one.
    pub dev: u64,
    /// The file's inode number; 0: no file.
    pub inode: u64,
    /// The path as the target sees it, or a name like `[heap]`; `None` for nameless memory.
    pub path: Option<PathBuf>,
    /// Whether the file has been deleted (or replaced) since.
    pub deleted: bool,
}

impl Mapping {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether it is empty, which the kernel never says.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a file is mapped here (also a deleted one, and shared memory).
    pub fn is_file(&self) -> bool {
        self.inode != 0
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: Address) -> bool {
        (self.start..self.end).contains(&address)
    }

    fn parse(line: &[u8]) -> Option<Mapping> {
        let mut rest = line;
        let (start, end) = text::split(text::field(&mut rest)?, b'-')?;
        let perms = text::field(&mut rest)?;
        let offset = text::hexadecimal(text::field(&mut rest)?)?;
        let (major, minor) = text::split(text::field(&mut rest)?, b':')?;
        let dev = device(text::hexadecimal(major)?, text::hexadecimal(minor)?);
        let inode = text::decimal(text::field(&mut rest)?)?;
        let name = rest.trim_ascii_start();
        let (name, deleted) = match name.strip_suffix(b" (deleted)") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mapping = Mapping {
            start: Address(text::hexadecimal(start)?),
            end: Address(text::hexadecimal(end)?),
            perms: Perms {
                read: perms.first() == Some(&b'r'),
                write: perms.get(1) == Some(&b'w'),
                execute: perms.get(2) == Some(&b'x'),
                shared: perms.get(3) == Some(&b's'),
            },
            offset,
            dev,
            inode,
            path: (!name.is_empty()).then(|| OsStr::from_bytes(&unescape_newlines(name)).into()),
            deleted,
        };
        (mapping.start < mapping.end).then_some(mapping)
    }
}

/// In `maps` only the newline is escaped, a backslash is not: replace nothing else.
fn unescape_newlines(name: &[u8]) -> Vec<u8> {
    if !name.windows(4).any(|part| part == b"\\012") {
        return name.to_vec();
    }
    text::unescape(name)
}

/// `st_dev` of a device given by its two numbers.
pub(crate) fn device(major: u64, minor: u64) -> u64 {
    nix::sys::stat::makedev(major, minor)
}

/// All mappings of a process, in the order of their addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maps(Vec<Mapping>);

impl Maps {
    /// Reads those of process `pid`. A zombie has none.
    pub fn read(pid: u32) -> Result<Maps, ProcError> {
        let text = read_file(pid, Path::new(&format!("/proc/{pid}/maps")))?;
        Ok(Maps::parse(&text))
    }

    /// Takes the text of a `maps` file apart; lines that make no sense are left out.
    pub fn parse(text: &[u8]) -> Maps {
        let lines = text::lines(text).take(MAPPINGS_MAX);
        Maps::from_mappings(lines.filter_map(Mapping::parse).collect())
    }

    /// From mappings in any order.
    pub fn from_mappings(mut mappings: Vec<Mapping>) -> Maps {
        mappings.sort_by_key(|mapping| mapping.start);
        Maps(mappings)
    }

    /// All of them, by address.
    pub fn iter(&self) -> std::slice::Iter<'_, Mapping> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: a zombie, a kernel thread.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mapping that `address` lies in.
    pub fn find(&self, address: Address) -> Option<&Mapping> {
        let behind = self.0.partition_point(|mapping| mapping.start <= address);
        let mapping = self.0.get(behind.checked_sub(1)?)?;
        mapping.contains(address).then_some(mapping)
    }

    /// What names the memory at `address` in every process that shares it: device and inode of the
    /// mapped file (shared anonymous memory has an inode too) and the offset in it. `None` where the
    /// memory is private to the process or not mapped.
    pub fn shared_key(&self, address: Address) -> Option<SharedKey> {
        let mapping = self.find(address)?;
        if !mapping.perms.shared || !mapping.is_file() {
            return None;
        }
        let within = address.0.checked_sub(mapping.start.0)?;
        Some(SharedKey {
            dev: mapping.dev,
            inode: mapping.inode,
            offset: mapping.offset.checked_add(within)?,
        })
    }
}

impl<'a> IntoIterator for &'a Maps {
    type Item = &'a Mapping;
    type IntoIter = std::slice::Iter<'a, Mapping>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
55d0a8400000-55d0a8422000 r--p 00000000 fe:00 1234                       /usr/bin/my prog (deleted)
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n\
7f0000002000-7f0000004000 rw-s 00001000 00:01 77                         /dev/shm/a\\012b
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
";

    #[test]
    fn lines_are_taken_apart() {
        let maps = Maps::parse(TEXT);
        assert_eq!(maps.len(), 4);
        let program = maps.find(Address(0x55d0_a840_0010)).expect("mapped");
        assert_eq!(program.path.as_deref(), Some(Path::new("/usr/bin/my prog")));
        assert!(program.deleted && program.perms.read && !program.perms.write);
        assert_eq!((program.dev, program.inode), (device(0xfe, 0), 1234));
        let nameless = maps.find(Address(0x7f00_0000_0fff)).expect("mapped");
        assert_eq!((nameless.path.as_ref(), nameless.is_file()), (None, false));
        assert_eq!(maps.find(Address(0x7f00_0000_1000)), None);
        assert_eq!(maps.find(Address(0)), None);
    }

    #[test]
    fn shared_memory_has_a_key() {
        let maps = Maps::parse(TEXT);
        let key = maps.shared_key(Address(0x7f00_0000_2020)).expect("shared");
        assert_eq!((key.dev, key.inode, key.offset), (1, 77, 0x1020));
        assert_eq!(maps.shared_key(Address(0x7f00_0000_0020)), None);
        let path = maps
            .find(Address(0x7f00_0000_2020))
            .and_then(|m| m.path.clone());
        assert_eq!(path, Some(PathBuf::from("/dev/shm/a\nb")));
    }

    #[test]
    fn nonsense_is_left_out() {
        let hostile: &[&[u8]] = &[
            b"",
            b"\n\n",
            b"1-2",
            b"2-1 rwxp 0 0:0 0 x",
            b"zz-ff rwxp 0 0:0 0 x",
            b"fffffffffffffffff-1 r 0 0:0 0",
            b"1-2 r 0 00 0",
            b"1-2 r 0 0:0 99999999999999999999",
            b"\xff\xfe-\x00 \xff",
        ];
        for text in hostile {
            assert!(Maps::parse(text).is_empty(), "{text:?}");
        }
        assert_eq!(Maps::parse(b"1-2 r 0 0:0 0").len(), 1);
    }
}
