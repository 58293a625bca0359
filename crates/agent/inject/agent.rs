//! The agent: what runs inside a target.
//!
//! Its law:
//! - No struct of CPython's is known; its functions are found by name, so one file serves 3.8 to 3.15.
//! - Nothing is allocated and no lock is taken in the trace function beyond what CPython's own calls do.
//! - It never panics: there is nothing here that could (no index, no unwrap), and a panic would abort.
//! - It waits only with the GIL given up, and only for what a thread was stopped for. When the connection ends, all that
//!   wait are let go, and everything is taken out of the interpreter again.
//! - Signals are the program's: the agent's own threads have them all blocked.
//!
//! Two threads: one reads the socket and answers a ping whatever the interpreter does; the other does what is asked of the
//! process as a whole, under the GIL. What is asked of a stopped thread that thread does itself, in `support.py`.

#![no_std]

mod python;
mod system;
#[path = "../../wire/src/lib.rs"]
mod wire;

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{addr_of_mut, null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use python::{FASTCALL, FILE_INPUT, MethodDef, Object, Python};
use system::{Opaque, SignalSet, UnixAddress};
use wire::{HEAD_LEN, Head, Kind};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process; nothing here panics.
    unsafe { system::abort() }
}

/// A frame that was read, in a list in the order in which they came.
struct Message {
    next: *mut Message,
    head: Head,
    /// `head.len` bytes and a zero.
    body: *mut u8,
}

/// What one connection has. There is one of it in a process at a time.
struct Agent {
    /// Guards `first`, and goes with `arrived`.
    mutex: Opaque,
    arrived: Opaque,
    first: *mut Message,
    /// Guards writing to the socket.
    writing: Opaque,
    python: Option<Python>,
    /// The globals of `support.py`.
    support: Object,
    /// Directory of the session, with a zero.
    directory: [u8; 108],
}

static mut AGENT: Agent = Agent {
    mutex: Opaque::NEW,
    arrived: Opaque::NEW,
    first: null_mut(),
    writing: Opaque::NEW,
    python: None,
    support: null_mut(),
    directory: [0; 108],
};
static SOCKET: AtomicI32 = AtomicI32::new(-1);
static GONE: AtomicBool = AtomicBool::new(true);

fn agent() -> *mut Agent {
    addr_of_mut!(AGENT)
}

fn python() -> Option<Python> {
    // SAFETY: written once, before any thread or callback exists that reads it.
    unsafe { (*agent()).python }
}

/// Runs `inside` with the mutex.
fn locked<T>(mutex: *mut Opaque, inside: impl FnOnce() -> T) -> T {
    // SAFETY: the mutex lives as long as the process.
    unsafe { system::pthread_mutex_lock(mutex) };
    let result = inside();
    // SAFETY: as above; this thread has it.
    unsafe { system::pthread_mutex_unlock(mutex) };
    result
}

fn interrupted() -> bool {
    // SAFETY: the thread's own errno.
    unsafe { *system::errno() == system::EINTR }
}

/// Writes all of these bytes; whether the other side took them.
fn send_all(bytes: *const u8, len: usize) -> bool {
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

fn send_frame(kind: Kind, id: u64, thread: u64, body: *const u8, len: usize) -> bool {
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

fn receive_all(to: *mut u8, len: usize) -> bool {
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

fn receive() -> *mut Message {
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

fn free(message: *mut Message) {
    // SAFETY: both were allocated by `receive`, and nobody else has them.
    unsafe {
        system::free((*message).body.cast());
        system::free(message.cast());
    }
}

/// Puts a message at the end of the list.
fn put(message: *mut Message) {
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
fn take(thread: u64) -> *mut Message {
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

/// The thread that reads.
extern "C" fn reader(_: *mut c_void) -> *mut c_void {
    loop {
        let message = receive();
        if message.is_null() {
            break;
        }
        // SAFETY: just made.
        let head = unsafe { (*message).head };
        match head.kind {
            Kind::Ping => {
                send_frame(
                    Kind::Answer,
                    head.id,
                    0,
                    b"{\"answer\":\"done\"}".as_ptr(),
                    17,
                );
                free(message);
            }
            Kind::Ask | Kind::Control => put(message),
            _ => free(message),
        }
    }
    GONE.store(true, Ordering::Release);
    // SAFETY: statics; the mutex is taken so that nobody misses it between looking and waiting.
    unsafe {
        locked(addr_of_mut!((*agent()).mutex), || {
            system::pthread_cond_broadcast(addr_of_mut!((*agent()).arrived));
        });
    }
    null_mut()
}

/// Calls a function of `support.py`; its result is dropped, an exception printed.
fn call(python: &Python, name: *const c_char, arguments: Object) {
    // SAFETY: with the GIL; `support` is a dict that is kept.
    unsafe {
        let function = (python.dict_get)((*agent()).support, name);
        if !function.is_null() {
            let result = (python.call)(function, arguments);
            if result.is_null() {
                (python.print_error)();
            } else {
                (python.drop)(result);
            }
        }
        if !arguments.is_null() {
            (python.drop)(arguments);
        }
    }
}

/// `(id, body)`.
fn pair(python: &Python, message: *mut Message) -> Object {
    // SAFETY: with the GIL; a failure gives null, which the callers hand on to CPython.
    unsafe {
        let head = (*message).head;
        let tuple = (python.tuple)(2);
        if !tuple.is_null() {
            (python.tuple_set)(tuple, 0, (python.number)(head.id));
            let text = (python.text)((*message).body.cast(), head.len as isize);
            (python.tuple_set)(tuple, 1, text);
        }
        tuple
    }
}

/// The thread that does what is asked of the process.
extern "C" fn worker(_: *mut c_void) -> *mut c_void {
    let Some(python) = python() else {
        return null_mut();
    };
    loop {
        let message = take(0);
        // SAFETY: no GIL is held by this thread here.
        let state = unsafe { (python.ensure)() };
        if message.is_null() {
            call(&python, c"gone".as_ptr(), null_mut());
        } else {
            let arguments = pair(&python, message);
            free(message);
            call(&python, c"control".as_ptr(), arguments);
        }
        // SAFETY: the counterpart of `ensure`.
        unsafe { (python.release)(state) };
        if GONE.load(Ordering::Acquire) && message.is_null() {
            break;
        }
    }
    let socket = SOCKET.swap(-1, Ordering::AcqRel);
    // SAFETY: a descriptor of ours, or none.
    unsafe { system::close(socket) };
    null_mut()
}

fn start_thread(start: system::Start) -> bool {
    let every = SignalSet([u64::MAX; 16]);
    let mut before = SignalSet([0; 16]);
    let mut thread = 0;
    // SAFETY: the mask is put back as it was; the new thread has it from here.
    unsafe {
        system::pthread_sigmask(system::SIG_SETMASK, &every, &mut before);
        let failed = system::pthread_create(&mut thread, null(), start, null_mut());
        system::pthread_sigmask(system::SIG_SETMASK, &before, null_mut());
        failed == 0 && system::pthread_detach(thread) == 0
    }
}

/// Sets the directory to that in which this shared object lies.
fn find_directory() -> bool {
    let mut symbol = system::Symbol {
        file: null(),
        base: null_mut(),
        name: null(),
        at: null_mut(),
    };
    let own: *const c_void = (reader as *const ()).cast();
    // SAFETY: `file` is a text with a zero that lives as long as this object is loaded.
    unsafe {
        if system::dladdr(own, &mut symbol) == 0 || symbol.file.is_null() {
            return false;
        }
        let mut len = 0;
        let mut slash = 0;
        while *symbol.file.add(len) != 0 {
            if *symbol.file.add(len) == b'/'.cast_signed() {
                slash = len;
            }
            len += 1;
        }
        // Room for `/support.py` behind it.
        if slash == 0 || slash > 90 {
            return false;
        }
        let directory: *mut u8 = addr_of_mut!((*agent()).directory).cast();
        core::ptr::copy_nonoverlapping(symbol.file.cast(), directory, slash);
        *directory.add(slash) = 0;
        true
    }
}

/// A file of the session's directory, as a path with a zero.
fn path_of(name: &[u8]) -> [u8; 108] {
    // SAFETY: written before any other thread exists.
    let mut path = unsafe { (*agent()).directory };
    let len = path.iter().take_while(|byte| **byte != 0).count();
    let rest = path.iter_mut().skip(len);
    let text = b"/".iter().chain(name).chain(b"\0");
    for (to, from) in rest.zip(text) {
        *to = *from;
    }
    path
}

fn connect() -> bool {
    // SAFETY: an address on the stack; a descriptor of ours.
    unsafe {
        let socket = system::socket(c_int::from(system::AF_UNIX), system::STREAM, 0);
        if socket < 0 {
            return false;
        }
        let address = UnixAddress {
            family: system::AF_UNIX,
            path: path_of(b"socket"),
        };
        if system::connect(socket, &address, size_of::<UnixAddress>() as u32) != 0 {
            system::close(socket);
            return false;
        }
        let before = SOCKET.swap(socket, Ordering::AcqRel);
        if before >= 0 {
            system::close(before);
        }
        true
    }
}

/// Longest `support.py`, in bytes.
const SUPPORT_MAX: usize = 1 << 20;

/// The text of `support.py` with a zero at its end; null where it cannot be read.
fn read_support() -> *mut u8 {
    let path = path_of(b"support.py");
    // SAFETY: at most SUPPORT_MAX bytes are read into that and one more.
    unsafe {
        let file = system::open(path.as_ptr().cast(), system::READ_ONLY);
        let text: *mut u8 = system::malloc(SUPPORT_MAX + 1).cast();
        let mut len = 0;
        while file >= 0 && !text.is_null() && len < SUPPORT_MAX {
            let count = system::read(file, text.add(len).cast(), SUPPORT_MAX - len);
            match usize::try_from(count) {
                Ok(0) => break,
                Ok(count) => len += count,
                Err(_) if interrupted() => {}
                Err(_) => break,
            }
        }
        system::close(file);
        if len == 0 {
            system::free(text.cast());
            return null_mut();
        }
        *text.add(len) = 0;
        text
    }
}

/// Executes `support.py` in a dict of its own. With the GIL.
fn load_support(python: &Python) -> bool {
    let text = read_support();
    if text.is_null() {
        return false;
    }
    // SAFETY: with the GIL; each result is checked.
    unsafe {
        let code = (python.compile)(text.cast(), c"<unknot>".as_ptr(), FILE_INPUT);
        system::free(text.cast());
        let globals = (python.dict)();
        if code.is_null() || globals.is_null() {
            (python.print_error)();
            return false;
        }
        (python.dict_set)(globals, c"__builtins__".as_ptr(), (python.builtins)());
        for (name, method) in NAMES.iter().zip(&METHODS) {
            let function = (python.function)(method, null_mut(), null_mut());
            (python.dict_set)(globals, name.as_ptr(), function);
        }
        let directory: *const c_char = addr_of_mut!((*agent()).directory).cast();
        let mut len = 0;
        while *directory.add(len) != 0 {
            len += 1;
        }
        let directory = (python.text)(directory, len as isize);
        (python.dict_set)(globals, c"DIRECTORY".as_ptr(), directory);
        (python.dict_set)(
            globals,
            c"WIRE".as_ptr(),
            (python.number)(u64::from(wire::VERSION)),
        );
        // Before its last line, which starts the threads that look there.
        (*agent()).support = globals;
        let result = (python.evaluate)(code, globals, globals);
        (python.drop)(code);
        if result.is_null() {
            (python.print_error)();
            return false;
        }
        (python.drop)(result);
        true
    }
}

/// Connects to the session in whose directory this object lies, and begins to serve. To be called with the GIL held by the
/// calling thread or by nobody. 0: it serves.
#[unsafe(no_mangle)]
pub extern "C" fn unknot_start() -> c_int {
    let Some(python) = Python::find() else {
        return 1;
    };
    if !GONE.load(Ordering::Acquire) {
        return 3;
    }
    if !find_directory() || !connect() {
        return 4;
    }
    // SAFETY: nothing else runs of this object yet.
    unsafe { (*agent()).python = Some(python) };
    GONE.store(false, Ordering::Release);
    // SAFETY: pairs with the release below.
    let state = unsafe { (python.ensure)() };
    let loaded = load_support(&python);
    let served = loaded;
    if !served {
        GONE.store(true, Ordering::Release);
        let socket = SOCKET.swap(-1, Ordering::AcqRel);
        // SAFETY: a descriptor of ours.
        unsafe { system::close(socket) };
    }
    // SAFETY: see above.
    unsafe { (python.release)(state) };
    if served { 0 } else { 5 }
}

/// Connects in a thread of its own when this object is loaded under the name `auto.so`: a thread that was made to load it
/// may have been stopped anywhere, and must not wait for the GIL.
extern "C" fn on_load() {
    if find_directory() && is_named(b"auto.so") {
        start_thread(starter);
    }
}

extern "C" fn starter(_: *mut c_void) -> *mut c_void {
    unknot_start();
    null_mut()
}

#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

/// Whether this object's file has this name.
fn is_named(name: &[u8]) -> bool {
    let mut symbol = system::Symbol {
        file: null(),
        base: null_mut(),
        name: null(),
        at: null_mut(),
    };
    let own: *const c_void = (reader as *const ()).cast();
    // SAFETY: as in `find_directory`.
    unsafe {
        if system::dladdr(own, &mut symbol) == 0 || symbol.file.is_null() {
            return false;
        }
        let mut start: *const u8 = symbol.file.cast();
        let mut at = start;
        while *at != 0 {
            if *at == b'/' {
                start = at.add(1);
            }
            at = at.add(1);
        }
        let len = usize::try_from(at.offset_from(start)).unwrap_or(0);
        len == name.len()
            && name
                .iter()
                .enumerate()
                .all(|(i, byte)| *start.add(i) == *byte)
    }
}

type Arguments = *const Object;

fn argument(arguments: Arguments, count: isize, index: usize) -> Object {
    if index as isize >= count {
        return null_mut();
    }
    // SAFETY: CPython gives `count` objects.
    unsafe { *arguments.add(index) }
}

fn number(python: &Python, object: Object) -> u64 {
    if object.is_null() {
        return 0;
    }
    // SAFETY: with the GIL; on an error the caller looks at `occurred`.
    unsafe { (python.as_number)(object) }
}

fn failed(python: &Python, text: &core::ffi::CStr) -> Object {
    // SAFETY: with the GIL.
    unsafe { (python.fail)(python.runtime_error, text.as_ptr()) };
    null_mut()
}

fn flag(python: &Python, value: bool) -> Object {
    // SAFETY: with the GIL.
    unsafe { (python.flag)(value.into()) }
}

/// `send(kind, id, thread, body)`: whether it was taken.
extern "C" fn native_send(_: Object, arguments: Arguments, count: isize) -> Object {
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
extern "C" fn native_wait(_: Object, arguments: Arguments, count: isize) -> Object {
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

/// The function of `support.py` that trace events go to.
static HANDLER: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// A set of pointers, open addressed; 0 is no entry. It is written under the GIL and read in every event.
struct Set<const N: usize> {
    entries: [AtomicUsize; N],
    count: AtomicUsize,
}

impl<const N: usize> Set<N> {
    const fn new() -> Set<N> {
        Set {
            entries: [const { AtomicUsize::new(0) }; N],
            count: AtomicUsize::new(0),
        }
    }

    /// The entry of this pointer, or the free one for it.
    fn find(&self, pointer: usize) -> Option<&AtomicUsize> {
        let start = (pointer >> 4).wrapping_mul(0x9e37_79b9);
        (0..N).find_map(|step| {
            let entry = self.entries.get(start.wrapping_add(step) % N)?;
            let known = entry.load(Ordering::Relaxed);
            (known == pointer || known == 0).then_some(entry)
        })
    }

    fn has(&self, pointer: usize) -> bool {
        let entry = self.find(pointer);
        entry.is_some_and(|entry| entry.load(Ordering::Relaxed) == pointer)
    }

    /// Whether there was room: it gets half full at most, so that looking stays short.
    fn add(&self, pointer: usize) -> bool {
        if self.count.load(Ordering::Relaxed) >= N / 2 {
            return false;
        }
        if let Some(entry) = self.find(pointer)
            && entry.swap(pointer, Ordering::Relaxed) != pointer
        {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn clear(&self) {
        for entry in &self.entries {
            entry.store(0, Ordering::Relaxed);
        }
        self.count.store(0, Ordering::Relaxed);
    }
}

/// Code objects that have a breakpoint in them, and those that were looked at for one.
static WATCHED: Set<{ 1 << 13 }> = Set::new();
static SEEN: Set<{ 1 << 16 }> = Set::new();
/// Lines on which there is a breakpoint in some file, as keys.
static LINES: Set<{ 1 << 13 }> = Set::new();

/// A line in a set of pointers, none of which is 0.
fn line_key(line: c_int) -> usize {
    ((line.unsigned_abs() as usize) << 4) | 1
}

/// `lines(…)`: the lines on which there is a breakpoint in some file.
extern "C" fn native_lines(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    LINES.clear();
    let lines = usize::try_from(count).unwrap_or(0);
    let all = (0..lines).all(|index| {
        let line = number(&python, argument(arguments, count, index));
        c_int::try_from(line).is_ok_and(|line| LINES.add(line_key(line)))
    });
    flag(&python, all)
}

/// Whether every event of every thread is to be handed on.
static ALL: AtomicBool = AtomicBool::new(false);

/// `watch(code, has)`: the code object was looked at, and has a breakpoint in it or not; without arguments: none was. The
/// caller keeps the objects.
extern "C" fn native_watch(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    if count == 0 {
        WATCHED.clear();
        SEEN.clear();
        return flag(&python, true);
    }
    let code = argument(arguments, count, 0) as usize;
    let has = number(&python, argument(arguments, count, 1)) != 0;
    flag(&python, SEEN.add(code) && (!has || WATCHED.add(code)))
}

/// `everything(on)`: whether all events of all traced threads are handed on.
extern "C" fn native_everything(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let on = number(&python, argument(arguments, count, 0)) != 0;
    ALL.store(on, Ordering::Release);
    flag(&python, on)
}

/// Hands an event on to `support.py`: `handler(frame, what, argument)`.
fn hand_on(python: &Python, frame: Object, what: c_int, value: Object) -> c_int {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        return 0;
    }
    // SAFETY: with the GIL; references are counted as CPython wants it: SetItem takes one over.
    unsafe {
        let tuple = (python.tuple)(3);
        if tuple.is_null() {
            return -1;
        }
        (python.keep)(frame);
        (python.tuple_set)(tuple, 0, frame);
        (python.tuple_set)(tuple, 1, (python.number)(u64::from(what.unsigned_abs())));
        let value = if value.is_null() { python.none } else { value };
        (python.keep)(value);
        (python.tuple_set)(tuple, 2, value);
        let result = (python.call)(handler, tuple);
        (python.drop)(tuple);
        if result.is_null() {
            return -1;
        }
        (python.drop)(result);
        0
    }
}

/// `PyTrace_LINE`.
const LINE: c_int = 2;
/// `PyTrace_CALL`.
const CALL: c_int = 0;

/// The trace function of a thread that steps: everything is handed on.
extern "C" fn trace_step(_: Object, frame: Object, what: c_int, value: Object) -> c_int {
    match python() {
        Some(python) => hand_on(&python, frame, what, value),
        None => 0,
    }
}

/// The trace function of a thread that runs, up to 3.11: what happens in code without a breakpoint is passed over.
extern "C" fn trace_run(_: Object, frame: Object, what: c_int, value: Object) -> c_int {
    let Some(python) = python() else {
        return 0;
    };
    if !ALL.load(Ordering::Relaxed) {
        if what != LINE && what != CALL {
            return 0;
        }
        // SAFETY: with the GIL; a reference of ours is given back.
        let code = unsafe {
            let code = match python.frame_code {
                Some(get) => get(frame),
                None => (python.attribute)(frame, c"f_code".as_ptr()),
            };
            if code.is_null() {
                (python.clear_error)();
                return 0;
            }
            (python.drop)(code);
            code as usize
        };
        // A function that is called for the first time may have a breakpoint in it.
        let passed_over = match what {
            // SAFETY: with the GIL; the frame is the one that runs.
            LINE => !WATCHED.has(code) || !LINES.has(unsafe { line_key((python.line)(frame)) }),
            _ => SEEN.has(code),
        };
        if passed_over {
            return 0;
        }
    }
    hand_on(&python, frame, what, value)
}

/// `trace(how, handler)`: 0 none, 1 everything is handed on, 2 what happens in watched code; of the calling thread.
extern "C" fn native_trace(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let how = number(&python, argument(arguments, count, 0));
    set_handler(&python, argument(arguments, count, 1));
    set_trace(&python, how);
    flag(&python, true)
}

fn set_handler(python: &Python, handler: Object) {
    if handler.is_null() {
        return;
    }
    // SAFETY: with the GIL. The one before is not dropped: another thread may be calling it.
    unsafe { (python.keep)(handler) };
    let before = HANDLER.swap(handler, Ordering::AcqRel);
    if before == handler {
        // SAFETY: two references, one is kept.
        unsafe { (python.drop)(handler) };
    }
}

fn set_trace(python: &Python, how: u64) {
    let trace: Option<python::Trace> = match how {
        1 => Some(trace_step),
        2 => Some(trace_run),
        _ => None,
    };
    // SAFETY: with the GIL, or attached to the interpreter.
    unsafe { (python.set_trace)(trace, null_mut()) };
}

/// `trace_others(how)`: the same of every other thread. Up to 3.11, where the one with the GIL may do so for all: none of
/// them runs.
extern "C" fn native_trace_others(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let how = number(&python, argument(arguments, count, 0));
    // SAFETY: the GIL is held throughout, so no thread state comes or goes, and each is made the current one only for a
    // call that looks at nothing but it.
    unsafe {
        let own = (python.current)();
        let mut thread = (python.first_thread)((python.interpreter)());
        while !thread.is_null() {
            let next = (python.next_thread)(thread);
            if thread != own {
                (python.swap)(thread);
                set_trace(&python, how);
                (python.swap)(own);
            }
            thread = next;
        }
    }
    flag(&python, true)
}

/// `post(thread, text)`: as if unknot had asked this of the thread, with the number 0.
extern "C" fn native_post(_: Object, arguments: Arguments, count: isize) -> Object {
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
extern "C" fn native_store(_: Object, arguments: Arguments, count: isize) -> Object {
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
extern "C" fn native_reconnect(_: Object, _: Arguments, _: isize) -> Object {
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
extern "C" fn native_serve(_: Object, _: Arguments, _: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let served = start_thread(reader) && start_thread(worker);
    flag(&python, served)
}

/// `leave()`: ends the connection.
extern "C" fn native_leave(_: Object, _: Arguments, _: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    // SAFETY: a descriptor of ours; both threads see the end of it and go.
    unsafe { system::shutdown(SOCKET.load(Ordering::Acquire), 2) };
    flag(&python, true)
}

const NAMES: [&core::ffi::CStr; 12] = [
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

const fn method(name: &'static core::ffi::CStr, function: *const ()) -> MethodDef {
    MethodDef {
        name: name.as_ptr(),
        function: function.cast(),
        flags: FASTCALL,
        doc: null(),
    }
}

static METHODS: [MethodDef; 12] = [
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
