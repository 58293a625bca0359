//! The single requests that a hold is made of.

use super::NT_PRSTATUS;
use crate::arch::{Arch, REGISTERS_MAX, Registers};
use nix::errno::Errno;
use nix::libc;

/// A ptrace request whose address and data are plain numbers.
pub(super) fn request(
    what: libc::c_uint,
    tid: libc::pid_t,
    address: usize,
    data: usize,
) -> nix::Result<()> {
    // SAFETY: the requests made here (SEIZE, INTERRUPT, DETACH) take numbers, not pointers into our
    // memory, and only change the tracee.
    let result = unsafe { libc::ptrace(what, tid, address, data) };
    Errno::result(result).map(drop)
}

pub(super) fn interrupt(tid: libc::pid_t) {
    // It may have ended since: the wait that follows tells.
    let _ = request(libc::PTRACE_INTERRUPT, tid, 0, 0);
}

pub(crate) fn registers(tid: libc::pid_t) -> Option<Registers> {
    let arch = Arch::host()?;
    let mut words = [0_u64; REGISTERS_MAX];
    let mut vector = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(&words),
    };
    // SAFETY: the kernel writes at most `iov_len` bytes to `iov_base`, which is `words`, and the
    // number of bytes written to `vector`; both outlive the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, &raw mut vector) };
    Errno::result(result).ok()?;
    Some(Registers::new(arch, &words))
}

pub(super) enum Stop {
    NotYet,
    Stopped { signal: i32, event: i32 },
    Ended,
}

/// Whether a traced thread has stopped. Does not reap one that has ended.
pub(super) fn stop_of(tid: libc::pid_t) -> Stop {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
    // SAFETY: the kernel writes one siginfo_t to `info`, which outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, tid.unsigned_abs(), &raw mut info, flags) };
    if result != 0 {
        return match Errno::last() {
            Errno::EINTR => Stop::NotYet,
            _ => Stop::Ended,
        };
    }
    // SAFETY: waitid fills these fields; with nothing to report they stay 0.
    let (found, status) = unsafe { (info.si_pid(), info.si_status()) };
    if found == 0 {
        return Stop::NotYet;
    }
    Stop::Stopped {
        signal: status & 0xff,
        event: (status >> 8) & 0xff,
    }
}

/// Whether a killed thread has not got to its end yet; if it has, its end is taken note of.
pub(super) fn is_yet_to_end(tid: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`, which outlives the call.
    let result = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
    if result == tid && libc::WIFSTOPPED(status) {
        // It has not ended after all, and must not stand still for ever.
        let event = status >> 16;
        let signal = if event == 0 {
            libc::WSTOPSIG(status)
        } else {
            0
        };
        let _ = request(libc::PTRACE_DETACH, tid, 0, signal.unsigned_abs() as usize);
    }
    result == 0
}
