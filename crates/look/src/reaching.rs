//! Who can reach what somebody waits for: needed to say that nobody can.

use crate::suspended;
use cpython::frame::RawFrame;
use cpython::greenlets;
use cpython::reach::{Question, Reached, Root, reach};
use cpython::read::{RawTask, Reading};
use cpython::runtime::Runtime;
use cpython::signals;
use cpython::sync::{Lonely, who_is_gone};
use cpython::threads::RawThread;
use process::Memory;
use snapshot::{
    Address, Effect, Kind, LoopSource, Process, SyncState, Task, Thread, ThreadState, Timeout, Wait,
};
use std::collections::{HashMap, HashSet};

/// Most objects that are looked into for one thread or task. A heap beyond that gives no answer, which counts as
/// "everything can be reached".
const OBJECTS_MAX: usize = 200_000;

/// Most tasks that wait to read from a connection, for the question who could write at its other end.
const TRANSPORTS_MAX: usize = 64;

/// Fills what threads, tasks, loops and handlers of `reading` can reach. Nothing is done where nobody waits for anything
/// that has to be reached to be given.
/// `catches`: whether the process has handlers for signals.
pub(crate) fn fill(
    process: &mut Process,
    runtime: &Runtime,
    memory: &dyn Memory,
    catches: impl FnOnce() -> bool,
    reading: &mut Reading,
) {
    let reader = runtime.reader(memory);
    let handlers = signals::handlers(&reader, runtime);
    process.signal_handlers = handlers
        .iter()
        .flatten()
        .map(|h| (h.signal, h.name.clone()))
        .collect();
    // Which functions they are cannot be read in this version.
    let unknown = handlers.is_none() && catches();
    if unknown {
        process.signal_handlers.push((0, String::new()));
    }
    let targets = targets(reading);
    if targets.is_empty() {
        process.reach_complete = true;
        return;
    }
    let mut interpreters = reading.raw.interpreters.iter();
    if interpreters.any(|interp| greenlets::in_use(&reader, interp)) {
        // No answer could be complete.
        process.reach_complete = false;
        return;
    }
    let loops = std::mem::take(&mut reading.raw.loops);
    let mut alone: HashSet<Address> = reading.tasks.iter().map(|task| task.address).collect();
    alone.extend(loops.iter().map(|(address, _)| *address));
    // Whoever has a task's coroutine (`asyncio.run(main())` has) does not do what the task does.
    let frames = reading.raw.tasks.iter().flat_map(|task| &task.frames);
    alone.extend(frames.filter_map(|frame| frame.generator));
    let threads: HashMap<(i64, u64), &RawThread> = reading
        .raw
        .interpreters
        .iter()
        .flat_map(|interp| {
            let threads = interp.threads.iter();
            threads.map(|thread| ((interp.id, thread.ident), thread))
        })
        .collect();
    let tasks: HashMap<Address, &RawTask> = reading
        .raw
        .tasks
        .iter()
        .map(|task| (task.address, task))
        .collect();
    let functions: Vec<Address> = handlers
        .iter()
        .flatten()
        .filter(|handler| !handler.is_own())
        .map(|handler| handler.function)
        .collect();

    let mut roots: Vec<Root<'_>> = Vec::new();
    for thread in &reading.threads {
        let key = (thread.interpreter.unwrap_or(-1), thread.ident.unwrap_or(0));
        let raw = threads.get(&key).copied();
        // What a queue's feeder sends, somebody else has to put first.
        let raw = raw.filter(|raw| !(thread.state == ThreadState::Idle && raw.is_feeder()));
        roots.push(Root {
            frames: beyond_loop(raw.map(RawThread::own_frames).unwrap_or_default()),
            extra: &[],
        });
    }
    for task in &reading.tasks {
        let raw = tasks.get(&task.address);
        roots.push(Root {
            frames: raw.map_or(&[], |task| &task.frames),
            // What is called at its end is its doing too.
            extra: raw.map_or(&[], |task| &task.callbacks),
        });
    }
    for source in loops.iter().flat_map(|(_, sources)| sources) {
        roots.push(Root {
            frames: &[],
            extra: &source.callbacks,
        });
    }
    roots.push(Root {
        frames: &[],
        extra: &functions,
    });
    let modules = reading
        .raw
        .interpreters
        .first()
        .map_or(Address::NULL, |interp| interp.modules);
    let question = Question {
        targets: &targets,
        actors: &alone,
        modules,
        objects_max: OBJECTS_MAX,
    };
    let mut answers = reach(&reader, &roots, &question).into_iter();
    let actors_roots = roots
        .get(..reading.threads.len() + reading.tasks.len())
        .unwrap_or_default();
    let mut actors = suspended::Actors {
        threads: &mut reading.threads,
        tasks: &mut reading.tasks,
    };
    let first = reading.raw.interpreters.first();
    let by_generators = first
        .map(|first| suspended::fill(&reader, first, actors_roots, &question, &mut actors))
        .unwrap_or_default();

    process.reach_complete = true;
    let mut next = || answers.next().unwrap_or_default();
    let mut incomplete = false;
    let mut take = |reached: Reached| -> Vec<Effect> {
        incomplete |= !reached.complete;
        reached.found
    };
    for thread in &mut reading.threads {
        thread.reaches = take(next());
    }
    for task in &mut reading.tasks {
        task.reaches = take(next());
    }
    for (address, asked) in &loops {
        let found: Vec<(Option<i32>, Vec<Effect>)> = asked
            .iter()
            .map(|source| (source.fd, take(next())))
            .collect();
        let object = reading.objects.iter_mut().find(|o| o.address == *address);
        if let Some(SyncState::EventLoop {
            reaches, sources, ..
        }) = object.map(|object| &mut object.state)
        {
            for (fd, found) in found {
                match fd {
                    Some(fd) => sources.push(LoopSource { fd, reaches: found }),
                    None => *reaches = Some(found),
                }
            }
        }
    }
    process.handlers_reach = take(next());
    if unknown {
        // They might reach anything.
        process.handlers_reach = targets
            .iter()
            .map(|object| Effect {
                object: *object,
                path: "a signal handler".to_owned(),
                releases: false,
                uses: None,
            })
            .collect();
    }
    process.reach_complete = !incomplete;
    let lonely = lonely(reading, &process.handlers_reach);
    if let (false, Some(interpreter)) = (lonely.is_empty(), reading.raw.interpreters.first()) {
        process.left = by_generators;
        let gone = who_is_gone(&reader, interpreter, &lonely, &mut reading.ended);
        process.left.extend(gone);
    }
}

/// What threads wait for without an end while nobody holds it, and nobody who may go on seems to reach it.
fn lonely(reading: &Reading, by_handlers: &[Effect]) -> Vec<Lonely> {
    let for_ever = |thread: &&Thread| {
        let waits = thread.waits_for.as_ref();
        thread.state == ThreadState::Waiting && waits.is_some_and(counts)
    };
    let (stuck, others): (Vec<&Thread>, Vec<&Thread>) = reading.threads.iter().partition(for_ever);
    let holds = |object: Address| {
        let held = reading.threads.iter().flat_map(|thread| &thread.holds);
        let by_tasks = reading.tasks.iter().flat_map(|task| &task.holds);
        held.chain(by_tasks)
            .any(|hold| hold.address == object && !hold.given_up)
    };
    let reached: HashSet<Address> = others
        .iter()
        .flat_map(|thread| &thread.reaches)
        .chain(reading.tasks.iter().flat_map(|task| &task.reaches))
        .chain(by_handlers)
        .map(|effect| effect.object)
        .collect();
    let mut lonely: Vec<Lonely> = Vec::new();
    for wait in stuck.iter().filter_map(|thread| thread.waits_for.as_ref()) {
        let Some(object) = wait.address else {
            continue;
        };
        let given = matches!(
            wait.kind,
            Kind::Lock
                | Kind::Condition
                | Kind::Semaphore
                | Kind::BoundedSemaphore
                | Kind::Event
                | Kind::Barrier
                | Kind::Queue
                | Kind::SimpleQueue
                | Kind::Future
        );
        let known = lonely.iter().any(|lonely| lonely.object == object);
        if given && !known && !reached.contains(&object) && !holds(object) {
            lonely.push(Lonely {
                object,
                kind: wait.kind,
                operation: wait.operation,
                name: wait.name.clone(),
            });
        }
    }
    lonely
}

/// The frames around those by which a thread sleeps in its event loop: what the loop does is told by its tasks and callbacks.
fn beyond_loop(frames: &[RawFrame]) -> &[RawFrame] {
    let of_loop = |frame: &RawFrame| {
        let file: &str = &frame.code.file;
        file.ends_with("/selectors.py") || file.contains("/asyncio/")
    };
    let own = frames.iter().position(|frame| !of_loop(frame));
    frames
        .get(own.unwrap_or(frames.len())..)
        .unwrap_or_default()
}

/// What somebody waits for without an end and nobody holds by itself.
fn targets(reading: &Reading) -> HashSet<Address> {
    let threads = reading
        .threads
        .iter()
        .filter(|thread: &&Thread| thread.state != ThreadState::Idle);
    let threads = threads.filter_map(|thread| thread.waits_for.as_ref());
    let tasks = reading
        .tasks
        .iter()
        .filter_map(|task: &Task| task.waits_for.as_ref());
    let mut targets: HashSet<Address> = HashSet::new();
    for wait in threads.chain(tasks).filter(|wait| counts(wait)) {
        targets.extend(wait.address);
        targets.extend(wait.inner_address);
        targets.extend(&wait.any_of);
    }
    // A task itself: who has it may cancel it.
    let tasks = reading.tasks.iter();
    let endless = tasks.filter(|task| task.waits_for.as_ref().is_some_and(counts));
    targets.extend(endless.map(|task| task.address));
    targets.extend(transports(reading));
    // A loop that has something to do, and may have to be woken for it.
    let due = reading.objects.iter().filter(|object| {
        matches!(
            object.state,
            SyncState::EventLoop {
                tid: Some(_),
                ready: 1..,
                ..
            }
        )
    });
    targets.extend(due.map(|object| object.address));
    targets
}

/// The transports from which tasks wait to read: two may be the ends of one connection. Not where there are many, as in a server
/// whose clients are elsewhere.
fn transports(reading: &Reading) -> Vec<Address> {
    let waits = reading
        .tasks
        .iter()
        .filter_map(|task| task.waits_for.as_ref());
    let reads = waits.filter(|wait| {
        let read = wait.kind == Kind::Socket && wait.operation == snapshot::Operation::Read;
        read && wait.timeout != Timeout::Limited
    });
    let found: Vec<Address> = reads.filter_map(|wait| wait.address).collect();
    match found.len() {
        2..=TRANSPORTS_MAX => found,
        _ => Vec::new(),
    }
}

fn counts(wait: &Wait) -> bool {
    wait.timeout != Timeout::Limited
        && !matches!(
            wait.kind,
            Kind::Timer
                | Kind::Terminal
                | Kind::Signal
                | Kind::Descriptors
                | Kind::Gil
                | Kind::File
                // Whose end or doing these waits are for is known without asking who reaches what.
                | Kind::Pipe
                | Kind::Socket
                | Kind::Child
                | Kind::Thread
                | Kind::Task
                | Kind::Executor
                | Kind::FileLock
        )
}
