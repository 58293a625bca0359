//! The text files of /proc, in which a process's and a file's name are the target's own choice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process::{Maps, ProcStatus};

fuzz_target!(|bytes: &[u8]| {
    let maps = Maps::parse(bytes);
    let _ = process::elf::modules(&maps);
    let _ = ProcStatus::parse(bytes);
});
