//! Event loops: what is due, what is timed, what is watched.

use super::callbacks::{foreign_futures, task_of_callback};
use super::find::Found;
use crate::interpreter::Interp;
use crate::reader::Reader;
use snapshot::{Address, Kind, SyncObject, SyncState};
use std::collections::{BTreeMap, BTreeSet};

/// Most handles and descriptors of a loop that are read.
const HANDLES_MAX: usize = 100_000;

/// One loop.
#[derive(Debug)]
pub struct LoopSeen {
    /// As an object of the snapshot.
    pub object: SyncObject,
    /// The kernel's number of the thread that runs it.
    pub tid: Option<u32>,
    /// Tasks whose next step is in its ready queue.
    pub ready_tasks: BTreeSet<Address>,
    /// What it will call, by what makes it do so.
    pub sources: Vec<Source>,
    /// The `concurrent.futures.Future`s that a callback in its ready queue will see to: of coroutines that other threads
    /// have given it to run, and that it has not begun.
    pub brings: Vec<Address>,
}

/// What a loop will call by itself: functions and their arguments.
#[derive(Debug, Clone)]
pub struct Source {
    /// The descriptor that has to be ready for it; `None`: what is due, timed, or called on a signal.
    pub fd: Option<i32>,
    /// The functions, their arguments, handles.
    pub callbacks: Vec<Address>,
}

/// The loops that were found, each read.
pub fn event_loops(
    reader: &Reader<'_>,
    interp: &Interp,
    found: &Found,
    tid_of: &dyn Fn(u64) -> Option<u32>,
) -> BTreeMap<Address, LoopSeen> {
    let idents: BTreeSet<u64> = interp.threads.iter().map(|t| t.ident).collect();
    found
        .loops
        .iter()
        .map(|at| (*at, one_loop(reader, *at, &idents, tid_of)))
        .collect()
}

/// `threading.get_ident()` of the thread that runs the loop; `None` while it does not run.
pub(super) fn thread_of(reader: &Reader<'_>, event_loop: Address) -> Option<u64> {
    let ident = reader.some_attribute(event_loop, "_thread_id")?;
    reader.int(ident).ok().map(|value| value as u64)
}

fn one_loop(
    reader: &Reader<'_>,
    address: Address,
    idents: &BTreeSet<u64>,
    tid_of: &dyn Fn(u64) -> Option<u32>,
) -> LoopSeen {
    let ident = thread_of(reader, address).filter(|ident| idents.contains(ident));
    let tid = ident.and_then(tid_of);
    let ready = reader
        .some_attribute(address, "_ready")
        .and_then(|q| reader.deque_items(q, HANDLES_MAX).ok())
        .unwrap_or_default();
    let timers = reader
        .some_attribute(address, "_scheduled")
        .and_then(|q| reader.items(q, HANDLES_MAX).ok())
        .unwrap_or_default();
    let live = |handle: &&Address| {
        !reader
            .some_attribute(**handle, "_cancelled")
            .is_some_and(|c| reader.truth(c).unwrap_or(false))
    };
    let ready: Vec<Address> = ready.iter().filter(live).copied().collect();
    let timers: Vec<Address> = timers.iter().filter(live).copied().collect();
    let mut due = Vec::new();
    let mut brings = Vec::new();
    let mut ready_tasks = BTreeSet::new();
    for handle in ready.iter().chain(&timers) {
        let Some(callback) = reader.some_attribute(*handle, "_callback") else {
            continue;
        };
        match task_of_callback(reader, callback) {
            Some(task) => drop(ready_tasks.insert(task)),
            None => {
                brings.extend(foreign_futures(reader, callback));
                due.push(callback);
                due.extend(reader.some_attribute(*handle, "_args"));
            }
        }
    }
    let handlers = reader
        .some_attribute(address, "_signal_handlers")
        .and_then(|d| reader.dict_items(d, HANDLES_MAX).ok())
        .unwrap_or_default();
    due.extend(handlers.iter().map(|(_, handle)| *handle));
    let closed = reader
        .some_attribute(address, "_closed")
        .is_some_and(|c| reader.truth(c).unwrap_or(false));
    let mut sources = watched(reader, address);
    let object = SyncObject {
        address,
        kind: Kind::Unknown,
        type_name: reader
            .class_of(address)
            .map(|c| c.name.to_string())
            .unwrap_or_default(),
        state: SyncState::EventLoop {
            tid,
            ready: ready.len() as u64,
            scheduled: timers.len() as u64,
            watched: sources.iter().filter_map(|source| source.fd).collect(),
            closed,
            signal_handlers: handlers.len() as u64,
            reaches: None,
            sources: Vec::new(),
        },
        parts: Vec::new(),
        names: Vec::new(),
        wakes: Vec::new(),
    };
    sources.push(Source {
        fd: None,
        callbacks: due,
    });
    LoopSeen {
        object,
        tid,
        ready_tasks,
        sources,
        brings,
    }
}

/// The descriptors of the loop's selector, without its own wake-up socket, and what is called when they are ready.
fn watched(reader: &Reader<'_>, event_loop: Address) -> Vec<Source> {
    let keys = reader
        .some_attribute(event_loop, "_selector")
        .and_then(|selector| reader.some_attribute(selector, "_fd_to_key"))
        .and_then(|dict| reader.dict_items(dict, HANDLES_MAX).ok())
        .unwrap_or_default();
    let own = reader.some_attribute(event_loop, "_ssock");
    let mut sources = Vec::new();
    for (fd, key) in keys {
        // SelectorKey(fileobj, fd, events, data), a named tuple; data are the handles for reading and writing.
        let parts = reader.items(key, 4).unwrap_or_default();
        let own_fd = own.is_some_and(|socket| parts.first() == Some(&socket));
        let number = reader.int(fd).ok().and_then(|n| i32::try_from(n).ok());
        if own_fd || number.is_some() && number == own.and_then(|s| socket_fd(reader, s)) {
            continue;
        }
        let handles = parts
            .get(3)
            .and_then(|data| reader.items(*data, 2).ok())
            .unwrap_or_default();
        let handles = handles.into_iter().filter_map(|handle| reader.some(handle));
        let callbacks = handles.flat_map(|handle| {
            ["_callback", "_args"]
                .into_iter()
                .filter_map(move |part| reader.some_attribute(handle, part))
        });
        sources.extend(number.map(|fd| Source {
            fd: Some(fd),
            callbacks: callbacks.collect(),
        }));
    }
    sources.sort_by_key(|source| source.fd);
    sources
}

/// `sock_fd` of a `socket.socket` (Modules/socketmodule.h: straight behind the object's header).
fn socket_fd(reader: &Reader<'_>, socket: Address) -> Option<i32> {
    let header = reader.layout.object.ob_size.offset()?;
    let fd: i32 = reader.scalar(socket.checked_add(header)?).ok()?;
    (0..1 << 20).contains(&fd).then_some(fd)
}
