//! A sweep sees the same frames as a full reading, on each interpreter, and the next sweep costs one read.

mod common;

use cpython::frame::RawFrame;
use cpython::interpreter::interpreters;
use cpython::runtime::Runtime;
use cpython::sweep::{Outcome, Sweeper, SweptThread};
use process::{LiveMemory, PageCache};
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

fn program(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// Function and offset of each frame, from the innermost outwards.
fn swept(sweeper: &Sweeper, thread: &SweptThread) -> Vec<(String, usize)> {
    let shown = thread.entries().iter().rev().filter_map(|entry| {
        let code = sweeper.codes().code(entry.code?)?;
        Some((code.qualname.to_string(), entry.offset as usize))
    });
    shown.collect()
}

fn read(frame: &RawFrame) -> (String, usize) {
    (frame.code.qualname.to_string(), frame.offset)
}

fn check(interpreter: &Interpreter) {
    let scratch = Scratch::new().expect("a directory");
    let argument = scratch.path().join("report");
    let argument = argument.to_string_lossy();
    let program = program("frames.py");
    let mut target = Target::spawn(interpreter, Program::Path(&program), &[&argument, "plain"])
        .expect("it starts");
    target
        .wait_ready(Duration::from_secs(120))
        .expect("it gets ready");
    target
        .wait_blocked(Duration::from_secs(120))
        .expect("it comes to rest");
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let runtime = Runtime::find(&live, &symbols).expect("a runtime");
    let mut sweeper = Sweeper::new(&runtime);
    sweeper.refresh_list(&runtime, &live).expect("the threads");
    let all: Vec<usize> = (0..sweeper.threads().len()).collect();
    sweeper.copy(&live, &all).expect("their frames");
    for &index in &all {
        assert_eq!(sweeper.resolve(&runtime, &live, index), Outcome::Read);
    }
    let memory = PageCache::new(LiveMemory::new(target.pid()));
    let reader = runtime.reader(&memory);
    let full = interpreters(&reader, &runtime).expect("interpreters");
    assert_eq!(full[0].threads.len(), all.len());
    for thread in &full[0].threads {
        let same = |swept: &&SweptThread| swept.state == thread.state;
        let found = sweeper.threads().iter().find(same).expect("the thread");
        let expected: Vec<_> = thread.frames.iter().map(read).collect();
        assert_eq!(swept(&sweeper, found), expected, "{interpreter}");
        assert_eq!(
            (found.ident, found.native_id),
            (thread.ident, thread.native_id)
        );
    }
    // Twice more: once to gather the ranges that were met one by one, and then in one call.
    for expected_reads in [None, Some(1)] {
        let before = sweeper.reads();
        sweeper.copy(&live, &all).expect("their frames");
        if let Some(expected) = expected_reads {
            assert_eq!(sweeper.reads() - before, expected, "{interpreter}");
        }
        for &index in &all {
            assert_eq!(sweeper.resolve(&runtime, &live, index), Outcome::Read);
            let thread = &sweeper.threads()[index];
            assert_eq!(thread.unchanged(), thread.entries().len());
        }
        assert!(!sweeper.list_changed());
    }
    let now = sweeper.now().next().expect("an interpreter");
    assert!(now.gil_holder.is_null() && !now.collecting);
    // Those that are not expected to have run are read with less, and found as they were.
    for &index in &all {
        sweeper.expect_calm(index, true);
    }
    sweeper.copy(&live, &all).expect("their frames");
    for &index in &all {
        assert_eq!(sweeper.resolve(&runtime, &live, index), Outcome::Read);
        let thread = &sweeper.threads()[index];
        assert_eq!(thread.unchanged(), thread.entries().len());
    }
}

#[test]
fn as_a_full_reading() {
    for interpreter in testkit::matrix() {
        check(interpreter);
        eprintln!("{interpreter}: done");
    }
}
