//! A core file: the memory and threads of a process that may be long gone.
//!
//! What the kernel or gdb left out of it (code and constants, which are in the files that were
//! mapped) is read from those files: at their paths, or beside the core. A file that has changed
//! since, by its build-id, is not used.

mod notes;

use crate::arch::{Arch, Registers};
use crate::elf::image::{FileHeader, Segment, u32_at};
use crate::elf::{Elf, ElfError, Module, modules};
use crate::{Mapping, Maps, Memory, Perms, ReadError};
use notes::{FileEntry, Notes};
use snapshot::{Address, OsThread};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Most segments of a core: the kernel's limit of mappings is far below.
const SEGMENTS_MAX: u64 = 1 << 20;
const SEGMENT_BYTES: usize = 56;
/// Most bytes of notes: registers of some ten thousand threads.
const NOTES_BYTES_MAX: u64 = 256 << 20;
const ET_CORE: u16 = 4;
/// More segments than 16 bits can say: their count is in the first section header.
const PN_XNUM: usize = 0xffff;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_EXECUTE: u32 = 1;
const PF_WRITE: u32 = 2;
const PF_READ: u32 = 4;

/// Why a core could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// It could not be opened or read.
    #[error("{path} cannot be read: {error}", path = .path.display())]
    Io {
        /// The core.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// It is no core file.
    #[error("{} is not a core file: {why}", path.display())]
    NotCore {
        /// The file.
        path: PathBuf,
        /// Why it is none.
        why: &'static str,
    },
    /// It is one, but damaged or cut short before the parts that are needed.
    #[error(
        "the core file {} cannot be used: {why}. \
         Look at the limit of its size (ulimit -c) and the room on the disk, and take it again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A thread as it was when the core was taken.
#[derive(Debug, Clone, Copy)]
pub struct CoreThread {
    /// Its id, as the process's own PID namespace numbered it.
    pub tid: u32,
    /// Its registers; `None` for a machine not known here.
    pub registers: Option<Registers>,
    /// The signal that it was stopped or ended by; 0: none.
    pub signal: i32,
    /// CPU time it had used, in microseconds.
    pub cpu_us: u64,
}

impl CoreThread {
    /// Its facts in the snapshot's form.
    pub fn os_thread(&self) -> OsThread {
        OsThread {
            state: '?',
            cpu_us: self.cpu_us,
            syscall: self.registers.and_then(|registers| registers.syscall()),
            pc: self.registers.map(|registers| registers.pc()),
            sp: self.registers.map(|registers| registers.sp()),
            ..OsThread::default()
        }
    }
}

/// A piece of memory in the core.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u64,
    end: u64,
    /// Where its content is in the file, and how much of it was kept.
    offset: u64,
    kept: u64,
    flags: u32,
}

/// A file whose mapped content can be used for what the core has left out.
#[derive(Debug)]
struct Backing {
    /// The module's first address.
    module: Address,
    file: File,
    /// Address, end and offset in the file of each of its mappings.
    mappings: Vec<(u64, u64, u64)>,
}

/// An opened core file.
#[derive(Debug)]
pub struct Core {
    path: PathBuf,
    file: File,
    pieces: Vec<Piece>,
    backing: Vec<Backing>,
    maps: Maps,
    notes: Notes,
    /// What is missing or wrong, each a sentence.
    remarks: Vec<String>,
}

impl Core {
    /// Opens a core file of a 64-bit little-endian machine.
    pub fn open(path: &Path) -> Result<Core, CoreError> {
        let io = |error| CoreError::Io {
            path: path.to_owned(),
            error,
        };
        let metadata = std::fs::metadata(path).map_err(io)?;
        let not_core = |why| CoreError::NotCore {
            path: path.to_owned(),
            why,
        };
        if !metadata.is_file() {
            return Err(not_core("it is not a regular file"));
        }
        let damaged = |why| CoreError::Damaged {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(io)?;
        let mut bytes = [0; 64];
        if metadata.len() < bytes.len() as u64 {
            return Err(not_core("it is too short"));
        }
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let header = FileHeader::parse(&bytes).map_err(|error| match error {
            ElfError::Damaged => damaged("its header makes no sense"),
            _ => not_core("it is not a 64-bit little-endian ELF file"),
        })?;
        if header.kind != ET_CORE {
            return Err(not_core("it is another kind of ELF file"));
        }
        let segments = read_segments(&file, &header, metadata.len())
            .ok_or_else(|| damaged("its table of segments is missing"))?;
        let notes = read_notes(&file, &segments, Arch::of_elf(header.machine))
            .ok_or_else(|| damaged("it names no thread"))?;
        let mut core = Core {
            path: path.to_owned(),
            file,
            pieces: Vec::new(),
            backing: Vec::new(),
            maps: Maps::default(),
            notes,
            remarks: Vec::new(),
        };
        core.take_pieces(&segments, metadata.len());
        core.maps = map_files(&core.pieces, &core.notes.files);
        core.find_backing();
        Ok(core)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process's id, as its own PID namespace numbered it.
    pub fn pid(&self) -> u32 {
        let first = self.notes.threads.first().map_or(0, |thread| thread.tid);
        self.notes
            .process
            .as_ref()
            .map_or(first, |process| process.pid)
    }

    /// Its parent's id; 0 when unknown.
    pub fn parent(&self) -> u32 {
        self.notes
            .process
            .as_ref()
            .map_or(0, |process| process.parent)
    }

    /// The beginning of its command line (80 bytes), words joined with blanks.
    pub fn command(&self) -> &str {
        self.notes
            .process
            .as_ref()
            .map_or("", |process| &process.command)
    }

    /// The kernel's name of it (`comm`).
    pub fn name(&self) -> &str {
        self.notes
            .process
            .as_ref()
            .map_or("", |process| &process.name)
    }

    /// Its threads; in a core that the kernel wrote, the one that brought it about comes first.
    pub fn threads(&self) -> &[CoreThread] {
        &self.notes.threads
    }

    /// What was mapped. Devices and inodes are not known: files are told apart by made-up numbers.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The value of this type in the auxiliary vector (getauxval(3)).
    pub fn auxiliary(&self, kind: u64) -> Option<u64> {
        let found = self.notes.auxiliary.iter().find(|entry| entry.0 == kind);
        found.map(|entry| entry.1)
    }

    /// What is missing or wrong with the core or the files that belong to it, each a sentence.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Opens one of its modules: its file, if that is still the same, or else what the core has of it.
    pub fn open_module(&self, module: &Module) -> Result<Elf<'_>, ElfError> {
        let backing = self.backing.iter().find(|it| it.module == module.start);
        if let Some(file) = backing.and_then(|backing| backing.file.try_clone().ok())
            && let Ok(elf) = module.open_as(file)
        {
            return Ok(elf);
        }
        module.open_memory(self)
    }

    fn take_pieces(&mut self, segments: &[Segment], file_bytes: u64) {
        let mut cut = 0_usize;
        for segment in segments.iter().filter(|segment| segment.kind == PT_LOAD) {
            let Some(end) = segment.address.checked_add(segment.memory_size) else {
                continue;
            };
            let there = file_bytes.saturating_sub(segment.offset);
            let kept = segment.file_size.min(segment.memory_size);
            cut += usize::from(kept > there);
            self.pieces.push(Piece {
                start: segment.address,
                end,
                offset: segment.offset,
                kept: kept.min(there),
                flags: segment.flags,
            });
        }
        self.pieces.sort_by_key(|piece| piece.start);
        if cut > 0 {
            self.remarks.push(format!(
                "the core file was cut short: {cut} of {} pieces of memory are incomplete",
                self.pieces.len()
            ));
        }
    }

    /// Finds the files of those modules whose content was not all kept.
    fn find_backing(&mut self) {
        for module in modules(&self.maps) {
            let own = |mapping: &&Mapping| {
                mapping.inode == module.inode
                    && mapping.start < module.end
                    && mapping.end > module.start
            };
            let mappings: Vec<(u64, u64, u64)> = self
                .maps
                .iter()
                .filter(own)
                .map(|mapping| (mapping.start.0, mapping.end.0, mapping.offset))
                .collect();
            match self.matching_file(&module) {
                Ok(Some(file)) => self.backing.push(Backing {
                    module: module.start,
                    file,
                    mappings,
                }),
                Ok(None) if self.is_whole(&mappings) || !self.is_elf(&module) => {}
                Ok(None) => self.remarks.push(format!(
                    "{} is not here, and the core does not have all of it: put it beside the core",
                    module.path.display()
                )),
                Err(()) => self.remarks.push(format!(
                    "{} has changed since the core was taken, and is not used: put the old one beside \
                     the core",
                    module.path.display()
                )),
            }
        }
    }

    /// Whether it is a program or library as far as the core shows, and not mere data.
    fn is_elf(&self, module: &Module) -> bool {
        module.open_memory(self).is_ok()
    }

    fn is_whole(&self, mappings: &[(u64, u64, u64)]) -> bool {
        mappings.iter().all(|&(start, ..)| {
            let piece = self.piece_at(start);
            piece.is_some_and(|piece| piece.kept == piece.end - piece.start)
        })
    }

    /// The module's file: beside the core, or at its path. `Err`: there are files, but none with the
    /// build-id that the core has.
    fn matching_file(&self, module: &Module) -> Result<Option<File>, ()> {
        let kept = module.open_memory(self);
        let kept_id = kept.as_ref().ok().and_then(|elf| elf.build_id());
        let name = module.path.file_name().unwrap_or_default();
        let beside = self.path.parent().unwrap_or(Path::new(".")).join(name);
        let mut changed = false;
        for candidate in [beside.as_path(), module.path.as_path()] {
            if !std::fs::metadata(candidate).is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            let elf = File::open(candidate)
                .map_err(ElfError::from)
                .and_then(|file| module.open_as(file));
            let Ok(elf) = elf else { continue };
            if kept_id.is_some() && elf.build_id() != kept_id {
                changed = true;
                continue;
            }
            if let Ok(file) = File::open(candidate) {
                return Ok(Some(file));
            }
        }
        if changed { Err(()) } else { Ok(None) }
    }

    fn piece_at(&self, address: u64) -> Option<&Piece> {
        let behind = self.pieces.partition_point(|piece| piece.start <= address);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        (address < piece.end).then_some(piece)
    }

    /// Reads the beginning of `buffer`; how many bytes, at least one.
    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Option<usize> {
        let (file, offset, there) = match self.piece_at(address) {
            Some(piece) if address - piece.start < piece.kept => {
                let within = address - piece.start;
                (
                    &self.file,
                    piece.offset.checked_add(within)?,
                    piece.kept - within,
                )
            }
            _ => self.backing_at(address)?,
        };
        let count = buffer
            .len()
            .min(usize::try_from(there).unwrap_or(usize::MAX));
        file.read_exact_at(buffer.get_mut(..count)?, offset).ok()?;
        Some(count)
    }

    /// A file's content for this address: the file, the place in it, and for how many bytes.
    fn backing_at(&self, address: u64) -> Option<(&File, u64, u64)> {
        self.backing.iter().find_map(|backing| {
            let inside = |&&(start, end, _): &&(u64, u64, u64)| (start..end).contains(&address);
            let &(start, end, offset) = backing.mappings.iter().find(inside)?;
            let offset = offset.checked_add(address - start)?;
            Some((&backing.file, offset, end - address))
        })
    }
}

impl Memory for Core {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut at = address;
        let mut rest = buffer;
        while !rest.is_empty() {
            let count = self.read_some(at.0, rest).filter(|&count| count > 0);
            let count = count.ok_or(ReadError::Unmapped(at))?;
            at = at
                .checked_add(count as u64)
                .ok_or(ReadError::Unmapped(at))?;
            rest = rest.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Reads the bytes as the notes of a core, for a machine that is known and for one that is not.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_notes_of(bytes: &[u8]) {
    for arch in [Arch::host(), None] {
        let mut notes = Notes::default();
        notes.take(bytes, arch);
        let _ = map_files(&[], &notes.files);
    }
}

fn read_segments(file: &File, header: &FileHeader, file_bytes: u64) -> Option<Vec<Segment>> {
    let count = if header.segments == PN_XNUM {
        let mut section = [0; 64];
        file.read_exact_at(&mut section, header.sections_offset)
            .ok()?;
        u64::from(u32_at(&section, 44))
    } else {
        header.segments as u64
    };
    let there = file_bytes.saturating_sub(header.segments_offset) / SEGMENT_BYTES as u64;
    if count == 0 || count > SEGMENTS_MAX || count > there {
        return None;
    }
    let mut table = vec![0; count as usize * SEGMENT_BYTES];
    file.read_exact_at(&mut table, header.segments_offset)
        .ok()?;
    Some(
        table
            .chunks_exact(SEGMENT_BYTES)
            .map(Segment::parse)
            .collect(),
    )
}

fn read_notes(file: &File, segments: &[Segment], arch: Option<&'static Arch>) -> Option<Notes> {
    let file_bytes = file.metadata().ok()?.len();
    let mut notes = Notes::default();
    for segment in segments.iter().filter(|segment| segment.kind == PT_NOTE) {
        let there = file_bytes.saturating_sub(segment.offset);
        let count = segment.file_size.min(there).min(NOTES_BYTES_MAX);
        let mut bytes = vec![0; count as usize];
        if file.read_exact_at(&mut bytes, segment.offset).is_ok() {
            notes.take(&bytes, arch);
        }
    }
    (!notes.threads.is_empty()).then_some(notes)
}

/// Joins the mapped files that the notes name with the access that the segments tell.
fn map_files(pieces: &[Piece], files: &[FileEntry]) -> Maps {
    let mut names: Vec<&Path> = files.iter().map(|entry| entry.path.as_path()).collect();
    names.sort_unstable();
    names.dedup();
    let access = |address: u64| {
        let behind = pieces.partition_point(|piece| piece.start <= address);
        let piece = behind.checked_sub(1).and_then(|index| pieces.get(index));
        // gdb leaves out what nobody could have written to: code, most of all.
        let left_out = PF_READ | PF_EXECUTE;
        piece
            .filter(|piece| address < piece.end)
            .map_or(left_out, |piece| piece.flags)
    };
    let perms = |flags: u32| Perms {
        read: flags & PF_READ != 0,
        write: flags & PF_WRITE != 0,
        execute: flags & PF_EXECUTE != 0,
        shared: false,
    };
    let mut mappings: Vec<Mapping> = files
        .iter()
        .map(|entry| Mapping {
            start: Address(entry.start),
            end: Address(entry.end),
            perms: perms(access(entry.start)),
            offset: entry.offset,
            dev: 0,
            inode: names
                .binary_search(&entry.path.as_path())
                .map_or(0, |index| index as u64 + 1),
            path: Some(entry.path.clone()),
            deleted: false,
        })
        .collect();
    let mut starts: Vec<u64> = files.iter().map(|entry| entry.start).collect();
    starts.sort_unstable();
    let nameless = pieces.iter().filter(|piece| piece.start < piece.end);
    let nameless = nameless.filter(|piece| starts.binary_search(&piece.start).is_err());
    mappings.extend(nameless.map(|piece| Mapping {
        start: Address(piece.start),
        end: Address(piece.end),
        perms: perms(piece.flags),
        ..Mapping::default()
    }));
    Maps::from_mappings(mappings)
}
