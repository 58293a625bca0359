//! Profiles made up for tests and for looking at the formats: nothing ran, but all that a recording can hold is in them.

use crate::{
    Builder, Frame, FrameId, FrameKind, Function, Limits, Metric, Process, Profile, Sample,
    StackId, State, Track, TrackId,
};

/// The interval of the made-up recordings: 100 Hz.
const INTERVAL_NS: u64 = 10_000_000;

/// The program that [`server`] pretends to have recorded.
pub const BANK: &str = r#""""Accounts, and transfers between them."""
import json
import threading

accounts_lock = threading.Lock()
audit_lock = threading.Lock()
accounts = {}


def interest(balance, days):
    rate = 0.00013
    for _ in range(days):
        balance += balance * rate
    return balance


def transfer(source, target, amount):
    with accounts_lock:
        accounts[source] -= amount
        accounts[target] += amount
        audit(source, target, amount)


def audit(source, target, amount):
    entry = json.dumps({"from": source, "to": target, "amount": amount})
    with audit_lock:
        with open("audit.log", "a") as log:
            log.write(entry + "\n")


def report():
    total = 0
    for name in sorted(accounts):
        total += interest(accounts[name], 365)
    return total
"#;

/// A profile in the making, with less to write for each frame.
struct Maker {
    builder: Builder,
    random: u64,
}

/// A frame: function, file, line, kind.
type Place<'a> = (&'a str, &'a str, u32, FrameKind);

const BANK_PY: &str = "/srv/app/bank.py";
const SERVER_PY: &str = "/srv/app/server.py";
const ASYNCIO: &str = "/usr/lib/python3.13/asyncio/base_events.py";
const THREADING: &str = "/usr/lib/python3.13/threading.py";
const JSON: &str = "/usr/lib/python3.13/json/__init__.py";
const POOL: &str = "/usr/lib/python3.13/concurrent/futures/thread.py";
const LIBC: &str = "/usr/lib/x86_64-linux-gnu/libc.so.6";

const fn py<'a>(name: &'a str, file: &'a str, line: u32) -> Place<'a> {
    (name, file, line, FrameKind::Python)
}

const fn wait(name: &str) -> Place<'_> {
    (name, "", 0, FrameKind::Wait)
}

impl Maker {
    fn new() -> Maker {
        let mut builder = Builder::new(Limits::default());
        let about = builder.about();
        about.recorder = "unknot 0.1.0".to_owned();
        about.command = ["python", "-m", "server", "--port", "8080"]
            .map(str::to_owned)
            .to_vec();
        about.python = "3.13.0".to_owned();
        about.start_unix_ns = 1_760_000_000_123_456_789;
        about.interval_ns = INTERVAL_NS;
        about.metric = Metric::Wall;
        Maker {
            builder,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next of a fixed sequence, below `bound`.
    fn random(&mut self, bound: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound.max(1)
    }

    fn frame(&mut self, place: Place<'_>) -> FrameId {
        let (name, file, line, kind) = place;
        let name = self.builder.string(name);
        let file = self.builder.string(file);
        let function = self.builder.function(Function {
            name,
            file,
            first_line: if kind == FrameKind::Python {
                line.saturating_sub(line % 10) + 1
            } else {
                0
            },
            kind,
        });
        self.builder.frame(Frame {
            function,
            line,
            instruction: None,
        })
    }

    fn stack(&mut self, places: &[Place<'_>]) -> Option<StackId> {
        let frames: Vec<FrameId> = places.iter().map(|place| self.frame(*place)).collect();
        self.builder.stack_of(frames).0
    }

    fn process(&mut self, pid: u32, parent: u32, name: &str, start_ns: u64) -> u32 {
        let name = self.builder.string(name);
        self.builder.process(Process {
            pid,
            parent,
            name,
            start_ns,
            end_ns: None,
        })
    }

    fn track(&mut self, process: u32, tid: u32, thread: &str, task: Option<&str>) -> TrackId {
        let thread_id = self.builder.string(thread);
        let task = task.map(|task| self.builder.string(task));
        self.builder.track(Track {
            process,
            tid,
            thread: thread_id,
            task,
            main: thread == "MainThread",
        })
    }

    fn sample(&mut self, track: TrackId, sweep: u64, stack: Option<StackId>, state: State) {
        let total = self.builder.total(track, stack, state);
        let busy = matches!(state, State::Running | State::Native);
        self.builder.add(Sample {
            total,
            at_ns: sweep * INTERVAL_NS,
            wall_ns: INTERVAL_NS,
            cpu_ns: if busy { INTERVAL_NS - 300_000 } else { 0 },
        });
    }

    fn finish(mut self, sweeps: u64) -> Profile {
        self.builder.about().duration_ns = sweeps * INTERVAL_NS;
        let bank = self.builder.string(BANK_PY);
        self.builder.source(bank, BANK.to_owned());
        self.builder.finish()
    }
}

/// Nothing: a recording of a program that ended before its first sample.
pub fn empty() -> Profile {
    Maker::new().finish(0)
}

/// Ten seconds of a server: an event loop with tasks, threads that fight for locks and for the GIL, a pool, native
/// code, the collector, and a child that lives for a part of the time.
pub fn server() -> Profile {
    let mut make = Maker::new();
    let parent = make.process(4242, 1, "python -m server", 0);
    let main = make.track(parent, 4242, "MainThread", None);
    let tasks = ["accept", "Task-2", "Task-3"]
        .map(|task| make.track(parent, 4242, "MainThread", Some(task)));
    let transfers = [
        make.track(parent, 4250, "Thread-1 (transfer)", None),
        make.track(parent, 4251, "Thread-2 (transfer)", None),
    ];
    let pool: Vec<TrackId> = (0..3)
        .map(|n| make.track(parent, 4260 + n, &format!("ThreadPoolExecutor-0_{n}"), None))
        .collect();
    let child = make.process(4300, 4242, "python report.py", 200 * INTERVAL_NS);
    let child_main = make.track(child, 4300, "MainThread", None);
    let sweeps = 1000;
    for sweep in 0..sweeps {
        make.event_loop(main, tasks, sweep);
        for (number, track) in transfers.into_iter().enumerate() {
            make.transfer(track, number as u64, sweep);
        }
        for (number, track) in pool.iter().enumerate() {
            make.pool_worker(*track, number as u64, sweep);
        }
        if (200..700).contains(&sweep) {
            make.report(child_main, sweep);
        }
    }
    make.builder.process_ended(child, 700 * INTERVAL_NS);
    let about = make.builder.about();
    about.errors = 2;
    about.late = 5;
    make.finish(sweeps)
}

impl Maker {
    fn event_loop(&mut self, main: TrackId, tasks: [TrackId; 3], sweep: u64) {
        let root = [
            py("<module>", SERVER_PY, 91),
            py("run", "/usr/lib/python3.13/asyncio/runners.py", 194),
            py("BaseEventLoop.run_forever", ASYNCIO, 674),
            py("BaseEventLoop._run_once", ASYNCIO, 2006),
        ];
        let mut stack = root.to_vec();
        if sweep % 7 < 2 {
            stack.push(py(
                "Handle._run",
                "/usr/lib/python3.13/asyncio/events.py",
                89,
            ));
            stack.push(py("Server.respond", SERVER_PY, 40 + (sweep as u32 % 3)));
            stack.push(py("dumps", JSON, 231));
            let state = if sweep.is_multiple_of(2) {
                State::Running
            } else {
                State::Gil
            };
            let stack = self.stack(&stack);
            self.sample(main, sweep, stack, state);
        } else {
            stack.push(py(
                "EpollSelector.select",
                "/usr/lib/python3.13/selectors.py",
                452,
            ));
            stack.push(wait("waits for events on 12 descriptors"));
            let stack = self.stack(&stack);
            self.sample(main, sweep, stack, State::Idle);
        }
        let steps = [
            (
                "Server.accept",
                22,
                "waits for a connection on 127.0.0.1:8080",
            ),
            (
                "Server.handle",
                31,
                "waits for Future of Server.query, task Task-3",
            ),
            (
                "Server.query",
                55,
                "waits for run_in_executor, ThreadPoolExecutor-0_0",
            ),
        ];
        for (number, (track, (name, line, what))) in tasks.into_iter().zip(steps).enumerate() {
            let mut stack = vec![
                ("Task-1", "", 0, FrameKind::Task),
                py("Server.main", SERVER_PY, 80),
            ];
            stack.push(py(name, SERVER_PY, line));
            if sweep % 11 == number as u64 {
                stack.push(py("Server.decode", SERVER_PY, 63));
                let stack = self.stack(&stack);
                self.sample(track, sweep, stack, State::Running);
            } else {
                stack.push(wait(what));
                let stack = self.stack(&stack);
                self.sample(track, sweep, stack, State::Waiting);
            }
        }
    }

    fn transfer(&mut self, track: TrackId, number: u64, sweep: u64) {
        let mut stack = vec![
            py("Thread._bootstrap", THREADING, 1014),
            py("Thread.run", THREADING, 994),
        ];
        let turn = (sweep / 20 + number).is_multiple_of(2);
        let state = if turn {
            stack.push(py("transfer", BANK_PY, 21));
            stack.push(py(
                "audit",
                BANK_PY,
                if sweep.is_multiple_of(4) { 25 } else { 28 },
            ));
            if sweep.is_multiple_of(4) {
                stack.push(py("dumps", JSON, 231));
                stack.push((
                    "c_make_encoder",
                    "_json.cpython-313-x86_64-linux-gnu.so",
                    0,
                    FrameKind::Native,
                ));
                if sweep.is_multiple_of(12) {
                    stack.push(("gc (generation 1)", "", 0, FrameKind::Gc));
                }
                State::Native
            } else {
                stack.push(("write", LIBC, 0, FrameKind::Native));
                stack.push(wait("waits for file audit.log"));
                State::Waiting
            }
        } else {
            stack.push(py("transfer", BANK_PY, 18));
            let holder = 2 - number;
            stack.push(wait(match holder {
                1 => "waits for Lock accounts_lock, held by Thread-1 (transfer) at bank.py:18",
                _ => "waits for Lock accounts_lock, held by Thread-2 (transfer) at bank.py:18",
            }));
            State::Waiting
        };
        let stack = self.stack(&stack);
        self.sample(track, sweep, stack, state);
    }

    fn pool_worker(&mut self, track: TrackId, number: u64, sweep: u64) {
        let mut stack = vec![
            py("Thread._bootstrap", THREADING, 1014),
            py("Thread.run", THREADING, 994),
            py("_worker", POOL, 93),
        ];
        let state = if (sweep / 50 + number) % 3 == 1 {
            stack.push(py("_WorkItem.run", POOL, 59));
            stack.push(py("report", BANK_PY, 35));
            let deep = self.random(6);
            for _ in 0..deep {
                stack.push(py("interest", BANK_PY, 13));
            }
            stack.push(py("interest", BANK_PY, 12 + (sweep as u32 % 2)));
            match self.random(5) {
                0 => State::Gil,
                _ => State::Running,
            }
        } else {
            stack.push(wait("waits for work, SimpleQueue of ThreadPoolExecutor"));
            State::Idle
        };
        let stack = self.stack(&stack);
        self.sample(track, sweep, stack, state);
    }

    fn report(&mut self, track: TrackId, sweep: u64) {
        let line = 33 + self.random(3) as u32;
        let mut stack = vec![
            py("<module>", "/srv/app/report.py", 12),
            py("report", BANK_PY, line),
        ];
        if self.random(3) > 0 {
            stack.push(py("interest", BANK_PY, 12 + self.random(2) as u32));
        }
        let state = if self.random(9) == 0 {
            stack.push(("sort_impl", "/usr/bin/python3.13", 0, FrameKind::Native));
            State::Native
        } else {
            State::Running
        };
        let stack = self.stack(&stack);
        self.sample(track, sweep, stack, state);
    }
}

/// A recording of one thread whose stacks branch `breadth` times at each of six levels and go on for a while: for
/// large ones. With 5, some 15,000 stacks of their own leaves; with 6, some 50,000.
pub fn wide(breadth: u32) -> Profile {
    let mut make = Maker::new();
    let process = make.process(7, 1, "python wide.py", 0);
    let track = make.track(process, 7, "MainThread", None);
    let mut paths = vec![make.stack(&[py("<module>", "/srv/app/wide.py", 1)])];
    for level in 0..6_u32 {
        let mut next = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            for branch in 0..breadth {
                let name = format!("Level{level}.step_{branch}");
                let file = format!("/srv/app/level{level}.py");
                let line = 10 * branch + number as u32 % 5 + 1;
                let frame = make.frame(py(&name, &file, line));
                next.push(make.builder.stack(*path, frame));
            }
        }
        paths = next;
    }
    let sweeps = paths.len() as u64;
    for (sweep, path) in paths.into_iter().enumerate() {
        make.sample(track, sweep as u64, path, State::Running);
        if make.random(4) == 0 {
            make.sample(track, sweep as u64, path, State::Running);
        }
    }
    make.finish(sweeps)
}

/// Names that would break out of any form which does not escape them.
pub fn hostile() -> Profile {
    let names = [
        "</script><script>alert(1)</script>",
        "<svg onload=alert(1)>",
        "a;b c (d:1) 2\n3;4",
        "\"'&amp;\\\u{0}\u{1b}[31m\u{202e}",
        "<!--",
        "]]>",
        "fn=(1) calls=2",
        "\u{1f40d}\u{ffff}",
        "",
    ];
    let mut make = Maker::new();
    let process = make.process(7, 1, names[0], 0);
    let track = make.track(process, 7, names[1], Some(names[2]));
    for (sweep, name) in names.iter().enumerate() {
        let places: Vec<Place<'_>> = names[..=sweep]
            .iter()
            .map(|file| py(name, file, 3))
            .collect();
        let stack = make.stack(&places);
        make.sample(track, sweep as u64, stack, State::Running);
    }
    let file = make.builder.string(names[0]);
    make.builder.source(file, names.join("\n"));
    make.finish(names.len() as u64)
}
