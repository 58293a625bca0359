//! `unknot dump` and `unknot ps`: the JSON has what is promised, and the text can be read.

mod common;

use common::{command, run, unknot};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(120);

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

fn target(interpreter: &Interpreter, name: &str, args: &[&str]) -> Target {
    let program = programs().join(name);
    let mut target = Target::spawn(interpreter, Program::Path(&program), args).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    target
}

/// The only process of a dump.
fn process(pid: u32, options: &[&str]) -> Value {
    let pid = pid.to_string();
    let run = unknot(&[&["dump", "--json"], options, &[pid.as_str()]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let document = run.json();
    assert_eq!(document["schema"], 1);
    assert!(document["held_still_us"].is_u64(), "{document}");
    let [process] = &document["processes"].as_array().expect("processes")[..] else {
        panic!("not one process: {document}");
    };
    process.clone()
}

/// Looks until `found` sees what it looks for: a thread that has said that it is ready has still some steps to go.
fn wait_for(pid: u32, options: &[&str], found: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let process = process(pid, options);
        if found(&process) {
            return process;
        }
        assert!(begin.elapsed() < LIMIT, "{process:#}");
    }
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let list = list.as_array().expect("a list");
    let found = list.iter().find(|each| each["name"] == name);
    found.unwrap_or_else(|| panic!("no {name:?} in {list:#?}"))
}

fn all_at_rest(process: &Value) -> bool {
    let states = ["holder", "waiter", "loop", "pool_0", "MainThread"].map(|name| {
        let threads = process["threads"].as_array().into_iter().flatten();
        let thread = threads.into_iter().find(|each| each["name"] == name);
        thread.map(|thread| thread["state"].clone())
    });
    let quiet = |state: &Option<Value>| {
        state
            .as_ref()
            .is_some_and(|state| state == "waiting" || state == "idle")
    };
    states.iter().all(quiet)
        && process["tasks"]
            .as_array()
            .is_some_and(|tasks| tasks.len() == 3)
}

fn functions(thread: &Value) -> Vec<&str> {
    let frames = thread["frames"].as_array().expect("frames");
    frames
        .iter()
        .filter_map(|frame| frame["function"].as_str())
        .collect()
}

#[test]
fn the_json_is_as_promised() {
    for interpreter in matrix() {
        let odd = "new\nline; \x1b[31m";
        let target = target(interpreter, "dumped.py", &[odd]);
        let process = wait_for(target.pid(), &["--locals"], all_at_rest);
        let (major, minor, micro) = interpreter.version;
        let program = target.program().to_string_lossy().into_owned();
        assert_eq!(process["pid"], target.pid());
        assert_eq!(process["parent"], std::process::id());
        let version = process["python"].as_str().expect("a version");
        assert!(
            version.starts_with(&format!("{major}.{minor}.{micro}")),
            "{version}"
        );
        assert_eq!(process["free_threaded"], interpreter.free_threaded);
        assert_eq!(process["command"], json!([interpreter.path, program, odd]));
        threads(interpreter, &target, &process["threads"]);
        tasks(interpreter, &target, &process);
    }
}

fn threads(interpreter: &Interpreter, target: &Target, threads: &Value) {
    let qualified = |class: &str, name: &str| {
        if interpreter.at_least(11) {
            format!("{class}.{name}")
        } else {
            name.to_owned()
        }
    };
    let program = target.program().to_string_lossy().into_owned();
    let main = named(threads, "MainThread");
    assert_eq!(
        (&main["main"], &main["tid"]),
        (&json!(true), &json!(target.pid()))
    );
    assert_eq!(functions(main), ["<module>"]);

    let holder = named(threads, "holder");
    assert_eq!(
        (&holder["main"], &holder["state"], &holder["gil"]),
        (&json!(false), &json!("waiting"), &json!("none"))
    );
    let (run, start) = (qualified("Worker", "run"), qualified("Thread", "run"));
    assert_eq!(functions(holder)[..2], [&run, &start], "innermost first");
    let frame = &holder["frames"][0];
    assert_eq!(frame["file"], program);
    assert_eq!(frame["line"], target.line("# sleeps"));
    assert_eq!(frame["native"], false);
    let job = named(&frame["locals"], "job");
    assert_eq!(
        job,
        &json!({ "name": "job", "type": "dict", "value": "{'id': 7}" })
    );
    let [hold] = &holder["holds"].as_array().expect("holds")[..] else {
        panic!("not one hold: {holder:#}");
    };
    assert_eq!(
        (&hold["kind"], &hold["name"]),
        (&json!("Lock"), &json!("self.lock"))
    );
    assert_eq!(
        (&hold["line"], &hold["function"]),
        (&json!(target.line("# taken")), &json!(run))
    );
    assert_eq!(holder["waits_for"]["kind"], "timer");

    let waiter = named(threads, "waiter");
    let wait = &waiter["waits_for"];
    assert_eq!(
        (&waiter["state"], &wait["kind"], &wait["name"]),
        (&json!("waiting"), &json!("Lock"), &json!("self.lock"))
    );
    assert_eq!(
        (&wait["file"], &wait["line"]),
        (&json!(program), &json!(target.line("# waits")))
    );
    assert_eq!(wait["function"], qualified("Worker", "second"));
    assert_eq!(wait["address"], hold["address"]);
    assert!(
        hold["address"]
            .as_str()
            .is_some_and(|address| address.starts_with("0x"))
    );
    for statement in [wait, hold] {
        assert_eq!(statement["certainty"], "certain");
        assert!(
            !statement["evidence"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        );
    }

    assert_eq!(named(threads, "pool_0")["state"], "idle");
    assert_eq!(named(threads, "loop")["state"], "idle");
    let spinner = named(threads, "\x1b[31mspin\nner");
    assert!(
        spinner["waits_for"].is_null() && spinner["holds"] == json!([]),
        "{spinner:#}"
    );
}

fn tasks(interpreter: &Interpreter, target: &Target, process: &Value) {
    let loop_tid = &named(&process["threads"], "loop")["tid"];
    let tasks = process["tasks"].as_array().expect("tasks");
    let outer = tasks
        .iter()
        .find(|task| task["coroutine"] == "gather")
        .expect("the outer task");
    assert_eq!(
        (&outer["state"], &outer["loop_tid"]),
        (&json!("pending"), loop_tid)
    );
    assert_eq!(outer["frames"][0]["line"], target.line("# gathers"));
    let inner: Vec<&Value> = tasks
        .iter()
        .filter(|task| task["coroutine"] == "fetch")
        .collect();
    assert_eq!(inner.len(), 2, "{interpreter}");
    for task in inner {
        assert_eq!(
            (&task["state"], &task["loop_tid"]),
            (&json!("pending"), loop_tid)
        );
        assert_eq!(task["awaited_by"], json!([outer["name"]]));
        assert_eq!(functions(task), ["sleep", "fetch"], "innermost first");
        assert_eq!(task["frames"][1]["line"], target.line("# fetches"));
    }
}

#[test]
fn threads_that_compute_and_that_want_the_gil() {
    for interpreter in matrix() {
        let target = target(interpreter, "computed.py", &[]);
        let state = |process: &Value, name: &str| {
            let threads = process["threads"].as_array().into_iter().flatten();
            let thread = threads.into_iter().find(|each| each["name"] == name);
            thread.map_or([Value::Null, Value::Null], |thread| {
                [thread["state"].clone(), thread["gil"].clone()]
            })
        };
        if interpreter.free_threaded {
            wait_for(target.pid(), &[], |process| {
                state(process, "computer") == ["native", "none"]
            });
            wait_for(target.pid(), &[], |process| {
                state(process, "MainThread") == ["waiting", "none"]
            });
        } else {
            wait_for(target.pid(), &[], |process| {
                state(process, "computer") == ["native", "holds"]
                    && state(process, "MainThread") == ["gil", "waits"]
            });
        }
    }
}

#[test]
fn a_thread_that_runs_python() {
    for interpreter in matrix() {
        let program = "import testkit_ready\ntestkit_ready.ready()\nwhile True: pass";
        let mut target =
            Target::spawn(interpreter, Program::Source(program), &[]).expect("it starts");
        target.wait_ready(LIMIT).expect("it gets ready");
        let gil = if interpreter.free_threaded {
            "none"
        } else {
            "holds"
        };
        wait_for(target.pid(), &[], |process| {
            let main = &process["threads"][0];
            main["state"] == "running" && main["gil"] == gil && main["frames"][0]["line"] == 3
        });
    }
}

#[test]
fn without_a_pause_and_without_locals() {
    let target = target(matrix()[0], "dumped.py", &[]);
    let process = wait_for(target.pid(), &["--no-pause"], all_at_rest);
    assert!(
        named(&process["threads"], "holder")["frames"][0]
            .get("locals")
            .is_none()
    );
    let run = unknot(&["dump", "--json", "--no-pause", &target.pid().to_string()]);
    assert_eq!(run.json()["held_still_us"], 0);
}

#[test]
fn children_are_dumped_when_asked_for() {
    let program = "import subprocess, sys, testkit_ready\nchild = subprocess.Popen([sys.executable, '-c', 'import time, testkit_ready; testkit_ready.ready(); time.sleep(3600)'])\nchild.wait()";
    let mut target = Target::spawn(matrix()[0], Program::Source(program), &[]).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    let pid = target.pid();
    assert_eq!(process(pid, &[])["pid"], pid);
    let run = unknot(&["dump", "--json", "--children", &pid.to_string()]);
    let document = run.json();
    let processes = document["processes"].as_array().expect("processes");
    assert_eq!(processes.len(), 2);
    assert_eq!(
        (&processes[0]["pid"], &processes[1]["parent"]),
        (&json!(pid), &json!(pid))
    );
}

/// What a terminal shows of `unknot ARGUMENTS`.
fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let run = run(Command::new(&matrix()[0].path)
        .arg(programs().join("terminal.py"))
        .args(["--", env!("CARGO_BIN_EXE_unknot")])
        .args(arguments)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied()));
    assert!(
        run.stdout.contains("exit code: 0"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    run.stdout
}

#[test]
fn colour_only_on_a_terminal_and_nothing_hostile_anywhere() {
    let target = target(
        matrix()[0],
        "dumped.py",
        &["new\nline", "\x1b]0;title\x07", "\u{202e}"],
    );
    wait_for(target.pid(), &[], all_at_rest);
    let pid = target.pid().to_string();
    for view in [
        &["dump", "--locals", "--native", &pid][..],
        &["why", &pid],
        &["ps"],
    ] {
        let plain = unknot(view);
        assert_eq!(plain.code, 0, "{}", plain.stderr);
        assert!(
            !plain.stdout.contains(['\x1b', '\x07', '\u{202e}']),
            "{}",
            plain.stdout
        );
        let terminal = shown(view, &[]);
        assert!(terminal.contains("\x1b[1m"), "{terminal}");
        for hostile in [
            "\x1b[31mspin",
            "spin\nner",
            "new\nline",
            "\x1b]0",
            "\x07",
            "\u{202e}",
        ] {
            assert!(!terminal.contains(hostile), "{terminal}");
        }
        for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let monochrome = shown(view, &[environment]);
            assert!(!monochrome.contains('\x1b'), "{monochrome}");
        }
    }
    let run = unknot(&["dump", &pid]);
    assert!(
        run.stdout.contains("\"\\u{1b}[31mspin\\nner\""),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("'new\\nline'"), "{}", run.stdout);
}

#[test]
fn a_thousand_threads_are_one_stack() {
    let program = "
import threading, testkit_ready
threading.stack_size(128 * 1024)
never = threading.Event()
begun = threading.Semaphore(0)
def wait():
    begun.release()
    never.wait()
for _ in range(1000):
    threading.Thread(target=wait, daemon=True).start()
for _ in range(1000):
    begun.acquire()
testkit_ready.ready()
never.wait()
";
    let mut target = Target::spawn(matrix()[0], Program::Source(program), &[]).expect("it starts");
    target.wait_ready(LIMIT).expect("it gets ready");
    target.wait_blocked(LIMIT).expect("it comes to rest");
    let run = unknot(&["dump", &target.pid().to_string()]);
    assert!(
        run.stdout.contains("1000 threads with the same stack"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.lines().count() < 30, "{}", run.stdout);
    let longest = run.stdout.lines().map(|line| line.chars().count()).max();
    assert!(longest < Some(300), "{}", run.stdout);
}

#[test]
fn ps_lists_it() {
    let target = target(matrix()[0], "dumped.py", &["a b"]);
    let process = wait_for(target.pid(), &[], all_at_rest);
    let run = unknot(&["ps", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let document = run.json();
    assert_eq!(document["schema"], 1);
    let listed = document["processes"].as_array().expect("processes");
    let own = listed
        .iter()
        .find(|entry| entry["pid"] == target.pid())
        .expect("the target");
    assert_eq!(own["python"], process["python"]);
    assert_eq!(own["command"], process["command"]);
    assert_eq!(own["free_threaded"], false);
    assert!(own["threads"].as_u64() >= Some(5), "{own}");
    assert!(own["cpu_us"].as_u64() > Some(0), "{own}");
    let text = unknot(&["ps"]).stdout;
    let pid = target.pid().to_string();
    let row = text
        .lines()
        .find(|line| line.trim_start().starts_with(&pid))
        .expect("its row");
    assert!(
        row.contains(process["python"].as_str().unwrap_or("?")) && row.ends_with("dumped.py 'a b'"),
        "{row}"
    );
    assert!(text.starts_with("    PID"), "{text}");
}

#[test]
fn an_answer_into_a_closed_pipe() {
    let target = target(matrix()[0], "dumped.py", &[]);
    let mut child = command()
        .args(["dump", &target.pid().to_string()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
