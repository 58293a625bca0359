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

/// The lines of a recording as collapsed stacks, and what was told of it.
fn recorded(pid: u32, options: &[&str]) -> (Vec<String>, Value) {
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.path().join("p.collapsed");
    let (out, pid) = (path.to_string_lossy(), pid.to_string());
    let first = ["record", "--native", "--json", "-r", "200", "-o", &out];
    let run = unknot(&[&first[..], options, &[&pid]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(&path).expect("it was written");
    (text.lines().map(str::to_owned).collect(), run.json())
}

/// Whether these stand in a line in this order.
fn holds(line: &str, parts: &[&str]) -> bool {
    let mut rest = line;
    parts.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn a_recording_has_native_frames() {
    let scratch = Scratch::new().expect("a directory");
    let library = library(&scratch, "-fomit-frame-pointer");
    for interpreter in matrix() {
        let mut target = target(interpreter, library.as_deref());
        wait_at_rest(target.pid(), &[]);
        let (lines, told) = recorded(target.pid(), &["-d", "0.5"]);
        let all = || {
            format!(
                "{} {told}\n{}",
                interpreter.path.display(),
                lines.join("\n")
            )
        };
        let any = |parts: &[&str]| lines.iter().any(|line| holds(line, parts));
        assert!(
            any(&[";_start (", "<module>", "outer", "inner", "libc"]),
            "{}",
            all()
        );
        assert!(
            any(&["thread sorts", "libc", "sorts", "key", "inner", "libc"]),
            "{}",
            all()
        );
        let computes = any(&["thread computes", "libc", "computes (", "pbkdf2"])
            || any(&["thread computes", "libc", "computes (", ".so"]);
        assert!(computes, "{}", all());
        if library.is_some() {
            let once = ["through (", "through_c", "between", "called"];
            let parts = [
                &["thread calls_back", "libc"],
                &once[..],
                &once[..],
                &["inner", "libc"],
            ];
            assert!(any(&parts.concat()), "{}", all());
        }
        let lost = lines.iter().filter(|line| line.contains("[unknown]"));
        assert_eq!(lost.count(), 0, "{}", all());
        assert!(target.is_alive(), "{:?}", target.output());
    }
}

#[test]
fn sleepers_are_not_stopped() {
    const SLEEPS: &str = "
import threading, time, testkit_ready
threading.Thread(target=threading.Event().wait, daemon=True).start()
testkit_ready.ready()
time.sleep(1000)
";
    let interpreter = matrix().into_iter().next_back().expect("an interpreter");
    let mut target = Target::spawn(interpreter, Program::Source(SLEEPS), &[]).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    target.wait_blocked(LIMIT).expect("it falls asleep");
    let (lines, told) = recorded(target.pid(), &["-d", "0.3", "--idle"]);
    assert_eq!(told["stops"], 0, "{told}");
    for part in ["thread MainThread", "thread Thread-1"] {
        let line = lines.iter().find(|line| line.contains(part));
        assert!(line.is_some_and(|line| line.contains("libc")), "{lines:#?}");
    }
}

#[test]
fn every_format_shows_native_frames() {
    let interpreter = matrix().into_iter().next().expect("an interpreter");
    let target = target(interpreter, None);
    wait_at_rest(target.pid(), &[]);
    let scratch = Scratch::new().expect("a directory");
    let stored = scratch.path().join("p.unknot");
    let (out, pid) = (stored.to_string_lossy(), target.pid().to_string());
    let run = unknot(&["record", "--native", "-d", "0.3", "-o", &out, &pid]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // A page has its data compressed.
    for name in [
        "p.svg",
        "p.speedscope.json",
        "p.collapsed",
        "p.callgrind",
        "p.firefox.json",
        "p.trace.json",
    ] {
        let path = scratch.path().join(name);
        let run = unknot(&["convert", &out, "-o", &path.to_string_lossy()]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        let text = std::fs::read_to_string(&path).expect("it was written");
        assert!(text.contains("_start"), "{name}");
    }
}
