//! Holding real processes. The targets are this test's own file, run again as something else.

use process::{Hold, HoldError, ProcStatus};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "UNKNOT_TEST_ROLE";
const THREADS: usize = 50;

/// Not a test: what the other processes of these tests run.
#[test]
#[ignore = "runs only as a target of the other tests"]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("threads") => threads_that_wait(),
        Ok("spawner") => threads_that_come_and_go(),
        Ok("tracer") => hold_for_ever(),
        _ => {}
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{word}")
        .and_then(|()| out.flush())
        .expect("the test reads");
}

/// Fifty threads asleep in futex, read and nanosleep; then each line of input is answered by all.
fn threads_that_wait() {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(THREADS));
    for _ in 1..THREADS {
        let barrier = barrier.clone();
        std::thread::spawn(move || {
            loop {
                barrier.wait();
                barrier.wait();
            }
        });
    }
    say("ready");
    for line in std::io::stdin().lines() {
        barrier.wait();
        barrier.wait();
        say(&line.expect("the test writes text"));
    }
}

fn threads_that_come_and_go() {
    say("ready");
    loop {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| std::thread::spawn(|| {}).join()))
            .collect();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn hold_for_ever() {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .expect("the test writes");
    let pid = line.trim().parse().expect("a pid");
    let _hold = Hold::take(pid).expect("the test's own child");
    say("held");
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}

struct Target {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Target {
    fn start(role: &str) -> Target {
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--exact", "role", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs again");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Target { child, output }
    }

    fn ready(role: &str) -> Target {
        let mut target = Target::start(role);
        target.wait_for("ready");
        target
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{line}").expect("the target reads");
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim() != word {
            line.clear();
            let count = self
                .output
                .read_line(&mut line)
                .expect("the target writes text");
            assert!(count > 0, "the target ended before it said {word}");
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill takes two numbers; the process is our own child, not yet waited for.
        unsafe { nix::libc::kill(self.pid().cast_signed(), signal) };
    }

    fn status(&self) -> ProcStatus {
        ProcStatus::read(self.pid()).expect("our own child")
    }

    fn wait_for_state(&self, state: char) {
        let limit = Instant::now() + Duration::from_secs(20);
        while self.status().state != state {
            assert!(Instant::now() < limit, "{:?}", self.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn all_threads_stand_still_and_live_on() {
    let mut target = Target::ready("threads");
    target.tell("one");
    target.wait_for("one");
    for round in 0..20 {
        let hold = Hold::take(target.pid()).expect("our own child");
        assert!(hold.threads().len() >= THREADS);
        for thread in hold.threads() {
            assert!(!thread.was_stopped);
            if cfg!(target_arch = "x86_64") {
                let registers = thread.registers.expect("x86-64 is known");
                assert!(!registers.sp().is_null() && !registers.pc().is_null());
            }
        }
        let tracer = target.status().tracer_pid;
        assert_eq!(tracer, nix::unistd::gettid().as_raw().unsigned_abs());
        let held = hold.release();
        assert!(held > Duration::ZERO);
        assert_eq!(target.status().tracer_pid, 0);
        target.tell(&format!("round {round}"));
        target.wait_for(&format!("round {round}"));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn registers_tell_the_call_that_a_thread_sleeps_in() {
    let target = Target::ready("threads");
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let hold = Hold::take(target.pid()).expect("our own child");
        let calls = hold
            .threads()
            .iter()
            .filter_map(|thread| thread.registers?.syscall())
            .map(|call| call.name);
        let (futex, other): (Vec<_>, Vec<_>) = calls.partition(|name| name == "futex");
        // The threads need a moment to get to their barrier, the main ones to their read and join.
        if futex.len() >= THREADS && other == ["read"] {
            return;
        }
        assert!(Instant::now() < limit, "{} {other:?}", futex.len());
    }
}

#[test]
fn threads_made_meanwhile_are_held_too() {
    let target = Target::ready("spawner");
    for _ in 0..50 {
        let hold = Hold::take(target.pid()).expect("our own child");
        let mut held: Vec<u32> = hold.threads().iter().map(|thread| thread.tid).collect();
        let mut listed = process::proc::thread_ids(target.pid()).expect("our own child");
        held.sort_unstable();
        listed.sort_unstable();
        // Threads that ended while they were seized were reaped, or stay listed as zombies.
        listed.retain(|&tid| {
            ProcStatus::read_thread(target.pid(), tid).is_ok_and(|status| !status.is_zombie())
        });
        assert_eq!(held, listed);
    }
    assert_eq!(target.status().tracer_pid, 0);
}

#[test]
fn a_stopped_target_stays_stopped_and_can_go_on() {
    let mut target = Target::ready("threads");
    target.signal(nix::libc::SIGSTOP);
    target.wait_for_state('T');
    for _ in 0..3 {
        let hold = Hold::take(target.pid()).expect("our own child");
        assert!(hold.threads().iter().all(|thread| thread.was_stopped));
        drop(hold);
        target.wait_for_state('T');
    }
    target.signal(nix::libc::SIGCONT);
    target.tell("awake");
    target.wait_for("awake");
}

#[test]
fn a_stop_that_comes_while_held_takes_effect_afterwards() {
    let target = Target::ready("threads");
    let hold = Hold::take(target.pid()).expect("our own child");
    target.signal(nix::libc::SIGSTOP);
    drop(hold);
    target.wait_for_state('T');
    target.signal(nix::libc::SIGCONT);
    target.wait_for_state('S');
    assert_eq!(target.status().tracer_pid, 0);
}

#[test]
fn a_kill_that_comes_while_held_ends_the_target() {
    let mut target = Target::ready("threads");
    let hold = Hold::take(target.pid()).expect("our own child");
    target.signal(nix::libc::SIGKILL);
    drop(hold);
    let status = target.child.wait().expect("its parent is told");
    assert!(!status.success());
}

#[test]
fn when_the_tracer_is_killed_the_target_runs_on() {
    let mut target = Target::ready("threads");
    let mut tracer = Target::start("tracer");
    tracer.tell(&target.pid().to_string());
    tracer.wait_for("held");
    assert_ne!(target.status().tracer_pid, 0);
    match Hold::take(target.pid()) {
        Err(HoldError::Denied(denial)) => {
            assert!(denial.to_string().contains(&tracer.pid().to_string()));
        }
        other => panic!("two tracers: {other:?}"),
    }
    tracer.child.kill().expect("our own child");
    tracer.child.wait().expect("our own child");
    target.tell("free");
    target.wait_for("free");
    assert_eq!(target.status().tracer_pid, 0);
}

#[test]
fn the_dead_cannot_be_held() {
    let mut child = Command::new("true").spawn().expect("true is everywhere");
    let pid = child.id();
    let limit = Instant::now() + Duration::from_secs(20);
    while !ProcStatus::read(pid)
        .expect("a zombie at least")
        .is_zombie()
    {
        assert!(Instant::now() < limit);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(Hold::take(pid), Err(HoldError::Zombie(_))));
    child.wait().expect("our own child");
    assert!(matches!(Hold::take(pid), Err(HoldError::Gone(_))));
}
