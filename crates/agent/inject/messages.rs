//! What comes and goes over the socket, and what waits for its thread.

use crate::*;

pub(crate) fn interrupted() -> bool {
    // SAFETY: the thread's own errno.
    unsafe { *system::errno() == system::EINTR }
}

/// Writes all of these bytes; whether the other side took them.
pub(crate) fn send_all(bytes: *const u8, len: usize) -> bool {
    let mut sent = 0;
    while sent < len {
        let socket = SOCKET.load(Ordering::Acquire);
        // SAFETY: the caller's bytes are `len` long.
        let count = unsafe {
            system::send(
                socket,
                bytes.add(sent).cast(),
                len - sent,
                system::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(count) {
            Ok(count) => sent += count,
            Err(_) if interrupted() => {}
            Err(_) => return false,
        }
    }
    true
}

pub(crate) fn send_frame(kind: Kind, id: u64, thread: u64, body: *const u8, len: usize) -> bool {
    let Ok(short) = u32::try_from(len) else {
        return false;
    };
    let head = Head {
        kind,
        len: short,
        id,
        thread,
    };
    let head = head.encode();
    // SAFETY: the address of a static.
    let writing = unsafe { addr_of_mut!((*agent()).writing) };
    locked(writing, || {
        send_all(head.as_ptr(), HEAD_LEN) && send_all(body, len)
    })
}

pub(crate) fn receive_all(to: *mut u8, len: usize) -> bool {
    let mut received = 0;
    while received < len {
        let socket = SOCKET.load(Ordering::Acquire);
        // SAFETY: the caller's buffer is `len` long.
        let count = unsafe { system::recv(socket, to.add(received).cast(), len - received, 0) };
        match usize::try_from(count) {
            Ok(0) => return false,
            Ok(count) => received += count,
            Err(_) if interrupted() => {}
            Err(_) => return false,
        }
    }
    true
}

pub(crate) fn receive() -> *mut Message {
    let mut bytes = [0; HEAD_LEN];
    if !receive_all(bytes.as_mut_ptr(), HEAD_LEN) {
        return null_mut();
    }
    let Ok(head) = Head::decode(&bytes) else {
        return null_mut();
    };
    let len = head.len as usize;
    // SAFETY: both are checked for null; the zero is within what was allocated.
    unsafe {
        let message: *mut Message = system::malloc(size_of::<Message>()).cast();
        let body: *mut u8 = system::malloc(len + 1).cast();
        if message.is_null() || body.is_null() || !receive_all(body, len) {
            system::free(message.cast());
            system::free(body.cast());
            return null_mut();
        }
        *body.add(len) = 0;
        message.write(Message {
            next: null_mut(),
            head,
            body,
        });
        message
    }
}

pub(crate) fn free(message: *mut Message) {
    // SAFETY: both were allocated by `receive`, and nobody else has them.
    unsafe {
        system::free((*message).body.cast());
        system::free(message.cast());
    }
}

/// Puts a message at the end of the list.
pub(crate) fn put(message: *mut Message) {
    // SAFETY: the list is used with the mutex alone.
    unsafe {
        locked(addr_of_mut!((*agent()).mutex), || {
            let mut at = addr_of_mut!((*agent()).first);
            while !(*at).is_null() {
                at = addr_of_mut!((**at).next);
            }
            *at = message;
            system::pthread_cond_broadcast(addr_of_mut!((*agent()).arrived));
        });
    }
}

/// Takes the first message for this thread (0: for the process) out of the list, and waits for it; null once the
/// connection has ended.
pub(crate) fn take(thread: u64) -> *mut Message {
    // SAFETY: the list is used with the mutex alone.
    unsafe {
        locked(addr_of_mut!((*agent()).mutex), || {
            loop {
                let mut at = addr_of_mut!((*agent()).first);
                while !(*at).is_null() {
                    if (**at).head.thread == thread {
                        let message = *at;
                        *at = (*message).next;
                        return message;
                    }
                    at = addr_of_mut!((**at).next);
                }
                if GONE.load(Ordering::Acquire) {
                    return null_mut();
                }
                let mutex = addr_of_mut!((*agent()).mutex);
                system::pthread_cond_wait(addr_of_mut!((*agent()).arrived), mutex);
            }
        })
    }
}
