//! A process whose interpreter, if one is found at all, is noise.
#![no_main]

use cpython::runtime::{Runtime, Symbols};
use fuzz::Noise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (minor, bytes) = input;
    let memory = Noise(bytes);
    let symbols = Symbols {
        runtime: Some(Noise::START),
        runtime_section: Some((Noise::START, 0x10_0000)),
        py_version: None,
        hash_secret: Some(Noise::START),
        // A name tells the version where memory does not.
        hints: vec![format!("/usr/lib/libpython3.{}.so.1.0", 8 + minor % 8)],
    };
    if let Ok(runtime) = Runtime::find(&memory, &symbols) {
        let _ = cpython::read::read(
            &memory,
            &runtime,
            1,
            &[],
            cpython::read::Wanted { locals: true },
        );
    }
});
