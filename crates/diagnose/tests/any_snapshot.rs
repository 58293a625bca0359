//! No snapshot makes a diagnosis panic or take long: not a random one, not one of ten thousand threads.

use snapshot::{
    Address, FutureState, GilState, Hold, Kind, Operation, Place, Process, Snapshot, SyncObject,
    SyncState, Task, Thread, ThreadState, Timeout, Wait,
};
use std::time::Instant;

/// xorshift64*: enough to mix, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn address(&mut self) -> Address {
        Address(self.below(24))
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const KINDS: [Kind; 27] = [
    Kind::Lock,
    Kind::RLock,
    Kind::Condition,
    Kind::Semaphore,
    Kind::BoundedSemaphore,
    Kind::Event,
    Kind::Barrier,
    Kind::Queue,
    Kind::SimpleQueue,
    Kind::Thread,
    Kind::Future,
    Kind::Executor,
    Kind::Task,
    Kind::ModuleLock,
    Kind::Gil,
    Kind::NativeMutex,
    Kind::Process,
    Kind::Child,
    Kind::Pipe,
    Kind::Socket,
    Kind::FileLock,
    Kind::File,
    Kind::Timer,
    Kind::Signal,
    Kind::Descriptors,
    Kind::Awaitable,
    Kind::Unknown,
];

const OPERATIONS: [Operation; 10] = [
    Operation::Acquire,
    Operation::Wait,
    Operation::Get,
    Operation::Put,
    Operation::Join,
    Operation::Result,
    Operation::Await,
    Operation::Read,
    Operation::Write,
    Operation::Select,
];

fn place(random: &mut Random) -> Place {
    Place {
        file: "a.py".into(),
        line: random.below(50) as u32,
        function: "f".into(),
    }
}

fn wait(random: &mut Random) -> Wait {
    Wait {
        kind: random.pick(&KINDS),
        address: random.chance(90).then(|| random.address()),
        inner_address: random.chance(20).then(|| random.address()),
        operation: random.pick(&OPERATIONS),
        name: random.chance(50).then(|| "x".to_owned()),
        place: place(random),
        inner: None,
        any_of: if random.chance(10) {
            vec![random.address(), random.address()]
        } else {
            Vec::new()
        },
        timeout: random.pick(&[
            Timeout::Forever,
            Timeout::Forever,
            Timeout::Unknown,
            Timeout::Limited,
        ]),
        fds: if random.chance(30) {
            vec![random.below(6) as i32]
        } else {
            Vec::new()
        },
        child: random.chance(50).then(|| random.below(6) as i64 - 1),
        evidence: String::new(),
        certainty: Default::default(),
    }
}

fn holds(random: &mut Random) -> Vec<Hold> {
    (0..random.below(3))
        .map(|_| Hold {
            kind: random.pick(&KINDS),
            address: random.address(),
            fd: None,
            name: None,
            place: place(random),
            now: place(random),
            given_up: random.chance(10),
            evidence: String::new(),
            certainty: Default::default(),
        })
        .collect()
}

fn state(random: &mut Random) -> SyncState {
    let addresses = |random: &mut Random| {
        (0..random.below(4))
            .map(|_| random.address())
            .collect::<Vec<_>>()
    };
    let future = random.pick(&[
        FutureState::Pending,
        FutureState::Running,
        FutureState::Finished,
    ]);
    match random.below(12) {
        0 => SyncState::Lock {
            locked: random.pick(&[None, Some(true), Some(true), Some(false)]),
        },
        1 => SyncState::RLock {
            owner: random.chance(80).then(|| random.below(8)),
            count: 1,
        },
        2 => SyncState::Condition {
            lock: Some(random.address()),
            waiters: addresses(random),
        },
        3 => SyncState::Semaphore {
            value: random.below(2) as i64,
            bound: None,
        },
        4 => SyncState::Event {
            set: random.chance(20),
        },
        5 => SyncState::Queue {
            size: Some(0),
            maxsize: 0,
            unfinished: 1,
        },
        6 => SyncState::Future {
            state: future,
            exception: None,
            executor: random.chance(50).then(|| random.address()),
            event_loop: random.chance(20).then(|| random.address()),
        },
        7 => SyncState::AsyncFuture {
            state: future,
            exception: None,
            event_loop: None,
            unretrieved: false,
            follows: random.chance(30).then(|| random.address()),
            all: random.chance(30),
        },
        8 => SyncState::AsyncLock { locked: true },
        9 => SyncState::Executor {
            max_workers: 2,
            workers: addresses(random),
            processes: Vec::new(),
            queued: addresses(random),
            shutdown: false,
            broken: None,
        },
        10 => SyncState::EventLoop {
            tid: random.chance(80).then(|| random.below(8) as u32),
            ready: 0,
            scheduled: random.below(2),
            watched: vec![random.below(6) as i32],
            closed: false,
            signal_handlers: 0,
            reaches: None,
            sources: Vec::new(),
        },
        _ => SyncState::Opaque,
    }
}

fn random_process(random: &mut Random, pid: u32) -> Process {
    let mut process = Process {
        pid,
        parent: pid.saturating_sub(1),
        python: Some("3.13.0".into()),
        ..Process::default()
    };
    process.reach_complete = random.chance(50);
    for tid in 0..random.below(8) as u32 {
        process.threads.push(Thread {
            tid,
            ident: Some(u64::from(tid)),
            name: format!("t{tid}"),
            main: tid == 0,
            daemon: Some(random.chance(30)),
            thread_object: Some(random.address()),
            interpreter: random.chance(95).then_some(0),
            state: random.pick(&[
                ThreadState::Waiting,
                ThreadState::Waiting,
                ThreadState::Running,
                ThreadState::Idle,
            ]),
            gil: random.pick(&[
                GilState::None,
                GilState::None,
                GilState::None,
                GilState::Waits,
                GilState::Holds,
            ]),
            waits_for: random.chance(85).then(|| wait(random)),
            holds: holds(random),
            running_task: random.chance(20).then(|| random.address()),
            ..Thread::default()
        });
    }
    for number in 0..random.below(6) {
        process.tasks.push(Task {
            address: random.address(),
            name: format!("Task-{number}"),
            scheduled: random.chance(10),
            event_loop: Some(random.address()),
            loop_tid: Some(random.below(8) as u32),
            awaiting: random.chance(60).then(|| random.address()),
            waits_for: random.chance(60).then(|| wait(random)),
            holds: holds(random),
            ..Task::default()
        });
    }
    for _ in 0..random.below(16) {
        let (address, kind, state) = (random.address(), random.pick(&KINDS), state(random));
        let parts = if random.chance(20) {
            vec![random.address()]
        } else {
            Vec::new()
        };
        let wakes = if random.chance(30) {
            vec![random.address(), random.address()]
        } else {
            Vec::new()
        };
        process.objects.push(SyncObject {
            address,
            kind,
            type_name: String::new(),
            state,
            parts,
            names: Vec::new(),
            wakes,
        });
    }
    process
}

#[test]
fn no_snapshot_makes_it_panic() {
    let mut random = Random(0x5EED_0001);
    let mut found = 0;
    for _ in 0..4_000 {
        let processes = (1..=1 + random.below(3) as u32)
            .map(|pid| random_process(&mut random, pid))
            .collect();
        let now = Snapshot {
            schema: 1,
            held_still_us: random.below(2),
            processes,
            notes: Vec::new(),
        };
        let once = diagnose::diagnose(&now, None);
        let twice = diagnose::diagnose(&now, Some(&now));
        found += usize::from(once.is_fault());
        assert!(!twice.wants_second_look);
        assert!(once.findings.iter().all(|f| f.knot_edges <= f.edges.len()));
        let text = diagnose::explain(&twice, &now, &|_, _| None);
        assert!(!text.to_plain().is_empty());
    }
    assert!(
        found > 200,
        "random snapshots should often be stuck, {found} were"
    );
}

fn thread(tid: u64, wait_for: u64, holds: u64) -> Thread {
    let lock = |address: u64| Hold {
        kind: Kind::Lock,
        address: Address(address),
        fd: None,
        name: None,
        place: Place::default(),
        now: Place::default(),
        given_up: false,
        evidence: String::new(),
        certainty: Default::default(),
    };
    let mut random = Random(tid + 1);
    let mut wait = wait(&mut random);
    wait.kind = Kind::Lock;
    wait.operation = Operation::Acquire;
    wait.address = Some(Address(wait_for));
    wait.inner_address = None;
    wait.any_of.clear();
    wait.fds.clear();
    wait.timeout = Timeout::Forever;
    Thread {
        tid: tid as u32,
        ident: Some(tid),
        name: format!("t{tid}"),
        daemon: Some(false),
        interpreter: Some(0),
        state: ThreadState::Waiting,
        waits_for: Some(wait),
        holds: vec![lock(holds)],
        ..Thread::default()
    }
}

/// One circle of `count` threads; then as many that all wait for one queue, and may all reach it.
fn many(count: u64) -> [Snapshot; 2] {
    let circle = (0..count)
        .map(|t| thread(t, (t + 1) % count + 1, t + 1))
        .collect();
    let mut crowd: Vec<Thread> = (0..count).map(|t| thread(t, 1, t + 2)).collect();
    for wait in crowd.iter_mut().filter_map(|t| t.waits_for.as_mut()) {
        wait.kind = Kind::Queue;
        wait.operation = Operation::Get;
    }
    [circle, crowd].map(|threads| {
        let process = Process {
            pid: 1,
            python: Some("3.13.0".into()),
            threads,
            ..Process::default()
        };
        Snapshot {
            schema: 1,
            held_still_us: 1,
            processes: vec![process],
            notes: Vec::new(),
        }
    })
}

#[test]
fn ten_thousand_threads_cost_about_ten_times_a_thousand() {
    let time = |snapshot: &Snapshot| {
        let start = Instant::now();
        let report = diagnose::diagnose(snapshot, None);
        assert!(report.is_fault());
        start.elapsed().as_secs_f64()
    };
    let (small, large) = (many(1_000), many(10_000));
    for (small, large) in small.iter().zip(&large) {
        // Quadratic cost would be a factor of 100; the best of three tells apart what is not noise.
        let ratio = (0..3)
            .map(|_| time(large) / time(small).max(1e-6))
            .fold(f64::INFINITY, f64::min);
        assert!(
            ratio < 40.0,
            "ten times as many threads took {ratio:.0} times as long"
        );
    }
}
