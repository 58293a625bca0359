//! What a suspended task waits for, as the program's own code named it: a table of asyncio's functions.

use super::TaskSeen;
use super::future::{Future, is_task};
use super::primitives;
use crate::frame::RawFrame;
use crate::reader::Reader;
use crate::sync::Origins;
use snapshot::{
    Address, Certainty, FutureState, Kind, Operation, Origin, Place, SyncObject, SyncState,
    Timeout, Wait,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most futures of one `asyncio.wait` that are read.
const ANY_OF_MAX: usize = 1000;

/// Where the object that was called is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// It is the frame's `self`.
    Receiver,
    /// It is the future that the task waits for.
    Awaited,
    /// There is none.
    Nothing,
}

/// A function of asyncio's and what waiting in it means.
struct Rule {
    /// Path within the standard library.
    file: &'static str,
    /// Plain name of the function.
    function: &'static str,
    /// Name of a class that `self` must be an instance of; empty for any.
    class: &'static str,
    kind: Kind,
    operation: Operation,
    of: Of,
}

const fn rule(
    file: &'static str,
    function: &'static str,
    class: &'static str,
    kind: Kind,
    operation: Operation,
    of: Of,
) -> Rule {
    Rule {
        file,
        function,
        class,
        kind,
        operation,
        of,
    }
}

const LOCKS: &str = "asyncio/locks.py";
const QUEUES: &str = "asyncio/queues.py";
const TASKS: &str = "asyncio/tasks.py";
const GROUPS: &str = "asyncio/taskgroups.py";
const STREAMS: &str = "asyncio/streams.py";
const SELECTOR: &str = "asyncio/selector_events.py";
const BASE: &str = "asyncio/base_events.py";
const PROCESSES: &str = "asyncio/subprocess.py";

/// The first line that fits a frame counts; a line of a frame further out overrules those further in.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    rule(LOCKS, "acquire", "Lock", Kind::Lock, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "acquire", "BoundedSemaphore", Kind::BoundedSemaphore, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "acquire", "Semaphore", Kind::Semaphore, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "__aenter__", "Lock", Kind::Lock, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "__aenter__", "BoundedSemaphore", Kind::BoundedSemaphore, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "__aenter__", "Semaphore", Kind::Semaphore, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "__aenter__", "Condition", Kind::Condition, Operation::Acquire, Of::Receiver),
    rule(LOCKS, "wait", "Event", Kind::Event, Operation::Wait, Of::Receiver),
    rule(LOCKS, "wait", "Condition", Kind::Condition, Operation::Wait, Of::Receiver),
    rule(LOCKS, "wait_for", "Condition", Kind::Condition, Operation::Wait, Of::Receiver),
    rule(LOCKS, "wait", "Barrier", Kind::Barrier, Operation::Wait, Of::Receiver),
    rule(LOCKS, "__aenter__", "Barrier", Kind::Barrier, Operation::Wait, Of::Receiver),
    rule(QUEUES, "get", "", Kind::Queue, Operation::Get, Of::Receiver),
    rule(QUEUES, "put", "", Kind::Queue, Operation::Put, Of::Receiver),
    rule(QUEUES, "join", "", Kind::Queue, Operation::Join, Of::Receiver),
    rule(TASKS, "sleep", "", Kind::Timer, Operation::Sleep, Of::Nothing),
    rule(GROUPS, "__aexit__", "", Kind::Future, Operation::Await, Of::Awaited),
    rule(GROUPS, "_aexit", "", Kind::Future, Operation::Await, Of::Awaited),
    rule(STREAMS, "drain", "", Kind::Socket, Operation::Write, Of::Nothing),
    rule(STREAMS, "wait_closed", "", Kind::Socket, Operation::Other, Of::Nothing),
    rule(STREAMS, "open_connection", "", Kind::Socket, Operation::Connect, Of::Nothing),
    rule(STREAMS, "open_unix_connection", "", Kind::Socket, Operation::Connect, Of::Nothing),
    rule(STREAMS, "_wait_for_data", "", Kind::Socket, Operation::Read, Of::Nothing),
    rule(SELECTOR, "sock_recv", "", Kind::Socket, Operation::Read, Of::Nothing),
    rule(SELECTOR, "sock_recv_into", "", Kind::Socket, Operation::Read, Of::Nothing),
    rule(SELECTOR, "sock_recvfrom", "", Kind::Socket, Operation::Read, Of::Nothing),
    rule(SELECTOR, "sock_sendall", "", Kind::Socket, Operation::Write, Of::Nothing),
    rule(SELECTOR, "sock_accept", "", Kind::Socket, Operation::Accept, Of::Nothing),
    rule(SELECTOR, "sock_connect", "", Kind::Socket, Operation::Connect, Of::Nothing),
    rule(BASE, "create_connection", "", Kind::Socket, Operation::Connect, Of::Nothing),
    rule(BASE, "serve_forever", "", Kind::Socket, Operation::Accept, Of::Nothing),
    rule(PROCESSES, "wait", "", Kind::Child, Operation::Reap, Of::Nothing),
    rule(PROCESSES, "communicate", "", Kind::Child, Operation::Reap, Of::Nothing),
    rule(BASE, "shutdown_default_executor", "", Kind::Executor, Operation::Join, Of::Awaited),
];

/// What one suspended task waits for; `objects` gets the primitives and futures that were met.
pub(super) fn wait_of(
    reader: &Reader<'_>,
    origins: &Origins,
    seen: &TaskSeen,
    objects: &mut BTreeMap<Address, SyncObject>,
) -> Option<Wait> {
    let awaited = seen.task.awaiting?;
    if let Some(future) = Future::read(reader, awaited) {
        objects
            .entry(awaited)
            .or_insert_with(|| future.object(reader));
    }
    let mut wait = Wait {
        kind: if is_task(reader, awaited) {
            Kind::Task
        } else {
            Kind::Future
        },
        address: Some(awaited),
        inner_address: None,
        operation: Operation::Await,
        name: None,
        place: Place::default(),
        inner: None,
        timeout: Timeout::Forever,
        fds: Vec::new(),
        child: None,
        any_of: Vec::new(),
        evidence: format!("the future at {awaited} that its task waits for"),
        certainty: Certainty::Certain,
    };
    for frame in &seen.frames {
        if origins.origin_of(&frame.code.file) == Origin::Program {
            break;
        }
        library_frame(reader, origins, frame, awaited, &mut wait, objects);
    }
    let innermost = seen.frames.first().map(place_of);
    let program = program_frame(origins, &seen.frames).map(place_of);
    wait.place = program.or_else(|| innermost.clone()).unwrap_or_default();
    wait.inner = innermost.filter(|place| *place != wait.place);
    if super::limits::limit_of(reader, origins, &seen.frames).is_some() {
        wait.timeout = Timeout::Limited;
    }
    name_of_asyncio(reader, seen, origins, &mut wait);
    Some(wait)
}

fn library_frame(
    reader: &Reader<'_>,
    origins: &Origins,
    frame: &RawFrame,
    awaited: Address,
    wait: &mut Wait,
    objects: &mut BTreeMap<Address, SyncObject>,
) {
    let Some(path) = origins.stdlib_path(&frame.code.file) else {
        return;
    };
    let receiver = frame.local(reader, "self");
    if path == TASKS && &*frame.code.name == "_wait_for_one" {
        // Whatever fills `as_completed`'s queue, each of its futures is what is waited for.
        wait.inner_address = wait.address.take();
        (wait.kind, wait.operation) = (Kind::Future, Operation::Wait);
        wait.evidence = "its coroutine stands in asyncio's as_completed".to_owned();
        let timer = receiver.and_then(|this| reader.some_attribute(this, "_timeout_handle"));
        if timer.is_some() {
            wait.timeout = Timeout::Limited;
        }
        return;
    }
    if path == TASKS && matches!(&*frame.code.name, "wait" | "_wait") {
        (wait.kind, wait.operation) = (Kind::Future, Operation::Wait);
        let first = frame
            .local(reader, "return_when")
            .and_then(|when| reader.string(when, 32).ok())
            .is_some_and(|when| when == "FIRST_COMPLETED");
        if !first {
            needs_all(objects, awaited);
            return;
        }
        let set = frame
            .local(reader, "fs")
            .map(|fs| reader.set_items(fs, ANY_OF_MAX).unwrap_or_default());
        wait.any_of = set.unwrap_or_default();
        for future in wait
            .any_of
            .iter()
            .filter_map(|at| Future::read(reader, *at))
        {
            objects
                .entry(future.address)
                .or_insert_with(|| future.object(reader));
        }
        return;
    }
    let fits = |rule: &&Rule| {
        rule.file == path
            && rule.function == &*frame.code.name
            && (rule.class.is_empty() || receiver.is_some_and(|at| is_a(reader, at, rule.class)))
    };
    let Some(rule) = RULES.iter().find(fits) else {
        return;
    };
    // A condition's lock is taken again after the wait.
    let retakes = rule.kind == Kind::Condition
        && wait.kind == Kind::Lock
        && receiver.and_then(|at| reader.some_attribute(at, "_lock")) == wait.address;
    wait.kind = rule.kind;
    if !retakes {
        wait.operation = rule.operation;
    }
    wait.evidence = format!(
        "its coroutine stands in asyncio's {}",
        &*frame.code.qualname
    );
    match rule.of {
        Of::Awaited => {
            if rule.file == GROUPS {
                needs_all(objects, awaited);
            }
        }
        Of::Nothing => {
            wait.inner_address = Some(awaited);
            wait.address = None;
            if rule.kind == Kind::Timer {
                wait.timeout = Timeout::Limited;
            }
            if let Some(receiver) = receiver {
                // Whoever can reach the transport at the other end could write.
                if rule.file == STREAMS && rule.operation == Operation::Read {
                    wait.address = reader.some_attribute(receiver, "_transport");
                }
                wait.fds.extend(descriptor(reader, receiver));
                wait.child = wait.child.or_else(|| child(reader, receiver));
            }
        }
        Of::Receiver => {
            wait.inner_address = Some(awaited);
            wait.address = receiver;
            if let Some(object) = receiver.and_then(|at| primitives::read(reader, at)) {
                objects.insert(object.address, object);
            }
        }
    }
}

/// Of a wait in `as_completed`: the futures whose end fills its queue.
pub(super) fn complete_any_of(
    reader: &Reader<'_>,
    wait: &mut Wait,
    wakes: &BTreeMap<Address, BTreeSet<Address>>,
) {
    let (Kind::Future, Operation::Wait, Some(queue)) =
        (wait.kind, wait.operation, wait.inner_address)
    else {
        return;
    };
    let fills = wakes.iter().filter(|(_, woken)| woken.contains(&queue));
    wait.any_of = fills
        .map(|(future, _)| *future)
        .filter(|at| Future::read(reader, *at).is_some_and(|f| f.state == FutureState::Pending))
        .take(ANY_OF_MAX)
        .collect();
    let timed = |at: &Address| super::callbacks::has_timer(reader, *at);
    if wait.any_of.iter().any(timed) {
        wait.timeout = Timeout::Limited;
    }
}

/// The future is done only when all that wake it are.
fn needs_all(objects: &mut BTreeMap<Address, SyncObject>, future: Address) {
    if let Some(SyncState::AsyncFuture { all, .. }) =
        objects.get_mut(&future).map(|object| &mut object.state)
    {
        *all = true;
    }
}

fn is_a(reader: &Reader<'_>, object: Address, class: &str) -> bool {
    ["asyncio.locks", "asyncio.queues"]
        .iter()
        .any(|module| reader.is_instance(object, module, class))
}

/// The descriptor behind a stream's reader or writer.
fn descriptor(reader: &Reader<'_>, stream: Address) -> Option<i32> {
    let transport = reader.some_attribute(stream, "_transport")?;
    let number = ["_sock_fd", "_fileno"]
        .iter()
        .find_map(|name| reader.some_attribute(transport, name))?;
    i32::try_from(reader.int(number).ok()?).ok()
}

/// The PID behind an `asyncio.subprocess.Process`.
fn child(reader: &Reader<'_>, process: Address) -> Option<i64> {
    reader.int(reader.some_attribute(process, "pid")?).ok()
}

fn place_of(frame: &RawFrame) -> Place {
    Place {
        file: frame.code.file.to_string(),
        line: frame.line().unwrap_or(0),
        function: frame.code.qualname.to_string(),
    }
}

/// The expression that names the thing in the program's own frame.
fn name_of_asyncio(reader: &Reader<'_>, seen: &TaskSeen, origins: &Origins, wait: &mut Wait) {
    let Some(wanted) = wait.address else { return };
    let frame = program_frame(origins, &seen.frames);
    wait.name = frame.and_then(|frame| crate::sync::name_in_frame(reader, frame, wanted));
}

pub(super) fn program_frame<'f>(origins: &Origins, frames: &'f [RawFrame]) -> Option<&'f RawFrame> {
    frames
        .iter()
        .find(|frame| origins.origin_of(&frame.code.file) == Origin::Program)
}

/// Places the wait of a task that has no frame of the program's own (`create_task(queue.get())`) where the program waits for
/// the task: `awaiting` are the frames of a task that does so.
pub(super) fn place_at(
    reader: &Reader<'_>,
    origins: &Origins,
    wait: &mut Wait,
    awaiting: &[RawFrame],
) {
    let Some(frame) = program_frame(origins, awaiting) else {
        return;
    };
    let inner = std::mem::replace(&mut wait.place, place_of(frame));
    wait.inner.get_or_insert(inner);
    if let (None, Some(wanted)) = (&wait.name, wait.address) {
        wait.name = crate::sync::name_in_frame(reader, frame, wanted);
    }
}
