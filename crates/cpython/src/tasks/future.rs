//! A future or task, whether it is `_asyncio`'s or pure Python.

use super::NAME_LIMIT_CHARS;
use super::callbacks::source_of;
use crate::reader::Reader;
use crate::render::RenderLimits;
use snapshot::{Address, FutureState, Kind, SyncObject, SyncState};

/// Most callbacks of one future that are read.
pub(super) const CALLBACKS_MAX: usize = 1000;

/// What a future or task says of itself.
#[derive(Debug, Clone)]
pub struct Future {
    /// Where it lives.
    pub address: Address,
    /// Its type's name.
    pub type_name: String,
    /// Its state.
    pub state: FutureState,
    /// The exception that it ended with.
    pub exception: Option<Address>,
    /// The exception that it ended with, rendered.
    pub exception_text: Option<String>,
    /// Whether that exception was never retrieved.
    pub unretrieved: bool,
    /// Its loop.
    pub event_loop: Option<Address>,
    /// Its callbacks.
    pub callbacks: Vec<Address>,
    /// A task's coroutine; `None` for a plain future.
    pub coroutine: Option<Address>,
    /// A task's name object.
    name: Option<Address>,
    /// The future that a task waits for.
    pub waiter: Option<Address>,
}

impl Future {
    /// The future that this one follows: `wrap_future`, `run_in_executor`.
    pub fn follows(&self, reader: &Reader<'_>) -> Option<Address> {
        let pending = self.state == FutureState::Pending && self.coroutine.is_none();
        pending
            .then(|| source_of(reader, &self.callbacks))
            .flatten()
    }
}

/// Whether the object is an asyncio future or task.
pub fn is_future(reader: &Reader<'_>, object: Address) -> bool {
    reader.is_instance(object, "_asyncio", "Future")
        || reader.is_instance(object, "asyncio.futures", "Future")
        || is_task(reader, object)
}

/// Whether the object is an asyncio task.
pub fn is_task(reader: &Reader<'_>, object: Address) -> bool {
    reader.is_instance(object, "_asyncio", "Task")
        || reader.is_instance(object, "asyncio.tasks", "Task")
}

impl Future {
    /// Reads the future or task at `address`; `None` when it is neither or cannot be read.
    pub fn read(reader: &Reader<'_>, address: Address) -> Option<Future> {
        let type_name = reader.class_of(address).ok()?.name.to_string();
        if reader.is_instance(address, "_asyncio", "Task") {
            let l = &reader.layout.async_task;
            let get = |field| {
                reader
                    .get::<Address>(address, field)
                    .ok()
                    .and_then(|a| reader.some(a))
            };
            let state = reader.get(address, l.fut_state).ok()?;
            let mut future = Future {
                address,
                type_name,
                state: FutureState::Pending,
                exception: get(l.fut_exception),
                exception_text: None,
                unretrieved: reader
                    .get(address, l.fut_log_tb)
                    .is_ok_and(|bits| bits & 1 != 0),
                event_loop: get(l.fut_loop),
                callbacks: c_callbacks(reader, get(l.fut_callback0), get(l.fut_callbacks)),
                coroutine: Some(get(l.task_coro).unwrap_or(Address::NULL)),
                name: get(l.task_name),
                waiter: get(l.task_fut_waiter),
            };
            future.settle(reader, state);
            return Some(future);
        }
        if reader.is_instance(address, "_asyncio", "Future") {
            let l = &reader.layout.async_future;
            let get = |field| {
                reader
                    .get::<Address>(address, field)
                    .ok()
                    .and_then(|a| reader.some(a))
            };
            let state = reader.get(address, l.fut_state).ok()?;
            let mut future = Future {
                address,
                type_name,
                state: FutureState::Pending,
                exception: get(l.fut_exception),
                exception_text: None,
                unretrieved: reader
                    .get(address, l.fut_log_tb)
                    .is_ok_and(|bits| bits & 1 != 0),
                event_loop: get(l.fut_loop),
                callbacks: c_callbacks(reader, get(l.fut_callback0), get(l.fut_callbacks)),
                coroutine: None,
                name: None,
                waiter: None,
            };
            future.settle(reader, state);
            return Some(future);
        }
        is_future(reader, address)
            .then(|| python_future(reader, address, type_name))
            .flatten()
    }

    /// The state from `fut_state` (0 pending, 1 cancelled, 2 finished; Modules/_asynciomodule.c).
    fn settle(&mut self, reader: &Reader<'_>, state: i32) {
        self.state = match state {
            0 => FutureState::Pending,
            1 => FutureState::Cancelled,
            _ if self.exception.is_some() => FutureState::Failed,
            _ => FutureState::Finished,
        };
        self.exception_text = self
            .exception
            .map(|e| reader.render(e, &RenderLimits::default()));
    }

    /// A task's name: up to 3.12 of `_asyncio` a `str`, later perhaps still a number.
    pub fn task_name(&self, reader: &Reader<'_>) -> String {
        let Some(name) = self.name else {
            return String::new();
        };
        match reader.string(name, NAME_LIMIT_CHARS) {
            Ok(text) => text,
            Err(_) => reader
                .int(name)
                .map(|number| format!("Task-{number}"))
                .unwrap_or_default(),
        }
    }

    /// As an object of the snapshot, without what it wakes.
    pub fn object(&self, reader: &Reader<'_>) -> SyncObject {
        SyncObject {
            address: self.address,
            kind: if self.coroutine.is_some() {
                Kind::Task
            } else {
                Kind::Future
            },
            type_name: self.type_name.clone(),
            state: SyncState::AsyncFuture {
                state: self.state,
                exception: self.exception_text.clone(),
                event_loop: self.event_loop,
                unretrieved: self.unretrieved,
                follows: self.follows(reader),
                all: reader.is_instance(self.address, "asyncio.tasks", "_GatheringFuture"),
            },
            parts: Vec::new(),
            names: Vec::new(),
            wakes: Vec::new(),
        }
    }
}

impl Reader<'_> {
    /// `object`, unless it is null or None.
    pub(super) fn some(&self, object: Address) -> Option<Address> {
        object.non_null().filter(|at| !self.is_none(*at))
    }

    /// The instance's own attribute `name`, unless it is missing or None.
    pub(super) fn some_attribute(&self, object: Address, name: &str) -> Option<Address> {
        self.attribute(object, name)
            .ok()
            .flatten()
            .and_then(|at| self.some(at))
    }
}

/// `fut_callback0` and the list of the others, of `(callback, context)` pairs.
fn c_callbacks(
    reader: &Reader<'_>,
    first: Option<Address>,
    others: Option<Address>,
) -> Vec<Address> {
    let mut all: Vec<Address> = first.into_iter().collect();
    all.extend(
        others
            .map(|list| listed_callbacks(reader, list))
            .unwrap_or_default(),
    );
    all
}

fn listed_callbacks(reader: &Reader<'_>, list: Address) -> Vec<Address> {
    let pairs = reader.items(list, CALLBACKS_MAX).unwrap_or_default();
    pairs
        .into_iter()
        .filter_map(|pair| reader.items(pair, 2).ok()?.first().copied())
        .collect()
}

/// `asyncio.futures._PyFuture`, `asyncio.tasks._PyTask`.
fn python_future(reader: &Reader<'_>, address: Address, type_name: String) -> Option<Future> {
    let get = |name| reader.some_attribute(address, name);
    // Until they are set, `_state` and `_exception` are the class's own.
    let state = match get("_state") {
        Some(state) => reader.string(state, 16).ok()?,
        None => "PENDING".to_owned(),
    };
    let exception = get("_exception");
    let task = is_task(reader, address);
    Some(Future {
        address,
        type_name,
        state: match state.as_str() {
            "PENDING" => FutureState::Pending,
            "CANCELLED" => FutureState::Cancelled,
            _ if exception.is_some() => FutureState::Failed,
            _ => FutureState::Finished,
        },
        exception,
        exception_text: exception.map(|e| reader.render(e, &RenderLimits::default())),
        unretrieved: get("__log_traceback")
            .or_else(|| get("_Future__log_traceback"))
            .is_some_and(|v| reader.truth(v).unwrap_or(false)),
        event_loop: get("_loop"),
        callbacks: get("_callbacks")
            .map(|list| listed_callbacks(reader, list))
            .unwrap_or_default(),
        coroutine: task.then(|| get("_coro").unwrap_or(Address::NULL)),
        name: get("_name"),
        waiter: get("_fut_waiter"),
    })
}
