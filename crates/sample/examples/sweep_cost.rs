//! What one sweep costs, flat out: CPU time and rate, over a busy thread 100 frames deep, the same at rest, and 50
//! threads that wait. Arguments: interpreters; without any, all that the tests know.
//!
//! `cargo run --release -p sample --example sweep_cost`

#![allow(clippy::print_stdout)]

use sample::{Options, Recorder};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long one measurement takes.
const TIME: Duration = Duration::from_millis(1200);

/// 100 frames, the innermost of which computes.
const BUSY: &str = "
def spin():
    x = 0
    while True:
        for i in range(1000): x += i
def deep(n):
    if n: deep(n - 1)
    else: spin()
deep(97)
";
/// 100 frames, the innermost of which waits.
const RESTING: &str = "
import threading
def deep(n):
    if n: deep(n - 1)
    else: threading.Lock().acquire() and gate.acquire()
gate = threading.Lock()
gate.acquire()
deep(98)
";
/// 50 threads that wait.
const FIFTY: &str = "
import threading
gate = threading.Event()
for _ in range(50): threading.Thread(target=gate.wait, daemon=True).start()
gate.wait()
";

fn main() {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let known = || testkit::matrix().into_iter();
    let interpreters = match given.is_empty() {
        true => known().map(|known| known.path.clone()).collect(),
        false => given,
    };
    for interpreter in interpreters {
        for (name, program) in [("busy", BUSY), ("resting", RESTING), ("fifty", FIFTY)] {
            measure(&interpreter, name, program);
        }
    }
}

fn measure(interpreter: &Path, name: &str, program: &str) {
    let mut target = Command::new(interpreter)
        .args(["-c", program])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_millis(400));
    report(&mut target, interpreter, name);
    let _ = target.kill();
    let _ = target.wait();
}

fn report(target: &mut Child, interpreter: &Path, name: &str) {
    let options = Options {
        interval: Duration::ZERO,
        idle: true,
        ..Options::default()
    };
    let mut recorder = Recorder::new(target.id(), options);
    recorder.open().expect("it has an interpreter");
    let sweep_for = |recorder: &mut Recorder, time: Duration| {
        let began = Instant::now();
        while began.elapsed() < time {
            for _ in 0..50 {
                recorder.sweep();
            }
        }
        began.elapsed()
    };
    sweep_for(&mut recorder, TIME / 4);
    let (sweeps, cpu_ns) = (recorder.sweeps(), own_cpu_ns());
    let took = sweep_for(&mut recorder, TIME);
    let sweeps = (recorder.sweeps() - sweeps) as f64;
    let cpu_us = (own_cpu_ns() - cpu_ns) as f64 / 1000.0;
    println!(
        "{} {name}: {:.2} us CPU a sweep, {:.1} kHz, {} errors, {} stops",
        interpreter.display(),
        cpu_us / sweeps,
        sweeps / took.as_secs_f64() / 1000.0,
        recorder.counts().errors,
        recorder.counts().stops,
    );
}

/// CPU time of this thread so far, by the kernel's count.
fn own_cpu_ns() -> u64 {
    let content = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a count");
    let first = content.split(' ').next().and_then(|word| word.parse().ok());
    first.expect("a number")
}
