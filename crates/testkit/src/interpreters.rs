//! The CPythons on this machine.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use object::{Object as _, ReadCache};

use crate::run_limited;

/// What unknot reads: the minor versions, `t` for the free-threaded build.
pub const TAGS: [&str; 11] = [
    "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "3.13t", "3.14t", "3.15t",
];

/// Where an interpreter was found, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Named by the variable `UNKNOT_PYTHONS`: interpreters, or directories of installations, with a comma or colon between them.
    Environment,
    /// One of pyenv's versions.
    Pyenv,
    /// Brought by `cargo xtask pythons`.
    Fetched,
    /// On `PATH`.
    Path,
}

/// One CPython, 3.8 or later, that runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable, without symbolic links.
    pub path: PathBuf,
    /// Where it was found.
    pub source: Source,
    /// `(3, 11, 7)`.
    pub version: (u8, u8, u8),
    /// `final`, or `alpha3`, `beta1`, `candidate2`.
    pub release: String,
    /// `3.11`, `3.13t`; a debug build has a `d` at its end.
    pub tag: String,
    /// Built without the GIL.
    pub free_threaded: bool,
    /// The interpreter's code is in this shared library; `None` where the executable holds it.
    pub libpython: Option<PathBuf>,
    /// The object that holds the interpreter's code has DWARF in it (`.debug_info`).
    pub dwarf: bool,
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, micro) = self.version;
        write!(f, "{:6} {major}.{minor}.{micro}", self.tag)?;
        if self.release != "final" {
            write!(f, " {}", self.release)?;
        }
        write!(f, "  {}", self.path.display())?;
        let build = if self.libpython.is_some() {
            "shared"
        } else {
            "static"
        };
        write!(f, "  ({build}{})", if self.dwarf { ", DWARF" } else { "" })
    }
}

impl Interpreter {
    /// The file that holds the interpreter's code: the shared library or the executable.
    pub fn object(&self) -> &Path {
        self.libpython.as_deref().unwrap_or(&self.path)
    }

    /// At least this minor version of Python 3.
    pub fn at_least(&self, minor: u8) -> bool {
        self.version.1 >= minor
    }

    /// Asks one interpreter what it is.
    fn probe(path: &Path, source: Source) -> Result<Self> {
        let mut command = Command::new(path);
        command
            .args(["-I", "-S", "-c", PROBE])
            .env_remove("LD_PRELOAD");
        let output = run_limited(&mut command, Duration::from_secs(60))?;
        ensure!(
            output.status.success(),
            "{} does not run: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines();
        let mut line = || lines.next().context("the interpreter said too little");
        let version: Vec<u8> = line()?
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let &[major, minor, micro] = version.as_slice() else {
            anyhow::bail!("no version: {version:?}")
        };
        let release = line()?.to_owned();
        let (flags, executable, library) = (line()?, line()?, line()?);
        ensure!(line()? == "cpython", "{} is not CPython", path.display());
        let free_threaded = flags.contains('t');
        let libpython = Some(library)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let executable = PathBuf::from(executable);
        let dwarf = has_dwarf(libpython.as_deref().unwrap_or(&executable)).unwrap_or(false);
        let tag = format!(
            "{major}.{minor}{}{}",
            if free_threaded { "t" } else { "" },
            if flags.contains('d') { "d" } else { "" }
        );
        Ok(Self {
            path: executable,
            source,
            version: (major, minor, micro),
            release,
            tag,
            free_threaded,
            libpython,
            dwarf,
        })
    }
}

const PROBE: &str = "
import os, sys
v = sys.version_info
print('%d.%d.%d' % v[:3])
print('final' if v[3] == 'final' else '%s%d' % v[3:5])
print(getattr(sys, 'abiflags', ''))
print(os.path.realpath(sys.executable))
libraries = {l.split(None, 5)[5].strip() for l in open('/proc/self/maps') if '/libpython' in l}
print(min((l for l in libraries if not l.endswith('libpython3.so')), default=''))
print(sys.implementation.name)
";

fn has_dwarf(path: &Path) -> Result<bool> {
    let cache = ReadCache::new(std::fs::File::open(path)?);
    Ok(object::File::parse(&cache)?
        .section_by_name(".debug_info")
        .is_some())
}

/// Every CPython found, the preferred first. Each is asked once in the life of the test process.
pub fn interpreters() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut seen = BTreeSet::new();
        let mut found: Vec<Interpreter> = candidates()
            .into_iter()
            .filter(|(path, _)| std::fs::canonicalize(path).is_ok_and(|real| seen.insert(real)))
            .filter_map(|(path, source)| match Interpreter::probe(&path, source) {
                Ok(interpreter) => Some(interpreter),
                // A version manager's stand-in for a version that is not chosen fails in its own way; what was named must run.
                Err(error) if source == Source::Environment => panic!("UNKNOT_PYTHONS: {error:#}"),
                Err(_) => None,
            })
            .filter(|interpreter| interpreter.version >= (3, 8, 0))
            .collect();
        found.sort_by_key(|i| (i.source, std::cmp::Reverse(i.version)));
        let mut seen = BTreeSet::new();
        found.retain(|interpreter| seen.insert(interpreter.path.clone()));
        found
    })
}

/// One interpreter for each tag of [`TAGS`] that is here, in their order. Says once, past the test harness's capture,
/// which are not here; with `UNKNOT_REQUIRE_ALL=1` that is a failure.
pub fn matrix() -> Vec<&'static Interpreter> {
    static TOLD: OnceLock<()> = OnceLock::new();
    let absent = skipped();
    if !absent.is_empty() {
        let names = absent.join(", ");
        let required = std::env::var_os("UNKNOT_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(
            !required,
            "no interpreter for {names}, and UNKNOT_REQUIRE_ALL=1; `cargo xtask pythons` brings them"
        );
        TOLD.get_or_init(|| {
            let _ = writeln!(
                std::io::stderr(),
                "skipped, as not on this machine: {names}"
            );
        });
    }
    TAGS.iter().filter_map(|tag| find(tag)).collect()
}

/// The tags of [`TAGS`] for which this machine has no interpreter.
pub fn skipped() -> Vec<&'static str> {
    TAGS.into_iter().filter(|tag| find(tag).is_none()).collect()
}

fn find(tag: &str) -> Option<&'static Interpreter> {
    interpreters()
        .iter()
        .find(|interpreter| interpreter.tag == tag)
}

/// Where `cargo xtask pythons` puts what it brings: `unknot/pythons` in the user's cache directory.
pub fn pythons_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("unknot/pythons"))
}

fn candidates() -> Vec<(PathBuf, Source)> {
    let mut found = Vec::new();
    if let Some(named) = std::env::var_os("UNKNOT_PYTHONS") {
        for path in named
            .to_string_lossy()
            .split([',', ':'])
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
        {
            if path.is_dir() {
                found.extend(installations(&path).map(|path| (path, Source::Environment)));
            } else {
                found.push((path, Source::Environment));
            }
        }
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(home?.join(".pyenv")));
    if let Some(root) = pyenv {
        found.extend(installations(&root.join("versions")).map(|path| (path, Source::Pyenv)));
    }
    if let Some(directory) = pythons_dir() {
        found.extend(installations(&directory).map(|path| (path, Source::Fetched)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for directory in std::env::split_paths(&path) {
        let names = TAGS
            .iter()
            .map(|tag| format!("python{tag}"))
            .chain(["python3".to_owned()]);
        found.extend(
            names
                .map(|name| (directory.join(name), Source::Path))
                .filter(|(path, _)| path.is_file()),
        );
    }
    found
}

/// The interpreter of each installation `DIRECTORY/*/bin/python3`.
fn installations(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin/python3"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_is() {
        for interpreter in matrix() {
            assert!(
                interpreter.path.is_absolute() && interpreter.path.is_file(),
                "{interpreter}"
            );
            assert_eq!(
                interpreter.tag.ends_with('t'),
                interpreter.free_threaded,
                "{interpreter}"
            );
            assert!(!interpreter.release.is_empty(), "{interpreter}");
            let _ = writeln!(std::io::stderr(), "{interpreter}");
        }
    }

    #[test]
    fn here_or_skipped() {
        assert_eq!(matrix().len() + skipped().len(), TAGS.len());
    }
}
