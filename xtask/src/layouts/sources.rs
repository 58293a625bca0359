//! Builds of CPython that come with debugging information.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cpython::layout::{FINAL, Version};
use testkit::Interpreter;

/// One build and the files that have its DWARF.
#[derive(Debug, Clone)]
pub struct Source {
    /// Which version it is.
    pub version: Version,
    /// Where the information came from, for people.
    pub origin: String,
    /// Linked files or detached debug files.
    pub files: Vec<PathBuf>,
}

/// Extension modules whose private structs are declared, where they are files of their own.
const MODULES: [&str; 8] = [
    "_asyncio",
    "_queue",
    "_decimal",
    "_collections",
    "_datetime",
    "_functools",
    "_multiprocessing",
    "_thread",
];

impl Source {
    /// `3.13.0t`.
    pub fn label(&self) -> String {
        format!(
            "{}{}",
            self.version,
            if self.version.free_threaded { "t" } else { "" }
        )
    }
}

/// An interpreter's version.
pub fn version(interpreter: &Interpreter) -> Version {
    let (major, minor, micro) = interpreter.version;
    Version {
        free_threaded: interpreter.free_threaded,
        ..Version::new(major, minor, micro)
    }
}

/// What an interpreter has itself.
pub fn own(interpreter: &Interpreter) -> Option<Source> {
    let mut files = vec![interpreter.object().to_owned()];
    files.extend(modules(interpreter));
    interpreter.dwarf.then(|| Source {
        version: version(interpreter),
        origin: "its own".to_owned(),
        files,
    })
}

/// Its extension modules that have structs of interest.
pub fn modules(interpreter: &Interpreter) -> Vec<PathBuf> {
    let Some(prefix) = interpreter.path.parent().and_then(Path::parent) else {
        return Vec::new();
    };
    files(&prefix.join(format!("lib/python{}/lib-dynload", interpreter.tag)))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            MODULES.contains(&name.split('.').next().unwrap_or_default())
        })
        .collect()
}

/// The files of a directory, by name.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// `3.14.2t=DIR`.
pub fn parse_named(text: &str) -> Result<Source> {
    let (name, directory) = text.split_once('=').context("VERSION=DIR is wanted")?;
    let numbers = name.strip_suffix('t').unwrap_or(name);
    let parts: Vec<u8> = numbers
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let &[major, minor, micro] = parts.as_slice() else {
        anyhow::bail!("{name} is no version")
    };
    let files = files(Path::new(directory));
    ensure!(!files.is_empty(), "no file in {directory}");
    let version = Version {
        major,
        minor,
        micro,
        level: FINAL,
        serial: 0,
        free_threaded: name.ends_with('t'),
    };
    Ok(Source {
        version,
        origin: "debug files".to_owned(),
        files,
    })
}
