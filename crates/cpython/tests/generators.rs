//! Suspended generators and coroutines are read as Python shows them, on each interpreter.

mod common;

use cpython::generator::{
    GeneratorState, await_chain, awaited, generator_frame, generator_state, is_generator,
};
use cpython::reader::Reader;
use cpython::runtime::Runtime;
use cpython::traceback::{frames_of_traceback, raised_at};
use process::{LiveMemory, PageCache};
use snapshot::Address;
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

fn address(text: &str) -> Address {
    let digits = text.strip_prefix("0x").expect("an address");
    Address(u64::from_str_radix(digits, 16).expect("an address"))
}

fn state(text: &str) -> GeneratorState {
    match text {
        "created" => GeneratorState::Created,
        "suspended" => GeneratorState::Suspended,
        "finished" => GeneratorState::Cleared,
        other => panic!("unknown state {other}"),
    }
}

fn check_generator(reader: &Reader<'_>, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, generator, expected, last, functions @ ..] = words.as_slice() else {
        panic!("odd line {line:?}");
    };
    let generator = address(generator);
    assert!(is_generator(reader, generator), "{name}");
    assert_eq!(
        generator_state(reader, generator),
        Ok(state(expected)),
        "{name}"
    );
    let chain = await_chain(reader, generator);
    let names: Vec<&str> = chain
        .frames
        .iter()
        .rev()
        .map(|frame| &*frame.code.name)
        .collect();
    assert_eq!(names, functions, "{name}");
    let last = (*last != "-").then(|| address(last));
    assert_eq!(chain.awaited, last, "{name}");
    assert_eq!(
        generator_frame(reader, generator).is_some(),
        !functions.is_empty(),
        "{name}"
    );
    if let Some(frame) = chain.frames.last() {
        assert_eq!(frame.generator, Some(generator), "{name}");
    }
    if functions.len() == 1 {
        assert_eq!(awaited(reader, generator), last, "{name}");
    }
}

fn check_error(reader: &Reader<'_>, target: &Target, error: Address) {
    let frames = frames_of_traceback(reader, error);
    let seen: Vec<(&str, Option<u32>)> = frames
        .iter()
        .map(|frame| (&*frame.code.name, frame.line()))
        .collect();
    let raises = Some(target.line("raise KeyError(\"sku\")"));
    let calls = Some(target.line("failing(depth - 1)"));
    let first = Some(target.line("failing(3)"));
    let failing = "failing";
    assert_eq!(
        seen,
        [
            (failing, raises),
            (failing, calls),
            (failing, calls),
            (failing, calls),
            ("failure", first),
        ]
    );
    let raised = raised_at(reader, error).expect("the place");
    assert_eq!(raised.line(), raises);
}

fn check(interpreter: &Interpreter) {
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.path().join("report");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/generators.py");
    let argument = path.to_string_lossy();
    let mut target =
        Target::spawn(interpreter, Program::Path(&program), &[&argument]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(60))
        .expect("it gets ready");
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let memory = PageCache::new(live);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    let reader = runtime.reader(&memory);
    let report = std::fs::read_to_string(&path).expect("the target has written its report");
    for line in report.lines() {
        match line.strip_prefix("error ") {
            Some(error) => check_error(&reader, &target, address(error)),
            None => check_generator(&reader, line),
        }
    }
}

#[test]
fn as_python_shows_them() {
    for interpreter in testkit::matrix() {
        eprintln!("{interpreter}");
        check(interpreter);
    }
}
