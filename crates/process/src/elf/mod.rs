//! The executable and the libraries that a process has mapped, and where their symbols are.
//!
//! Read from the files as the target has them open (so a deleted, replaced or container-bound file
//! is no obstacle), and only the few bytes that are needed; from the target's memory where no file
//! can be opened. Only 64-bit little-endian ELF.

mod dynamic;
mod functions;
pub(crate) mod image;
pub(crate) mod symtab;
mod unwind;

pub use functions::{Functions, Named};
pub use unwind::{Piece, UnwindData};

use crate::store::Store;
use crate::{Maps, Memory, ReadError};
use image::{Headers, Image};
use snapshot::Address;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most names asked for in one call.
const NAMES_MAX: usize = 256;

/// Mappings end on multiples of this on every machine that matters here.
const PAGE: u64 = 4096;

/// Why a mapped file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not an ELF file, or one for another kind of machine.
    #[error("it is not a 64-bit little-endian ELF file")]
    Foreign,
    /// Its headers point outside of it, or contradict what is mapped.
    #[error("its ELF headers make no sense")]
    Damaged,
    /// The file could not be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The target's memory could not be read.
    #[error("{0}")]
    Memory(#[from] ReadError),
}

/// A file that is mapped with an executable part: the executable, a shared library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its path as the target sees it.
    pub path: PathBuf,
    /// Whether it has been deleted or replaced since.
    pub deleted: bool,
    /// Device, in the form that `/proc/PID/maps` gives.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// Where its first mapping starts.
    pub start: Address,
    /// The end of its first mapping.
    pub first_end: Address,
    /// Where its last mapping ends.
    pub end: Address,
    /// The place in the file that is mapped at `start`.
    pub offset: u64,
}

/// A named piece of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// Where it is in the target.
    pub address: Address,
    /// Its length in bytes; 0 when the file does not say.
    pub size: u64,
}

/// The answers of [`Elf::find`], each in the order of the questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// For each symbol's name, where it is.
    pub symbols: Vec<Option<Symbol>>,
    /// For each section's name, where it is.
    pub sections: Vec<Option<Symbol>>,
}

/// All files that are mapped with an executable part, in the order of their addresses. Nothing is
/// opened.
pub fn modules(maps: &Maps) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    let mut executable: Vec<bool> = Vec::new();
    for mapping in maps.iter().filter(|mapping| mapping.is_file()) {
        let Some(path) = &mapping.path else { continue };
        let same = |module: &Module| (module.dev, module.inode) == (mapping.dev, mapping.inode);
        // A file may be loaded twice (dlmopen): its start at offset 0 begins a new module.
        match (modules.last_mut(), executable.last_mut()) {
            (Some(last), Some(executes)) if same(last) && mapping.offset != 0 => {
                last.end = mapping.end;
                *executes |= mapping.perms.execute;
            }
            _ => {
                modules.push(Module {
                    path: path.clone(),
                    deleted: mapping.deleted,
                    dev: mapping.dev,
                    inode: mapping.inode,
                    start: mapping.start,
                    first_end: mapping.end,
                    end: mapping.end,
                    offset: mapping.offset,
                });
                executable.push(mapping.perms.execute);
            }
        }
    }
    let mut keep = executable.into_iter();
    modules.retain(|_| keep.next().unwrap_or(false));
    modules
}

impl Module {
    /// Opens it for process `pid`: its file as the target has it, or else what is mapped of it in
    /// `memory`.
    pub fn open<'m>(&self, pid: u32, memory: &'m dyn Memory) -> Result<Elf<'m>, ElfError> {
        let from_file = self.open_file(pid).map(|file| self.open_as(file));
        match from_file {
            Some(Ok(elf)) => Ok(elf),
            Some(Err(_)) | None => self.open_memory(memory),
        }
    }

    /// Opens it, given a file with its content.
    pub fn open_as(&self, file: File) -> Result<Elf<'static>, ElfError> {
        let metadata = file.metadata()?;
        let image = Image::File(file);
        let headers = Headers::read(&image)?;
        let bias = headers.bias(self.start, self.offset)?;
        let key = match headers.build_id(&image) {
            Some(id) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
            None => format!(
                "{:x}-{:x}-{:x}-{:x}-{:x}",
                metadata.dev(),
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.len()
            ),
        };
        Ok(Elf {
            build_id: headers.build_id(&image),
            image,
            headers,
            bias,
            key: Some(key),
        })
    }

    /// Opens what is mapped of it: program headers and dynamic symbols, but no sections.
    pub fn open_memory<'m>(&self, memory: &'m dyn Memory) -> Result<Elf<'m>, ElfError> {
        if self.offset != 0 {
            return Err(ElfError::Damaged);
        }
        let mut image = Image::Memory {
            memory,
            start: self.start,
            bias: 0,
        };
        let headers = Headers::read(&image)?;
        let load_bias = headers.bias(self.start, 0)?;
        if let Image::Memory { bias, .. } = &mut image {
            *bias = load_bias;
        }
        Ok(Elf {
            build_id: headers.build_id(&image),
            image,
            headers,
            bias: load_bias,
            key: None,
        })
    }

    /// The file, by whichever of its names the kernel lets us use.
    fn open_file(&self, pid: u32) -> Option<File> {
        let range = format!("{:x}-{:x}", self.start.0, self.first_end.0);
        // The kernel's own link to the mapped file; not for everybody.
        if let Ok(file) = File::open(format!("/proc/{pid}/map_files/{range}")) {
            return Some(file);
        }
        let inside = self.path.strip_prefix("/").ok()?;
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let names = [root.join(inside), PathBuf::from(format!("/proc/{pid}/exe"))];
        names.iter().find_map(|name| self.open_if_same(name))
    }

    /// Opens a regular file if it has this module's inode. (A FIFO put in its place would block.)
    fn open_if_same(&self, name: &Path) -> Option<File> {
        let metadata = std::fs::metadata(name).ok()?;
        if !metadata.is_file() || metadata.ino() != self.inode {
            return None;
        }
        File::open(name).ok()
    }
}

/// An opened module.
#[derive(Debug)]
pub struct Elf<'m> {
    image: Image<'m>,
    headers: Headers,
    build_id: Option<Vec<u8>>,
    /// What to add to the file's addresses (modulo 2^64).
    bias: u64,
    /// Names the file's content for the cache.
    key: Option<String>,
}

impl Elf<'_> {
    /// What to add to the addresses in the file to get those in the target (modulo 2^64).
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// The linker's fingerprint of the file (NT_GNU_BUILD_ID), where it has one.
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// What is mapped behind the end of the module's data and belongs to nothing: the rest of the last page that can be
    /// written, which the kernel fills with zeroes. Where it begins, and its bytes.
    pub fn slack(&self) -> Option<(Address, u64)> {
        const WRITABLE: u32 = 2;
        let data = self.headers.segments_of(image::PT_LOAD);
        let data = data.filter(|segment| segment.flags & WRITABLE != 0);
        let end = data.filter_map(|segment| segment.address.checked_add(segment.memory_size));
        let end = end.max()?;
        let bytes = end.checked_next_multiple_of(PAGE)?.checked_sub(end)?;
        Some((Address(end.wrapping_add(self.bias)), bytes))
    }

    /// A name for the file's content, fit for a file name: its build-id, or else device, inode,
    /// time and size. `None` for what was opened from memory and has no build-id.
    pub fn cache_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Looks symbols up by name, in the dynamic and then in the static table, and sections. What
    /// the static table said is kept in the user's cache, as looking through it takes long.
    pub fn find(&self, symbols: &[&str], sections: &[&str]) -> Found {
        let mut found = self.find_quick(symbols, sections);
        let missing: Vec<&str> = symbols
            .iter()
            .zip(&found.symbols)
            .filter_map(|(&name, answer)| answer.is_none().then_some(name))
            .collect();
        if missing.is_empty() {
            return found;
        }
        let mut answers = self.find_static(&missing).into_iter();
        for answer in found.symbols.iter_mut().filter(|answer| answer.is_none()) {
            *answer = answers.next().flatten();
        }
        found
    }

    /// As [`Elf::find`], but only in the dynamic table, which has a hash index.
    pub fn find_quick(&self, symbols: &[&str], sections: &[&str]) -> Found {
        let mut found = Found {
            symbols: vec![None; symbols.len()],
            sections: vec![None; sections.len()],
        };
        if let Some(table) = dynamic::Table::open(&self.image, &self.headers) {
            for (name, answer) in symbols.iter().zip(&mut found.symbols).take(NAMES_MAX) {
                *answer = table.find(name.as_bytes()).map(|raw| self.place(raw));
            }
        }
        if let Some(table) = self.section_table(sections) {
            for (name, answer) in sections.iter().zip(&mut found.sections).take(NAMES_MAX) {
                *answer = table.find(name.as_bytes()).map(|raw| self.place(raw));
            }
        }
        found
    }

    fn section_table(&self, wanted: &[&str]) -> Option<symtab::Sections> {
        if wanted.is_empty() {
            return None;
        }
        symtab::Sections::read(&self.image, &self.headers)
    }

    fn place(&self, raw: Raw) -> Symbol {
        Symbol {
            address: Address(raw.value.wrapping_add(self.bias)),
            size: raw.size,
        }
    }

    fn find_static(&self, names: &[&str]) -> Vec<Option<Symbol>> {
        let store = Store::user();
        let key = self.key.as_deref();
        let table_bytes = symtab::table_bytes(&self.image, &self.headers);
        let known = key
            .and_then(|key| store.get("symbols", key))
            .map(|content| symtab::decode_known(&content, table_bytes))
            .unwrap_or_default();
        let recall = |name: &&str| known.get(*name).copied();
        let raws: Option<Vec<Option<Raw>>> = names.iter().map(recall).collect();
        let raws = raws.unwrap_or_else(|| {
            let raws = symtab::find_symbols(&self.image, &self.headers, names);
            let mut known = known;
            let new = names.iter().map(|name| (*name).to_owned()).zip(&raws);
            known.extend(new.map(|(name, &raw)| (name, raw)));
            if let Some(key) = key {
                store.put("symbols", key, &symtab::encode_known(&known, table_bytes));
            }
            raws
        });
        raws.into_iter()
            .map(|raw| raw.map(|raw| self.place(raw)))
            .collect()
    }
}

/// A symbol or section as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw {
    value: u64,
    size: u64,
}
