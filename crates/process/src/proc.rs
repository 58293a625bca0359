//! `/proc/PID`: who a process is.

use crate::text;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Most bytes read of one file under `/proc`.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most arguments kept of one command line.
const ARGS_MAX: usize = 100_000;

/// Why the kernel did not tell something about a process.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// No such process, or it has ended meanwhile.
    #[error("there is no process {0}")]
    Gone(u32),
    /// The kernel refused.
    #[error("{}", crate::permission::explain(*.0))]
    Denied(u32),
    /// Anything else.
    #[error("cannot read {path} of process {pid}: {error}", path = .path.display())]
    Io {
        /// The process.
        pid: u32,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
}

impl ProcError {
    pub(crate) fn new(pid: u32, path: &Path, error: std::io::Error) -> ProcError {
        let ended = error.raw_os_error() == Some(nix::libc::ESRCH);
        match error.kind() {
            ErrorKind::NotFound => ProcError::Gone(pid),
            _ if ended => ProcError::Gone(pid),
            ErrorKind::PermissionDenied => ProcError::Denied(pid),
            _ => ProcError::Io {
                pid,
                path: path.to_owned(),
                error,
            },
        }
    }
}

/// The content of a file of process `pid`.
pub(crate) fn read_file(pid: u32, path: &Path) -> Result<Vec<u8>, ProcError> {
    let read = || {
        let mut content = Vec::with_capacity(4096);
        File::open(path)?
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut content)?;
        Ok(content)
    };
    read().map_err(|error| ProcError::new(pid, path, error))
}

fn entry_names(directory: &Path) -> std::io::Result<impl Iterator<Item = u32>> {
    Ok(std::fs::read_dir(directory)?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_vec();
        u32::try_from(text::decimal(&name)?).ok()
    }))
}

/// The ids of all processes in unknot's PID namespace, ascending.
pub fn processes() -> std::io::Result<Vec<u32>> {
    let mut pids: Vec<u32> = entry_names(Path::new("/proc"))?.collect();
    pids.sort_unstable();
    Ok(pids)
}

/// The ids of all threads of process `pid`, in the order of their creation, the leader first.
pub fn thread_ids(pid: u32) -> Result<Vec<u32>, ProcError> {
    let path = PathBuf::from(format!("/proc/{pid}/task"));
    match entry_names(&path) {
        Ok(tids) => Ok(tids.collect()),
        Err(error) => Err(ProcError::new(pid, &path, error)),
    }
}

/// What `/proc/PID/status` says of a process or thread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcStatus {
    /// The kernel's name of it (`comm`), a newline in it as `\n`; at most 15 bytes.
    pub name: OsString,
    /// The letter: R S D T t Z X I.
    pub state: char,
    /// The process that a thread belongs to.
    pub tgid: u32,
    /// Its parent; 0: none that unknot can see.
    pub ppid: u32,
    /// The thread that traces it; 0: none.
    pub tracer_pid: u32,
    /// Real, effective, saved and file-system user id.
    pub uids: [u32; 4],
    /// How many threads it has.
    pub threads: u32,
    /// Its id in unknot's PID namespace and in those nested below, down to its own.
    pub ns_pids: Vec<u32>,
    /// Effective capabilities, a bit set.
    pub capabilities: u64,
}

impl ProcStatus {
    /// Reads that of process `pid`.
    pub fn read(pid: u32) -> Result<ProcStatus, ProcError> {
        let path = PathBuf::from(format!("/proc/{pid}/status"));
        Ok(ProcStatus::parse(&read_file(pid, &path)?))
    }

    /// Reads that of thread `tid` of process `pid`.
    pub fn read_thread(pid: u32, tid: u32) -> Result<ProcStatus, ProcError> {
        let path = PathBuf::from(format!("/proc/{pid}/task/{tid}/status"));
        Ok(ProcStatus::parse(&read_file(pid, &path)?))
    }

    /// Takes the text of a `status` file apart. What is missing is 0 or empty.
    pub fn parse(content: &[u8]) -> ProcStatus {
        let mut status = ProcStatus {
            state: '?',
            ..ProcStatus::default()
        };
        for line in text::lines(content) {
            let Some((key, value)) = text::split(line, b':') else {
                continue;
            };
            let value = value.trim_ascii_start();
            let mut numbers = text::fields(value)
                .map(|number| text::decimal(number).and_then(|n| u32::try_from(n).ok()))
                .map(Option::unwrap_or_default);
            match key {
                b"Name" => status.name = OsString::from_vec(value.to_vec()),
                b"State" => status.state = value.first().map_or('?', |&byte| byte.into()),
                b"Tgid" => status.tgid = numbers.next().unwrap_or_default(),
                b"PPid" => status.ppid = numbers.next().unwrap_or_default(),
                b"TracerPid" => status.tracer_pid = numbers.next().unwrap_or_default(),
                b"Uid" => status.uids = std::array::from_fn(|_| numbers.next().unwrap_or_default()),
                b"Threads" => status.threads = numbers.next().unwrap_or_default(),
                b"NSpid" => status.ns_pids = numbers.collect(),
                b"CapEff" => status.capabilities = text::hexadecimal(value).unwrap_or_default(),
                _ => {}
            }
        }
        status
    }

    /// Its id in its own PID namespace, when that is another one than unknot's.
    pub fn ns_pid(&self) -> Option<u32> {
        if self.ns_pids.len() < 2 {
            return None;
        }
        self.ns_pids.last().copied()
    }

    /// Whether it has ended and only waits to be waited for.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The command line of process `pid`, argument by argument, nothing escaped. Empty for a zombie and
/// a kernel thread.
pub fn command_line(pid: u32) -> Result<Vec<OsString>, ProcError> {
    let content = read_file(pid, Path::new(&format!("/proc/{pid}/cmdline")))?;
    Ok(split_arguments(&content))
}

/// Takes the text of a `cmdline` file apart.
pub(crate) fn split_arguments(content: &[u8]) -> Vec<OsString> {
    let content = content.strip_suffix(b"\0").unwrap_or(content);
    if content.is_empty() {
        return Vec::new();
    }
    content
        .split(|&byte| byte == 0)
        .take(ARGS_MAX)
        .map(|argument| OsString::from_vec(argument.to_vec()))
        .collect()
}

/// The file that a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Its path as the target sees it.
    pub path: PathBuf,
    /// Whether it has been deleted or replaced since; `/proc/PID/exe` still opens it.
    pub deleted: bool,
}

/// The executable of process `pid`.
pub fn executable(pid: u32) -> Result<Executable, ProcError> {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let target = std::fs::read_link(&link).map_err(|error| ProcError::new(pid, &link, error))?;
    let bytes = target.into_os_string().into_vec();
    let (path, deleted) = match bytes.strip_suffix(b" (deleted)") {
        Some(path) => (path.to_vec(), true),
        None => (bytes, false),
    };
    Ok(Executable {
        path: OsString::from_vec(path).into(),
        deleted,
    })
}

/// When process `pid` began, in clock ticks since the machine started: with the pid, it names a
/// process for good, also when the pid is given out again.
pub fn start_time(pid: u32) -> Result<u64, ProcError> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let content = read_file(pid, &path)?;
    let start = Stat::parse(&content).map(|stat| stat.start_ticks);
    start.ok_or(ProcError::Gone(pid))
}

/// What is used of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    pub comm: &'a [u8],
    pub state: char,
    pub ppid: u32,
    /// User and system time, in clock ticks.
    pub cpu_ticks: u64,
    pub start_ticks: u64,
    /// As wait(2) gives it; of a process that has not ended, or is not ours to read, 0.
    pub wait_status: Option<u64>,
}

impl Stat<'_> {
    /// The name may hold any byte, also `)` and newlines: it ends at the last `)`.
    pub fn parse(content: &[u8]) -> Option<Stat<'_>> {
        let open = content.iter().position(|&byte| byte == b'(')?;
        let close = content.iter().rposition(|&byte| byte == b')')?;
        let comm = content.get(open + 1..close)?;
        let rest = content.get(close + 1..)?.trim_ascii_end();
        // Fields as numbered by the manual: 3 is the state.
        let mut fields = text::fields(rest);
        let state = char::from(*fields.next()?.first()?);
        let ppid = u32::try_from(text::decimal(fields.next()?)?).ok()?;
        let user = text::decimal(fields.nth(9)?)?;
        let system = text::decimal(fields.next()?)?;
        let start_ticks = text::decimal(fields.nth(6)?)?;
        Some(Stat {
            comm,
            state,
            ppid,
            cpu_ticks: user.saturating_add(system),
            start_ticks,
            wait_status: fields.nth(29).and_then(text::decimal),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_taken_apart() {
        let status = ProcStatus::parse(
            b"Name:\ta\\nb\nState:\tS (sleeping)\nTgid:\t12\nPid:\t12\nPPid:\t3\nTracerPid:\t99\n\
              Uid:\t1000\t1001\t1002\t1003\nNSpid:\t12\t7\t1\nThreads:\t5\nCapEff:\t0000000000080000\n",
        );
        assert_eq!((status.state, status.tgid, status.ppid), ('S', 12, 3));
        assert_eq!(status.uids, [1000, 1001, 1002, 1003]);
        assert_eq!(status.ns_pid(), Some(1));
        assert_eq!((status.threads, status.tracer_pid), (5, 99));
        assert_eq!(status.capabilities, 1 << 19);
    }

    #[test]
    fn hostile_status_is_harmless() {
        for text in [
            &b""[..],
            b":\n::",
            b"Uid:\nState:\nNSpid: x -1 99999999999",
            b"\xff\xff",
        ] {
            let status = ProcStatus::parse(text);
            assert_eq!(status.ppid, 0);
            assert_eq!(status.state, '?');
        }
    }

    #[test]
    fn arguments_keep_every_byte() {
        let arguments = split_arguments(b"python\0-c\0a\nb; c\0\0");
        assert_eq!(arguments, ["python", "-c", "a\nb; c", ""]);
        assert!(split_arguments(b"").is_empty());
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let text = b"42 (a) b (c)\n)) S 7 1 1 0 -1 0 1 2 3 4 50 60 0 0 20 0 3 0 12345 1 1\n";
        let stat = Stat::parse(text).expect("well-formed");
        assert_eq!(stat.comm, b"a) b (c)\n)");
        assert_eq!((stat.state, stat.ppid), ('S', 7));
        assert_eq!((stat.cpu_ticks, stat.start_ticks), (110, 12345));
        for text in [&b""[..], b"1 (", b"1 )(", b"1 (x) S", b"1 (x) S -1 0"] {
            assert_eq!(Stat::parse(text), None);
        }
    }
}
