//! Core files: a gcore of a deadlocked process says what the process itself said; a damaged one is an error or a part,
//! marked so.

mod common;

use common::{assert_told, run, unknot};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

/// Two threads that wait for each other's lock.
const KNOT: &str = r#"
import threading
import testkit_ready
first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(3)
def work(one, two):
    with one:
        both.wait()
        with two:
            pass
threads = [threading.Thread(target=work, args=pair, name=name)
           for pair, name in (((first, second), "there"), ((second, first), "back"))]
for thread in threads:
    thread.start()
both.wait()
testkit_ready.ready()
for thread in threads:
    thread.join()
"#;

/// What gdb's gcore writes of a process; `None`, with a message, where there is no gdb or it may not.
fn core_of(pid: u32, directory: &Path) -> Option<PathBuf> {
    let mut gcore = Command::new("gcore");
    gcore
        .arg("-o")
        .arg(directory.join("core"))
        .arg(pid.to_string());
    let output = gcore.stdin(Stdio::null()).output();
    let path = directory.join(format!("core.{pid}"));
    if path.exists() {
        return Some(path);
    }
    match output {
        Ok(output) => eprintln!(
            "skipped: gcore: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("skipped: gcore (gdb) cannot be run: {error}"),
    }
    None
}

fn knotted(interpreter: &Interpreter) -> Target {
    let mut target = Target::spawn(interpreter, Program::Source(KNOT), &[]).expect("a target");
    target
        .wait_ready(Duration::from_secs(20))
        .expect("it is ready");
    target
        .wait_blocked(Duration::from_secs(20))
        .expect("it hangs");
    target
}

/// Who waits for what, and who holds it, without what differs between a process and its core.
fn edges(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    let edges = findings
        .iter()
        .flat_map(|f| f["edges"].as_array().expect("edges"));
    let mut told: Vec<String> = edges
        .map(|edge| {
            let (waiter, thing, holder) = (&edge["waiter"], &edge["waits_for"], &edge["held_by"]);
            format!(
                "{} at {} for {} {}, held by {} at {}",
                waiter["thread"],
                waiter["line"],
                thing["kind"],
                thing["name"],
                holder["thread"],
                holder["line"]
            )
        })
        .collect();
    told.sort();
    told
}

#[test]
fn a_core_says_what_its_process_said() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let target = knotted(interpreter);
        let live = unknot(&["why", "--json", &target.pid().to_string()]);
        let Some(core) = core_of(target.pid(), scratch.path()) else {
            return;
        };
        drop(target);
        let dead = unknot(&["why", "--json", &core.to_string_lossy()]);
        assert_eq!(dead.code, 1, "{}: {}", interpreter.tag, dead.stderr);
        let (live, dead) = (live.json(), dead.json());
        assert_eq!(dead["verdict"], "deadlock", "{}", interpreter.tag);
        assert_eq!(edges(&live), edges(&dead), "{}", interpreter.tag);
        let dump = unknot(&["dump", "--json", "--locals", &core.to_string_lossy()]);
        assert_eq!(dump.code, 0, "{}: {}", interpreter.tag, dump.stderr);
    }
}

#[test]
fn a_core_that_was_cut_short_is_an_error_or_a_part() {
    let scratch = Scratch::new().expect("a directory");
    let target = knotted(testkit::matrix()[0]);
    let Some(core) = core_of(target.pid(), scratch.path()) else {
        return;
    };
    drop(target);
    let whole = std::fs::metadata(&core).expect("our own file").len();
    for part in [9, 7, 5, 3, 1] {
        let file = std::fs::File::options()
            .write(true)
            .open(&core)
            .expect("our own file");
        file.set_len(whole / 10 * part).expect("shorter");
        let cut = run(common::command().args(["why", "--json"]).arg(&core));
        match cut.code {
            0 | 1 => {
                let notes = cut.json()["processes"][0]["notes"].to_string();
                assert!(notes.contains("cut short"), "{part}: {notes}");
            }
            _ => assert_told(&cut, 3, &["core file"]),
        }
    }
}

#[test]
fn a_core_of_something_else_is_refused() {
    let scratch = Scratch::new().expect("a directory");
    let mut sleep = Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("sleep runs");
    let core = core_of(sleep.id(), scratch.path());
    let _ = sleep.kill();
    let _ = sleep.wait();
    if let Some(core) = core {
        assert_told(
            &unknot(&["why", &core.to_string_lossy()]),
            3,
            &["core file", "Python"],
        );
    }
}
