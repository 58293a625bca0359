//! What the kernel says a thread is blocked in, from its system call.

use crate::reader::Reader;
use snapshot::{Address, OsThread, Syscall, Timeout};

/// Most descriptors of a `poll` or `select` that are read.
const DESCRIPTORS_MAX: u64 = 256;

/// What a thread is blocked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blocked {
    /// In nothing: it runs, or is ready to.
    No,
    /// It sleeps, or may sleep, and nothing says in what (a core file).
    Unknown,
    /// Waits for a futex word to change.
    Futex {
        /// The word.
        word: Address,
        /// Whether it has a timeout.
        limit: Timeout,
    },
    /// Reads a descriptor.
    Read(i32),
    /// Writes to a descriptor.
    Write(i32),
    /// Accepts a connection on a descriptor.
    Accept(i32),
    /// Connects a descriptor.
    Connect(i32),
    /// Waits for one of these descriptors.
    Select(Vec<i32>, Timeout),
    /// Sleeps for a time.
    Sleep,
    /// Waits for a child: its PID, or -1 for any.
    Reap(i64),
    /// Waits for a signal.
    Signal(Timeout),
    /// Waits for a lock on a file.
    FileLock(i32),
    /// Opens a file: a FIFO that nobody has opened at the other end.
    Open,
    /// Another call, by name.
    Other(String),
}

/// What the thread is blocked in.
pub(super) fn blocked(reader: &Reader<'_>, os: &OsThread) -> Blocked {
    match &os.syscall {
        _ if os.state == 'R' => Blocked::No,
        Some(call) => in_call(reader, call),
        None if matches!(os.state, '?' | 'S' | 'D') => Blocked::Unknown,
        None => Blocked::No,
    }
}

fn in_call(reader: &Reader<'_>, call: &Syscall) -> Blocked {
    let [first, second, third, fourth, fifth, _] = call.args;
    let fd = fd_of(first);
    let limit = |pointer: u64| {
        if pointer == 0 {
            Timeout::Forever
        } else {
            Timeout::Limited
        }
    };
    match call.name.as_str() {
        "futex" => futex(call),
        "read" | "readv" | "pread64" | "preadv" | "recvfrom" | "recvmsg" | "recvmmsg" => {
            Blocked::Read(fd)
        }
        "write" | "writev" | "pwrite64" | "pwritev" | "sendto" | "sendmsg" | "sendmmsg"
        | "sendfile" => Blocked::Write(fd),
        "splice" => Blocked::Read(fd),
        "accept" | "accept4" => Blocked::Accept(fd),
        "connect" => Blocked::Connect(fd),
        "poll" => Blocked::Select(polled(reader, first, second), milliseconds(third)),
        "ppoll" => Blocked::Select(polled(reader, first, second), limit(third)),
        "select" | "pselect6" if first == 0 => Blocked::Sleep,
        "select" | "pselect6" => Blocked::Select(
            selected(reader, first, &[second, third, fourth]),
            limit(fifth),
        ),
        "epoll_wait" | "epoll_pwait" => Blocked::Select(vec![fd], milliseconds(fourth)),
        "epoll_pwait2" => Blocked::Select(vec![fd], limit(fourth)),
        "nanosleep" | "clock_nanosleep" => Blocked::Sleep,
        "wait4" => Blocked::Reap(i64::from(fd)),
        "waitid" => Blocked::Reap(match first {
            1 => i64::from(fd_of(second)),
            _ => -1,
        }),
        "pause" | "rt_sigsuspend" => Blocked::Signal(Timeout::Forever),
        "rt_sigtimedwait" => Blocked::Signal(limit(third)),
        "flock" => Blocked::FileLock(fd),
        // F_SETLKW and F_OFD_SETLKW.
        "fcntl" if matches!(second, 7 | 38) => Blocked::FileLock(fd),
        "open" | "openat" | "openat2" => Blocked::Open,
        // The hold itself may leave a call half restarted.
        "restart_syscall" => Blocked::Unknown,
        _ if call.name.is_empty() => Blocked::Unknown,
        name => Blocked::Other(name.to_owned()),
    }
}

fn futex(call: &Syscall) -> Blocked {
    let [word, operation, _, timeout, ..] = call.args;
    // FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2.
    if !matches!(operation & 0x7f, 0 | 6 | 9 | 11 | 13) {
        return Blocked::No;
    }
    Blocked::Futex {
        word: Address(word),
        limit: if timeout == 0 {
            Timeout::Forever
        } else {
            Timeout::Limited
        },
    }
}

/// The low half of an argument register, as a C `int`.
fn fd_of(argument: u64) -> i32 {
    argument as u32 as i32
}

/// A timeout in milliseconds, negative: none.
fn milliseconds(argument: u64) -> Timeout {
    if fd_of(argument) < 0 {
        Timeout::Forever
    } else {
        Timeout::Limited
    }
}

/// The descriptors of a `struct pollfd` array.
fn polled(reader: &Reader<'_>, array: u64, length: u64) -> Vec<i32> {
    const POLLFD_BYTES: u64 = 8;
    let bytes = length.min(DESCRIPTORS_MAX) * POLLFD_BYTES;
    reader
        .bytes(Address(array), bytes, bytes as usize)
        .unwrap_or_default()
        .chunks_exact(POLLFD_BYTES as usize)
        .filter_map(|entry| Some(i32::from_le_bytes(entry.first_chunk::<4>().copied()?)))
        .filter(|fd| *fd >= 0)
        .collect()
}

/// The descriptors of `fd_set`s. The kernel overwrites them only when the call ends.
fn selected(reader: &Reader<'_>, count: u64, sets: &[u64]) -> Vec<i32> {
    let bytes = count.min(1024).div_ceil(8);
    let mut found = vec![0u8; bytes as usize];
    for set in sets.iter().filter(|set| **set != 0) {
        let bits = reader
            .bytes(Address(*set), bytes, bytes as usize)
            .unwrap_or_default();
        for (all, some) in found.iter_mut().zip(bits) {
            *all |= some;
        }
    }
    (0i32..)
        .zip(
            found
                .iter()
                .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)),
        )
        .filter_map(|(fd, set)| set.then_some(fd))
        .take(DESCRIPTORS_MAX as usize)
        .collect()
}
