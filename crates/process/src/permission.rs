//! Why the kernel does not let unknot look at a process, and what would help.

use crate::proc::ProcStatus;
use std::fmt;
use std::os::unix::fs::MetadataExt;

/// Bit of CAP_SYS_PTRACE in a capability set.
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// Why a process may not be looked at: what failed, why, what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Another debugger has it; there can be only one.
    Traced {
        /// The target.
        pid: u32,
        /// The debugger.
        tracer: u32,
    },
    /// It belongs to another user.
    OtherUser {
        /// The target.
        pid: u32,
        /// Its user id.
        uid: u32,
    },
    /// unknot is root, but without the capability: a container.
    NoCapability {
        /// The target.
        pid: u32,
    },
    /// Yama's `ptrace_scope` forbids it.
    Yama {
        /// The target.
        pid: u32,
        /// The value: 1 only descendants, 2 only with CAP_SYS_PTRACE, 3 nobody.
        scope: u8,
    },
    /// The target has changed its credentials or asked not to be looked at (`PR_SET_DUMPABLE`).
    NotDumpable {
        /// The target.
        pid: u32,
    },
    /// A security module, a sandbox, or another reason that cannot be seen.
    Unknown {
        /// The target.
        pid: u32,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::Traced { pid, tracer } => write!(
                f,
                "process {pid} cannot be stopped: process {tracer} is already debugging it. \
                 End that debugger, or look with --no-pause"
            ),
            Denial::OtherUser { pid, uid } => write!(
                f,
                "process {pid} may not be read: it belongs to another user (uid {uid}). \
                 Run unknot as that user or with sudo, or give it the capability CAP_SYS_PTRACE"
            ),
            Denial::NoCapability { pid } => write!(
                f,
                "process {pid} may not be read: unknot runs as root, but without the capability \
                 CAP_SYS_PTRACE. Start the container with --cap-add=SYS_PTRACE, or look from the host"
            ),
            Denial::Yama { pid, scope: 3.. } => write!(
                f,
                "process {pid} may not be read: kernel.yama.ptrace_scope is 3, which forbids it to \
                 everybody until the machine is started again"
            ),
            Denial::Yama { pid, scope } => write!(
                f,
                "process {pid} may not be read: kernel.yama.ptrace_scope is {scope}, which allows a \
                 process to look {}. Run unknot with sudo, or set it to 0: \
                 sudo sysctl kernel.yama.ptrace_scope=0",
                if *scope == 1 {
                    "only at its own children"
                } else {
                    "only with CAP_SYS_PTRACE"
                }
            ),
            Denial::NotDumpable { pid } => write!(
                f,
                "process {pid} may not be read: it has changed its privileges or asked the kernel to \
                 be left alone (PR_SET_DUMPABLE). Run unknot with sudo"
            ),
            Denial::Unknown { pid } => write!(
                f,
                "process {pid} may not be read: the kernel forbids it, perhaps by a security module \
                 or a sandbox. Run unknot with sudo, or outside the sandbox"
            ),
        }
    }
}

impl std::error::Error for Denial {}

/// Finds out why process `pid` may not be looked at, after the kernel has said so.
pub fn explain(pid: u32) -> Denial {
    let target = ProcStatus::read(pid).unwrap_or_default();
    let own = ProcStatus::read(std::process::id()).unwrap_or_default();
    if target.tracer_pid != 0 {
        // The kernel names the tracer's thread.
        let tracer = ProcStatus::read(target.tracer_pid).map(|status| status.tgid);
        return Denial::Traced {
            pid,
            tracer: tracer.unwrap_or(target.tracer_pid),
        };
    }
    let scope = yama_scope();
    if own.capabilities & CAP_SYS_PTRACE != 0 {
        return match scope {
            3 => Denial::Yama { pid, scope },
            _ => Denial::Unknown { pid },
        };
    }
    let [_, own_uid, ..] = own.uids;
    if own_uid == 0 {
        return Denial::NoCapability { pid };
    }
    if let Some(&uid) = target.uids.iter().take(3).find(|&&uid| uid != own_uid) {
        return Denial::OtherUser { pid, uid };
    }
    // The files of a process that is not dumpable belong to root.
    let owner = std::fs::metadata(format!("/proc/{pid}")).map(|directory| directory.uid());
    if owner.is_ok_and(|owner| owner != own_uid) {
        return Denial::NotDumpable { pid };
    }
    match scope {
        0 => Denial::Unknown { pid },
        _ => Denial::Yama { pid, scope },
    }
}

fn yama_scope() -> u8 {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}
/// The user as whom unknot acts (geteuid(2)).
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The user at the other end of a Unix socket (`SO_PEERCRED`, unix(7)); `None` where the kernel does not tell.
pub fn peer_uid(stream: &std::os::unix::net::UnixStream) -> Option<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(stream, PeerCredentials)
        .ok()
        .map(|peer| peer.uid())
}
