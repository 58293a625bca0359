//! Finding the Python among the files that a process or core has mapped.

use crate::runtime::{FindError, Runtime, Symbols};
use process::Memory;
use process::elf::{Elf, ElfError, Module};
use std::path::Path;

/// What the executables and libraries are asked for.
const SYMBOLS: [&str; 4] = [
    "_PyRuntime",
    "Py_Version",
    "_Py_HashSecret",
    "pypy_main_startup",
];
const SECTIONS: [&str; 1] = [".PyRuntime"];

/// What was found among the modules of a process or core.
#[derive(Debug)]
pub enum Located {
    /// An interpreter.
    Python(Box<Runtime>),
    /// PyPy.
    PyPy,
    /// None, and why.
    Nothing(FindError),
}

/// Finds the Python among modules, which `open` opens.
pub fn locate<'m>(
    all: &mut [Module],
    executable: Option<&Path>,
    memory: &dyn Memory,
    open: &dyn Fn(&Module) -> Result<Elf<'m>, ElfError>,
) -> Located {
    let is_executable = |module: &Module| Some(module.path.as_path()) == executable;
    all.sort_by_key(|module| match file_name(&module.path) {
        name if name.starts_with("libpython") => 0,
        name if name.starts_with("python") => 1,
        _ if is_executable(module) => 2,
        _ => 3,
    });
    // Last of all the executable once more and in full: a program that has Python linked in and does not say so.
    let again = all.iter().filter(|module| is_executable(module));
    let modules = all.iter().map(|module| (module, is_likely(module)));
    let modules = modules.chain(again.map(|module| (module, true)));
    let mut outcome = FindError::NotPython;
    for (module, in_full) in modules {
        let symbols = symbols(module, open(module).ok(), in_full);
        if symbols.pypy {
            return Located::PyPy;
        }
        match Runtime::find(memory, &symbols.found) {
            Ok(runtime) => return Located::Python(Box::new(runtime)),
            // What another module told is more than that.
            Err(FindError::NotPython) => (),
            Err(error) => outcome = error,
        }
    }
    Located::Nothing(outcome)
}

/// What one module tells.
struct Told {
    found: Symbols,
    pypy: bool,
}

/// Whether a module has Python in it by its name.
fn is_likely(module: &Module) -> bool {
    let name = file_name(&module.path);
    name.contains("python") || name.contains("pypy")
}

/// What a module tells; `in_full` looks through its static symbol table too, which takes its time, where the others
/// do not tell.
fn symbols(module: &Module, elf: Option<Elf<'_>>, in_full: bool) -> Told {
    let found = elf.map(|elf| {
        let quick = elf.find_quick(&SYMBOLS, &SECTIONS);
        let runtime = quick.symbols.first().copied().flatten();
        let section = quick.sections.first().copied().flatten();
        if in_full && runtime.or(section).is_none() {
            elf.find(&SYMBOLS, &SECTIONS)
        } else {
            quick
        }
    });
    let found = found.unwrap_or_default();
    let symbol = |index: usize| {
        found
            .symbols
            .get(index)
            .copied()
            .flatten()
            .map(|s| s.address)
    };
    Told {
        found: Symbols {
            runtime: symbol(0),
            runtime_section: found
                .sections
                .first()
                .copied()
                .flatten()
                .map(|s| (s.address, s.size)),
            py_version: symbol(1),
            hash_secret: symbol(2),
            hints: vec![module.path.to_string_lossy().into_owned()],
        },
        pypy: symbol(3).is_some(),
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}
