//! Event loops: what is due, what is timed, what is watched.

use super::callbacks::task_of_callback;
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
    /// Callbacks in its ready queue, its timers, its descriptors, its signal handlers: functions and arguments.
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
    let mut callbacks = Vec::new();
    let mut ready_tasks = BTreeSet::new();
    for handle in ready.iter().chain(&timers) {
        let Some(callback) = reader.some_attribute(*handle, "_callback") else {
            continue;
        };
        match task_of_callback(reader, callback) {
            Some(task) => drop(ready_tasks.insert(task)),
            None => {
                callbacks.push(callback);
                callbacks.extend(reader.some_attribute(*handle, "_args"));
            }
        }
    }
    let handlers = reader
        .some_attribute(address, "_signal_handlers")
        .and_then(|d| reader.dict_items(d, HANDLES_MAX).ok())
        .unwrap_or_default();
    callbacks.extend(handlers.iter().map(|(_, handle)| *handle));
    let closed = reader
        .some_attribute(address, "_closed")
        .is_some_and(|c| reader.truth(c).unwrap_or(false));
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
            watched: watched(reader, address, &mut callbacks),
            closed,
            signal_handlers: handlers.len() as u64,
            reaches: None,
        },
        parts: Vec::new(),
        names: Vec::new(),
        wakes: Vec::new(),
    };
    LoopSeen {
        object,
        tid,
        ready_tasks,
        callbacks,
    }
}

/// The descriptors of the loop's selector, without its own wake-up socket; their callbacks are added to `callbacks`.
fn watched(reader: &Reader<'_>, event_loop: Address, callbacks: &mut Vec<Address>) -> Vec<i32> {
    let keys = reader
        .some_attribute(event_loop, "_selector")
        .and_then(|selector| reader.some_attribute(selector, "_fd_to_key"))
        .and_then(|dict| reader.dict_items(dict, HANDLES_MAX).ok())
        .unwrap_or_default();
    let own = reader.some_attribute(event_loop, "_ssock");
    let mut fds = Vec::new();
    for (fd, key) in keys {
        // SelectorKey(fileobj, fd, events, data), a named tuple.
        let parts = reader.items(key, 4).unwrap_or_default();
        let own_fd = own.is_some_and(|socket| parts.first() == Some(&socket));
        let number = reader.int(fd).ok().and_then(|n| i32::try_from(n).ok());
        if own_fd || number.is_some() && number == own.and_then(|s| socket_fd(reader, s)) {
            continue;
        }
        fds.extend(number);
        callbacks.extend(parts.get(3));
    }
    fds.sort_unstable();
    fds
}

/// `sock_fd` of a `socket.socket` (Modules/socketmodule.h: straight behind the object's header).
fn socket_fd(reader: &Reader<'_>, socket: Address) -> Option<i32> {
    let header = reader.layout.object.ob_size.offset()?;
    let fd: i32 = reader.scalar(socket.checked_add(header)?).ok()?;
    (0..1 << 20).contains(&fd).then_some(fd)
}
