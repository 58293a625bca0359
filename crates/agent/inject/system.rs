//! What is used of the C library: declared here, found in the process at load time.

use core::ffi::{c_char, c_int, c_void};

/// Room for a `pthread_mutex_t` or `pthread_cond_t`, which are at most 48 bytes on Linux, in glibc and musl, and all zero
/// when new.
#[repr(C, align(16))]
pub struct Opaque([u64; 8]);

impl Opaque {
    pub const NEW: Opaque = Opaque([0; 8]);
}

/// Room for a `sigset_t`: 128 bytes on Linux.
#[repr(C, align(16))]
pub struct SignalSet(pub [u64; 16]);

#[repr(C)]
pub struct UnixAddress {
    pub family: u16,
    pub path: [u8; 108],
}

#[repr(C)]
pub struct Symbol {
    pub file: *const c_char,
    pub base: *mut c_void,
    pub name: *const c_char,
    pub at: *mut c_void,
}

pub type Start = extern "C" fn(*mut c_void) -> *mut c_void;

unsafe extern "C" {
    pub fn malloc(size: usize) -> *mut c_void;
    pub fn free(at: *mut c_void);
    pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub fn connect(fd: c_int, address: *const UnixAddress, len: u32) -> c_int;
    pub fn send(fd: c_int, from: *const c_void, len: usize, flags: c_int) -> isize;
    pub fn recv(fd: c_int, to: *mut c_void, len: usize, flags: c_int) -> isize;
    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub fn read(fd: c_int, to: *mut c_void, len: usize) -> isize;
    pub fn close(fd: c_int) -> c_int;
    pub fn shutdown(fd: c_int, how: c_int) -> c_int;
    pub fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub fn dladdr(at: *const c_void, into: *mut Symbol) -> c_int;
    pub fn pthread_create(
        into: *mut usize,
        attributes: *const c_void,
        start: Start,
        argument: *mut c_void,
    ) -> c_int;
    pub fn pthread_detach(thread: usize) -> c_int;
    pub fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    pub fn pthread_mutex_lock(mutex: *mut Opaque) -> c_int;
    pub fn pthread_mutex_unlock(mutex: *mut Opaque) -> c_int;
    pub fn pthread_cond_wait(condition: *mut Opaque, mutex: *mut Opaque) -> c_int;
    pub fn pthread_cond_broadcast(condition: *mut Opaque) -> c_int;
    pub fn abort() -> !;
    #[link_name = "__errno_location"]
    pub fn errno() -> *mut c_int;
}

pub const AF_UNIX: u16 = 1;
/// `SOCK_STREAM | SOCK_CLOEXEC`.
pub const STREAM: c_int = 1 | 0o2_000_000;
pub const MSG_NOSIGNAL: c_int = 0x4000;
/// `O_RDONLY | O_CLOEXEC`.
pub const READ_ONLY: c_int = 0o2_000_000;
pub const SIG_SETMASK: c_int = 2;
pub const EINTR: c_int = 4;
