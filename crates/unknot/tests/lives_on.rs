//! Nothing that unknot does may harm a target: thousands of looks at a busy program, and its result is unchanged.

mod common;

use common::unknot;
use look::{Eye, Options, Source};
use std::time::Duration;
use testkit::{Program, Target};

/// Busy in many ways at once: threads under one lock, a queue, timers, allocation, a child now and then.
/// It ends when the file named in its argument appears, and prints what must be true in the end.
const BUSY: &str = r#"
import os, queue, subprocess, sys, threading, time
import testkit_ready
stop = sys.argv[1]
lock, total, done = threading.Lock(), 0, queue.Queue()
def add(times):
    global total
    for _ in range(times):
        with lock:
            total += 1
def feed(jobs):
    while not os.path.exists(stop):
        jobs.put(list(range(50)))
        time.sleep(0.0005)
    jobs.put(None)
def eat(jobs):
    count = 0
    while True:
        item = jobs.get()
        if item is None:
            break
        assert sum(item) == 1225
        count += 1
        add(10)
    done.put(count)
jobs = queue.Queue(10)
threads = [threading.Thread(target=feed, args=(jobs,)), threading.Thread(target=eat, args=(jobs,))]
for thread in threads:
    thread.start()
testkit_ready.ready()
rounds = 0
while not os.path.exists(stop):
    add(1000)
    rounds += 1
    if rounds % 500 == 0:
        assert subprocess.call(["true"]) == 0
for thread in threads:
    thread.join()
expected = rounds * 1000 + done.get() * 10
print("OK" if total == expected else "WRONG %d %d" % (total, expected))
"#;

fn look_often(interpreter: &testkit::Interpreter, times: usize, pause: bool) {
    let scratch = testkit::Scratch::new().expect("a directory");
    let stop = scratch.path().join("stop");
    let mut target = Target::spawn(
        interpreter,
        Program::Source(BUSY),
        &[&stop.to_string_lossy()],
    )
    .expect("a target");
    target
        .wait_ready(Duration::from_secs(20))
        .expect("it is ready");
    let options = Options {
        pause,
        locals: true,
        children: true,
        reach: false,
        native: false,
    };
    let mut eye = Eye::open(Source::Pid(target.pid()), options).expect("it can be opened");
    let mut failures = 0;
    let mut frames = 0;
    for _ in 0..times {
        match eye.look() {
            Ok(snapshot) => {
                frames += snapshot.processes[0]
                    .threads
                    .iter()
                    .map(|t| t.frames.len())
                    .sum::<usize>()
            }
            Err(_) => failures += 1,
        }
    }
    assert!(target.is_alive(), "{:?}", target.output());
    std::fs::write(&stop, "").expect("a file");
    let status = target.wait_end(Duration::from_secs(60)).expect("it ends");
    let output = target.output();
    assert!(
        status.success() && output.stdout.trim() == "OK",
        "{}: {} {}",
        interpreter.tag,
        output.stdout,
        output.stderr
    );
    assert!(
        failures * 100 <= times,
        "{}: {failures} of {times} looks failed",
        interpreter.tag
    );
    assert!(
        frames > times,
        "{}: {frames} frames in {times} looks",
        interpreter.tag
    );
}

#[test]
fn ten_thousand_looks_at_a_busy_process() {
    let matrix = testkit::matrix();
    // Held and running by turns; all interpreters together make the ten thousand.
    let each = 10_000usize.div_ceil(matrix.len().max(1) * 2);
    for interpreter in matrix {
        look_often(interpreter, each, true);
        look_often(interpreter, each, false);
    }
}

#[test]
fn a_stopped_target_stays_stopped() {
    let interpreter = testkit::matrix()[0];
    let program = "import os, signal, sys, testkit_ready\ntestkit_ready.ready()\nos.kill(os.getpid(), signal.SIGSTOP)\nprint('OK')\n";
    let mut target = Target::spawn(interpreter, Program::Source(program), &[]).expect("a target");
    target
        .wait_ready(Duration::from_secs(20))
        .expect("it is ready");
    let state = || {
        std::fs::read_to_string(format!("/proc/{}/stat", target_pid(&target))).unwrap_or_default()
    };
    while !state().contains(") T") {
        std::thread::yield_now();
    }
    let pid = target.pid().to_string();
    let run = unknot(&["dump", "--json", &pid]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        !run.json()["processes"][0]["threads"][0]["frames"]
            .as_array()
            .expect("frames")
            .is_empty()
    );
    assert!(state().contains(") T"), "{}", state());
    let continued = std::process::Command::new("kill")
        .args(["-CONT", &pid])
        .status()
        .expect("kill runs");
    assert!(continued.success());
    target.wait_end(Duration::from_secs(20)).expect("it ends");
    assert_eq!(target.output().stdout.trim(), "OK");
}

#[test]
fn a_write_that_was_looked_at_writes_all() {
    // A stop would end this write with what the pipe has taken by then, and the rest would be lost.
    let program = r#"
import array, fcntl, os, sys, termios, threading, time
import testkit_ready
reader, writer = os.pipe()
written = []
thread = threading.Thread(target=lambda: written.append(os.write(writer, b"x" * 1000000)))
thread.start()
queued = array.array("i", [0])
while queued[0] < 65536:
    time.sleep(0.001)
    fcntl.ioctl(reader, termios.FIONREAD, queued)
testkit_ready.ready()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.001)
read = 0
while read < 1000000 and not (written and written[0] <= read):
    read += len(os.read(reader, 1000000))
thread.join()
print(read, written)
"#;
    let scratch = testkit::Scratch::new().expect("a directory");
    let stop = scratch.path().join("stop");
    let argument = stop.to_string_lossy().into_owned();
    let interpreter = testkit::matrix()[0];
    let mut target =
        Target::spawn(interpreter, Program::Source(program), &[&argument]).expect("a target");
    target
        .wait_ready(Duration::from_secs(20))
        .expect("it is ready");
    for verb in ["dump", "why"] {
        let run = unknot(&[verb, "--json", &target.pid().to_string()]);
        let json = run.json();
        let threads = json["processes"][0]["threads"].as_array().expect("threads");
        let writes = |t: &&serde_json::Value| t["waits_for"]["operation"] == "write";
        let writer = threads.iter().find(writes).expect("the writer waits");
        assert_eq!(writer["waits_for"]["kind"], "pipe", "{writer}");
    }
    std::fs::write(&stop, "").expect("a file");
    target.wait_end(Duration::from_secs(60)).expect("it ends");
    let output = target.output();
    assert_eq!(
        output.stdout.trim(),
        "1000000 [1000000]",
        "{}",
        output.stderr
    );
}

fn target_pid(target: &Target) -> u32 {
    target.pid()
}
