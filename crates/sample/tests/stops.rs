//! What stopping and resting cost: by the recorder's own counters, on each interpreter.

use sample::{Counts, Options, Recorder};
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const READY: Duration = Duration::from_secs(60);

fn start(interpreter: &Interpreter, program: &str) -> Target {
    let mut target = Target::spawn(interpreter, Program::Source(program), &[]).expect("it starts");
    target.wait_ready(READY).expect("it gets ready");
    target
}

/// Stacks that are new again and again: each of them costs a stop.
const MANY_WAYS: &str = "
import testkit_ready

def spin():
    x = 0
    for i in range(300): x += i

def down(n, way):
    if n == 0: spin()
    elif way & 1: down(n - 1, way >> 1)
    else: down(n - 1, way >> 1)

testkit_ready.ready()
while True:
    for way in range(1024): down(10, way)
";

/// Sweeps flat out until `enough` says so.
fn record(pid: u32, pause_max: Duration, enough: impl Fn(&Recorder) -> bool) -> (Counts, u64) {
    let options = Options {
        interval: Duration::ZERO,
        pause_max,
        ..Options::default()
    };
    let mut recorder = Recorder::new(pid, options);
    recorder.open().expect("it has an interpreter");
    while !enough(&recorder) && recorder.sweep().processes > 0 {}
    let counts = recorder.counts();
    (counts, recorder.so_far().about.samples)
}

#[test]
fn a_stop_that_takes_too_long_is_cut() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, MANY_WAYS);
        // No stop is as short as that.
        let (counts, _) = record(target.pid(), Duration::from_nanos(1), |recorder| {
            recorder.counts().stops >= 8
        });
        assert_eq!(counts.stops_over, counts.stops, "{interpreter}");
        // What was cut gave no sample.
        assert!(counts.errors >= counts.stops, "{interpreter}: {counts:?}");
    }
}

#[test]
fn stops_are_measured() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, MANY_WAYS);
        let pause_max = Duration::from_millis(1);
        let (counts, samples) = record(target.pid(), pause_max, |recorder| {
            recorder.counts().stops >= 100
        });
        assert!(samples >= 100, "{interpreter}: {samples}");
        assert!(
            counts.stop_max <= counts.stopped,
            "{interpreter}: {counts:?}"
        );
        let bounded = counts.stops_over > 0 || counts.stop_max <= pause_max;
        assert!(bounded, "{interpreter}: {counts:?}");
        assert!(
            counts.stopped <= pause_max * 100 || counts.stops_over > 0,
            "{interpreter}: {counts:?}"
        );
    }
}

/// Rests, and goes on when it is told.
const RESTS: &str = "
import sys, threading, testkit_ready

gate = threading.Event()
def idle(): gate.wait()
for _ in range(20): threading.Thread(target=idle, daemon=True).start()

def first(): return sys.stdin.readline()
def second(): return sys.stdin.readline()
while True:
    testkit_ready.ready()
    first()
    testkit_ready.ready()
    second()
";

/// While a process rests, its stacks are not read, and yet none is missed that changes.
#[test]
fn one_that_rests_and_goes_on_is_seen_at_each_place() {
    use std::io::Write;
    for interpreter in testkit::matrix() {
        let (read_end, mut commands) = std::io::pipe().expect("a pipe");
        let mut target = Target::spawn_with(interpreter, Program::Source(RESTS), &[], |command| {
            command.stdin(read_end);
        })
        .expect("it starts");
        let options = Options {
            interval: Duration::ZERO,
            idle: true,
            ..Options::default()
        };
        let pid = target.pid();
        target.wait_ready(READY).expect("it gets ready");
        testkit::wait_still(pid, Duration::from_millis(3), READY).expect("it rests");
        let mut recorder = Recorder::new(pid, options);
        recorder.open().expect("it has an interpreter");
        let samples_at = |recorder: &Recorder, name: &str| {
            let profile = recorder.so_far();
            let is_in = |total: &&profile::Total| {
                profile
                    .frames_of(total.stack)
                    .filter_map(|frame| profile.functions.get(frame.function as usize))
                    .any(|function| profile.text(function.name) == name)
            };
            let found = profile.totals.iter().filter(is_in);
            found.map(|total| total.samples).sum::<u64>()
        };
        for round in 0..4 {
            let (here, there) = match round % 2 {
                0 => ("first", "second"),
                _ => ("second", "first"),
            };
            let before = (
                samples_at(&recorder, here),
                samples_at(&recorder, there),
                recorder.so_far().about.samples,
            );
            for _ in 0..1000 {
                recorder.sweep();
            }
            let all = recorder.so_far().about.samples - before.2;
            assert_eq!(
                samples_at(&recorder, here) - before.0,
                1000,
                "{interpreter}"
            );
            assert_eq!(samples_at(&recorder, there), before.1, "{interpreter}");
            assert_eq!(all, 1000 * 21, "{interpreter}");
            commands.write_all(b"on\n").expect("it is told");
            target.wait_ready(READY).expect("it gets ready");
            testkit::wait_still(pid, Duration::from_millis(3), READY).expect("it rests");
        }
        assert_eq!(recorder.counts().errors, 0, "{interpreter}");
    }
}
