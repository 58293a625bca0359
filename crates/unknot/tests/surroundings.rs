//! Targets in unusual surroundings: other namespaces, files that have gone, deep stacks, odd command lines.

mod common;

use common::unknot;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

/// A lock that its own holder asks for again.
const KNOT: &str = r#"
import threading
import testkit_ready
lock = threading.Lock()
def again():
    with lock:
        pass
testkit_ready.ready()
with lock:
    again()
"#;

const LIMIT: Duration = Duration::from_secs(30);

fn hang(target: &mut Target) {
    target.wait_ready(LIMIT).expect("it is ready");
    target.wait_blocked(LIMIT).expect("it hangs");
}

fn assert_knot(pid: u32, what: &str) -> serde_json::Value {
    let run = unknot(&["why", "--json", &pid.to_string()]);
    assert_eq!(run.code, 1, "{what}: {}{}", run.stdout, run.stderr);
    let report = run.json();
    assert_eq!(report["verdict"], "self-deadlock", "{what}");
    let waiter = &report["findings"][0]["edges"][0]["waiter"];
    assert_eq!(waiter["function"], "again", "{what}: {waiter}");
    report
}

/// The directory that an interpreter's standard library is found from.
fn prefix(interpreter: &Interpreter) -> String {
    let output = Command::new(&interpreter.path)
        .args(["-c", "import sys; print(sys.base_prefix)"])
        .output()
        .expect("it runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn executables_and_libraries_that_were_replaced_or_deleted() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let copy = |from: &Path| {
            let to = scratch.path().join(from.file_name().expect("a file"));
            std::fs::copy(from, &to).expect("room for a copy");
            to
        };
        let executable = copy(&interpreter.path);
        let library = interpreter.libpython.as_deref().map(copy);
        let other = Interpreter {
            path: executable.clone(),
            ..interpreter.clone()
        };
        let mut target = Target::spawn_with(&other, Program::Source(KNOT), &[], |command| {
            command
                .env("PYTHONHOME", prefix(interpreter))
                .env("LD_LIBRARY_PATH", scratch.path());
        })
        .expect("a target");
        hang(&mut target);
        let moved = scratch.path().join("elsewhere");
        std::fs::rename(&executable, &moved).expect("our own file");
        assert_knot(target.pid(), &format!("{}: renamed", interpreter.tag));
        std::fs::remove_file(&moved).expect("our own file");
        if let Some(library) = &library {
            // As a package's upgrade does it: another file by the same name.
            std::fs::remove_file(library).expect("our own file");
            std::fs::write(library, "another").expect("our own file");
        }
        assert_knot(target.pid(), &format!("{}: deleted", interpreter.tag));
    }
}

#[test]
fn another_pid_namespace() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command
    };
    let may = unshare().arg("true").stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no PID namespace can be made here");
        return;
    }
    for interpreter in testkit::matrix() {
        // A script in the interpreter's place: the namespace's first process is the target.
        let scratch = Scratch::new().expect("a directory");
        let script = format!(
            "#!/bin/sh\nexec unshare --pid --fork --mount-proc --kill-child '{}' \"$@\"\n",
            interpreter.path.display()
        );
        let path = scratch.write("python", &script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("our own file");
        let wrapped = Interpreter {
            path,
            ..interpreter.clone()
        };
        let mut target = Target::spawn(&wrapped, Program::Source(KNOT), &[]).expect("a target");
        hang(&mut target);
        let family = testkit::descendants(target.pid());
        let inner = *family.last().expect("unshare's child");
        let report = assert_knot(inner, &interpreter.tag);
        let process = &report["processes"][0];
        assert_eq!(process["pid"], inner, "{}", interpreter.tag);
        assert_eq!(process["ns_pid"], 1, "{}", interpreter.tag);
        // By way of its parent, which runs no Python.
        assert_knot(target.pid(), &interpreter.tag);
    }
}

#[test]
fn a_stack_of_five_thousand_frames() {
    let program = r#"
import sys, threading, time
import testkit_ready
sys.setrecursionlimit(20000)
threading.stack_size(512 * 1024 * 1024)
def deeper(left):
    if left:
        return deeper(left - 1)
    testkit_ready.ready()
    time.sleep(1000)
thread = threading.Thread(target=deeper, args=(5000,))
thread.start()
thread.join()
"#;
    for interpreter in testkit::matrix() {
        let mut target =
            Target::spawn(interpreter, Program::Source(program), &[]).expect("a target");
        target.wait_ready(LIMIT).expect("it is ready");
        let dump = unknot(&["dump", "--json", &target.pid().to_string()]);
        assert_eq!(dump.code, 0, "{}: {}", interpreter.tag, dump.stderr);
        let dump = dump.json();
        let threads = dump["processes"][0]["threads"].as_array().expect("threads");
        let frames = |thread: &serde_json::Value| thread["frames"].as_array().map_or(0, Vec::len);
        let deepest = threads.iter().map(frames).max();
        assert!(deepest > Some(5000), "{}: {deepest:?}", interpreter.tag);
    }
}

#[test]
fn a_command_line_with_newlines_and_semicolons() {
    let argument = "one\ntwo; three\tfour";
    let interpreter = testkit::matrix()[0];
    let program = "import testkit_ready, time\ntestkit_ready.ready()\ntime.sleep(1000)\n";
    let mut target =
        Target::spawn(interpreter, Program::Source(program), &[argument]).expect("a target");
    target.wait_ready(LIMIT).expect("it is ready");
    let dump = unknot(&["dump", "--json", &target.pid().to_string()]).json();
    let command = dump["processes"][0]["command"].as_array().expect("words");
    assert_eq!(command.last().expect("the argument"), argument);
    let listed = unknot(&["ps", "--json"]).json();
    let mut processes = listed["processes"].as_array().expect("a list").iter();
    let own = processes.find(|process| process["pid"] == target.pid());
    let command = own.expect("it is listed")["command"].as_array();
    assert_eq!(
        command.and_then(|words| words.last()).expect("words"),
        argument
    );
}
