//! The kernel's side of a process: threads, system calls, descriptors, children.

use crate::Address;
use serde::{Deserialize, Serialize};

/// State of a whole process (`State:` of `/proc/PID/status`, proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// Runs or sleeps as usual.
    #[default]
    Live,
    /// Stopped by a signal (SIGSTOP, SIGTSTP).
    Stopped,
    /// Ended, not yet waited for.
    Zombie,
    /// Read from a core file.
    Core,
}

/// One kernel thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OsThread {
    /// `comm`, at most 15 bytes (proc_pid_comm(5)).
    pub comm: String,
    /// The letter of proc_pid_stat(5) before the hold: R S D T t Z X I; `?` when unknown. `dump` does not tell S from D
    /// in a system call.
    pub state: char,
    /// CPU time used so far, in microseconds; granularity is the kernel's clock tick.
    pub cpu_us: u64,
    /// The system call that the thread is inside, if it is inside one.
    pub syscall: Option<Syscall>,
    /// Program counter in user space.
    pub pc: Option<Address>,
    /// Stack pointer in user space.
    pub sp: Option<Address>,
    /// Voluntary and involuntary context switches so far: unchanged means "has not run since".
    pub switches: Option<u64>,
}

/// A system call in progress (`/proc/PID/task/TID/syscall`, or the stopped thread's registers).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscall {
    /// Number on the target's architecture.
    pub number: u64,
    /// Name on the target's architecture (`futex`, `read`, `wait4`, …); empty when unknown.
    pub name: String,
    /// The six argument registers.
    pub args: [u64; 6],
}

/// An open file descriptor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fd {
    /// The descriptor's number.
    pub fd: i32,
    /// What it refers to.
    #[serde(flatten)]
    pub kind: FdKind,
    /// Whether it was opened for reading.
    #[serde(default)]
    pub readable: bool,
    /// Whether it was opened for writing.
    #[serde(default)]
    pub writable: bool,
    /// The file locks that were taken by way of it, or of a descriptor that it is a copy of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<FileLock>,
}

/// What a descriptor refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fd_kind", rename_all = "kebab-case")]
pub enum FdKind {
    /// A pipe or FIFO; the inode is the same at both ends.
    Pipe {
        /// Inode number on pipefs, or of the FIFO's file.
        inode: u64,
        /// Bytes waiting in it (FIONREAD), where it could be asked.
        queued: Option<u32>,
    },
    /// A socket.
    Socket {
        /// Inode number on sockfs.
        inode: u64,
        /// Its protocol, ends and state, where `/proc/net/*` or sock_diag told.
        connection: Option<Connection>,
    },
    /// A file or directory.
    File {
        /// The path as the target sees it.
        path: String,
        /// `st_dev` and `st_ino`.
        dev: u64,
        /// Inode number.
        inode: u64,
    },
    /// A terminal.
    Terminal {
        /// The path, for instance `/dev/pts/3`; `/dev/ptmx` for a pseudo terminal's master.
        path: String,
        /// Which end of which pseudo terminal it is, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<TerminalEnd>,
    },
    /// epoll, eventfd, timerfd, signalfd, inotify, pidfd, memfd and the like.
    Other {
        /// The link's text, for instance `anon_inode:[eventpoll]`.
        link: String,
        /// For an epoll descriptor the watched descriptors; for a pidfd the process (first element).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        watches: Vec<i32>,
    },
}

/// An end of a pseudo terminal (pty(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TerminalEnd {
    /// The terminal's number: 3 for `/dev/pts/3`.
    pub index: u32,
    /// Whether it is the end of whoever plays the user.
    pub master: bool,
}

impl TerminalEnd {
    /// The other end of the same terminal.
    pub fn other(self) -> TerminalEnd {
        TerminalEnd {
            master: !self.master,
            ..self
        }
    }
}

/// A socket's two ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `tcp`, `tcp6`, `udp`, `unix`, …
    pub protocol: String,
    /// Own end, `address:port` or path.
    pub local: String,
    /// Other end, empty when there is none.
    pub remote: String,
    /// Inode of the other end, where it is a socket on this machine (unix_diag, or the mirrored TCP pair).
    pub peer_inode: Option<u64>,
    /// State.
    pub state: SocketState,
    /// Bytes received and not yet read.
    pub receive_queue: Option<u32>,
    /// Bytes written and not yet taken by the other end.
    pub send_queue: Option<u32>,
}

/// State of a socket, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketState {
    /// Both ways open.
    Established,
    /// Waits for connections.
    Listening,
    /// A connection is being made.
    Connecting,
    /// One or both ways closed.
    Closing,
    /// Not connected (a datagram socket, a fresh one).
    Unconnected,
}

/// A child process, as its parent's `/proc/PID/task/*/children` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its PID (in unknot's PID namespace).
    pub pid: u32,
    /// What it is doing.
    pub state: ChildState,
    /// Its command line, for instance `["sleep", "100"]`; `comm` in brackets for a zombie.
    #[serde(default)]
    pub command: Vec<String>,
    /// How a zombie ended: its exit code, or minus the signal that killed it (`exit_code` of
    /// proc_pid_stat(5), where it may be read). Filled with the list of children.
    pub exit_code: Option<i64>,
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildState {
    /// Runs or sleeps.
    Live,
    /// Stopped by a signal.
    Stopped,
    /// Ended, and waits for its parent's wait.
    Zombie,
}

/// A line of `/proc/locks` that concerns a process looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLock {
    /// `flock`, `posix` or `ofd`.
    pub class: String,
    /// Whether it excludes all others (`WRITE`).
    pub exclusive: bool,
    /// Device of the file (`st_dev` form).
    pub dev: u64,
    /// Inode of the file.
    pub inode: u64,
    /// True when this process waits for the lock, false when it holds it.
    #[serde(default)]
    pub waiting: bool,
    /// The holder, when `waiting`.
    pub blocked_by: Option<u32>,
}
