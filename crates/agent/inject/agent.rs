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

mod messages;
mod natives;
mod python;
mod system;
mod trace;
#[path = "../../wire/src/lib.rs"]
mod wire;

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{addr_of_mut, null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use messages::*;
use natives::{METHODS, NAMES};
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

/// The path of this object's file and how many bytes it has without its zero; `None` where that is not known.
fn own_file() -> Option<(*const u8, usize)> {
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
            return None;
        }
        let file: *const u8 = symbol.file.cast();
        let mut len = 0;
        while *file.add(len) != 0 {
            len += 1;
        }
        Some((file, len))
    }
}

/// Sets the directory to that in which this shared object lies.
fn find_directory() -> bool {
    let Some((file, len)) = own_file() else {
        return false;
    };
    // SAFETY: the path has `len` bytes; fewer than the directory has room for are copied.
    unsafe {
        let slash = (0..len)
            .rev()
            .find(|at| *file.add(*at) == b'/')
            .unwrap_or(0);
        // Room for `/support.py` behind it.
        if slash == 0 || slash > 90 {
            return false;
        }
        let directory: *mut u8 = addr_of_mut!((*agent()).directory).cast();
        core::ptr::copy_nonoverlapping(file, directory, slash);
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
    let Some((file, len)) = own_file() else {
        return false;
    };
    let Some(start) = len.checked_sub(name.len()) else {
        return false;
    };
    // SAFETY: the path has `len` bytes.
    unsafe {
        let same = name
            .iter()
            .enumerate()
            .all(|(i, byte)| *file.add(start + i) == *byte);
        same && (start == 0 || *file.add(start - 1) == b'/')
    }
}
