//! asyncio's locks, events, conditions, semaphores, barriers and queues: pure Python in every version.

use crate::reader::Reader;
use snapshot::{Address, Kind, SyncObject, SyncState};

/// Most waiters of one primitive that are read.
const WAITERS_MAX: usize = 10_000;

/// The asyncio primitive at `address`, if it is one.
pub fn read(reader: &Reader<'_>, address: Address) -> Option<SyncObject> {
    let class = reader.class_of(address).ok()?;
    let lock = |name: &str| reader.is_subclass(&class, "asyncio.locks", name);
    let flag = |name: &str| {
        reader
            .attribute(address, name)
            .ok()
            .flatten()
            .is_some_and(|v| reader.truth(v).unwrap_or(false))
    };
    let number = |name: &str| {
        reader
            .attribute(address, name)
            .ok()
            .flatten()
            .and_then(|v| reader.int(v).ok())
    };
    let waiters = || {
        let queue = reader.some_attribute(address, "_waiters");
        queue
            .and_then(|q| reader.deque_items(q, WAITERS_MAX).ok())
            .unwrap_or_default()
    };
    let mut parts = Vec::new();
    let mut wakes = waiters();
    let (kind, state) = if lock("Lock") {
        (
            Kind::Lock,
            SyncState::AsyncLock {
                locked: flag("_locked"),
            },
        )
    } else if lock("BoundedSemaphore") {
        (
            Kind::BoundedSemaphore,
            SyncState::Semaphore {
                value: number("_value")?,
                bound: number("_bound_value"),
            },
        )
    } else if lock("Semaphore") {
        (
            Kind::Semaphore,
            SyncState::Semaphore {
                value: number("_value")?,
                bound: None,
            },
        )
    } else if lock("Event") {
        (
            Kind::Event,
            SyncState::Event {
                set: flag("_value"),
            },
        )
    } else if lock("Condition") {
        let inner = reader.some_attribute(address, "_lock");
        parts.extend(inner);
        (
            Kind::Condition,
            SyncState::Condition {
                lock: inner,
                waiters: waiters(),
            },
        )
    } else if lock("Barrier") {
        let condition = reader.some_attribute(address, "_cond");
        parts.extend(condition);
        parts.extend(condition.and_then(|c| reader.some_attribute(c, "_lock")));
        (
            Kind::Barrier,
            barrier(reader, address, number("_parties")?, number("_count")?),
        )
    } else if reader.is_subclass(&class, "asyncio.queues", "Queue") {
        let items = reader.some_attribute(address, "_queue");
        for name in ["_getters", "_putters"] {
            let queue = reader.some_attribute(address, name);
            wakes.extend(
                queue
                    .and_then(|q| reader.deque_items(q, WAITERS_MAX).ok())
                    .unwrap_or_default(),
            );
        }
        parts.extend(reader.some_attribute(address, "_finished"));
        let state = SyncState::Queue {
            size: items.and_then(|at| reader.length(at).ok()),
            maxsize: number("_maxsize").unwrap_or(0),
            unfinished: number("_unfinished_tasks").unwrap_or(0),
        };
        (Kind::Queue, state)
    } else {
        return None;
    };
    Some(SyncObject {
        address,
        kind,
        type_name: class.name.to_string(),
        state,
        parts,
        names: Vec::new(),
        wakes,
    })
}

/// `_state` is an enumeration's member with the value filling, draining, resetting or broken.
fn barrier(reader: &Reader<'_>, address: Address, parties: i64, waiting: i64) -> SyncState {
    let state = reader
        .some_attribute(address, "_state")
        .and_then(|member| reader.some_attribute(member, "_value_"));
    let broken = state
        .and_then(|value| reader.string(value, 16).ok())
        .is_some_and(|text| text == "broken");
    SyncState::Barrier {
        parties,
        waiting,
        broken,
    }
}
