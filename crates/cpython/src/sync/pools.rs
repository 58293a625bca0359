//! Futures and the pools that work them off.

use super::forms::{Form, form_of};
use super::objects::{attribute, flag, integer, text};
use crate::reader::Reader;
use crate::render::RenderLimits;
use snapshot::{Address, FutureState, SyncState};

/// Most work items of a pool that are listed.
const QUEUED_MAX: usize = 5000;
/// Most workers of a pool that are listed.
const WORKERS_MAX: usize = 5000;

type State = Option<(SyncState, Vec<Address>)>;

/// A `concurrent.futures.Future`.
pub(super) fn future(reader: &Reader<'_>, future: Address) -> State {
    let exception = attribute(reader, future, "_exception");
    let state = match text(reader, future, "_state")?.as_str() {
        "PENDING" => FutureState::Pending,
        "RUNNING" => FutureState::Running,
        "CANCELLED" | "CANCELLED_AND_NOTIFIED" => FutureState::Cancelled,
        _ if exception.is_some() => FutureState::Failed,
        _ => FutureState::Finished,
    };
    let condition = attribute(reader, future, "_condition");
    let lock = condition.and_then(|condition| attribute(reader, condition, "_lock"));
    let state = SyncState::Future {
        state,
        exception: exception.map(|exception| reader.render(exception, &RenderLimits::default())),
        executor: None,
        event_loop: None,
    };
    Some((state, condition.into_iter().chain(lock).collect()))
}

/// Whether a `concurrent.futures.Future` is still to be finished.
pub(super) fn is_unfinished(reader: &Reader<'_>, future: Address) -> bool {
    text(reader, future, "_state").is_some_and(|state| state == "PENDING" || state == "RUNNING")
}

/// A `multiprocessing.pool.ApplyResult` and its like.
pub(super) fn pool_result(reader: &Reader<'_>, result: Address) -> State {
    let event = attribute(reader, result, "_event");
    let done = event.and_then(|event| flag(reader, event, "_flag"));
    let state = SyncState::Future {
        state: match (done, flag(reader, result, "_success")) {
            (Some(true), Some(false)) => FutureState::Failed,
            (Some(true), _) => FutureState::Finished,
            _ => FutureState::Pending,
        },
        exception: None,
        executor: attribute(reader, result, "_pool"),
        event_loop: None,
    };
    let condition = event
        .and_then(|event| attribute(reader, event, "_cond"))
        .or_else(|| attribute(reader, result, "_cond"));
    Some((state, event.into_iter().chain(condition).collect()))
}

/// A `ThreadPoolExecutor`.
pub(super) fn thread_pool(reader: &Reader<'_>, pool: Address) -> State {
    let queue = attribute(reader, pool, "_work_queue");
    let workers = attribute(reader, pool, "_threads")
        .and_then(|threads| reader.set_items(threads, WORKERS_MAX).ok());
    let items = queue.map(|queue| simple_queue_items(reader, queue));
    let state = SyncState::Executor {
        max_workers: integer(reader, pool, "_max_workers")?,
        workers: workers.unwrap_or_default(),
        processes: Vec::new(),
        queued: futures_of(reader, items.unwrap_or_default()),
        shutdown: flag(reader, pool, "_shutdown").unwrap_or(false),
        broken: broken(reader, pool),
    };
    let parts = queue
        .into_iter()
        .chain(attribute(reader, pool, "_shutdown_lock"))
        .collect();
    Some((state, parts))
}

/// A `ProcessPoolExecutor`.
pub(super) fn process_pool(reader: &Reader<'_>, pool: Address) -> State {
    let pending = attribute(reader, pool, "_pending_work_items")
        .and_then(|items| reader.dict_items(items, QUEUED_MAX).ok())
        .unwrap_or_default();
    let queued = futures_of(reader, pending.into_iter().map(|(_, item)| item).collect());
    let manager = attribute(reader, pool, "_executor_manager_thread")
        .or_else(|| attribute(reader, pool, "_queue_management_thread"));
    let processes = attribute(reader, pool, "_processes")
        .and_then(|processes| reader.dict_items(processes, WORKERS_MAX).ok())
        .unwrap_or_default();
    let state = SyncState::Executor {
        max_workers: integer(reader, pool, "_max_workers")?,
        workers: manager.into_iter().collect(),
        processes: processes
            .into_iter()
            .filter_map(|(pid, _)| u32::try_from(reader.int(pid).ok()?).ok())
            .collect(),
        queued,
        shutdown: flag(reader, pool, "_shutdown_thread").unwrap_or(false),
        broken: broken(reader, pool),
    };
    Some((
        state,
        attribute(reader, pool, "_shutdown_lock")
            .into_iter()
            .collect(),
    ))
}

/// The futures that a `ProcessPoolExecutor` has still to finish, also those that its processes have begun.
pub(super) fn pending_futures(reader: &Reader<'_>, pool: Address) -> Vec<Address> {
    attribute(reader, pool, "_pending_work_items")
        .and_then(|items| reader.dict_items(items, QUEUED_MAX).ok())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(_, item)| attribute(reader, item, "future"))
        .collect()
}

/// A `multiprocessing.Pool` (or `ThreadPool`, whose processes are threads).
pub(super) fn pool(reader: &Reader<'_>, pool: Address) -> State {
    let members = attribute(reader, pool, "_pool")
        .and_then(|members| reader.items(members, WORKERS_MAX).ok())
        .unwrap_or_default();
    let is_thread = |member: &Address| form_of(reader, *member) == Some(Form::Thread);
    let pid = |member: &Address| {
        let popen = attribute(reader, *member, "_popen")?;
        u32::try_from(integer(reader, popen, "pid")?).ok()
    };
    // Which tasks nobody has begun does not tell whose results are to come; that there are any does.
    let waiting = ["_taskqueue", "_inqueue"].iter().any(|name| {
        let queue = attribute(reader, pool, name);
        queue.is_some_and(|queue| !simple_queue_items(reader, queue).is_empty())
    });
    let results = attribute(reader, pool, "_cache")
        .filter(|_| waiting)
        .and_then(|cache| reader.dict_items(cache, QUEUED_MAX).ok())
        .unwrap_or_default();
    // Worker processes have threads here that give them their tasks and take their results.
    let handlers = ["_worker_handler", "_task_handler", "_result_handler"];
    let handlers: Vec<Address> = handlers
        .iter()
        .filter_map(|name| attribute(reader, pool, name))
        .collect();
    let threads: Vec<Address> = members.iter().copied().filter(is_thread).collect();
    let state = SyncState::Executor {
        max_workers: integer(reader, pool, "_processes")
            .unwrap_or(i64::try_from(members.len()).unwrap_or(0)),
        workers: if threads.is_empty() {
            handlers.clone()
        } else {
            threads
        },
        processes: members.iter().filter_map(pid).collect(),
        queued: results.into_iter().map(|(_, result)| result).collect(),
        shutdown: text(reader, pool, "_state").is_some_and(|state| state != "RUN"),
        broken: None,
    };
    Some((state, handlers))
}

/// Why an executor is broken: a text, `True`, or `False`.
fn broken(reader: &Reader<'_>, pool: Address) -> Option<String> {
    let value = attribute(reader, pool, "_broken")?;
    if !reader.truth(value).unwrap_or(false) {
        return None;
    }
    Some(
        reader
            .string(value, super::objects::NAME_CHARS)
            .unwrap_or_else(|_| "broken".to_owned()),
    )
}

/// The futures of work items that nobody has begun.
fn futures_of(reader: &Reader<'_>, items: Vec<Address>) -> Vec<Address> {
    items
        .into_iter()
        .filter_map(|item| attribute(reader, item, "future"))
        .filter(|future| text(reader, *future, "_state").is_some_and(|state| state == "PENDING"))
        .collect()
}

/// What lies in a `_queue.SimpleQueue`: a list and how much of it was taken, or from 3.13 on a ring.
fn simple_queue_items(reader: &Reader<'_>, queue: Address) -> Vec<Address> {
    ring_items(reader, queue)
        .or_else(|| list_items(reader, queue))
        .unwrap_or_default()
}

fn list_items(reader: &Reader<'_>, queue: Address) -> Option<Vec<Address>> {
    let layout = &reader.layout.simple_queue;
    let list = reader.get(queue, layout.lst).ok()?;
    let taken = usize::try_from(reader.get(queue, layout.lst_pos).ok()?).ok()?;
    let items = reader.items(list, QUEUED_MAX.saturating_add(taken)).ok()?;
    Some(items.into_iter().skip(taken).collect())
}

fn ring_items(reader: &Reader<'_>, queue: Address) -> Option<Vec<Address>> {
    let layout = &reader.layout.simple_queue;
    let items = reader.get(queue, layout.buf_items).ok()?;
    let capacity = u64::try_from(reader.get(queue, layout.buf_capacity).ok()?).ok()?;
    let first = u64::try_from(reader.get(queue, layout.buf_get).ok()?).ok()?;
    let count = u64::try_from(reader.get(queue, layout.buf_num).ok()?).ok()?;
    if count > capacity {
        return None;
    }
    let item = |number: u64| {
        let slot = first.checked_add(number)?.checked_rem(capacity)?;
        let address = items.checked_add(slot.checked_mul(8)?)?;
        reader.scalar::<Address>(address).ok()?.non_null()
    };
    Some((0..count.min(QUEUED_MAX as u64)).filter_map(item).collect())
}
