//! The state of CPython's own lock objects, and which futex word each sleeps on.

use super::forms::Form;
use crate::reader::Reader;
use snapshot::Address;

/// The lowest bit of a `PyMutex`: locked.
const MUTEX_LOCKED: u8 = 1;

/// Whether the `_thread.lock` at `lock` is locked.
pub(super) fn lock_is_locked(reader: &Reader<'_>, lock: Address) -> Option<bool> {
    if let Some(mutex) = lock_mutex(reader, lock) {
        let bits: u8 = reader.scalar(mutex).ok()?;
        return Some(bits & MUTEX_LOCKED != 0);
    }
    let locked = reader.get(lock, reader.layout.lock.locked).ok()?;
    Some(locked != 0)
}

/// The `PyMutex` of a `_thread.lock` (from some 3.13 on). Its object's size tells it from the older form, a
/// pointer to a semaphore and a flag: the change came within 3.13.
fn lock_mutex(reader: &Reader<'_>, lock: Address) -> Option<Address> {
    let head = reader.layout.object.ob_size.offset()?;
    let size = reader.class_of(lock).ok()?.basicsize;
    if size > head.checked_add(8)? {
        return None;
    }
    reader
        .place(lock, reader.layout.lock.mutex)
        .ok()
        .or_else(|| lock.checked_add(head))
}

/// Owner and depth of the `_thread.RLock` at `lock`.
pub(super) fn rlock_owner(reader: &Reader<'_>, lock: Address) -> Option<(Option<u64>, u32)> {
    let layout = &reader.layout.rlock;
    let owner: u64 = reader.get(lock, layout.rlock_owner).ok()?;
    let count: u64 = reader.get(lock, layout.rlock_count).ok()?;
    // The newer form counts from the second time on, the older one keeps its last owner after the release.
    let count = if layout.mutex.exists() {
        if owner == 0 {
            0
        } else {
            count.saturating_add(1)
        }
    } else {
        count
    };
    let owner = (owner != 0 && count != 0).then_some(owner);
    Some((owner, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// Whether a thread that sleeps on the futex word `word` sleeps in this object.
pub(super) fn sleeps_in(reader: &Reader<'_>, object: Address, form: Form, word: Address) -> bool {
    if points_to(reader, object, form) == Some(word) {
        return true;
    }
    let Some(parked) = parked_on(reader, word) else {
        return false;
    };
    let base = match form {
        Form::ThreadHandle => reader.get(object, reader.layout.thread_handle.handle).ok(),
        _ => Some(object),
    };
    let size = match form {
        Form::ThreadHandle => reader.layout.thread_handle_data.size.max(64),
        _ => reader.class_of(object).map_or(0, |class| class.basicsize),
    };
    base.and_then(|base| parked.0.checked_sub(base.0))
        .is_some_and(|offset| offset < size)
}

/// The `sem_t` that this object keeps a pointer to.
fn points_to(reader: &Reader<'_>, object: Address, form: Form) -> Option<Address> {
    let layout = reader.layout;
    match form {
        Form::Lock => reader.get(object, layout.lock.lock_lock).ok(),
        Form::RLock => reader.get(object, layout.rlock.rlock_lock).ok(),
        Form::SimpleQueue => reader.get(object, layout.simple_queue.lock).ok(),
        Form::SemLock => reader.get(object, layout.sem_lock.handle).ok(),
        _ => None,
    }
}

/// What a thread that sleeps on `word` is parked on, when the word is the semaphore in a parking lot's entry
/// (3.13+): the mutex or event whose address the entry names.
pub(super) fn parked_on(reader: &Reader<'_>, word: Address) -> Option<Address> {
    let layout = &reader.layout.wait_entry;
    let entry = Address(word.0.checked_sub(layout.sema.offset()?)?);
    reader.get(entry, layout.addr).ok()?.non_null()
}

/// The value of the `sem_t` at `semaphore` (glibc and musl keep it in the first word; glibc's 64-bit form in
/// the lower half of the first two).
pub(super) fn semaphore_value(reader: &Reader<'_>, semaphore: Address) -> Option<i64> {
    let value: i32 = reader.scalar(semaphore).ok()?;
    Some(i64::from(value & 0x7fff_ffff))
}
