//! Finding the interpreter in a process.

use crate::caches::Caches;
use crate::layout::Layout;
use crate::reader::Reader;
use process::Memory;
use snapshot::Address;

/// What the process's executables and libraries tell of Python; all of it may be missing.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    /// The symbol `_PyRuntime`.
    pub runtime: Option<Address>,
    /// The section `.PyRuntime` (3.11+): where it begins and its bytes.
    pub runtime_section: Option<(Address, u64)>,
    /// The symbol `Py_Version` (3.11+).
    pub py_version: Option<Address>,
    /// Paths of the executable and of the library that hold Python: they tell a version by their names.
    pub hints: Vec<String>,
}

/// Why no interpreter can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Neither symbol nor section.
    #[error("no CPython 3.8 or later in it")]
    NotPython,
    /// A CPython that is too old.
    #[error("it runs Python {0}, and 3.8 is the oldest that can be read")]
    TooOld(String),
    /// A CPython that is newer than the tables.
    #[error("it runs Python {0}, which is newer than what can be read")]
    TooNew(String),
    /// The interpreter has not been set up yet, or has been shut down.
    #[error("its interpreter has not started yet, or has ended")]
    NotInitialized,
    /// What stands in memory fits no version.
    #[error("its interpreter's state makes no sense in any known version's layout")]
    Garbage,
    /// The memory could not be read.
    #[error(transparent)]
    Memory(#[from] process::ReadError),
}

/// An interpreter's runtime, found, its version and layout known.
#[derive(Debug)]
pub struct Runtime {
    /// `_PyRuntime`.
    pub address: Address,
    /// Where everything lies.
    pub layout: Layout,
    /// Built without the GIL.
    pub free_threaded: bool,
    /// What is kept over the looks at this process.
    pub caches: Caches,
}

impl Runtime {
    /// Finds it.
    ///
    /// # Errors
    /// [`FindError`] says why there is none to read.
    pub fn find(memory: &dyn Memory, symbols: &Symbols) -> Result<Runtime, FindError> {
        let _ = (memory, symbols);
        Err(FindError::NotPython)
    }

    /// A reader of this process's objects; `memory` is the process's.
    pub fn reader<'a>(&'a self, memory: &'a dyn Memory) -> Reader<'a> {
        Reader::new(memory, &self.layout, &self.caches)
    }
}
