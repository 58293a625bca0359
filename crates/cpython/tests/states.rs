//! Variables, the GIL's holder, subinterpreters, and what is no Python that can be read.

mod common;

use cpython::frame::RawFrame;
use cpython::interpreter::{Interp, interpreters};
use cpython::reader::Reader;
use cpython::runtime::{FindError, Runtime};
use process::{LiveMemory, PageCache};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs the part `which` of the program.
fn start(interpreter: &Interpreter, which: &str) -> Target {
    eprintln!("{interpreter}: {which}");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/states.py");
    let mut target =
        Target::spawn(interpreter, Program::Path(&program), &[which]).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    target
}

/// Looks at the part `which` of the program once all of its threads sleep.
fn look(interpreter: &Interpreter, which: &str, check: impl FnOnce(&Reader<'_>, Vec<Interp>)) {
    let mut target = start(interpreter, which);
    target
        .wait_blocked(LIMIT)
        .expect("its threads come to rest");
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let memory = PageCache::new(live);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    let reader = runtime.reader(&memory);
    let interpreters = interpreters(&reader, &runtime).expect("interpreters");
    check(&reader, interpreters);
}

/// Looks at the part `which` of the program again and again while it runs, until it is as expected.
fn look_until(interpreter: &Interpreter, which: &str, expected: impl Fn(&[Interp]) -> bool) {
    let target = start(interpreter, which);
    let memory = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &memory);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    let seen = (0..10_000).any(|_| {
        runtime.caches.begin_look();
        let reader = runtime.reader(&memory);
        interpreters(&reader, &runtime).is_ok_and(|found| expected(&found))
    });
    assert!(seen, "{interpreter}: {which} never came to be as expected");
}

fn frame<'a>(interpreters: &'a [Interp], name: &str) -> &'a RawFrame {
    interpreters
        .iter()
        .flat_map(|interpreter| &interpreter.threads)
        .flat_map(|thread| &thread.frames)
        .find(|frame| &*frame.code.name == name)
        .unwrap_or_else(|| panic!("no frame of {name}"))
}

fn int(reader: &Reader<'_>, frame: &RawFrame, name: &str) -> Option<i64> {
    let value = frame.local(reader, name)?;
    Some(reader.int(value).expect("an int"))
}

fn check_locals(reader: &Reader<'_>, interpreters: Vec<Interp>) {
    let outer = frame(&interpreters, "outer");
    let expected = [
        ("argument", Some(1)),
        ("shared", Some(2)),
        ("keyword", Some(4)),
        ("plain", Some(5)),
        ("cell", Some(6)),
        ("unbound", None),
        ("nothing of the kind", None),
    ];
    for (name, value) in expected {
        assert_eq!(int(reader, outer, name), value, "{name}");
    }
    let rest = outer.local(reader, "rest").expect("a tuple");
    assert_eq!(reader.items(rest, 10).map(|items| items.len()), Ok(1));
    let names: Vec<&str> = outer
        .code
        .locals(reader)
        .expect("its variables")
        .iter()
        .map(|local| &*local.name)
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "each is listed once: {names:?}");
    let inner = frame(&interpreters, "inner");
    for (name, value) in [("shared", Some(2)), ("cell", Some(6)), ("own", Some(7))] {
        assert_eq!(int(reader, inner, name), value, "{name}");
    }
    assert_eq!(int(reader, inner, "unbound"), None);
    assert!(inner.local(reader, "squares").is_some());
    assert_eq!(
        int(reader, frame(&interpreters, "Body"), "attribute"),
        Some(9)
    );
    assert!(
        frame(&interpreters, "<module>")
            .local(reader, "which")
            .is_some()
    );
    // The one that holds the waiter's lock, below the waiting one.
    let wait = frame(&interpreters, "wait");
    assert!(wait.local(reader, "self").is_some());
}

#[test]
fn variables_of_every_kind() {
    for interpreter in testkit::matrix() {
        look(interpreter, "locals", |reader, interpreters| {
            check_locals(reader, interpreters);
        });
    }
}

#[test]
fn the_busy_thread_holds_the_gil() {
    for interpreter in testkit::matrix() {
        let held = |interpreters: &[Interp]| {
            let [only] = interpreters else {
                panic!("one interpreter");
            };
            assert_eq!(only.gil.is_none(), interpreter.free_threaded);
            let Some(gil) = only.gil else {
                return true;
            };
            assert!(gil.size > 0 && gil.contains(gil.address));
            let holders: Vec<_> = only.threads.iter().filter(|t| t.holds_gil).collect();
            assert!(holders.len() <= 1);
            holders.iter().any(|holder| {
                holder
                    .frames
                    .first()
                    .is_some_and(|frame| &*frame.code.name == "busy")
            })
        };
        // The main thread may be on its way into its wait still, and the GIL on its way from one to the other.
        look_until(interpreter, "busy", held);
    }
}

#[test]
fn subinterpreters_have_threads_of_their_own() {
    for interpreter in testkit::matrix() {
        look(interpreter, "sub", |reader, interpreters| {
            let [main, sub] = interpreters.as_slice() else {
                panic!("two interpreters, not {}", interpreters.len());
            };
            assert_eq!((main.id, sub.id > 0), (0, true));
            let frame = frame(std::slice::from_ref(sub), "in_sub");
            assert_eq!(int(reader, frame, "inside"), Some(11));
            let [thread] = sub.threads.as_slice() else {
                panic!("one thread, not {}", sub.threads.len());
            };
            let outermost = thread.frames.last().expect("frames");
            assert_eq!(int(reader, outermost, "hidden"), Some(10));
            assert!(outermost.entry);
            let twin = main
                .threads
                .iter()
                .find(|other| other.ident == thread.ident);
            assert_eq!(twin.map(|twin| twin.native_id), Some(thread.native_id));
        });
    }
}

/// Python before 3.8, where pyenv has one.
fn too_old() -> Vec<PathBuf> {
    let home = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = home.and_then(|home| std::fs::read_dir(home.join("versions")).ok());
    versions
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            ["2.7.", "3.6.", "3.7."]
                .iter()
                .any(|old| name.starts_with(old))
        })
        .map(|entry| entry.path().join("bin/python"))
        .collect()
}

/// What is found in a process that runs this command until its input ends.
fn find_in(command: &mut Command) -> FindError {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("its first line");
    let memory = LiveMemory::new(child.id());
    let found = Runtime::find(&memory, &common::symbols(child.id(), &memory));
    drop(child.stdin.take());
    child.wait().expect("it ends");
    found.expect_err("nothing that can be read")
}

#[test]
fn what_cannot_be_read_is_told_so() {
    let cat = find_in(Command::new("sh").args(["-c", "echo begun; read word"]));
    assert_eq!(cat, FindError::NotPython);
    for python in too_old() {
        let code = "import sys; sys.stdout.write('begun\\n'); sys.stdout.flush(); sys.stdin.read()";
        let error = find_in(Command::new(&python).args(["-c", code]));
        assert!(matches!(error, FindError::TooOld(_)), "{error:?}");
        eprintln!("{}: {error}", python.display());
    }
}
