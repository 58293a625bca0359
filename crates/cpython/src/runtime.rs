//! Finding the interpreter in a process.

use crate::bytecode::Dialect;
use crate::caches::Caches;
use crate::layout::debug_offsets::{COOKIE, DEBUG_OFFSETS_SIZE, version as version_of_offsets};
use crate::layout::{DebugOffsetsError, Layout, Version};
use crate::reader::Reader;
use crate::refined::refined;
use process::{Memory, ReadError};
use snapshot::Address;

/// The oldest version that can be read.
const OLDEST: (u8, u8) = (3, 8);

/// What the process's executables and libraries tell of Python; all of it may be missing.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    /// The symbol `_PyRuntime`.
    pub runtime: Option<Address>,
    /// The section `.PyRuntime` (3.11+): where it begins and its bytes.
    pub runtime_section: Option<(Address, u64)>,
    /// The symbol `Py_Version` (3.11+).
    pub py_version: Option<Address>,
    /// The symbol `_Py_HashSecret`.
    pub hash_secret: Option<Address>,
    /// Paths of the executable and of the library that hold Python: they tell a version by their names.
    pub hints: Vec<String>,
}

/// Why no interpreter can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Neither symbol nor section.
    #[error("no CPython 3.8 or later is in it")]
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
    #[error("its interpreter's state makes no sense in the layout of any known version")]
    Garbage,
    /// The memory could not be read.
    #[error(transparent)]
    Memory(#[from] ReadError),
}

/// An interpreter's runtime, found, its version and layout known.
#[derive(Debug)]
pub struct Runtime {
    /// `_PyRuntime`.
    pub address: Address,
    /// Its version; `free_threaded` tells a build without the GIL.
    pub version: Version,
    /// Where everything lies.
    pub layout: Layout,
    /// Its bytecode.
    pub dialect: &'static Dialect,
    /// What is kept over the looks at this process.
    pub caches: Caches,
}

impl Runtime {
    /// Finds it.
    ///
    /// # Errors
    /// [`FindError`] says why there is none to read.
    pub fn find(memory: &dyn Memory, symbols: &Symbols) -> Result<Runtime, FindError> {
        let hinted = symbols.hints.iter().rev().find_map(|path| version_in(path));
        let section = symbols.runtime_section.map(|(start, _)| start);
        let mut error = match hinted {
            Some(version) if version < OLDEST => return Err(too_old(version)),
            _ => FindError::NotPython,
        };
        for address in section.into_iter().chain(symbols.runtime) {
            match at(memory, symbols, address, hinted) {
                Ok(runtime) => return Ok(runtime),
                Err(found) => error = found,
            }
        }
        Err(error)
    }

    /// A reader of this process's objects; `memory` is the process's.
    pub fn reader<'a>(&'a self, memory: &'a dyn Memory) -> Reader<'a> {
        Reader::new(memory, &self.layout, &self.caches)
    }

    fn new(
        address: Address,
        version: Version,
        layout: Layout,
        symbols: &Symbols,
    ) -> Result<Runtime, FindError> {
        let dialect = Dialect::for_version(hex(&version))
            .ok_or_else(|| FindError::TooNew(version.to_string()))?;
        Ok(Runtime {
            address,
            version,
            layout,
            dialect,
            caches: Caches::new(dialect, symbols.hash_secret),
        })
    }
}

/// `PY_VERSION_HEX`.
fn hex(version: &Version) -> u32 {
    let stage = version.level << 4 | version.serial & 0xf;
    u32::from_be_bytes([version.major, version.minor, version.micro, stage])
}

fn too_old((major, minor): (u8, u8)) -> FindError {
    FindError::TooOld(format!("{major}.{minor}"))
}

/// The runtime at `address`, by what the process itself tells of its version.
fn at(
    memory: &dyn Memory,
    symbols: &Symbols,
    address: Address,
    hinted: Option<(u8, u8)>,
) -> Result<Runtime, FindError> {
    if let Some(offsets) = debug_offsets(memory, address)? {
        let (version, layout) = layout_by_offsets(&offsets)?;
        return confirmed(memory, Runtime::new(address, version, layout, symbols)?);
    }
    if let Some(place) = symbols.py_version {
        let mut word = [0; 4];
        memory.read(place, &mut word)?;
        let version = Version::from_hex(u32::from_le_bytes(word));
        if version.is_plausible() {
            let layout = known_layout(&version)?;
            return confirmed(memory, Runtime::new(address, version, layout, symbols)?);
        }
    }
    tried(memory, symbols, address, hinted)
}

/// The bytes of the debug offsets; `None` before 3.13.
fn debug_offsets(memory: &dyn Memory, address: Address) -> Result<Option<Vec<u8>>, ReadError> {
    let mut cookie = [0; COOKIE.len()];
    memory.read(address, &mut cookie)?;
    if &cookie != COOKIE {
        return Ok(None);
    }
    let mut length = DEBUG_OFFSETS_SIZE;
    let mut bytes = vec![0; length];
    // The runtime may end, and its mapping with it.
    while memory.read(address, &mut bytes).is_err() && length > COOKIE.len() {
        length /= 2;
        bytes.truncate(length);
    }
    Ok(Some(bytes))
}

fn layout_by_offsets(offsets: &[u8]) -> Result<(Version, Layout), FindError> {
    match Layout::from_debug_offsets(offsets) {
        Ok((layout, info)) => Ok((info.version, layout)),
        Err(DebugOffsetsError::Unknown(version)) => {
            Err(known_layout(&version).err().unwrap_or(FindError::Garbage))
        }
        // Where they make no sense, the tables stand.
        Err(_) => {
            let version = version_of_offsets(offsets).map_err(|_| FindError::Garbage)?;
            Ok((version, known_layout(&version)?))
        }
    }
}

fn known_layout(version: &Version) -> Result<Layout, FindError> {
    if (version.major, version.minor) < OLDEST {
        return Err(too_old((version.major, version.minor)));
    }
    Layout::for_version(version).ok_or_else(|| FindError::TooNew(version.to_string()))
}

/// The runtime, unless its first interpreter says that it is another version.
fn confirmed(memory: &dyn Memory, runtime: Runtime) -> Result<Runtime, FindError> {
    match said_version(&runtime.reader(memory), runtime.address) {
        Said::Nothing => Err(FindError::NotInitialized),
        Said::Unreadable if !runtime_is_there(memory, &runtime) => Err(FindError::Garbage),
        Said::Version(said) if !same_minor(&said, &runtime.version) => Err(FindError::Garbage),
        // A dictionary that changes under the reading proves nothing.
        Said::Version(_) | Said::Unreadable => Ok(as_it_is(memory, runtime)),
    }
}

/// The runtime with the structs that changed within a minor version as this process has them.
fn as_it_is(memory: &dyn Memory, runtime: Runtime) -> Runtime {
    let reader = runtime.reader(memory);
    let head: Result<Address, _> =
        reader.get(runtime.address, reader.layout.runtime.interpreters_head);
    let layout = head
        .ok()
        .and_then(|head| refined(&reader, &runtime.version, head));
    match layout {
        Some(layout) => {
            runtime.caches.begin_look();
            Runtime { layout, ..runtime }
        }
        None => runtime,
    }
}

/// Whether the first interpreter has an identity that can be.
fn runtime_is_there(memory: &dyn Memory, runtime: &Runtime) -> bool {
    let reader = runtime.reader(memory);
    let head: Result<Address, _> =
        reader.get(runtime.address, reader.layout.runtime.interpreters_head);
    head.and_then(|head| reader.get(head, reader.layout.interpreter.id))
        .is_ok_and(|id| (0..1 << 32).contains(&id))
}

/// Tries one layout after the other, the hinted version's first (3.8–3.10 do not tell their version).
fn tried(
    memory: &dyn Memory,
    symbols: &Symbols,
    address: Address,
    hinted: Option<(u8, u8)>,
) -> Result<Runtime, FindError> {
    let mut candidates: Vec<(Version, Layout)> = Layout::candidates().collect();
    candidates.sort_by_key(|(version, _)| Some((version.major, version.minor)) != hinted);
    let mut empty = !candidates.is_empty();
    for (version, layout) in candidates {
        let hinted = Some((version.major, version.minor)) == hinted;
        let runtime = Runtime::new(address, version, layout, symbols)?;
        match said_version(&runtime.reader(memory), address) {
            Said::Version(said) if same_minor(&said, &version) => {
                let version = Version {
                    free_threaded: version.free_threaded,
                    ..said
                };
                let runtime = Runtime::new(address, version, known_layout(&version)?, symbols)?;
                return Ok(as_it_is(memory, runtime));
            }
            Said::Nothing if hinted => return Err(FindError::NotInitialized),
            Said::Nothing => (),
            Said::Version(_) | Said::Unreadable => empty = false,
        }
    }
    Err(if empty {
        FindError::NotInitialized
    } else {
        FindError::Garbage
    })
}

fn same_minor(one: &Version, other: &Version) -> bool {
    (one.major, one.minor) == (other.major, other.minor)
}

/// What the first interpreter says of its version.
enum Said {
    /// `sys.hexversion`.
    Version(Version),
    /// There is no interpreter, or it has no `sys` yet.
    Nothing,
    /// It cannot be read.
    Unreadable,
}

fn said_version(reader: &Reader<'_>, runtime: Address) -> Said {
    let read = || -> Result<Said, ReadError> {
        let head: Address = reader.get(runtime, reader.layout.runtime.interpreters_head)?;
        if head.is_null() {
            return Ok(Said::Nothing);
        }
        let dict: Address = reader.get(head, reader.layout.interpreter.sysdict)?;
        if dict.is_null() {
            return Ok(Said::Nothing);
        }
        let Some(version) = reader.dict_get(dict, "hexversion")? else {
            return Ok(Said::Unreadable);
        };
        let hex = u32::try_from(reader.int(version)?);
        let hex = hex.map_err(|_| ReadError::Nonsense(version))?;
        Ok(Said::Version(Version::from_hex(hex)))
    };
    read().unwrap_or(Said::Unreadable)
}

/// The version in a name like `libpython3.9.so.1.0` or `python3.12`.
fn version_in(path: &str) -> Option<(u8, u8)> {
    let name = path.rsplit('/').next()?;
    let name = name.strip_prefix("lib").unwrap_or(name);
    let rest = name.strip_prefix("python")?;
    let (major, rest) = rest.split_once('.')?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn names_tell_versions() {
        assert_eq!(version_in("/usr/lib/libpython3.9.so.1.0"), Some((3, 9)));
        assert_eq!(version_in("/opt/python/bin/python3.12"), Some((3, 12)));
        assert_eq!(version_in("/usr/lib/libpython3.7m.so.1.0"), Some((3, 7)));
        assert_eq!(version_in("/usr/bin/python2.7"), Some((2, 7)));
        assert_eq!(version_in("/usr/bin/python3"), None);
        assert_eq!(version_in("/usr/lib/libboost_python3.7.so"), None);
        assert_eq!(version_in("/usr/bin/pypy3.9"), None);
    }
}
