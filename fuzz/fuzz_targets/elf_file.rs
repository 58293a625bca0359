//! A library's file that may be anything.
#![no_main]

use fuzz::{Noise, with_file};
use libfuzzer_sys::fuzz_target;
use process::elf::Module;

fuzz_target!(|bytes: &[u8]| {
    with_file(bytes, |path| {
        let module = Module {
            path: path.clone(),
            deleted: false,
            dev: 1,
            inode: 1,
            start: Noise::START,
            first_end: Noise::START.plus(0x1000),
            end: Noise::START.plus(0x10_0000),
            offset: 0,
        };
        let file = std::fs::File::open(&path).expect("it is there");
        if let Ok(elf) = module.open_as(file) {
            let _ = (elf.build_id(), elf.bias());
            let _ = elf.find(&["_PyRuntime", "Py_Version"], &[".PyRuntime"]);
        }
    });
});
