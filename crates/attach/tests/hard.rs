//! What makes entering hard, or must forbid it.

mod common;

use attach::{DisabledBy, Door, EnterError, Options};
use common::{LONG, Subject};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Interpreter, Scratch};

const HEAD: &str = "
import os, sys, time, threading
from testkit_ready import ready
";

fn quick() -> Options<'static> {
    Options {
        limit: Duration::from_millis(700),
        ..Options::default()
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(name).arg(pid.to_string()).status();
    assert!(status.expect("kill runs").success());
}

fn wait_stopped(pid: u32) {
    let began = Instant::now();
    let mut reader = process::ThreadReader::open(pid).expect("it runs");
    while reader.read(pid, false).expect("it runs").state != 'T' {
        assert!(began.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this interpreter reads PYTHON_DISABLE_REMOTE_DEBUG by itself.
fn has_remote_debugging(interpreter: &Interpreter) -> bool {
    interpreter.version >= (3, 14, 0)
}

#[test]
fn a_hundred_times_in_a_row() {
    // It computes, sleeps, and waits for a lock in turn; what it computes must come out right.
    let program = format!(
        "{HEAD}
import select, ctypes
libc = ctypes.CDLL(None)
lock = threading.Lock()
lock.acquire()
def work(n):
    return sum(i * 0.5 for i in range(n))
expected = work(3000)
ready('')
while not select.select([0], [], [], 0.003)[0]:
    assert work(3000) == expected
    began = time.monotonic()
    time.sleep(0.003)
    assert time.monotonic() - began >= 0.003
    assert not lock.acquire(timeout=0.003)
    assert libc.poll(None, 0, 3) == 0
    assert '%.3f' % (1 / 3) == '0.333'
print('fine')
"
    );
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &program);
        for time in 0..100 {
            let entered = subject.enter(Options::default());
            entered.unwrap_or_else(|error| panic!("{interpreter}: time {time}: {error}"));
        }
        assert_eq!(subject.runs(), 100);
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn who_forbids_it_is_respected() {
    let program = format!("{HEAD}\nready('')\nos.read(0, 3)\nprint('fine')\n");
    for interpreter in testkit::matrix() {
        let subject = Subject::start_with(interpreter, &program, |command| {
            command.env("PYTHON_DISABLE_REMOTE_DEBUG", "1");
        });
        let error = subject.enter(quick()).expect_err("it is forbidden");
        let expected = if has_remote_debugging(interpreter) {
            DisabledBy::Configuration
        } else {
            DisabledBy::Environment
        };
        let by = match error {
            EnterError::Disabled { by, .. } => by,
            error => panic!("{interpreter}: {error}"),
        };
        assert_eq!(by, expected, "{interpreter}");
        assert_eq!(subject.runs(), 0);
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn a_stopped_process_is_told_and_left_as_it_is() {
    let program = format!("{HEAD}\nready('')\nos.read(0, 3)\nprint('fine')\n");
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &program);
        signal(subject.pid(), "-STOP");
        wait_stopped(subject.pid());
        match subject.enter(quick()) {
            Err(EnterError::Stopped(pid)) if pid == subject.pid() => {}
            other => panic!("{interpreter}: {other:?}"),
        }
        let runs = subject.runs();
        signal(subject.pid(), "-CONT");
        subject.wait_in(&["read"]);
        assert_eq!(subject.runs(), runs, "nothing was left in it");
        subject.enter(Options::default()).expect("it goes on");
        subject.finish(&interpreter.to_string());
    }
}

/// Holds the GIL in C code: `PyDLL` does not let go of it.
const GIL_HELD: &str = "
import ctypes
ready('')
assert ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(10), 10) == 3
print('fine')
";

#[test]
fn native_code_that_keeps_the_gil_is_told_within_the_limit() {
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &format!("{HEAD}{GIL_HELD}"));
        subject.wait_in(&["read"]);
        let error = subject.enter(quick()).expect_err("nothing leads in");
        let text = error.to_string();
        let EnterError::NoWay { tried, .. } = error else {
            panic!("{interpreter}: {text}");
        };
        let told = |tried: &attach::Tried| {
            tried.tid == Some(subject.pid())
                && tried
                    .place
                    .as_ref()
                    .is_some_and(|place| place.contains("program.py"))
        };
        assert!(tried.iter().any(told), "{interpreter}: {text}");
        assert_eq!(subject.runs(), 0);
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn the_last_door_loads_a_library() {
    let scratch = Scratch::new().expect("a directory");
    let ran = scratch.path().join("loaded");
    let source = format!(
        "#include <fcntl.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void enter(void) {{\n\
         free(malloc(100000));\n\
         int f = open(\"{}\", O_WRONLY | O_CREAT | O_APPEND, 0600);\n\
         if (write(f, \"x\", 1)) {{}}\nclose(f);\n}}\n",
        ran.display()
    );
    let source = scratch.write("door.c", &source).expect("a file");
    let library = scratch.path().join("door.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no C compiler");
        return;
    }
    for interpreter in testkit::matrix() {
        let _ = std::fs::remove_file(&ran);
        let subject = Subject::start(interpreter, &format!("{HEAD}{GIL_HELD}"));
        subject.wait_in(&["read"]);
        let options = Options {
            library: Some(&library),
            ..Options::default()
        };
        let mut arrived = || ran.exists();
        let entered = attach::enter(subject.pid(), subject.script(), &mut arrived, options);
        let entered = entered.unwrap_or_else(|error| panic!("{interpreter}: {error}"));
        assert_eq!(entered.door, Door::LoadedLibrary, "{interpreter}");
        assert_eq!(entered.tid, Some(subject.pid()));
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn one_thread_alone_can_be_asked() {
    let program = format!(
        "{HEAD}
def other():
    ready(threading.get_native_id())
    os.read(0, 3)
thread = threading.Thread(target=other)
thread.start()
thread.join()
print('fine')
"
    );
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &program);
        let mut tids = process::proc::thread_ids(subject.pid()).expect("it runs");
        tids.retain(|&tid| tid != subject.pid());
        let &[tid] = tids.as_slice() else {
            panic!("{interpreter}: {tids:?}");
        };
        let options = Options {
            tid: Some(tid),
            ..Options::default()
        };
        let entered = subject.enter(options);
        let entered = entered.unwrap_or_else(|error| panic!("{interpreter}: {error}"));
        assert_eq!(entered.tid, Some(tid), "{interpreter}: {entered:?}");
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn who_may_not_be_woken_is_not() {
    let program = format!("{HEAD}\nready('')\nos.read(0, 3)\nprint('fine')\n");
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &program);
        subject.wait_in(&["read"]);
        let options = Options {
            kick: false,
            ..quick()
        };
        let error = subject.enter(options).expect_err("it sleeps on");
        assert!(
            matches!(error, EnterError::NoWay { .. }),
            "{interpreter}: {error}"
        );
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn what_was_not_taken_is_taken_back() {
    // A regular expression that takes seconds, with the GIL held: nobody looks, or hardly ever.
    let program = format!(
        "{HEAD}
import re
text = 'a' * 24
ready('')
re.match('(a+)+b', text)
os.read(0, 3)
print('fine')
"
    );
    for interpreter in testkit::matrix() {
        let subject = Subject::start(interpreter, &program);
        let options = Options {
            limit: Duration::from_millis(300),
            ..Options::default()
        };
        // Where it looks for signals meanwhile, it may look for this too.
        let entered = subject.enter(options);
        let runs = u64::from(entered.is_ok());
        subject.wait_in(&["read"]);
        assert_eq!(subject.runs(), runs, "{interpreter}: {entered:?}");
        subject.enter(Options::default()).expect("now it opens");
        assert_eq!(subject.runs(), runs + 1);
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn a_program_that_forks() {
    let program = format!(
        "{HEAD}
def forks():
    while not stop:
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        assert os.waitpid(pid, 0) == (pid, 3 << 8)
stop = False
thread = threading.Thread(target=forks)
thread.start()
ready('')
os.read(0, 3)
stop = True
thread.join()
print('fine')
"
    );
    ten_times(&program);
}

#[test]
fn a_program_with_subinterpreters() {
    let program = format!(
        "{HEAD}
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None
made = interpreters and interpreters.create()
thread = threading.Thread(target=os.read, args=(0, 1))
thread.start()
ready('')
thread.join()
os.read(0, 2)
print('fine')
"
    );
    ten_times(&program);
}

fn ten_times(program: &str) {
    for interpreter in testkit::matrix() {
        let subject = Subject::start_with(interpreter, program, |command| {
            command.env("PYTHONWARNINGS", "ignore");
        });
        for time in 0..10 {
            let entered = subject.enter(Options::default());
            entered.unwrap_or_else(|error| panic!("{interpreter}: time {time}: {error}"));
        }
        subject.finish(&interpreter.to_string());
    }
}

#[test]
fn what_is_no_python_or_has_ended_is_told() {
    let mut child = Command::new("sleep").arg("60").spawn().expect("sleep runs");
    let never = &mut || false;
    let script = std::path::Path::new("/nowhere");
    // It may not have begun to run `sleep` yet.
    let error = attach::enter(child.id(), script, never, quick()).expect_err("no Python");
    assert!(matches!(error, EnterError::NotPython { .. }), "{error}");
    child.kill().expect("ours");
    let error = attach::enter(child.id(), script, never, quick()).expect_err("a zombie");
    assert!(
        matches!(error, EnterError::Ended(_) | EnterError::NotPython { .. }),
        "{error}"
    );
    child.wait().expect("ours");
    let error = attach::enter(child.id(), script, never, quick()).expect_err("gone");
    assert!(matches!(error, EnterError::Ended(_)), "{error}");
    let error = attach::enter(1, std::path::Path::new(""), never, quick()).expect_err("no path");
    assert!(matches!(error, EnterError::Path(_)), "{error}");
}

#[test]
fn one_that_ends_meanwhile_is_told() {
    let program = format!("{HEAD}\nready('')\nos.read(0, 3)\ntime.sleep(0.2)\nos._exit(0)\n");
    for interpreter in testkit::matrix() {
        let mut subject = Subject::start(interpreter, &program);
        subject.go();
        // A script that never reports.
        let error = attach::enter(
            subject.pid(),
            subject.script(),
            &mut || false,
            Options::default(),
        );
        let error = error.expect_err("it ends");
        assert!(
            matches!(error, EnterError::Ended(_)),
            "{interpreter}: {error}"
        );
    }
}
