//! The process that is to be entered: where its interpreter is, and the functions of it that are called.

use crate::error::EnterError;
use cpython::locate::{Located, locate};
use cpython::runtime::{FindError, Runtime};
use process::elf::{Module, modules};
use process::{LiveMemory, Maps, Memory, PageCache, ProcStatus};
use snapshot::Address;
use std::path::{Path, PathBuf};

/// `mov $15,%rax; syscall`: how glibc and musl call rt_sigreturn(2), at a place that debuggers know it by.
const RESTORER: &[u8] = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05";
/// Most bytes of a mapping that are searched for it.
const SEARCHED_MAX: u64 = 8 << 20;
/// Bytes looked at in one piece.
const PIECE: usize = 1 << 18;
/// Most modules whose slack is looked at.
const MODULES_MAX: usize = 64;

/// A process, opened for being entered.
pub(crate) struct Target {
    pub pid: u32,
    pub memory: PageCache<LiveMemory>,
    pub runtime: Runtime,
    /// `PyRun_SimpleString`.
    pub run_string: Option<Address>,
    /// `PyGILState_Ensure` and `PyGILState_Release`.
    pub gil_state: Option<(Address, Address)>,
    modules: Vec<Module>,
    maps: Maps,
}

impl Target {
    pub fn open(pid: u32) -> Result<Target, EnterError> {
        let maps = Maps::read(pid)?;
        let memory = PageCache::new(LiveMemory::new(pid));
        let mut modules = modules(&maps);
        if modules.is_empty() && ProcStatus::read(pid)?.is_zombie() {
            return Err(EnterError::Ended(pid));
        }
        let executable = process::proc::executable(pid).ok().map(|exe| exe.path);
        let open = |module: &Module| module.open(pid, &memory);
        let found = locate(&mut modules, executable.as_deref(), &memory, &open);
        let runtime = match found {
            Located::Python(runtime) => *runtime,
            Located::PyPy => {
                return Err(EnterError::NotPython {
                    pid,
                    error: FindError::NotPython,
                });
            }
            Located::Nothing(error) => return Err(EnterError::NotPython { pid, error }),
        };
        modules.sort_by_key(|module| module.start);
        let own = (modules.iter().rev()).find(|module| module.start <= runtime.address);
        let names = [
            "PyRun_SimpleString",
            "PyGILState_Ensure",
            "PyGILState_Release",
        ];
        let elf = own.and_then(|module| module.open(pid, &memory).ok());
        let found = elf.map(|elf| elf.find(&names, &[]).symbols);
        let symbol = |index: usize| {
            let symbol = found.as_ref()?.get(index).copied().flatten()?;
            Some(symbol.address)
        };
        let (run_string, ensure, release) = (symbol(0), symbol(1), symbol(2));
        drop(found);
        Ok(Target {
            pid,
            runtime,
            run_string,
            gil_state: ensure.zip(release),
            modules,
            maps,
            memory,
        })
    }

    /// Memory that can be written and belongs to nothing, `bytes` of it, all zeroes or for `is_ours` to tell: behind
    /// the interpreter's data, else behind another module's.
    pub fn slack(&self, bytes: u64, is_ours: impl Fn(Address, &[u8]) -> bool) -> Option<Address> {
        let own = |module: &&Module| module.start <= self.runtime.address;
        let first = self.modules.iter().rev().find(own);
        let others = self.modules.iter().take(MODULES_MAX);
        let slack = |module: &Module| {
            let (start, room) = module.open(self.pid, &self.memory).ok()?.slack()?;
            let aligned = Address(start.0.checked_next_multiple_of(16)?);
            let room = room.checked_sub(aligned.0 - start.0)?;
            let mapping = self.maps.iter().find(|m| m.contains(aligned))?;
            if room < bytes || !mapping.perms.write || mapping.perms.shared {
                return None;
            }
            let mut content = vec![0; usize::try_from(bytes).ok()?];
            self.memory.read(aligned, &mut content).ok()?;
            let free = content.iter().all(|byte| *byte == 0) || is_ours(aligned, &content);
            free.then_some(aligned)
        };
        first.into_iter().chain(others).find_map(slack)
    }

    /// Where libc calls rt_sigreturn(2).
    pub fn restorer(&self) -> Option<Address> {
        let is_libc = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| {
                name.starts_with("libc.")
                    || name.starts_with("libc-")
                    || name.starts_with("ld-musl")
            })
        };
        // A static executable has its libc inside.
        let executable = self.modules.first().map(|module| module.path.clone());
        let of = |wanted: &dyn Fn(&PathBuf) -> bool| {
            let mappings = self.maps.iter().filter(|mapping| {
                mapping.perms.execute && mapping.path.as_ref().is_some_and(wanted)
            });
            let mut found = mappings.filter_map(|mapping| {
                self.find(mapping.start, mapping.len().min(SEARCHED_MAX), RESTORER)
            });
            found.next()
        };
        of(&|path| is_libc(path)).or_else(|| of(&|path| Some(path) == executable.as_ref()))
    }

    /// `dlopen`, where the process has one.
    pub fn dlopen(&self) -> Option<Address> {
        let is_likely = |module: &&Module| {
            let name = module.path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| {
                ["libc.", "libc-", "libdl", "ld-musl"]
                    .iter()
                    .any(|start| name.starts_with(start))
            })
        };
        self.modules.iter().filter(is_likely).find_map(|module| {
            let elf = module.open(self.pid, &self.memory).ok()?;
            let found = elf.find_quick(&["dlopen"], &[]);
            let symbol = found.symbols.first().copied().flatten()?;
            Some(symbol.address)
        })
    }

    fn find(&self, start: Address, length: u64, wanted: &[u8]) -> Option<Address> {
        let memory = LiveMemory::new(self.pid);
        let mut at = 0;
        while at < length {
            let size = usize::try_from(length - at).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; size];
            memory.read(start.plus(at), &mut piece).ok()?;
            let mut windows = piece.windows(wanted.len());
            if let Some(offset) = windows.position(|window| window == wanted) {
                return Some(start.plus(at + offset as u64));
            }
            if size <= wanted.len() {
                return None;
            }
            // What lies across the border of two pieces is in the next one.
            at += (size - wanted.len() + 1) as u64;
        }
        None
    }
}
