//! One process or core, opened: its memory, what is mapped, and the Python in it.

use crate::{LookError, Options, facts};
use cpython::locate::{Located, locate};
use cpython::read::KernelThread;
use cpython::runtime::{FindError, Runtime};
use process::elf::{Module, modules};
use process::{LiveMemory, Maps, Memory, PageCache, ProcError, ProcStatus, ReadError, Watch};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// For so long after a process was opened a first look still counts as begun with that.
const FRESH: Duration = Duration::from_millis(50);

/// A live process, opened.
#[derive(Debug)]
pub struct Opened {
    /// Its PID, in unknot's numbering.
    pub pid: u32,
    /// When it started, in clock ticks since boot: the same PID may come to mean another process.
    pub start: u64,
    /// What was mapped when it was opened.
    pub maps: Maps,
    /// Its memory.
    pub memory: PageCache<LiveMemory>,
    /// The Python in it, or why there is none to read.
    pub runtime: Result<Runtime, FindError>,
    /// What is executable in it, once native frames were asked for.
    pub(crate) space: RefCell<Option<native::Space>>,
    /// The look that began with its opening.
    begun: RefCell<Option<Begun>>,
}

/// What is known of a process when a look at it begins.
#[derive(Debug)]
pub(crate) struct Begun {
    pub status: ProcStatus,
    pub watch: Option<Watch>,
    pub kernel: Vec<KernelThread>,
    at: Instant,
}

impl Begun {
    fn now(pid: u32, options: Options) -> Result<Begun, ProcError> {
        let status = ProcStatus::read(pid)?;
        let mut watch = Watch::open(pid).ok();
        let kernel = facts::kernel_threads(pid, &status, watch.as_mut(), options);
        Ok(Begun {
            status,
            watch,
            kernel,
            at: Instant::now(),
        })
    }
}

impl Opened {
    /// Opens a process; one that runs no Python is opened too. With options a look at it begins with that.
    ///
    /// # Errors
    /// When it does not exist or may not be read.
    pub fn open(pid: u32, look: Option<Options>) -> Result<Opened, LookError> {
        let start = process::proc::start_time(pid)?;
        // What is read from here on counts for the first look.
        let begun = look.map(|options| Begun::now(pid, options)).transpose()?;
        let maps = Maps::read(pid)?;
        let memory = PageCache::new(LiveMemory::new(pid));
        let runtime = find(pid, &maps, &memory)?;
        Ok(Opened {
            pid,
            start,
            maps,
            memory,
            runtime,
            space: RefCell::new(None),
            begun: RefCell::new(begun),
        })
    }

    /// Begins a look: nothing of what was read before counts, unless it was opened just now.
    pub(crate) fn begin(&self, options: Options) -> Result<Begun, ProcError> {
        match self.begun.take() {
            Some(begun) if begun.at.elapsed() < FRESH => Ok(begun),
            _ => {
                self.memory.clear();
                Begun::now(self.pid, options)
            }
        }
    }

    /// Whether it is still the same process, running the same program.
    pub fn is_same(&self) -> bool {
        process::proc::start_time(self.pid).is_ok_and(|start| start == self.start)
    }
}

/// Finds the Python in a process: first where its name says that it is, then in every mapped module.
fn find(
    pid: u32,
    maps: &Maps,
    memory: &dyn Memory,
) -> Result<Result<Runtime, FindError>, LookError> {
    let mut all = modules(maps);
    if all.is_empty() && maps.is_empty() {
        let zombie = process::ProcStatus::read(pid)?.is_zombie();
        return if zombie {
            Err(LookError::Zombie(pid))
        } else {
            Ok(Err(FindError::NotPython))
        };
    }
    let executable = process::proc::executable(pid).ok().map(|exe| exe.path);
    let open = |module: &Module| module.open(pid, memory);
    match locate(&mut all, executable.as_deref(), memory, &open) {
        Located::PyPy => Err(LookError::PyPy(pid)),
        Located::Python(runtime) => Ok(Ok(*runtime)),
        // Newer kernels show what is mapped to some who may not read it (CAP_PERFMON).
        Located::Nothing(_) if is_forbidden(maps, memory) => Err(ProcError::Denied(pid).into()),
        Located::Nothing(error) => Ok(Err(error)),
    }
}

/// Whether the kernel refuses to show the memory that it says is there.
fn is_forbidden(maps: &Maps, memory: &dyn Memory) -> bool {
    let first = maps.iter().find(|map| map.perms.read);
    first.is_some_and(|map| memory.read(map.start, &mut [0]) == Err(ReadError::Denied))
}
