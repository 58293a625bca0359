//! A mapped library whose headers and tables are noise.
#![no_main]

use fuzz::Noise;
use libfuzzer_sys::fuzz_target;
use process::elf::Module;

fuzz_target!(|bytes: &[u8]| {
    let memory = Noise(bytes);
    let module = Module {
        path: "/lib/noise.so".into(),
        deleted: false,
        dev: 1,
        inode: 1,
        start: Noise::START,
        first_end: Noise::START.plus(0x1000),
        end: Noise::START.plus(0x10_0000),
        offset: 0,
    };
    if let Ok(elf) = module.open_memory(&memory) {
        let _ = elf.find(&["_PyRuntime", "Py_Version"], &[".PyRuntime"]);
    }
});
