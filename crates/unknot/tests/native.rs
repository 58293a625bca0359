//! `--native`: native and Python frames of one stack in the right order, down to the start of the thread.

mod common;

use common::unknot;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Interpreter, Program, Scratch, Target, matrix};

const LIMIT: Duration = Duration::from_secs(120);

const LIBRARY: &str = "
typedef int (*callback)(int);
int through_c(callback back, int depth);
__attribute__((noinline)) static int between(callback back, int depth) {
    volatile char buffer[4000];
    buffer[0] = 0;
    return back(depth) + buffer[0];
}
int through_c(callback back, int depth) { return between(back, depth) + 1; }
";

/// A library that calls back, for each way in which compilers find the caller; `None` without a compiler.
fn library(scratch: &Scratch, option: &str) -> Option<PathBuf> {
    let source = scratch.write("back.c", LIBRARY).expect("it is written");
    let library = scratch.path().join(format!("libback{option}.so"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", option, "-o"])
        .args([&library, &source])
        .status();
    compiled
        .is_ok_and(|status| status.success())
        .then_some(library)
}

fn target(interpreter: &Interpreter, library: Option<&Path>) -> Target {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/native_stacks.py");
    let library = library.map(|path| path.to_string_lossy().into_owned());
    let args: Vec<&str> = library.as_deref().into_iter().collect();
    let program = Program::Path(&program);
    let mut target = Target::spawn(interpreter, program, &args).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    target
}

/// The frames of each thread by its name: function, file, whether native.
fn threads(pid: u32, options: &[&str]) -> Vec<(String, Vec<Frame>)> {
    let pid = pid.to_string();
    let run = unknot(&[&["dump", "--json"], options, &[pid.as_str()]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let document = run.json();
    let threads = document["processes"][0]["threads"].as_array();
    let frame = |frame: &Value| Frame {
        function: frame["function"].as_str().expect("a name").to_owned(),
        file: frame["file"].as_str().expect("a file").to_owned(),
        native: frame["native"].as_bool().expect("a truth"),
    };
    let threads = threads.expect("threads").iter().map(|thread| {
        let frames = thread["frames"].as_array().expect("frames");
        let name = thread["name"].as_str().expect("a name").to_owned();
        (name, frames.iter().map(frame).collect())
    });
    threads.collect()
}

#[derive(Debug, Clone, PartialEq)]
struct Frame {
    function: String,
    file: String,
    native: bool,
}

impl Frame {
    /// Its name without that of its class.
    fn plain(&self) -> &str {
        self.function.rsplit('.').next().unwrap_or_default()
    }
}

fn is_asleep(name: &str) -> bool {
    name != "computes"
}

/// Whether all but the one that computes have got to where they sleep.
fn at_rest(threads: &[(String, Vec<Frame>)]) -> bool {
    threads.iter().all(|(name, frames)| {
        let innermost = frames.iter().find(|frame| !frame.native);
        innermost.is_some_and(|frame| match name.as_str() {
            "computes" => frame.plain() == "computes",
            "waits" => frame.plain() == "waits",
            _ => frame.plain() == "inner",
        })
    })
}

fn wait_at_rest(pid: u32, options: &[&str]) -> Vec<(String, Vec<Frame>)> {
    let begin = Instant::now();
    loop {
        let threads = threads(pid, options);
        if at_rest(&threads) {
            return threads;
        }
        assert!(begin.elapsed() < LIMIT, "{threads:#?}");
    }
}

fn python(frames: &[Frame]) -> Vec<Frame> {
    let python = frames.iter().filter(|frame| !frame.native);
    python.cloned().collect()
}

fn of<'a>(threads: &'a [(String, Vec<Frame>)], name: &str) -> &'a [Frame] {
    let found = threads.iter().find(|(found, _)| found == name);
    &found.unwrap_or_else(|| panic!("no {name}: {threads:#?}")).1
}

/// The places of these functions, each further out than the one before.
fn in_order(frames: &[Frame], functions: &[&str]) {
    let mut rest = frames.iter();
    for function in functions {
        let found = rest.any(|frame| frame.plain() == *function);
        assert!(found, "no {function} where it belongs: {frames:#?}");
    }
}

#[test]
fn native_frames_stand_among_the_python_ones() {
    let scratch = Scratch::new().expect("a directory");
    let options = ["-fno-omit-frame-pointer", "-fomit-frame-pointer"];
    let libraries = options.map(|option| library(&scratch, option));
    if libraries.iter().any(Option::is_none) {
        eprintln!("no C compiler here: calls back from C are not tried");
    }
    for (index, interpreter) in matrix().into_iter().enumerate() {
        let library = libraries[index % libraries.len()].as_deref();
        let mut target = target(interpreter, library);
        let plain = wait_at_rest(target.pid(), &[]);
        let mixed = wait_at_rest(target.pid(), &["--native"]);
        for (name, frames) in &mixed {
            whole(interpreter, name, frames);
            if is_asleep(name) {
                assert_eq!(python(frames), of(&plain, name), "{name}");
            }
        }
        for name in ["MainThread", "sorts", "makes"] {
            let frames = of(&mixed, name);
            assert!(frames[0].native && frames[0].file.contains("libc"));
            let inner = frames.iter().position(|frame| frame.plain() == "inner");
            let above = &frames[..inner.expect("it is there")];
            assert!(above.iter().all(|frame| frame.native), "{above:#?}");
            in_order(frames, &["inner", "outer"]);
        }
        in_order(
            of(&mixed, "makes"),
            &["outer", "numbers", "__init__", "makes"],
        );
        let computes = of(&mixed, "computes");
        assert!(computes[0].native, "{computes:#?}");
        if let Some(library) = library {
            calls_back(of(&mixed, "calls_back"), library);
        }
        assert!(target.is_alive(), "{:?}", target.output());
    }
}

/// No gap, and the start of the thread at its end.
fn whole(interpreter: &Interpreter, name: &str, frames: &[Frame]) {
    let told = || format!("{} {name}: {frames:#?}", interpreter.path.display());
    let lost = frames.iter().any(|frame| frame.function == "[unknown]");
    assert!(!lost, "{}", told());
    let last = frames.last().expect("frames");
    assert!(last.native, "{}", told());
    match name {
        "MainThread" => assert_eq!(last.function, "_start", "{}", told()),
        _ => assert!(last.file.contains("libc"), "{}", told()),
    }
    let hidden = ["_PyEval_EvalFrameDefault", "_PyFunction_Vectorcall"];
    let shown = frames.iter().find(|f| hidden.contains(&&*f.function));
    assert_eq!(shown, None, "{}", told());
}

/// Twice through the library, each time with Python on both sides.
fn calls_back(frames: &[Frame], library: &Path) {
    let once = ["called", "between", "through_c", "through"];
    in_order(
        frames,
        &[&["inner", "outer"], &once[..], &once[..], &["calls_back"]].concat(),
    );
    let own = frames
        .iter()
        .filter(|f| f.plain() == "through_c" && f.native);
    let own: Vec<&Frame> = own.collect();
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|f| Path::new(&f.file) == library), "{own:?}");
}

#[test]
fn without_pausing_only_sleepers_have_native_frames() {
    let interpreter = matrix().into_iter().next_back().expect("an interpreter");
    let mut target = target(interpreter, None);
    let mixed = wait_at_rest(target.pid(), &["--native", "--no-pause"]);
    for name in ["MainThread", "sorts", "waits"] {
        whole(interpreter, name, of(&mixed, name));
    }
    assert!(target.is_alive());
}
