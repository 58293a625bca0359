//! Recordings of real programs, on each interpreter: what is recorded is what the programs did.

use profile::{Metric, Profile, Total};
use sample::{Options, Recorder};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const READY: Duration = Duration::from_secs(60);

fn start(interpreter: &Interpreter, program: &str) -> Target {
    let mut target = Target::spawn(interpreter, Program::Source(program), &[]).expect("it starts");
    target.wait_ready(READY).expect("it gets ready");
    target
}

/// Sweeps until `enough` says so.
fn record(pid: u32, options: Options, mut enough: impl FnMut(&Recorder) -> bool) -> Profile {
    let mut recorder = Recorder::new(pid, options);
    recorder.open().expect("it has an interpreter");
    while !enough(&recorder) {
        if recorder.sweep().processes == 0 {
            break;
        }
        std::thread::sleep(options.interval);
    }
    recorder.finish(0)
}

/// The names of a stack's functions, from the outermost inwards.
fn names<'p>(profile: &'p Profile, total: &Total) -> Vec<&'p str> {
    let mut names: Vec<&str> = profile
        .frames_of(total.stack)
        .filter_map(|frame| profile.functions.get(frame.function as usize))
        .map(|function| profile.text(function.name))
        .collect();
    names.reverse();
    names
}

fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Two ways of calls that never mix: whatever has both in it never was.
const TWO_WAYS: &str = "
import testkit_ready

def c(): return 1
def b(): return c()
def a(): return b()
def f(): return 1
def e(): return f()
def d(): return e()
def deep_one(n): return deep_one(n - 1) if n else a()
def deep_two(n): return deep_two(n - 1) if n else d()

testkit_ready.ready()
while True:
    a(); d(); deep_one(20); deep_two(20)
";

/// For a program to have had many turns.
const LONG_ENOUGH: Duration = Duration::from_millis(700);

#[test]
fn no_stack_that_never_was() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, TWO_WAYS);
        let options = Options {
            interval: Duration::ZERO,
            ..Options::default()
        };
        // Sweeps are cheap: thousands are over before the program has had a turn on a busy machine.
        let began = std::time::Instant::now();
        let profile = record(target.pid(), options, |recorder| {
            recorder.sweeps() >= 5000 && began.elapsed() >= LONG_ENOUGH
        });
        let mut seen = HashSet::new();
        for total in &profile.totals {
            let names: Vec<&str> = names(&profile, total).into_iter().map(simple).collect();
            for pair in names.windows(2) {
                let fine = matches!(
                    pair,
                    ["<module>", "a" | "d" | "deep_one" | "deep_two" | "ready"]
                        | ["deep_one", "deep_one" | "a"]
                        | ["deep_two", "deep_two" | "d"]
                        | ["a", "b"]
                        | ["b", "c"]
                        | ["d", "e"]
                        | ["e", "f"]
                ) || pair[1] == "garbage collection";
                assert!(fine, "{interpreter}: {names:?}");
            }
            seen.extend(names.last().map(ToString::to_string));
        }
        assert!(seen.len() >= 3, "{interpreter}: only {seen:?}");
        let about = &profile.about;
        assert!(
            about.errors * 20 < about.samples,
            "{interpreter}: {about:?}"
        );
    }
}

/// Two callers of one function, which has a part for each: a caller with the other one's part never was.
const TWO_PARTS: &str = "
import testkit_ready

def part(one):
    total = 0
    if one:
        total += 1
        total += 1
        total += 1
    else:
        total += 2
        total += 2
        total += 2
    return total

def first():
    part(True)

def second():
    part(False)

testkit_ready.ready()
while True:
    first(); second()
";

#[test]
fn no_line_that_never_was() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, TWO_PARTS);
        let options = Options {
            interval: Duration::ZERO,
            ..Options::default()
        };
        let profile = record(target.pid(), options, |recorder| {
            recorder.sweeps() >= 40_000
        });
        for total in &profile.totals {
            let frames: Vec<_> = profile.frames_of(total.stack).collect();
            for pair in frames.windows(2) {
                let name = |frame| {
                    let function = profile.function_of(frame).expect("it is in the table");
                    simple(profile.text(function.name))
                };
                let fine = match (name(pair[1]), name(pair[0])) {
                    ("first", "part") => !(11..=13).contains(&pair[0].line),
                    ("second", "part") => !(7..=9).contains(&pair[0].line),
                    _ => true,
                };
                let (caller, line) = (name(pair[1]), pair[0].line);
                assert!(
                    fine,
                    "{interpreter}: {caller} with line {line}, {} times",
                    total.samples
                );
            }
        }
    }
}

/// A quarter of its time goes into one function, three quarters into the other.
const SHARES: &str = "
import testkit_ready

def spin(n):
    x = 0
    for i in range(n):
        x += i
    return x

def left(): spin(2000)
def right(): spin(6000)

testkit_ready.ready()
while True:
    left()
    right()
";

#[test]
fn shares_are_those_of_the_program() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, SHARES);
        let options = Options {
            interval: Duration::from_millis(1),
            metric: Metric::Cpu,
            ..Options::default()
        };
        let profile = record(target.pid(), options, |r| r.so_far().about.samples >= 3000);
        let mut of: HashMap<&str, u64> = HashMap::new();
        for total in &profile.totals {
            let names = names(&profile, total);
            for name in ["left", "right"] {
                if names.contains(&name) {
                    // What it used of a CPU: samples of a program that gets none all show the same place.
                    *of.entry(name).or_default() += total.cpu_ns;
                }
            }
        }
        let share = of["left"] as f64 / (of["left"] + of["right"]) as f64;
        // The loops' lengths are as one to three; what a call costs besides differs from version to version.
        assert!((0.15..0.33).contains(&share), "{interpreter}: {share}");
    }
}

/// One thread has a lock and waits for ever; another wants the lock.
const WAITS: &str = "
import threading, testkit_ready

accounts = threading.Lock()
never = threading.Event()

def holder():
    with accounts:
        testkit_ready.ready()
        never.wait()

def waiter():
    with accounts:
        pass

first = threading.Thread(target=holder, name='holder', daemon=True)
first.start()
while not accounts.locked():
    pass
threading.Thread(target=waiter, name='waiter', daemon=True).start()
never.wait()
";

#[test]
fn a_wait_says_for_what() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, WAITS);
        let says = |profile: &Profile| {
            let texts = profile.strings.iter();
            texts
                .clone()
                .any(|text| text.contains("waits for Lock accounts, held by holder"))
        };
        let profile = record(target.pid(), Options::default(), |recorder| {
            says(recorder.so_far()) && recorder.sweeps() > 20 || recorder.sweeps() > 3000
        });
        assert!(says(&profile), "{interpreter}: {:?}", profile.strings);
        let track = |name: &str| {
            let is_it = |track: &profile::Track| profile.text(track.thread) == name;
            profile.tracks.iter().position(is_it)
        };
        for name in ["MainThread", "holder", "waiter"] {
            assert!(track(name).is_some(), "{interpreter}: {:?}", profile.tracks);
        }
    }
}

/// Children that come and go.
const CHILDREN: &str = "
import os, time, testkit_ready

def child():
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        sum(range(1000))

testkit_ready.ready()
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    os.waitpid(pid, 0)
";

#[test]
fn short_lived_children_are_seen() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, CHILDREN);
        let options = Options {
            interval: Duration::from_millis(2),
            children: true,
            ..Options::default()
        };
        let profile = record(target.pid(), options, |_| false);
        let recorded: HashSet<u32> = profile
            .totals
            .iter()
            .filter(|total| names(&profile, total).contains(&"child"))
            .map(|total| profile.tracks[total.track as usize].process)
            .collect();
        // The children forked after the target was ready, all of them; it may have been quicker than the recorder.
        assert!(
            recorded.len() >= 8,
            "{interpreter}: {} of 10",
            recorded.len()
        );
        let ended = profile.processes.iter().filter(|p| p.end_ns.is_some());
        assert_eq!(ended.count(), profile.processes.len());
    }
}

/// Threads without end.
const THREADS: &str = "
import threading, testkit_ready

def work():
    sum(range(2000))

testkit_ready.ready()
while True:
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
";

#[test]
fn threads_that_come_and_go_cost_only_themselves() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, THREADS);
        let options = Options {
            interval: Duration::from_millis(1),
            ..Options::default()
        };
        let profile = record(target.pid(), options, |recorder| recorder.sweeps() >= 1000);
        let main: u64 = profile
            .totals
            .iter()
            .filter(|total| profile.tracks[total.track as usize].main)
            .map(|total| total.samples)
            .sum();
        assert!(
            main >= 950,
            "{interpreter}: {main} of 1000: {:?}",
            profile.about
        );
    }
}

/// Threads that live for a moment, one at a time.
const MOMENTS: &str = "
import threading, time, testkit_ready

def work():
    time.sleep(0.04)

testkit_ready.ready()
while True:
    thread = threading.Thread(target=work, name='moment')
    thread.start()
    thread.join()
";

#[test]
fn threads_are_known_from_their_beginning() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, MOMENTS);
        let options = Options {
            interval: Duration::from_micros(100),
            idle: true,
            ..Options::default()
        };
        let profile = record(target.pid(), options, |recorder| recorder.sweeps() >= 4000);
        let (mut known, mut unknown) = (0, 0);
        for total in &profile.totals {
            let track = &profile.tracks[total.track as usize];
            let name = profile.text(track.thread);
            match track.tid > 0 && (track.main || name == "moment") {
                true => known += total.samples,
                false => unknown += total.samples,
            }
        }
        // In its first microseconds a thread has no name.
        assert!(
            known > 4000 && unknown * 20 < known,
            "{interpreter}: {known} known, {unknown} not, {:?}",
            profile.about
        );
        let errors = profile.about.errors;
        assert!(errors * 20 < known, "{interpreter}: {errors} not read");
    }
}

#[test]
fn a_target_that_is_killed_leaves_its_profile() {
    for interpreter in testkit::matrix() {
        let mut target = Some(start(interpreter, TWO_WAYS));
        let pid = target.as_ref().map_or(0, Target::pid);
        let profile = record(pid, Options::default(), |recorder| {
            if recorder.so_far().about.samples >= 20 {
                // Dropping it kills it.
                target = None;
            }
            false
        });
        assert!(profile.about.samples >= 20);
        assert_eq!(profile.check(), Ok(()));
        assert!(profile.processes[0].end_ns.is_some());
    }
}

/// One task computes, one of two others has a lock and sleeps, and the other waits for the lock.
const BY_TASK: &str = "
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

async def fetch(door):
    async with door:
        await rest()

async def parent(door):
    await asyncio.gather(fetch(door), fetch(door))

async def main():
    door = asyncio.Lock()
    cruncher = asyncio.ensure_future(compute())
    cruncher.set_name('cruncher')
    asyncio.get_running_loop().call_later(0.1, testkit_ready.ready)
    await parent(door)

asyncio.run(main())
";

#[test]
fn stacks_are_those_of_tasks() {
    for interpreter in testkit::matrix() {
        let target = start(interpreter, BY_TASK);
        let options = Options {
            interval: Duration::from_millis(1),
            ..Options::default()
        };
        let mut looked = 0;
        let profile = record(target.pid(), options, |recorder| {
            let of_tasks = recorder.so_far().totals.iter();
            looked = of_tasks
                .filter(|total| total.state == profile::State::Suspended)
                .map(|total| total.samples)
                .max()
                .unwrap_or(0);
            recorder.sweeps() >= 500 && looked >= 3
        });
        let mut of_task: HashMap<&str, HashMap<String, u64>> = HashMap::new();
        for total in &profile.totals {
            let track = &profile.tracks[total.track as usize];
            let task = track.task.map_or("", |task| profile.text(task));
            assert_eq!(track.tid, target.pid(), "{interpreter}");
            let stack = names(&profile, total).join(" ");
            if !task.is_empty() {
                assert!(
                    !stack.contains("_run_once"),
                    "{interpreter}: {task}: {stack}"
                );
            }
            *of_task.entry(task).or_default().entry(stack).or_default() += total.samples;
        }
        let computing = &of_task["cruncher"];
        assert!(
            computing.contains_key("compute spin"),
            "{interpreter}: {computing:?}"
        );
        let samples: u64 = computing.values().sum();
        assert!(samples >= 250, "{interpreter}: {of_task:?}");
        let fetching: Vec<&str> = of_task["fetch"].keys().map(String::as_str).collect();
        let has = |start: &str, end: &str| {
            let fits = |stack: &&&str| stack.starts_with(start) && stack.ends_with(end);
            fetching.iter().any(|stack| fits(&stack))
        };
        let common = "task main main parent task fetch fetch ";
        assert!(
            has(&format!("{common}rest sleep"), " sleeps"),
            "{interpreter}: {fetching:?}"
        );
        let line = BY_TASK
            .lines()
            .position(|line| line.contains("with door"))
            .expect("there")
            + 1;
        let held = format!("waits for Lock door, held by task fetch at program.py:{line}");
        assert!(has(common, &held), "{interpreter}: {fetching:?}");
        // Both wait all the time, and one of the two is not more than the other.
        assert_eq!(fetching.len(), 2, "{interpreter}: {fetching:?}");
        assert!(!of_task.contains_key("main"), "{interpreter}: {of_task:?}");
    }
}
