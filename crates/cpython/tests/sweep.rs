//! A sweep sees the same frames as a full reading, on each interpreter, and the next sweep costs one read.

mod common;

use cpython::frame::RawFrame;
use cpython::interpreter::interpreters;
use cpython::runtime::Runtime;
use cpython::sweep::{Entry, Outcome, Sweeper, SweptThread};
use process::{LiveMemory, Memory, PageCache, Range, ReadError};
use snapshot::Address;
use std::cell::Cell;
use std::io::Write;
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

/// Memory of which, outside batches, only so many more reads succeed.
struct Failing<'m> {
    memory: &'m LiveMemory,
    left: Cell<usize>,
}

impl Memory for Failing<'_> {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(ReadError::Nonsense(address));
        };
        self.left.set(left);
        self.memory.read(address, buffer)
    }

    fn read_batch(&self, ranges: &mut [Range<'_>]) -> Result<(), ReadError> {
        self.memory.read_batch(ranges)
    }
}

const TWO_STACKS: &str = "
import sys, testkit_ready
def rest():
    testkit_ready.ready()
    return sys.stdin.readline()
def left_three(): return rest()
def left_two(): return left_three()
def left(): return left_two()
def right_three(): return rest()
def right_two(): return right_three()
def right(): return right_two()
while True:
    left()
    right()
";

/// A reading that fails half-way leaves nothing behind of which a later one says that it is unchanged.
#[test]
fn a_reading_that_fails_is_not_built_upon() {
    let half_an_hour = Duration::from_secs(1800);
    for interpreter in testkit::matrix() {
        let (read_end, mut commands) = std::io::pipe().expect("a pipe");
        let mut target =
            Target::spawn_with(interpreter, Program::Source(TWO_STACKS), &[], |command| {
                command.stdin(read_end);
            })
            .expect("it starts");
        let pid = target.pid();
        let mut at_rest = |go_on: bool| {
            if go_on {
                commands.write_all(b"on\n").expect("it is told");
            }
            target.wait_ready(half_an_hour).expect("it gets ready");
            testkit::wait_still(pid, Duration::from_millis(3), half_an_hour).expect("it rests");
        };
        at_rest(false);
        let live = LiveMemory::new(pid);
        let symbols = common::symbols(pid, &live);
        let runtime = Runtime::find(&live, &symbols).expect("a runtime");
        let mut failed = 0;
        for reads in 0.. {
            let memory = Failing {
                memory: &live,
                left: Cell::new(usize::MAX),
            };
            let mut sweeper = Sweeper::new(&runtime);
            sweeper.refresh_list(&runtime, &live).expect("the threads");
            // What a caller holds who takes over what has changed.
            let mut held: Vec<Entry> = Vec::new();
            let mut reading = |left: usize| {
                memory.left.set(left);
                sweeper.copy(&memory, &[0]).expect("its frames");
                let outcome = sweeper.resolve(&runtime, &memory, 0);
                let thread = &sweeper.threads()[0];
                if outcome == Outcome::Read {
                    let now = thread.entries();
                    held.truncate(thread.unchanged());
                    held.extend(now.iter().skip(held.len()));
                    assert_eq!(held, now, "{interpreter}: after {reads} reads");
                }
                outcome
            };
            assert_eq!(reading(usize::MAX), Outcome::Read);
            at_rest(true);
            let outcome = reading(reads);
            assert_eq!(reading(usize::MAX), Outcome::Read);
            at_rest(true);
            if outcome == Outcome::Read {
                break;
            }
            failed += 1;
        }
        assert!(failed > 3, "{interpreter}: {failed}");
    }
}
