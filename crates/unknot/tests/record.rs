//! `unknot record` and `unknot top`, as a user runs them.

mod common;

use common::{assert_told, command, run, unknot};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Program, Scratch, Target};

const SPIN: &str = "
import threading, testkit_ready

door = threading.Lock()
door.acquire()

def wait():
    with door:
        pass

def spin():
    x = 0
    while True:
        for i in range(1000):
            x += i

threading.Thread(target=wait, name='waits', daemon=True).start()
testkit_ready.ready()
spin()
";

/// The newest interpreter here.
fn interpreter() -> &'static testkit::Interpreter {
    let matrix = testkit::matrix();
    let with_gil = matrix.iter().rev().find(|i| !i.free_threaded);
    with_gil.or(matrix.last()).expect("an interpreter")
}

fn spinning() -> Target {
    let mut target = Target::spawn(interpreter(), Program::Source(SPIN), &[]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(60))
        .expect("it gets ready");
    target
}

#[test]
fn a_slow_rate_does_not_prolong_it() {
    let target = spinning();
    let scratch = Scratch::new().expect("a directory");
    let file = scratch.path().join("a.out");
    let run = unknot(&[
        "record",
        "-f",
        "svg",
        "-r",
        "0.01",
        "-d",
        "0.2",
        "--json",
        "-o",
        &file.to_string_lossy(),
        &target.pid().to_string(),
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told = run.json();
    // The next sweep would be due in a hundred seconds.
    assert!(
        told["duration_s"].as_f64().is_some_and(|s| s < 50.0),
        "{told}"
    );
    assert_eq!(told["format"], "flamegraph");
}

#[test]
fn a_command_that_is_not_python_is_told() {
    let scratch = Scratch::new().expect("a directory");
    let file = scratch.path().join("a.svg");
    let file = file.to_string_lossy();
    let run = unknot(&["record", "-o", &file, "--", "sh", "-c", ":"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("--children"), "{}", run.stderr);
}

#[test]
fn a_process_in_each_format() {
    let target = spinning();
    let pid = target.pid().to_string();
    let scratch = Scratch::new().expect("a directory");
    for (file, mark) in [
        ("a.svg", "<svg"),
        ("a.html", "<html"),
        ("a.speedscope.json", "speedscope"),
        ("a.collapsed", ";spin"),
        ("a.callgrind", "events:"),
        ("a.firefox.json", "\"threads\""),
        ("a.trace.json", "traceEvents"),
        ("a.heatmap.html", "<html"),
    ] {
        let path = scratch.path().join(file);
        let out = path.to_string_lossy();
        let run = unknot(&["record", "--json", "-d", "0.3", "-o", &out, &pid]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let told = run.json();
        assert!(told["samples"].as_u64().is_some_and(|n| n > 0), "{told}");
        for field in ["errors", "late", "duration_s", "achieved_hz"] {
            assert!(told[field].is_number(), "{field}: {told}");
        }
        let text = std::fs::read_to_string(&path).expect("the file was written");
        assert!(
            text.contains(mark),
            "{file}: {}",
            &text[..text.len().min(500)]
        );
    }
}

#[test]
fn a_command_keeps_its_output_and_its_code() {
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.path().join("p.collapsed");
    let python = interpreter().path.to_string_lossy().into_owned();
    let code = "import sys; print('mine'); x = sum(i for i in range(2000000)); sys.exit(7)";
    let run = run(command()
        .args(["record", "-r", "1000", "-o"])
        .arg(&path)
        .args(["--python", &python, "-c", code]));
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (7, "mine\n"),
        "{}",
        run.stderr
    );
    let text = std::fs::read_to_string(&path).expect("the file was written");
    assert!(text.contains("<genexpr>"), "{text}");
}

#[test]
fn the_users_end_writes_what_there_is() {
    let target = spinning();
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.path().join("p.collapsed");
    let mut recording = Command::new(env!("CARGO_BIN_EXE_unknot"))
        .args(["record", "--json", "-o"])
        .arg(&path)
        .arg(target.pid().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It has begun once the kernel counts descriptors of the target's among its own.
    let fds = format!("/proc/{}/fd", recording.id());
    let watched = format!("/proc/{}/task", target.pid());
    let begun = || {
        let entries = std::fs::read_dir(&fds).into_iter().flatten().flatten();
        let mut links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.any(|link| link.starts_with(&watched))
    };
    while !begun() {
        std::thread::yield_now();
        assert!(matches!(recording.try_wait(), Ok(None)), "it has ended");
    }
    let killed = Command::new("kill")
        .args(["-INT", &recording.id().to_string()])
        .status();
    assert!(killed.expect("kill runs").success());
    let output = recording.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(path.is_file(), "{told}");
}

#[test]
fn what_cannot_be_is_told_before_the_recording() {
    let target = spinning();
    let pid = target.pid().to_string();
    let nowhere = ["record", "-d", "60", "-o", "/nowhere/at/all.svg", &pid];
    assert_told(
        &unknot(&nowhere),
        3,
        &["cannot write /nowhere/at/all.svg", "directory"],
    );
    let unknown = unknot(&["record", "-d", "60", "-o", "profile.xyz", &pid]);
    assert_told(&unknown, 2, &["profile.xyz", "-f"]);
    let gone = unknot(&["record", "-d", "60", "-o", "/tmp/x.svg", "999999999"]);
    assert_told(&gone, 3, &["999999999"]);
    assert_eq!(unknot(&["record", "-r", "fast", &pid]).code, 2);
    assert!(!std::path::Path::new("/tmp/x.svg").exists());
}

#[test]
fn top_tells_of_each_thread() {
    let target = spinning();
    let pid = target.pid().to_string();
    let run = unknot(&["top", "--json", "-n", "3", "-e", "0.4", &pid]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let windows: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(windows.len(), 3);
    let threads = windows[2]["threads"].as_array().expect("threads");
    let thread = |name: &str| {
        let mut named = threads.iter().filter(|thread| thread["thread"] == name);
        named
            .next()
            .unwrap_or_else(|| panic!("no {name}: {threads:?}"))
    };
    assert_eq!(thread("MainThread")["function"], "spin");
    let waits = thread("waits");
    assert_eq!(waits["state"], "waiting", "{waits}");
    let text = waits["waits_for"].as_str().unwrap_or_default();
    assert!(
        text.contains("waits for Lock door, held by MainThread"),
        "{waits}"
    );
    assert_eq!(windows[2]["functions"][0]["function"], "spin");
}

/// A task computes beside two that sleep.
const TASKS: &str = "
import asyncio
import testkit_ready

def spin():
    x = 0
    for i in range(5000):
        x += i

async def compute():
    while True:
        spin()
        await asyncio.sleep(0)

async def rest():
    await asyncio.sleep(3600)

async def main():
    asyncio.get_running_loop().call_later(0.1, testkit_ready.ready)
    await asyncio.gather(compute(), rest(), rest())

asyncio.run(main())
";

#[test]
fn top_tells_of_each_task() {
    let mut target = Target::spawn(interpreter(), Program::Source(TASKS), &[]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(60))
        .expect("it gets ready");
    let pid = target.pid().to_string();
    let run = unknot(&["top", "--json", "-n", "16", "-e", "0.5", &pid]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let windows: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let last = windows.last().expect("a line");
    assert_eq!(last["threads"].as_array().map(Vec::len), Some(1), "{last}");
    assert_eq!(last["programs"][0]["threads"], 1, "{last}");
    // Suspended tasks are looked at more seldom than threads, the more so on a busy machine.
    let task = |name: &str| -> Vec<&Value> {
        let tasks = windows
            .iter()
            .filter_map(|window| window["tasks"].as_array());
        tasks
            .flatten()
            .filter(|task| task["task"] == name)
            .collect()
    };
    assert!(
        task("compute")
            .iter()
            .any(|task| task["function"] == "spin"),
        "{last}"
    );
    let rests = task("rest");
    assert!(!rests.is_empty(), "{last}");
    for rest in &rests {
        assert_eq!(
            (&rest["state"], &rest["waits_for"]),
            (&json!("suspended"), &json!("sleeps"))
        );
    }
    let some = |rest: &&Value| rest["count"].as_f64().is_some_and(|count| count >= 0.5);
    assert!(rests.iter().any(some), "{rests:?}");
}
