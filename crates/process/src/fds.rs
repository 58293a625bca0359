//! Open descriptors: `/proc/PID/fd` and `/proc/PID/fdinfo`. Nothing of the target's is opened anew,
//! as opening a pipe's end or a device would be seen by others.

use crate::locks;
use crate::proc::{ProcError, processes};
use crate::sockets::Sockets;
use crate::text;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::libc;
use nix::sys::stat::{Mode, SFlag};
use snapshot::{Fd, FdKind, FileLock, TerminalEnd};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Most descriptors listed of one process.
const FDS_MAX: usize = 65_536;
/// Most pipes asked for what is queued in them.
const PIPES_ASKED_MAX: usize = 256;
const INFO_BYTES_MAX: usize = 16 * 1024;
/// Most locks listed of one descriptor.
const LOCKS_MAX: usize = 64;
/// Most descriptors listed that one epoll descriptor watches.
const WATCHES_MAX: usize = 4096;

/// The open descriptors of process `pid`, by number; with what is queued in its pipes, and the ends
/// of its sockets.
pub fn read(pid: u32) -> Result<Vec<Fd>, ProcError> {
    let directory = FdDirectory::open(pid)?;
    let mut fds: Vec<Fd> = directory
        .numbers()?
        .into_iter()
        .filter_map(|fd| directory.read(fd))
        .collect();
    ask_pipes(pid, &mut fds);
    let sockets = fds.iter().filter_map(|fd| match fd.kind {
        FdKind::Socket { inode, .. } => Some(inode),
        _ => None,
    });
    let inodes: HashSet<u64> = sockets.collect();
    if !inodes.is_empty() {
        let sockets = Sockets::read(pid, &inodes);
        for fd in &mut fds {
            if let FdKind::Socket { inode, connection } = &mut fd.kind {
                *connection = sockets.connection(*inode);
            }
        }
    }
    Ok(fds)
}

/// What somebody may have open too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// A pipe or socket with this inode.
    Inode(u64),
    /// This end of a pseudo terminal.
    Terminal(TerminalEnd),
}

/// Somebody who has a pipe, socket or terminal open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its descriptor.
    pub fd: i32,
    /// What was asked for.
    pub end: End,
    /// Whether it was opened for reading.
    pub readable: bool,
    /// Whether it was opened for writing.
    pub writable: bool,
}

/// The answer of [`who_has`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holders {
    /// All that were found.
    pub found: Vec<Holder>,
    /// Whether every process asked could be read within the time: only then is one who is not in
    /// `found` no holder. (A descriptor on its way through a socket is in nobody's hands.)
    pub complete: bool,
}

/// Which processes have one of these open: of `pids`, or of all processes when that is `None`.
pub fn who_has(ends: &HashSet<End>, pids: Option<&[u32]>, limit: Duration) -> Holders {
    let began = Instant::now();
    let all;
    let (pids, mut complete) = match pids {
        Some(pids) => (pids, true),
        None => {
            let listed = processes();
            let ok = listed.is_ok();
            all = listed.unwrap_or_default();
            (all.as_slice(), ok)
        }
    };
    let mut found = Vec::new();
    for &pid in pids {
        if began.elapsed() > limit {
            complete = false;
            break;
        }
        complete &= match holders_in(pid, ends, &mut found) {
            Ok(()) | Err(ProcError::Gone(_)) => true,
            Err(_) => false,
        };
    }
    Holders { found, complete }
}

fn holders_in(pid: u32, ends: &HashSet<End>, found: &mut Vec<Holder>) -> Result<(), ProcError> {
    let directory = FdDirectory::open(pid)?;
    for fd in directory.numbers()? {
        let end = directory.link(fd).and_then(|link| {
            let link = link.as_bytes();
            let inode = numbered(link, b"pipe").or(numbered(link, b"socket"));
            let terminal = || terminal_end(link, || directory.info(fd).terminal);
            inode
                .map(End::Inode)
                .or_else(|| terminal().map(End::Terminal))
        });
        let Some(end) = end.filter(|end| ends.contains(end)) else {
            continue;
        };
        let info = directory.info(fd);
        found.push(Holder {
            pid,
            fd,
            end,
            readable: info.readable,
            writable: info.writable,
        });
    }
    Ok(())
}

/// `/proc/PID/fd` and `/proc/PID/fdinfo`, open.
struct FdDirectory {
    pid: u32,
    links: File,
    infos: File,
}

/// What is used of `/proc/PID/fdinfo/FD`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Info {
    readable: bool,
    writable: bool,
    /// What an epoll descriptor watches, or the process of a pidfd.
    watches: Vec<i32>,
    /// Of a pseudo terminal's master: the terminal's number.
    terminal: Option<u32>,
    locks: Vec<FileLock>,
}

impl FdDirectory {
    fn open(pid: u32) -> Result<FdDirectory, ProcError> {
        let open = |name: &str| {
            let path = PathBuf::from(format!("/proc/{pid}/{name}"));
            File::open(&path).map_err(|error| ProcError::new(pid, &path, error))
        };
        Ok(FdDirectory {
            pid,
            links: open("fd")?,
            infos: open("fdinfo")?,
        })
    }

    fn numbers(&self) -> Result<Vec<i32>, ProcError> {
        let path = PathBuf::from(format!("/proc/{}/fd", self.pid));
        let entries =
            std::fs::read_dir(&path).map_err(|error| ProcError::new(self.pid, &path, error))?;
        let number = |name: OsString| i32::try_from(text::decimal(name.as_bytes())?).ok();
        let mut numbers: Vec<i32> = entries
            .filter_map(|entry| number(entry.ok()?.file_name()))
            .take(FDS_MAX)
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn link(&self, fd: i32) -> Option<OsString> {
        readlinkat(&self.links, fd.to_string().as_str()).ok()
    }

    fn info(&self, fd: i32) -> Info {
        let name = fd.to_string();
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut content = vec![0; INFO_BYTES_MAX];
        let read = openat(&self.infos, name.as_str(), flags, Mode::empty())
            .and_then(|file| nix::unistd::read(&file, &mut content));
        parse_info(content.get(..read.unwrap_or(0)).unwrap_or_default())
    }

    fn read(&self, fd: i32) -> Option<Fd> {
        let link = self.link(fd)?;
        let info = self.info(fd);
        Some(Fd {
            fd,
            kind: self.kind(fd, link, info.watches, info.terminal),
            readable: info.readable,
            writable: info.writable,
            locks: info.locks,
        })
    }

    fn kind(&self, fd: i32, link: OsString, watches: Vec<i32>, terminal: Option<u32>) -> FdKind {
        let bytes = link.as_bytes();
        if let Some(inode) = numbered(bytes, b"pipe") {
            return FdKind::Pipe {
                inode,
                queued: None,
            };
        }
        if let Some(inode) = numbered(bytes, b"socket") {
            return FdKind::Socket {
                inode,
                connection: None,
            };
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let path = format!("/proc/{}/fd/{fd}", self.pid);
        let metadata = bytes
            .starts_with(b"/")
            .then(|| std::fs::metadata(path).ok());
        let Some(metadata) = metadata
            .flatten()
            .filter(|_| !bytes.starts_with(b"/memfd:"))
        else {
            return FdKind::Other {
                link: text,
                watches,
            };
        };
        let kind = SFlag::from_bits_truncate(metadata.mode()) & SFlag::S_IFMT;
        let end = terminal_end(bytes, || terminal);
        let terminal = end.is_some() || bytes.starts_with(b"/dev/tty");
        match kind {
            SFlag::S_IFIFO => FdKind::Pipe {
                inode: metadata.ino(),
                queued: None,
            },
            SFlag::S_IFCHR if terminal || bytes == b"/dev/console" => {
                FdKind::Terminal { path: text, end }
            }
            _ => FdKind::File {
                path: text,
                dev: metadata.dev(),
                inode: metadata.ino(),
            },
        }
    }
}

/// The end of a pseudo terminal that a link names; `number` is what `fdinfo` says of a master, whose path does not tell.
fn terminal_end(link: &[u8], number: impl FnOnce() -> Option<u32>) -> Option<TerminalEnd> {
    let master = matches!(link, b"/dev/ptmx" | b"/dev/pts/ptmx");
    let index = if master {
        number()?
    } else {
        u32::try_from(text::decimal(link.strip_prefix(b"/dev/pts/")?)?).ok()?
    };
    Some(TerminalEnd { index, master })
}

/// The number in `pipe:[123]`.
fn numbered(link: &[u8], kind: &[u8]) -> Option<u64> {
    let rest = link.strip_prefix(kind)?.strip_prefix(b":[")?;
    text::decimal(rest.strip_suffix(b"]")?)
}

pub(crate) fn parse_info(content: &[u8]) -> Info {
    let mut info = Info::default();
    for line in text::lines(content) {
        let Some((key, value)) = text::split(line, b':') else {
            continue;
        };
        match key {
            b"flags" => {
                let flags = octal(value.trim_ascii());
                let path_only = flags & u64::from(libc::O_PATH.unsigned_abs()) != 0;
                info.readable = matches!(flags & 3, 0 | 2) && !path_only;
                info.writable = matches!(flags & 3, 1 | 2) && !path_only;
            }
            b"tfd" | b"Pid" => {
                let number = text::fields(value).next().and_then(text::decimal);
                let watched = number.and_then(|number| i32::try_from(number).ok());
                if let (Some(fd), true) = (watched, info.watches.len() < WATCHES_MAX) {
                    info.watches.push(fd);
                }
            }
            b"tty-index" => {
                let number = text::decimal(value.trim_ascii());
                info.terminal = number.and_then(|number| u32::try_from(number).ok());
            }
            b"lock" if info.locks.len() < LOCKS_MAX => {
                let line = text::split(value, b':').map(|(_, line)| line);
                info.locks.extend(line.and_then(locks::parse_own));
            }
            _ => {}
        }
    }
    info
}

fn octal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value: u64, &digit| {
        value.wrapping_mul(8).wrapping_add(u64::from(digit & 7))
    })
}

/// Asks how many bytes wait in each pipe. For that the descriptor is shared for a moment
/// (pidfd_getfd), which changes nothing for its readers and writers.
fn ask_pipes(pid: u32, fds: &mut [Fd]) {
    let pipes = fds
        .iter_mut()
        .filter(|fd| matches!(fd.kind, FdKind::Pipe { .. }))
        .take(PIPES_ASKED_MAX);
    let mut process: Option<OwnedFd> = None;
    for entry in pipes {
        if process.is_none() {
            process = pidfd_open(pid).ok();
        }
        let Some(process) = &process else { return };
        let shared = match pidfd_getfd(process, entry.fd) {
            Ok(shared) => shared,
            Err(Errno::EBADF) => continue,
            Err(_) => return,
        };
        if let FdKind::Pipe { queued, inode } = &mut entry.kind {
            // The number may mean something else by now.
            let same = nix::sys::stat::fstat(&shared).is_ok_and(|stat| stat.st_ino == *inode);
            *queued = bytes_queued(&shared).filter(|_| same);
        }
    }
}

fn pidfd_open(pid: u32) -> nix::Result<OwnedFd> {
    // SAFETY: takes two numbers, gives a new descriptor or -1.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(result)
}

fn pidfd_getfd(process: &OwnedFd, fd: i32) -> nix::Result<OwnedFd> {
    // SAFETY: takes three numbers, gives a new descriptor or -1.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    owned(result)
}

fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bytes_queued(fd: &OwnedFd) -> Option<u32> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to `count`, which outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    Errno::result(result).ok()?;
    u32::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_infos_are_taken_apart() {
        assert_eq!(numbered(b"pipe:[123]", b"pipe"), Some(123));
        for link in [
            &b"pipe:[123"[..],
            b"pipe:123",
            b"socket:[1]",
            b"pipe:[]",
            b"",
        ] {
            assert_eq!(numbered(link, b"pipe"), None);
        }
        let info = parse_info(b"pos:\t0\nflags:\t0100002\ntfd:        5 events: 19\ntfd: 7 e\n");
        assert!(info.readable && info.writable);
        assert_eq!(info.watches, [5, 7]);
        let info = parse_info(b"flags:\t010000001\nPid:\t-1\n:\n");
        assert!(!info.readable && !info.writable && info.watches.is_empty());
        assert!(parse_info(b"flags:\t0100001\n").writable);
        let info =
            parse_info(b"tty-index:\t7\nlock:\t1: FLOCK  ADVISORY  WRITE 41 00:2d:13 0 EOF\n");
        assert_eq!((info.terminal, info.locks.len()), (Some(7), 1));
        assert_eq!(info.locks[0].inode, 13);
        let end = |index, master| Some(TerminalEnd { index, master });
        assert_eq!(terminal_end(b"/dev/pts/3", || None), end(3, false));
        assert_eq!(terminal_end(b"/dev/ptmx", || Some(4)), end(4, true));
        assert_eq!(terminal_end(b"/dev/tty", || Some(4)), None);
        assert_eq!(parse_info(b"\xff\n"), Info::default());
    }
}
