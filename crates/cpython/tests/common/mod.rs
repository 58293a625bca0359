//! What the tests over live interpreters share.
#![allow(dead_code)] // not every test uses all of it

use cpython::read::KernelThread;
use cpython::runtime::Symbols;
use process::arch::Arch;
use process::elf;
use process::{LiveMemory, Maps};
use snapshot::{OsThread, Syscall};

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
        let found = file.find(
            &["_PyRuntime", "Py_Version", "_Py_HashSecret"],
            &[".PyRuntime"],
        );
        let symbol = |index: usize| found.symbols.get(index).copied().flatten();
        let section = found.sections.first().copied().flatten();
        if symbol(0).is_none() && section.is_none() {
            continue;
        }
        symbols.runtime = symbol(0).map(|symbol| symbol.address);
        symbols.py_version = symbol(1).map(|symbol| symbol.address);
        symbols.hash_secret = symbol(2).map(|symbol| symbol.address);
        symbols.runtime_section = section.map(|section| (section.address, section.size));
        break;
    }
    symbols
}

/// The kernel's view of the threads, from `/proc` alone.
pub fn kernel_threads(pid: u32) -> Vec<KernelThread> {
    let arch = Arch::host().expect("a known architecture");
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    tasks
        .flatten()
        .filter_map(|task| {
            let tid: u32 = task.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let state = stat.rsplit_once(") ")?.1.chars().next()?;
            let line = std::fs::read_to_string(task.path().join("syscall")).ok()?;
            let os = OsThread {
                state,
                syscall: syscall(arch, &line),
                ..OsThread::default()
            };
            Some(KernelThread {
                tid,
                ns_tid: tid,
                os,
            })
        })
        .collect()
}

fn syscall(arch: &Arch, line: &str) -> Option<Syscall> {
    let mut words = line.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    let mut args = [0; 6];
    for (arg, word) in args.iter_mut().zip(words) {
        *arg = u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()?;
    }
    Some(Syscall {
        number,
        name: arch.call_name(number).to_owned(),
        args,
    })
}
