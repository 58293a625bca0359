//! The text files of /proc, in which a process's and a file's name are the target's own choice, and the like.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| process::fuzzing::read_all(bytes));
