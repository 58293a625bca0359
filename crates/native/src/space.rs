//! What is executable in a process, file by file.

use crate::names;
use framehop::x86_64::{CacheX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Unwinder};
use process::elf::{Elf, ElfError, Functions, Module, UnwindData, modules};
use process::{Maps, Memory};
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most addresses whose function is kept in mind; then all are forgotten.
const ADDRESSES_MAX: usize = 1 << 16;
/// Most functions that are told apart.
const FUNCTIONS_MAX: usize = 1 << 20;
/// No file is made for addresses from here on.
const ADDRESS_MAX: u64 = 1 << 56;
/// What stands for code that belongs to no file: made at run time, or a place where no code can be.
const UNKNOWN: &str = "[unknown]";
/// The kernel's part of each process.
const VDSO: &str = "[vdso]";

/// Where a process's memory and files are read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its memory.
    pub memory: &'a dyn Memory,
    /// Opens a file that it has mapped.
    pub open: &'a dyn Fn(&Module) -> Result<Elf<'a>, ElfError>,
}

/// A function, by its number in its [`Space`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name, demangled. `libx.so+0x1a40`: it has none, but starts there. `[unknown]`: code of no file.
    pub name: String,
    /// The path of the file that it is in, as the target sees it; empty where it is in none.
    pub file: Arc<str>,
    /// Where it starts in the target; 0 where that is not known.
    pub start: u64,
}

/// A file that is mapped, opened when it is first met.
struct Loaded {
    module: Module,
    file: Arc<str>,
    opened: bool,
    /// What to add to its own addresses to get the target's.
    bias: u64,
    unwind: Option<UnwindData>,
    functions: Functions,
}

/// The executable memory of a process, and how to unwind through it.
pub struct Space {
    maps: Maps,
    /// By address.
    loaded: Vec<Loaded>,
    pub(crate) unwinder: UnwinderX86_64<Vec<u8>>,
    pub(crate) cache: Box<CacheX86_64>,
    functions: Vec<Function>,
    by_start: FxHashMap<(Arc<str>, u64), FunctionId>,
    by_address: FxHashMap<u64, FunctionId>,
    /// Whether an address was met that the list of mappings does not have.
    pub(crate) stale: bool,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({} modules)", self.loaded.len())
    }
}

impl Space {
    /// Of a process with these mappings. Nothing is opened yet.
    pub fn new(maps: Maps) -> Space {
        let mut space = Space {
            maps: Maps::default(),
            loaded: Vec::new(),
            unwinder: UnwinderX86_64::new(),
            cache: Box::new(CacheX86_64::new()),
            functions: Vec::new(),
            by_start: FxHashMap::default(),
            by_address: FxHashMap::default(),
            stale: false,
        };
        // Number 0, for what cannot be told.
        space.add(UNKNOWN.to_owned(), Arc::from(""), 0);
        space.renew(maps);
        space
    }

    /// Takes over what is mapped now; files that still are where they were stay open. Functions keep their numbers.
    pub fn renew(&mut self, maps: Maps) {
        let mut found = modules(&maps);
        found.extend(vdso(&maps));
        found.sort_by_key(|module| module.start);
        let mut old = std::mem::take(&mut self.loaded);
        for module in found {
            let same = old.iter().position(|loaded| loaded.module == module);
            let loaded = match same {
                Some(index) => old.swap_remove(index),
                None => Loaded {
                    file: Arc::from(&*module.path.to_string_lossy()),
                    module,
                    opened: false,
                    bias: 0,
                    unwind: None,
                    functions: Functions::default(),
                },
            };
            self.loaded.push(loaded);
        }
        for gone in old.iter().filter(|loaded| loaded.opened) {
            self.unwinder.remove_module(gone.module.start.0);
        }
        self.by_address.clear();
        self.maps = maps;
        self.stale = false;
    }

    /// Whether code was met that was not mapped when the mappings were listed, so that it is worth while to
    /// [`Space::renew`] them.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// What is mapped, as it was last told.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// A function by its number.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.functions.get(id.0 as usize)
    }

    /// Whether code can be at this address.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        let mapping = self.maps.find(Address(address));
        mapping.is_some_and(|mapping| mapping.perms.execute)
    }

    /// Whether code at this address belongs to a file.
    pub(crate) fn has_module(&self, address: u64) -> bool {
        self.module(address).is_some()
    }

    fn module(&self, address: u64) -> Option<usize> {
        let behind = self.loaded.partition_point(|l| l.module.start.0 <= address);
        let index = behind.checked_sub(1)?;
        let inside = address < self.loaded.get(index)?.module.end.0;
        inside.then_some(index)
    }

    /// Opens the file that `address` lies in, unless that was done before.
    pub(crate) fn enter(&mut self, source: &Source<'_>, address: u64) -> Option<usize> {
        let index = self.module(address)?;
        let loaded = self.loaded.get_mut(index)?;
        if loaded.opened {
            return Some(index);
        }
        loaded.opened = true;
        if let Ok(elf) = (source.open)(&loaded.module) {
            loaded.bias = elf.bias();
            loaded.unwind = elf.unwind_data();
            loaded.functions = elf.functions();
        }
        let range = loaded.module.start.0..loaded.module.end.0;
        let base = loaded.module.start.0.wrapping_sub(loaded.bias);
        let start = range.start;
        let sections = sections(base, loaded.unwind.as_ref().filter(|_| base < ADDRESS_MAX));
        let name = loaded.file.to_string();
        self.unwinder
            .add_module(framehop::Module::new(name, range, start, sections));
        Some(index)
    }

    /// The function that the code at `address` belongs to.
    pub(crate) fn function_at(&mut self, source: &Source<'_>, address: u64) -> FunctionId {
        if let Some(id) = self.by_address.get(&address) {
            return *id;
        }
        let id = self.find_function(source, address);
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.clear();
        }
        self.by_address.insert(address, id);
        id
    }

    fn find_function(&mut self, source: &Source<'_>, address: u64) -> FunctionId {
        let Some(index) = self.enter(source, address) else {
            let file = self.maps.find(Address(address));
            let file = file.and_then(|mapping| mapping.path.as_deref());
            let file = file.map_or_else(String::new, |path| path.to_string_lossy().into_owned());
            return self.add(UNKNOWN.to_owned(), Arc::from(file), 0);
        };
        let Some(loaded) = self.loaded.get(index) else {
            return self.add(UNKNOWN.to_owned(), Arc::from(""), 0);
        };
        let own = address.wrapping_sub(loaded.bias);
        let file = loaded.file.clone();
        if let Some(found) = loaded.functions.find(own) {
            let start = found.start.wrapping_add(loaded.bias);
            if let Some(id) = self.by_start.get(&(file.clone(), start)) {
                return *id;
            }
            let name = names::shown(found.name);
            return self.add(name, file, start);
        }
        let start = loaded.unwind.as_ref().and_then(|u| u.function_start(own));
        let start = start.unwrap_or(own & !0xfff);
        let library = Path::new(&*file).file_name();
        let library = library.map(|name| name.to_string_lossy().into_owned());
        let name = format!("{}+{start:#x}", library.unwrap_or_default());
        let start = start.wrapping_add(loaded.bias);
        self.add(name, file, start)
    }

    fn add(&mut self, name: String, file: Arc<str>, start: u64) -> FunctionId {
        let key = (file.clone(), start);
        if let Some(id) = self.by_start.get(&key) {
            return *id;
        }
        if self.functions.len() >= FUNCTIONS_MAX {
            return FunctionId(0);
        }
        let id = FunctionId(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        self.functions.push(Function { name, file, start });
        self.by_start.insert(key, id);
        id
    }
}

/// The kernel's own code in a process: an ELF file that is nowhere but in memory.
fn vdso(maps: &Maps) -> Option<Module> {
    let mapping = maps
        .iter()
        .find(|mapping| mapping.path.as_deref() == Some(VDSO.as_ref()))?;
    Some(Module {
        path: VDSO.into(),
        deleted: false,
        dev: 0,
        inode: 0,
        start: mapping.start,
        first_end: mapping.end,
        end: mapping.end,
        offset: 0,
    })
}

/// A file's unwind data in the form that framehop takes.
fn sections(base: u64, data: Option<&UnwindData>) -> ExplicitModuleSectionInfo<Vec<u8>> {
    let range = |piece: &process::elf::Piece| {
        piece.address..piece.address.saturating_add(piece.bytes.len() as u64)
    };
    let index = data.and_then(|data| data.index.as_ref());
    ExplicitModuleSectionInfo {
        base_svma: base,
        eh_frame_svma: data.map(|data| range(&data.frames)),
        eh_frame: data.map(|data| data.frames.bytes.clone()),
        eh_frame_hdr_svma: index.map(range),
        eh_frame_hdr: index.map(|index| index.bytes.clone()),
        ..ExplicitModuleSectionInfo::default()
    }
}
