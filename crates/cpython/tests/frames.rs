//! What is read of threads and frames is what Python itself says of them, on each interpreter.

mod common;

use cpython::frame::RawFrame;
use cpython::interpreter::interpreters;
use cpython::reader::Reader;
use cpython::runtime::Runtime;
use cpython::threads::thread_objects;
use process::{LiveMemory, PageCache};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

/// One frame as Python saw it.
#[derive(Debug, PartialEq)]
struct Seen {
    function: String,
    line: u32,
    lasti: i64,
    column: Option<u32>,
    file: String,
    /// `co_code`: without what tools and specialisation have made of it.
    code: Vec<u8>,
}

#[derive(Debug)]
struct SeenThread {
    native_id: u32,
    name: String,
    frames: Vec<Seen>,
}

fn report(path: &Path) -> (HashMap<u64, SeenThread>, u64) {
    let text = std::fs::read_to_string(path).expect("the target has written its report");
    let mut threads: HashMap<u64, SeenThread> = HashMap::new();
    let (mut last, mut main) = (0, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split(['\t', ' ']).collect();
        match words.as_slice() {
            ["thread", ident, native_id, name @ ..] => {
                last = ident.parse().expect("an ident");
                let seen = SeenThread {
                    native_id: native_id.parse().expect("a native id"),
                    name: name.join(" "),
                    frames: Vec::new(),
                };
                threads.insert(last, seen);
            }
            ["main", ident] => main = ident.parse().expect("an ident"),
            _ => {
                let words: Vec<&str> = line.split('\t').collect();
                let ["frame", function, line, lasti, column, code, file] = words.as_slice() else {
                    panic!("odd line {line:?}");
                };
                let seen = Seen {
                    function: (*function).to_owned(),
                    line: line.parse().unwrap_or(0),
                    lasti: lasti.parse().expect("a number"),
                    column: column.parse().ok(),
                    code: unhex(code),
                    file: (*file).to_owned(),
                };
                threads
                    .get_mut(&last)
                    .expect("its thread")
                    .frames
                    .push(seen);
            }
        }
    }
    (threads, main)
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The instructions by the opcodes that they are forms of, without their caches, for which `like` has zeros.
fn base_forms(frame: &RawFrame, code: &[u8], like: &[u8]) -> Vec<(&'static str, u8)> {
    assert_eq!(code.len(), like.len());
    let units = code.chunks_exact(2).zip(like.chunks_exact(2));
    units
        .filter(|(_, like)| like[0] != 0)
        .map(|(unit, _)| (frame.code.dialect.opcode_name(unit[0]), unit[1]))
        .collect()
}

/// `f_lasti` is in bytes for Python, in each version.
fn read(frame: &RawFrame, code: &[u8]) -> Seen {
    Seen {
        code: code.to_vec(),
        column: frame.column(),
        function: frame.code.qualname.to_string(),
        line: frame.line().unwrap_or(0),
        lasti: i64::try_from(frame.offset).expect("a small offset"),
        file: frame.code.file.to_string(),
    }
}

fn check(interpreter: &Interpreter, mode: &str) {
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.path().join("report");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/frames.py");
    let argument = path.to_string_lossy();
    let mut target =
        Target::spawn(interpreter, Program::Path(&program), &[&argument, mode]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(120))
        .expect("it gets ready");
    let (seen, main) = report(&path);
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let memory = PageCache::new(live);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    assert_eq!(
        (
            runtime.version.major,
            runtime.version.minor,
            runtime.version.micro
        ),
        interpreter.version
    );
    assert_eq!(runtime.version.free_threaded, interpreter.free_threaded);
    let reader = runtime.reader(&memory);
    let interpreters = interpreters(&reader, &runtime).expect("interpreters");
    let [only] = interpreters.as_slice() else {
        panic!("one interpreter, not {}", interpreters.len());
    };
    assert!(!only.cut);
    assert_eq!(only.gil.is_none(), interpreter.free_threaded);
    assert_eq!(only.threads.len(), seen.len() + 1);
    assert_eq!(only.threads[0].ident, main, "the main thread is the oldest");
    let objects = thread_objects(&reader, only);
    for thread in &only.threads {
        assert!(!thread.cut, "{thread:?}");
        assert!(!thread.holds_gil);
        assert!(objects.contains_key(&thread.ident));
        let Some(seen) = seen.get(&thread.ident) else {
            assert_eq!(thread.ident, main);
            continue;
        };
        if let Some(native_id) = thread.native_id {
            assert_eq!(native_id, seen.native_id);
        }
        let object = objects[&thread.ident];
        let name = reader
            .attribute(object, "_name")
            .expect("a Thread")
            .expect("a name");
        assert_eq!(reader.string(name, 100).as_deref(), Ok(seen.name.as_str()));
        check_frames(interpreter, &reader, seen, &thread.frames);
    }
}

fn check_frames(
    interpreter: &Interpreter,
    reader: &Reader<'_>,
    seen: &SeenThread,
    frames: &[RawFrame],
) {
    for (frame, seen) in frames.iter().zip(&seen.frames) {
        let code = frame.code.instructions(reader).expect("instructions");
        assert_eq!(
            base_forms(frame, code, &seen.code),
            base_forms(frame, &seen.code, &seen.code),
            "{interpreter}: {}",
            seen.function
        );
    }
    let read: Vec<Seen> = frames
        .iter()
        .zip(&seen.frames)
        .map(|(frame, seen)| read(frame, &seen.code))
        .collect();
    assert_eq!(
        frames.len(),
        seen.frames.len(),
        "{interpreter}: {}: number of frames",
        seen.name
    );
    for (index, (read, seen_frame)) in read.iter().zip(&seen.frames).enumerate() {
        assert_eq!(
            read, seen_frame,
            "{interpreter}: {}: frame {index}",
            seen.name
        );
    }
}

#[test]
fn as_python_sees_them() {
    for interpreter in testkit::matrix() {
        check(interpreter, "plain");
        eprintln!("{interpreter}: done");
    }
}

#[test]
fn while_tools_watch_the_program() {
    for interpreter in testkit::matrix() {
        for mode in ["opcodes", "profile", "monitor"] {
            check(interpreter, mode);
        }
        eprintln!("{interpreter}: done");
    }
}
