//! The state of each object that somebody waits for or holds.

use super::forms::{Form, form_of, kind_of};
use super::locks::{lock_is_locked, rlock_owner, semaphore_value};
use super::pools;
use crate::reader::Reader;
use snapshot::{Address, SyncObject, SyncState};
use std::collections::{HashMap, VecDeque};

/// Most objects that are described, parts included.
const OBJECTS_MAX: usize = 10_000;
/// Most waiters of a condition that are listed.
const WAITERS_MAX: usize = 1000;
/// Longest name that is read, in characters.
pub(super) const NAME_CHARS: usize = 200;

/// The objects met, each described once.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    objects: Vec<SyncObject>,
    index: HashMap<Address, usize>,
}

impl Catalogue {
    /// Describes the objects at these addresses and what they are made of.
    pub(super) fn add(
        &mut self,
        reader: &Reader<'_>,
        addresses: impl IntoIterator<Item = Address>,
    ) {
        let mut todo: VecDeque<Address> = addresses.into_iter().collect();
        while let Some(address) = todo.pop_front() {
            if self.index.contains_key(&address) || self.objects.len() >= OBJECTS_MAX {
                continue;
            }
            let Some(object) = describe(reader, address) else {
                continue;
            };
            todo.extend(object.parts.iter().copied());
            if let SyncState::Future {
                executor: Some(executor),
                ..
            } = object.state
            {
                todo.push_back(executor);
            }
            self.index.insert(address, self.objects.len());
            self.objects.push(object);
        }
    }

    /// The object at this address.
    pub(super) fn get(&self, address: Address) -> Option<&SyncObject> {
        self.objects.get(*self.index.get(&address)?)
    }

    /// The same, to add to it.
    pub(super) fn get_mut(&mut self, address: Address) -> Option<&mut SyncObject> {
        self.objects.get_mut(*self.index.get(&address)?)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SyncObject> {
        self.objects.iter()
    }

    /// All of them, in the order in which they were met.
    pub(super) fn into_objects(self) -> Vec<SyncObject> {
        self.objects
    }
}

/// One object; `None` where it is none of those that threads wait for.
pub(super) fn describe(reader: &Reader<'_>, address: Address) -> Option<SyncObject> {
    let form = form_of(reader, address)?;
    let (state, parts) = state_of(reader, address, form)?;
    Some(SyncObject {
        address,
        kind: kind_of(reader, address, form),
        type_name: reader.class_of(address).ok()?.name.to_string(),
        state,
        parts,
        names: Vec::new(),
        wakes: Vec::new(),
    })
}

/// An attribute of an instance; `None` where it has none, it cannot be read, or it is `None`.
pub(super) fn attribute(reader: &Reader<'_>, object: Address, name: &str) -> Option<Address> {
    let value = reader.attribute(object, name).ok()??;
    (!reader.is_none(value)).then_some(value)
}

/// An attribute that is an integer.
pub(super) fn integer(reader: &Reader<'_>, object: Address, name: &str) -> Option<i64> {
    reader.int(attribute(reader, object, name)?).ok()
}

/// An attribute that is an unsigned integer, or that is no small one: a `pthread_t` may have its top bit set.
pub(super) fn ident(reader: &Reader<'_>, object: Address, name: &str) -> Option<u64> {
    integer(reader, object, name).and_then(|value| u64::try_from(value).ok())
}

/// An attribute that is true or false.
pub(super) fn flag(reader: &Reader<'_>, object: Address, name: &str) -> Option<bool> {
    reader.truth(attribute(reader, object, name)?).ok()
}

/// An attribute that is a string.
pub(super) fn text(reader: &Reader<'_>, object: Address, name: &str) -> Option<String> {
    reader
        .string(attribute(reader, object, name)?, NAME_CHARS)
        .ok()
}

type State = Option<(SyncState, Vec<Address>)>;

fn state_of(reader: &Reader<'_>, object: Address, form: Form) -> State {
    match form {
        Form::Lock => Some((
            SyncState::Lock {
                locked: lock_is_locked(reader, object),
            },
            Vec::new(),
        )),
        Form::RLock => {
            let (owner, count) = rlock_owner(reader, object)?;
            Some((SyncState::RLock { owner, count }, Vec::new()))
        }
        Form::PythonRLock => Some(python_rlock(reader, object)),
        Form::Condition => Some(condition(reader, object)),
        Form::Semaphore => Some((
            SyncState::Semaphore {
                value: integer(reader, object, "_value")?,
                bound: integer(reader, object, "_initial_value"),
            },
            condition_and_lock(reader, object),
        )),
        Form::Event => Some((
            SyncState::Event {
                set: flag(reader, object, "_flag")?,
            },
            condition_and_lock(reader, object),
        )),
        Form::Barrier => barrier(reader, object),
        Form::Thread => thread(reader, object),
        Form::Queue => queue(reader, object),
        Form::SimpleQueue => Some((simple_queue(reader, object), Vec::new())),
        Form::ModuleLock => Some(module_lock(reader, object)),
        Form::SemLock => sem_lock(reader, object),
        Form::SharedCondition => Some(shared_condition(reader, object)),
        Form::SharedEvent => Some(shared_event(reader, object)),
        Form::SharedQueue | Form::SharedSimpleQueue => Some(shared_queue(reader, object)),
        Form::Process | Form::Popen => Some(process(reader, object, form)),
        Form::Future => pools::future(reader, object),
        Form::PoolResult => pools::pool_result(reader, object),
        Form::ThreadPool => pools::thread_pool(reader, object),
        Form::ProcessPool => pools::process_pool(reader, object),
        Form::Pool => pools::pool(reader, object),
        _ => None,
    }
}

fn python_rlock(reader: &Reader<'_>, lock: Address) -> (SyncState, Vec<Address>) {
    let state = SyncState::RLock {
        owner: ident(reader, lock, "_owner"),
        count: integer(reader, lock, "_count")
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
    };
    (
        state,
        attribute(reader, lock, "_block").into_iter().collect(),
    )
}

fn condition(reader: &Reader<'_>, condition: Address) -> (SyncState, Vec<Address>) {
    let lock = attribute(reader, condition, "_lock");
    let waiters = attribute(reader, condition, "_waiters")
        .and_then(|waiters| reader.deque_items(waiters, WAITERS_MAX).ok())
        .unwrap_or_default();
    let state = SyncState::Condition { lock, waiters };
    (state, lock.into_iter().collect())
}

/// The condition that a Semaphore, Event or Barrier is built on, and its lock.
fn condition_and_lock(reader: &Reader<'_>, object: Address) -> Vec<Address> {
    let condition = attribute(reader, object, "_cond");
    let lock = condition.and_then(|condition| attribute(reader, condition, "_lock"));
    condition.into_iter().chain(lock).collect()
}

fn barrier(reader: &Reader<'_>, barrier: Address) -> State {
    let parts = condition_and_lock(reader, barrier);
    // `multiprocessing`'s keeps its state in shared memory, behind properties.
    let state = SyncState::Barrier {
        parties: integer(reader, barrier, "_parties")?,
        waiting: integer(reader, barrier, "_count").unwrap_or(0),
        broken: integer(reader, barrier, "_state").is_some_and(|state| state == -2),
    };
    Some((state, parts))
}

fn thread(reader: &Reader<'_>, thread: Address) -> State {
    let started = attribute(reader, thread, "_started")
        .and_then(|event| flag(reader, event, "_flag"))
        .unwrap_or(false);
    let state = SyncState::Thread {
        ident: ident(reader, thread, "_ident"),
        native_id: integer(reader, thread, "_native_id").and_then(|id| u32::try_from(id).ok()),
        name: text(reader, thread, "_name")?,
        started,
        ended: started && thread_has_ended(reader, thread),
        daemon: flag(reader, thread, "_daemonic").unwrap_or(false),
    };
    Some((state, Vec::new()))
}

/// Up to 3.12 the object says it itself once somebody asked, and the lock that its end releases is free;
/// from 3.13 on its handle's event says it.
fn thread_has_ended(reader: &Reader<'_>, thread: Address) -> bool {
    if flag(reader, thread, "_is_stopped") == Some(true) {
        return true;
    }
    if let Some(lock) = attribute(reader, thread, "_tstate_lock") {
        return lock_is_locked(reader, lock) == Some(false);
    }
    thread_handle(reader, thread).is_some_and(|handle| handle_is_done(reader, handle))
}

/// The `_ThreadHandle` of a Thread object (3.13+).
pub(super) fn thread_handle(reader: &Reader<'_>, thread: Address) -> Option<Address> {
    attribute(reader, thread, "_os_thread_handle").or_else(|| attribute(reader, thread, "_handle"))
}

fn handle_is_done(reader: &Reader<'_>, handle: Address) -> bool {
    let layout = reader.layout;
    reader
        .get(handle, layout.thread_handle.handle)
        .and_then(|data| reader.get(data, layout.thread_handle_data.thread_is_exiting))
        .is_ok_and(|event| event & 1 != 0)
}

fn queue(reader: &Reader<'_>, queue: Address) -> State {
    let size = attribute(reader, queue, "queue").and_then(|items| reader.length(items).ok());
    let state = SyncState::Queue {
        size,
        maxsize: integer(reader, queue, "maxsize")?,
        unfinished: integer(reader, queue, "unfinished_tasks").unwrap_or(0),
    };
    let parts = ["mutex", "not_empty", "not_full", "all_tasks_done"]
        .into_iter()
        .filter_map(|part| attribute(reader, queue, part))
        .collect();
    Some((state, parts))
}

fn simple_queue(reader: &Reader<'_>, queue: Address) -> SyncState {
    let layout = &reader.layout.simple_queue;
    let ring = reader.get(queue, layout.buf_num).ok();
    let size = ring.or_else(|| {
        let list = reader.get(queue, layout.lst).ok()?;
        let taken = reader.get(queue, layout.lst_pos).ok()?;
        i64::try_from(reader.length(list).ok()?)
            .ok()?
            .checked_sub(taken)
    });
    SyncState::Queue {
        size: size.and_then(|size| u64::try_from(size).ok()),
        maxsize: 0,
        unfinished: 0,
    }
}

fn module_lock(reader: &Reader<'_>, lock: Address) -> (SyncState, Vec<Address>) {
    let state = SyncState::ModuleLock {
        module: text(reader, lock, "name").unwrap_or_default(),
        owner: ident(reader, lock, "owner"),
    };
    // Its `wakeup` is no part of it: whoever sleeps on that waits for the module's lock itself.
    let parts = attribute(reader, lock, "lock").into_iter().collect();
    (state, parts)
}

/// The `sem_t`'s address is its only part: whoever knows the target's mappings can tell its `key` from it.
fn sem_lock(reader: &Reader<'_>, lock: Address) -> State {
    const RECURSIVE_MUTEX: i32 = 0;
    let layout = &reader.layout.sem_lock;
    let handle = reader.get(lock, layout.handle).ok()?;
    let owner = reader.get(lock, layout.last_tid).ok();
    let state = SyncState::SharedSemaphore {
        value: semaphore_value(reader, handle),
        max: reader.get(lock, layout.maxvalue).ok()?.into(),
        recursive: reader.get(lock, layout.kind).ok()? == RECURSIVE_MUTEX,
        count: reader.get(lock, layout.count).ok()?.into(),
        last_owner: owner.filter(|owner| *owner != 0),
        key: None,
    };
    Some((state, vec![handle]))
}

/// The C object inside a lock or semaphore of `multiprocessing.synchronize`.
pub(super) fn sem_lock_of(reader: &Reader<'_>, wrapper: Address) -> Option<Address> {
    attribute(reader, wrapper, "_semlock")
}

/// The C object inside an attribute that is such a lock or semaphore.
fn sem_lock_in(reader: &Reader<'_>, object: Address, name: &str) -> Option<Address> {
    sem_lock_of(reader, attribute(reader, object, name)?)
}

fn shared_condition(reader: &Reader<'_>, condition: Address) -> (SyncState, Vec<Address>) {
    let lock = sem_lock_in(reader, condition, "_lock");
    let state = SyncState::Condition {
        lock,
        waiters: Vec::new(),
    };
    (state, lock.into_iter().collect())
}

fn shared_event(reader: &Reader<'_>, event: Address) -> (SyncState, Vec<Address>) {
    let value = sem_lock_in(reader, event, "_flag")
        .and_then(|lock| reader.get(lock, reader.layout.sem_lock.handle).ok())
        .and_then(|handle| semaphore_value(reader, handle));
    let condition = attribute(reader, event, "_cond");
    let lock = condition.and_then(|condition| sem_lock_in(reader, condition, "_lock"));
    let state = SyncState::Event {
        set: value.is_some_and(|value| value > 0),
    };
    (state, condition.into_iter().chain(lock).collect())
}

fn shared_queue(reader: &Reader<'_>, queue: Address) -> (SyncState, Vec<Address>) {
    let maxsize = integer(reader, queue, "_maxsize").unwrap_or(0);
    let value = |name: &str| {
        let lock = sem_lock_in(reader, queue, name)?;
        let handle = reader.get(lock, reader.layout.sem_lock.handle).ok()?;
        semaphore_value(reader, handle)
    };
    let room = value("_sem");
    let state = SyncState::Queue {
        size: room
            .and_then(|room| maxsize.checked_sub(room))
            .and_then(|size| u64::try_from(size).ok()),
        maxsize,
        unfinished: value("_unfinished_tasks").unwrap_or(0),
    };
    let parts = ["_rlock", "_wlock", "_sem"]
        .into_iter()
        .filter_map(|part| sem_lock_in(reader, queue, part))
        .collect();
    (state, parts)
}

fn process(reader: &Reader<'_>, object: Address, form: Form) -> (SyncState, Vec<Address>) {
    let popen = match form {
        Form::Process => attribute(reader, object, "_popen"),
        _ => Some(object),
    };
    let pid = popen.and_then(|popen| integer(reader, popen, "pid"));
    let state = SyncState::Process {
        pid: pid.and_then(|pid| u32::try_from(pid).ok()),
        exit_code: popen.and_then(|popen| integer(reader, popen, "returncode")),
        name: text(reader, object, "_name"),
    };
    (state, Vec::new())
}
