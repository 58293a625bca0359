//! The tables, held against every interpreter present: its DWARF, its debug offsets, its `__basicsize__`s.

mod basicsize;
#[path = "../common/mod.rs"]
mod common;
mod debug_offsets;
mod dwarf;
mod patch_release;

use cpython::layout::{Layout, Version};
use testkit::Interpreter;

/// An interpreter's version.
fn version(interpreter: &Interpreter) -> Version {
    let (major, minor, micro) = interpreter.version;
    Version {
        free_threaded: interpreter.free_threaded,
        ..Version::new(major, minor, micro)
    }
}

/// The interpreters of the matrix, and every other one on this machine that is no debug build.
fn interpreters() -> impl Iterator<Item = &'static Interpreter> {
    let _ = testkit::matrix(); // says what is not here
    testkit::interpreters()
        .iter()
        .filter(|interpreter| !interpreter.tag.ends_with('d'))
}

fn layout(interpreter: &Interpreter) -> Layout {
    Layout::for_version(&version(interpreter))
        .unwrap_or_else(|| panic!("no table for {interpreter}"))
}
