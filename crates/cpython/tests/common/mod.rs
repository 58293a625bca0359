//! What the tests over live interpreters share.
#![allow(dead_code)] // not every test uses all of it

use cpython::runtime::Symbols;
use process::elf;
use process::{LiveMemory, Maps};

/// What the process's files tell of its Python.
pub fn symbols(pid: u32, memory: &LiveMemory) -> Symbols {
    let maps = Maps::read(pid).expect("its maps can be read");
    let mut symbols = Symbols::default();
    for module in elf::modules(&maps) {
        let name = module.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        if !name.contains("python") {
            continue;
        }
        symbols
            .hints
            .push(module.path.to_string_lossy().into_owned());
        let Ok(file) = module.open(pid, memory) else {
            continue;
        };
        let found = file.find(&["_PyRuntime", "Py_Version"], &[".PyRuntime"]);
        let symbol = |index: usize| found.symbols.get(index).copied().flatten();
        let section = found.sections.first().copied().flatten();
        if symbol(0).is_none() && section.is_none() {
            continue;
        }
        symbols.runtime = symbol(0).map(|symbol| symbol.address);
        symbols.py_version = symbol(1).map(|symbol| symbol.address);
        symbols.runtime_section = section.map(|section| (section.address, section.size));
        break;
    }
    symbols
}
