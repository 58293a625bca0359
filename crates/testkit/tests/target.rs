//! Targets, under one interpreter.

use std::time::Duration;

use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(60);

fn python() -> &'static Interpreter {
    matrix()
        .into_iter()
        .next()
        .expect("there is an interpreter")
}

fn exists(pid: u32) -> bool {
    // A process that was killed but whose new parent has not yet reaped it is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn ready_says_words_and_output_is_kept() {
    for interpreter in matrix() {
        let program = "import sys, testkit_ready\nprint('to stdout', flush=True)\nprint('to stderr', file=sys.stderr)\ntestkit_ready.ready('a', 7)\ntestkit_ready.ready()\ninput()";
        let mut target = Target::spawn(interpreter, Program::Source(program), &[]).unwrap();
        assert_eq!(target.wait_ready(LIMIT).unwrap(), "a 7", "{interpreter}");
        assert_eq!(target.wait_ready(LIMIT).unwrap(), "", "{interpreter}");
        assert_eq!(target.output().stdout, "to stdout\n");
        assert!(target.output().stderr.starts_with("to stderr\n"));
        assert_eq!(
            target.wait_end(LIMIT).unwrap().code(),
            Some(1),
            "input() from nothing raises EOFError"
        );
        assert!(!target.is_alive());
    }
}

#[test]
fn a_program_that_ends_is_never_ready() {
    let mut target =
        Target::spawn(python(), Program::Source("raise SystemExit('no')"), &[]).unwrap();
    let error = target.wait_ready(LIMIT).unwrap_err().to_string();
    assert!(
        error.contains("before it was ready") && error.contains("no"),
        "{error}"
    );
}

#[test]
fn blocked_is_told_from_busy() {
    let lock = "import threading\nl = threading.Lock(); l.acquire()\nt = threading.Thread(target=l.acquire); t.start()\nt.join()";
    let mut target = Target::spawn(python(), Program::Source(lock), &[]).unwrap();
    target.wait_blocked(LIMIT).unwrap();
    assert!(target.is_alive());
    let mut target = Target::spawn(python(), Program::Source("while True: pass"), &[]).unwrap();
    assert!(target.wait_blocked(Duration::from_secs(1)).is_err());
    let mut target = Target::spawn(python(), Program::Source("pass"), &[]).unwrap();
    assert!(target.wait_blocked(LIMIT).is_err());
}

#[test]
fn dropping_kills_the_family() {
    let program = "
import os, subprocess, sys, testkit_ready
same = subprocess.Popen(['sleep', '1000'])
apart = subprocess.Popen(['sleep', '1000'], start_new_session=True)
testkit_ready.ready(same.pid, apart.pid)
same.wait()  # here
";
    let mut target = Target::spawn(python(), Program::Source(program), &[]).unwrap();
    let pids = target.wait_ready(LIMIT).unwrap();
    assert_eq!(target.line("# here"), 6);
    let mut pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    pids.push(target.pid());
    assert!(pids.iter().all(|&pid| exists(pid)));
    drop(target);
    assert!(pids.iter().all(|&pid| !exists(pid)));
}
