//! What a system call that a thread sleeps in waits for: which descriptors, which child, and whether
//! it ends by itself.

use crate::Memory;
use crate::arch::X86_64;
use snapshot::{Address, Syscall, Timeout};
use std::time::Duration;

/// Most descriptors looked at of one poll or select.
const DESCRIPTORS_MAX: usize = 4096;
/// Most bytes looked at before a system call's instruction for what it calls.
const CODE_BYTES: usize = 48;

const FUTEX_COMMAND: u64 = 0x7f;
const F_SETLKW: u64 = 7;
const F_OFD_SETLKW: u64 = 38;
const P_ALL: u64 = 0;
const P_PID: u64 = 1;
const P_PGID: u64 = 2;
const P_PIDFD: u64 = 3;
const POLLIN_OR_PRI: u16 = 3;
const POLLOUT: u16 = 4;

/// A descriptor that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdWait {
    /// Its number.
    pub fd: i32,
    /// Whether data, an end, or a connection is waited for.
    pub read: bool,
    /// Whether room for data, or an outgoing connection, is waited for.
    pub write: bool,
}

/// What a thread in a system call waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocking {
    /// The call's name, also where it goes on as `restart_syscall`; empty when unknown.
    pub name: String,
    /// Whether it ends by itself. A socket's own SO_RCVTIMEO is not looked at.
    pub timeout: Timeout,
    /// How long it was asked to wait from its beginning, where it says that.
    pub limit: Option<Duration>,
    /// The descriptors.
    pub fds: Vec<FdWait>,
    /// The child, as the target numbers it: -1 any, below that any of a process group.
    pub child: Option<i64>,
    /// The word of memory that a futex call waits for.
    pub futex: Option<Address>,
}

/// What `call` waits for. `pc` is the thread's program counter, `memory` the target's.
pub fn blocking(call: &Syscall, pc: Option<Address>, memory: &dyn Memory) -> Blocking {
    let resumed = (call.name == "restart_syscall").then(|| restarted(pc, memory));
    let name = resumed.unwrap_or(Some(call.name.as_str())).unwrap_or("");
    let mut blocking = Blocking {
        name: name.to_owned(),
        ..Blocking::default()
    };
    let call = Call {
        args: call.args,
        memory,
    };
    call.fill(name, &mut blocking);
    blocking
}

/// Whether a stop ends this call before it has done all that it was asked for, as if that were all there was to do
/// (signal(7)): it has written, or read, a part of its bytes, and tells their number. Other calls go on afterwards.
pub fn ends_half_way(call: &Syscall) -> bool {
    const MSG_WAITALL: u64 = 0x100;
    match call.name.as_str() {
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg"
        | "sendmmsg" | "sendfile" | "splice" | "vmsplice" => true,
        "recvfrom" => call.args[3] & MSG_WAITALL != 0,
        "recvmsg" => call.args[2] & MSG_WAITALL != 0,
        _ => false,
    }
}

/// The call that a `restart_syscall` goes on with, where its arguments did not tell: after a stop or
/// signal the kernel lets these four go on by that number with what is left of their time. The number
/// is in the code just before.
fn restarted(pc: Option<Address>, memory: &dyn Memory) -> Option<&'static str> {
    const NAMES: [&str; 4] = ["futex", "poll", "clock_nanosleep", "nanosleep"];
    let mut code = [0; CODE_BYTES];
    let before = pc.map(|pc| pc.minus(CODE_BYTES as u64));
    if before.is_some_and(|start| memory.read(start, &mut code).is_ok()) {
        // mov eax, NUMBER is b8 and four bytes.
        let loads = code.windows(5).rev().filter_map(|bytes| match bytes {
            &[0xb8, a, b, c, d] => Some(u64::from(u32::from_le_bytes([a, b, c, d]))),
            _ => None,
        });
        let mut names = loads.map(|number| X86_64.call_name(number));
        return names.find(|name| NAMES.contains(name));
    }
    None
}

struct Call<'a> {
    args: [u64; 6],
    memory: &'a dyn Memory,
}

impl Call<'_> {
    fn fill(&self, name: &str, to: &mut Blocking) {
        let [first, second, third, ..] = self.args;
        match name {
            "futex" => {
                to.futex = Some(Address(first));
                to.timeout = match second & FUTEX_COMMAND {
                    // WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2: the rest do not sleep.
                    0 | 6 | 9 | 11 | 13 => self.unless_null(3),
                    _ => Timeout::Unknown,
                };
                // WAIT's time counts from the call, the others' is a date.
                if second & FUTEX_COMMAND == 0 {
                    to.limit = self.timespec(3);
                }
            }
            "futex_wait" => {
                to.futex = Some(Address(first));
                to.timeout = self.unless_null(4);
            }
            "futex_waitv" => to.timeout = self.unless_null(3),
            "read" | "readv" | "pread64" | "preadv" | "preadv2" | "recvfrom" | "recvmsg"
            | "accept" | "accept4" | "getdents64" => self.fd(0, true, false, to),
            "recvmmsg" => {
                self.fd(0, true, false, to);
                to.timeout = self.unless_null(4);
            }
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg"
            | "sendmmsg" | "connect" | "fsync" | "fdatasync" => self.fd(0, false, true, to),
            "sendfile" => {
                self.fd(0, false, true, to);
                self.fd(1, true, false, to);
            }
            "splice" | "tee" => {
                self.fd(0, true, false, to);
                self.fd(if name == "tee" { 1 } else { 2 }, false, true, to);
            }
            "flock" => self.fd(0, false, false, to),
            "fcntl" if matches!(second, F_SETLKW | F_OFD_SETLKW) => self.fd(0, false, false, to),
            "poll" => {
                to.fds = self.poll_fds();
                self.milliseconds(2, to);
            }
            "ppoll" => {
                to.fds = self.poll_fds();
                to.timeout = self.unless_null(2);
                // The kernel writes the time left into it only at the end.
                to.limit = self.timespec(2);
            }
            "select" | "pselect6" => {
                to.fds = self.select_fds();
                to.timeout = self.unless_null(4);
                let unit = if name == "select" { 1000 } else { 1 };
                to.limit = self.time(4, unit);
            }
            "epoll_wait" | "epoll_pwait" => {
                self.fd(0, true, false, to);
                self.milliseconds(3, to);
            }
            "epoll_pwait2" => {
                self.fd(0, true, false, to);
                to.timeout = self.unless_null(3);
                to.limit = self.timespec(3);
            }
            "wait4" => {
                to.child = Some(i64::from(first as i32));
                to.timeout = Timeout::Forever;
            }
            "waitid" => {
                to.timeout = Timeout::Forever;
                let id = i64::from(second as i32);
                match first {
                    P_ALL => to.child = Some(-1),
                    P_PID => to.child = Some(id),
                    P_PGID => to.child = Some(-id.max(2)),
                    P_PIDFD => self.fd(1, true, false, to),
                    _ => {}
                }
            }
            "nanosleep" => {
                to.timeout = Timeout::Limited;
                to.limit = self.timespec(0);
            }
            "clock_nanosleep" => {
                to.timeout = Timeout::Limited;
                // With TIMER_ABSTIME it is a date.
                to.limit = self.timespec(2).filter(|_| second & 1 == 0);
            }
            "rt_sigtimedwait" => {
                to.timeout = self.unless_null(2);
                to.limit = self.timespec(2);
            }
            "pause" | "rt_sigsuspend" | "semop" | "msgsnd" | "msgrcv" | "open" | "openat"
            | "openat2" => to.timeout = Timeout::Forever,
            "semtimedop" => to.timeout = self.unless_null(3),
            "mq_timedreceive" | "mq_timedsend" => {
                let sends = name == "mq_timedsend";
                self.fd(0, !sends, sends, to);
                to.timeout = self.unless_null(4);
            }
            "io_getevents" | "io_pgetevents" => to.timeout = self.unless_null(4),
            "io_uring_enter" => {
                self.fd(0, third > 0, second > 0, to);
                to.timeout = Timeout::Unknown;
            }
            _ => {}
        }
    }

    fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    fn unless_null(&self, index: usize) -> Timeout {
        match self.arg(index) {
            0 => Timeout::Forever,
            _ => Timeout::Limited,
        }
    }

    /// Adds the descriptor in this argument; such a call has no time limit.
    fn fd(&self, index: usize, read: bool, write: bool, to: &mut Blocking) {
        to.timeout = Timeout::Forever;
        let fd = self.arg(index) as i32;
        to.fds.push(FdWait { fd, read, write });
    }

    /// The time limit is in this argument, in milliseconds; negative: none.
    fn milliseconds(&self, index: usize, to: &mut Blocking) {
        match u64::try_from(self.arg(index) as i32) {
            Ok(count) => {
                to.timeout = Timeout::Limited;
                to.limit = Some(Duration::from_millis(count));
            }
            Err(_) => to.timeout = Timeout::Forever,
        }
    }

    fn timespec(&self, index: usize) -> Option<Duration> {
        self.time(index, 1)
    }

    /// Seconds and a fraction, whose unit is so many nanoseconds.
    fn time(&self, index: usize, unit_ns: u64) -> Option<Duration> {
        let address = Address(self.arg(index)).non_null()?;
        let mut bytes = [0; 16];
        self.memory.read(address, &mut bytes).ok()?;
        let (seconds, fraction) = bytes.split_first_chunk::<8>()?;
        let seconds = u64::from_le_bytes(*seconds);
        let fraction = u64::from_le_bytes(*fraction.first_chunk()?).checked_mul(unit_ns)?;
        let nanoseconds = u32::try_from(fraction)
            .ok()
            .filter(|&ns| ns < 1_000_000_000)?;
        (seconds < 1 << 62).then(|| Duration::new(seconds, nanoseconds))
    }

    fn poll_fds(&self) -> Vec<FdWait> {
        let count = (self.arg(1) as usize).min(DESCRIPTORS_MAX);
        let mut bytes = vec![0; count * 8];
        if self.memory.read(Address(self.arg(0)), &mut bytes).is_err() {
            return Vec::new();
        }
        let entries = bytes.chunks_exact(8).filter_map(|entry| match *entry {
            [a, b, c, d, e, f, _, _] => {
                let (fd, events) = (i32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
                Some(FdWait {
                    fd,
                    read: events & POLLIN_OR_PRI != 0,
                    write: events & POLLOUT != 0,
                })
            }
            _ => None,
        });
        entries.filter(|entry| entry.fd >= 0).collect()
    }

    fn select_fds(&self) -> Vec<FdWait> {
        let count = (self.arg(0) as usize).min(DESCRIPTORS_MAX);
        // Read, write, and exceptional conditions, each a bit set in whole words.
        let sets = [1, 2, 3].map(|index| {
            let mut bits = vec![0; count.div_ceil(64) * 8];
            let set = Address(self.arg(index)).non_null();
            let read = set.map(|address| self.memory.read(address, &mut bits));
            if matches!(read, Some(Ok(()))) {
                bits
            } else {
                Vec::new()
            }
        });
        let has = |bits: &Vec<u8>, fd: usize| {
            let byte = bits.get(fd / 8).copied().unwrap_or(0);
            byte & (1 << (fd % 8)) != 0
        };
        let [readers, writers, others] = &sets;
        let waits = (0..count).map(|fd| FdWait {
            fd: fd as i32,
            read: has(readers, fd) || has(others, fd),
            write: has(writers, fd),
        });
        waits.filter(|wait| wait.read || wait.write).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadError;

    /// Bytes at one address.
    struct Bytes(u64, Vec<u8>);

    impl Memory for Bytes {
        fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
            let bytes = address.0.checked_sub(self.0).and_then(|start| {
                self.1
                    .get(start as usize..(start as usize).checked_add(buffer.len())?)
            });
            buffer.copy_from_slice(bytes.ok_or(ReadError::Unmapped(address))?);
            Ok(())
        }
    }

    fn ask(name: &str, args: [u64; 6], memory: &Bytes) -> Blocking {
        let call = Syscall {
            number: X86_64.call_number(name).unwrap_or(u64::MAX),
            name: name.to_owned(),
            args,
        };
        blocking(&call, Some(Address(memory.0 + CODE_BYTES as u64)), memory)
    }

    #[test]
    fn time_limits_are_told() {
        let mut memory = Bytes(0x1000, vec![0; 64]);
        memory.1[0] = 2;
        memory.1[8] = 7;
        let ask = |name, args| ask(name, args, &memory);
        let futex = ask("futex", [0x7000, 0x189, 0, 0, 0, 0]);
        assert_eq!(
            (futex.timeout, futex.futex),
            (Timeout::Forever, Some(Address(0x7000)))
        );
        assert_eq!(
            ask("futex", [0x7000, 0x189, 0, 0x1000, 0, 0]).timeout,
            Timeout::Limited
        );
        assert_eq!(
            ask("poll", [0, 0, u32::MAX.into(), 0, 0, 0]).timeout,
            Timeout::Forever
        );
        let poll = ask("poll", [0, 0, 1500, 0, 0, 0]);
        assert_eq!(poll.limit, Some(Duration::from_millis(1500)));
        let sleep = ask("nanosleep", [0x1000, 0, 0, 0, 0, 0]);
        assert_eq!(sleep.limit, Some(Duration::new(2, 7)));
        let select = ask("select", [0, 0, 0, 0, 0x1000, 0]);
        assert_eq!(select.limit, Some(Duration::new(2, 7000)));
        assert_eq!(ask("nanosleep", [0x9999, 0, 0, 0, 0, 0]).limit, None);
        assert_eq!(
            ask("wait4", [u64::from(u32::MAX), 0, 0, 0, 0, 0]).child,
            Some(-1)
        );
    }

    #[test]
    fn descriptors_are_read_from_memory() {
        let mut bytes = vec![5, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0];
        bytes.extend([0b1000_0001, 0, 0, 0, 0, 0, 0, 0]);
        let memory = Bytes(0x1000, bytes);
        let poll = ask("poll", [0x1000, 2, 0, 0, 0, 0], &memory);
        let five = FdWait {
            fd: 5,
            read: true,
            write: false,
        };
        assert_eq!(poll.fds, [five]);
        let select = ask("select", [8, 0, 0x1010, 0, 0, 0], &memory);
        let fds: Vec<i32> = select.fds.iter().map(|wait| wait.fd).collect();
        assert_eq!(fds, [0, 7]);
        // Hostile sizes and addresses.
        for name in ["poll", "ppoll", "select", "pselect6"] {
            assert!(ask(name, [u64::MAX; 6], &memory).fds.is_empty());
        }
    }

    #[test]
    fn a_call_that_goes_on_after_a_stop_is_known_by_its_code() {
        let mut code = vec![0x90; CODE_BYTES];
        code[CODE_BYTES - 9..].copy_from_slice(&[0xb8, 202, 0, 0, 0, 0x90, 0x90, 0x0f, 0x05]);
        let memory = Bytes(0x1000, code);
        let args = [0x7000, 0x189, 0, 0x8000, 0, 0];
        let resumed = ask("restart_syscall", args, &memory);
        assert_eq!(
            (resumed.name.as_str(), resumed.timeout),
            ("futex", Timeout::Limited)
        );
        let nothing = Bytes(0x1000, Vec::new());
        assert_eq!(ask("restart_syscall", args, &nothing).name, "");
    }
}
