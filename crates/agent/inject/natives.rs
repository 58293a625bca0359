//! What `support.py` calls.

use crate::trace::*;
use crate::*;

pub(crate) type Arguments = *const Object;

pub(crate) fn argument(arguments: Arguments, count: isize, index: usize) -> Object {
    if index as isize >= count {
        return null_mut();
    }
    // SAFETY: CPython gives `count` objects.
    unsafe { *arguments.add(index) }
}

pub(crate) fn number(python: &Python, object: Object) -> u64 {
    if object.is_null() {
        return 0;
    }
    // SAFETY: with the GIL; on an error the caller looks at `occurred`.
    unsafe { (python.as_number)(object) }
}

pub(crate) fn failed(python: &Python, text: &core::ffi::CStr) -> Object {
    // SAFETY: with the GIL.
    unsafe { (python.fail)(python.runtime_error, text.as_ptr()) };
    null_mut()
}

pub(crate) fn flag(python: &Python, value: bool) -> Object {
    // SAFETY: with the GIL.
    unsafe { (python.flag)(value.into()) }
}

/// `send(kind, id, thread, body)`: whether it was taken.
pub(crate) extern "C" fn native_send(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let mut len = 0;
    let body = argument(arguments, count, 3);
    if body.is_null() {
        return failed(&python, c"send wants four arguments");
    }
    let kind = number(&python, argument(arguments, count, 0));
    let id = number(&python, argument(arguments, count, 1));
    let thread = number(&python, argument(arguments, count, 2));
    // SAFETY: with the GIL; the text lives as long as the argument, which the caller keeps.
    unsafe {
        let text = (python.utf8)(body, &mut len);
        let kind = u32::try_from(kind).ok().and_then(Kind::of);
        if text.is_null() || !(python.occurred)().is_null() {
            return null_mut();
        }
        let Some(kind) = kind else {
            return failed(&python, c"no such kind");
        };
        let state = (python.save)();
        let sent = send_frame(kind, id, thread, text.cast(), len.unsigned_abs());
        (python.restore)(state);
        flag(&python, sent)
    }
}

/// `wait(thread)`: `(id, body)` of the next thing asked of it; `None` once the connection has ended.
pub(crate) extern "C" fn native_wait(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let thread = number(&python, argument(arguments, count, 0));
    // SAFETY: the thread has the GIL, gives it up while it waits, and takes it again.
    unsafe {
        let state = (python.save)();
        let message = take(thread);
        (python.restore)(state);
        if message.is_null() {
            return flag(&python, false);
        }
        let pair = pair(&python, message);
        free(message);
        pair
    }
}

/// `post(thread, text)`: as if unknot had asked this of the thread, with the number 0.
pub(crate) extern "C" fn native_post(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let thread = number(&python, argument(arguments, count, 0));
    let text = argument(arguments, count, 1);
    if text.is_null() {
        return failed(&python, c"post wants two arguments");
    }
    let mut len = 0;
    // SAFETY: with the GIL; what is allocated is checked, and filled to its length.
    unsafe {
        let from = (python.utf8)(text, &mut len);
        if from.is_null() {
            return null_mut();
        }
        let len = len.unsigned_abs();
        let message: *mut Message = system::malloc(size_of::<Message>()).cast();
        let body: *mut u8 = system::malloc(len + 1).cast();
        if message.is_null() || body.is_null() {
            system::free(message.cast());
            system::free(body.cast());
            return failed(&python, c"out of memory");
        }
        core::ptr::copy_nonoverlapping(from.cast(), body, len);
        *body.add(len) = 0;
        let head = Head {
            kind: Kind::Ask,
            len: u32::try_from(len).unwrap_or(0),
            id: 0,
            thread,
        };
        message.write(Message {
            next: null_mut(),
            head,
            body,
        });
        put(message);
    }
    flag(&python, true)
}

/// `store(frame)`: what was assigned in its `f_locals` goes into its variables (up to 3.12; later that dict is a view of them).
pub(crate) extern "C" fn native_store(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let frame = argument(arguments, count, 0);
    let found = python::look("PyFrame_LocalsToFast\0");
    if !frame.is_null() && !found.is_null() {
        // SAFETY: the name says what function it is; with the GIL.
        unsafe {
            let store: unsafe extern "C" fn(Object, c_int) = core::mem::transmute(found);
            store(frame, 0);
        }
    }
    flag(&python, true)
}

/// `reconnect()`: in a child after fork, which has none of the agent's threads: connects anew. Whether that went well.
pub(crate) extern "C" fn native_reconnect(_: Object, _: Arguments, _: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    // SAFETY: no other thread is left; what the parent's had locked is made new.
    unsafe {
        (*agent()).mutex = Opaque::NEW;
        (*agent()).arrived = Opaque::NEW;
        (*agent()).writing = Opaque::NEW;
        (*agent()).first = null_mut();
    }
    let connected = connect();
    GONE.store(!connected, Ordering::Release);
    flag(&python, connected)
}

/// `serve()`: starts the agent's threads, after the greeting was sent.
pub(crate) extern "C" fn native_serve(_: Object, _: Arguments, _: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let served = start_thread(reader) && start_thread(worker);
    flag(&python, served)
}

/// `leave()`: ends the connection.
pub(crate) extern "C" fn native_leave(_: Object, _: Arguments, _: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    // SAFETY: a descriptor of ours; both threads see the end of it and go.
    unsafe { system::shutdown(SOCKET.load(Ordering::Acquire), 2) };
    flag(&python, true)
}

pub(crate) const NAMES: [&core::ffi::CStr; 12] = [
    c"native_send",
    c"native_wait",
    c"native_watch",
    c"native_everything",
    c"native_trace",
    c"native_trace_others",
    c"native_reconnect",
    c"native_serve",
    c"native_leave",
    c"native_post",
    c"native_store",
    c"native_lines",
];

pub(crate) const fn method(name: &'static core::ffi::CStr, function: *const ()) -> MethodDef {
    MethodDef {
        name: name.as_ptr(),
        function: function.cast(),
        flags: FASTCALL,
        doc: null(),
    }
}

pub(crate) static METHODS: [MethodDef; 12] = [
    method(c"native_send", native_send as *const ()),
    method(c"native_wait", native_wait as *const ()),
    method(c"native_watch", native_watch as *const ()),
    method(c"native_everything", native_everything as *const ()),
    method(c"native_trace", native_trace as *const ()),
    method(c"native_trace_others", native_trace_others as *const ()),
    method(c"native_reconnect", native_reconnect as *const ()),
    method(c"native_serve", native_serve as *const ()),
    method(c"native_leave", native_leave as *const ()),
    method(c"native_post", native_post as *const ()),
    method(c"native_store", native_store as *const ()),
    method(c"native_lines", native_lines as *const ()),
];
