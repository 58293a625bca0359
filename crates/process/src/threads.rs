//! A process's threads as the kernel sees them: `/proc/PID/task/TID`.

use crate::arch::Arch;
use crate::proc::{ProcError, Stat, thread_ids};
use crate::text;
use crate::watch::Run;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use snapshot::{Address, OsThread, Syscall};
use std::fmt::Write;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Length of a clock tick in `/proc`: USER_HZ is 100 on every machine known here.
const TICK_US: u64 = 10_000;
/// The files read here are shorter.
const FILE_BYTES_MAX: usize = 4096;

/// Reads the threads of one process; keeps its directory open and its buffers.
#[derive(Debug)]
pub struct ThreadReader {
    pid: u32,
    directory: File,
    name: String,
    content: Vec<u8>,
}

impl ThreadReader {
    /// For process `pid`.
    pub fn open(pid: u32) -> Result<ThreadReader, ProcError> {
        let path = PathBuf::from(format!("/proc/{pid}/task"));
        let directory = File::open(&path).map_err(|error| ProcError::new(pid, &path, error))?;
        Ok(ThreadReader {
            pid,
            directory,
            name: String::new(),
            content: vec![0; FILE_BYTES_MAX],
        })
    }

    /// All threads, the first one first, in the order of their creation: id and facts. Threads that
    /// end meanwhile are left out. See [`ThreadReader::read`].
    pub fn read_all(&mut self, with_syscall: bool) -> Result<Vec<(u32, OsThread)>, ProcError> {
        let tids = thread_ids(self.pid)?.into_iter();
        Ok(tids
            .filter_map(|tid| Some((tid, self.read(tid, with_syscall)?)))
            .collect())
    }

    /// The facts of one thread; `None` when it has ended. `with_syscall` asks for the call that it is
    /// in, and `pc` and `sp`, which are there only while it sleeps; a held thread's registers tell it
    /// sooner. Being held counts as a context switch or two and costs a few microseconds of CPU time.
    pub fn read(&mut self, tid: u32, with_syscall: bool) -> Option<OsThread> {
        let mut thread = self.read_state(tid)?;
        let schedstat = self.open_file(tid, "schedstat");
        if let Some(run) = schedstat.and_then(|file| self.run(&file)) {
            thread.cpu_us = run.run_ns / 1000;
            thread.switches = Some(run.runs);
        } else {
            thread.switches = self.switches(tid);
        }
        if with_syscall && let Some(place) = self.place(tid) {
            thread.syscall = place.syscall;
            thread.sp = Some(place.sp);
            thread.pc = Some(place.pc);
        }
        Some(thread)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How many threads there are, the first one too while it is a zombie: the kernel counts them as links of the
    /// directory.
    pub(crate) fn thread_count(&self) -> Option<usize> {
        let links = self.directory.metadata().ok()?.nlink();
        usize::try_from(links.checked_sub(2)?).ok()
    }

    /// The kernel's name of a thread (`comm`).
    pub fn name(&mut self, tid: u32) -> Option<String> {
        let content = self.file(tid, "comm")?;
        let name = content.strip_suffix(b"\n").unwrap_or(content);
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Name, state and CPU time of a thread.
    pub(crate) fn read_state(&mut self, tid: u32) -> Option<OsThread> {
        let stat = Stat::parse(self.file(tid, "stat")?)?;
        Some(OsThread {
            comm: String::from_utf8_lossy(stat.comm).into_owned(),
            state: stat.state,
            cpu_us: stat.cpu_ticks.saturating_mul(TICK_US),
            ..OsThread::default()
        })
    }

    /// The content of a thread's `children` file; `None` where it has ended, or there are no such files.
    pub(crate) fn children(&mut self, tid: u32) -> Option<Vec<u8>> {
        let content = self.file(tid, "children")?;
        if content.len() < FILE_BYTES_MAX {
            return Some(content.to_vec());
        }
        let path = format!("/proc/{}/task/{tid}/children", self.pid);
        crate::proc::read_file(self.pid, path.as_ref()).ok()
    }

    /// Where a thread sleeps; `None` while it has a CPU or waits for one.
    pub(crate) fn place(&mut self, tid: u32) -> Option<SleepingPlace> {
        parse_syscall(self.file(tid, "syscall")?)
    }

    /// How often a thread left a CPU.
    pub(crate) fn switches(&mut self, tid: u32) -> Option<u64> {
        parse_switches(self.file(tid, "status")?)
    }

    /// How much the thread has run whose `schedstat` this is; `None` when it has ended.
    pub(crate) fn run(&mut self, schedstat: &OwnedFd) -> Option<Run> {
        let count = nix::sys::uio::pread(schedstat, &mut self.content, 0).ok()?;
        parse_schedstat(self.content.get(..count)?)
    }

    /// One of the thread's files.
    pub(crate) fn open_file(&mut self, tid: u32, name: &str) -> Option<OwnedFd> {
        self.name.clear();
        write!(self.name, "{tid}/{name}").ok()?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        openat(&self.directory, self.name.as_str(), flags, Mode::empty()).ok()
    }

    /// The content of one of the thread's files, as far as the buffer holds it.
    fn file(&mut self, tid: u32, name: &str) -> Option<&[u8]> {
        let file = self.open_file(tid, name)?;
        let count = nix::unistd::read(file.as_fd(), &mut self.content).ok()?;
        self.content.get(..count)
    }
}

/// `schedstat`: time on a CPU in nanoseconds, time waited for one, how often it got one.
fn parse_schedstat(content: &[u8]) -> Option<Run> {
    let mut fields = text::fields(content.trim_ascii_end());
    let run_ns = text::decimal(fields.next()?)?;
    let runs = text::decimal(fields.nth(1)?)?;
    Some(Run { run_ns, runs })
}

/// The two counts of context switches in `status`, added.
fn parse_switches(content: &[u8]) -> Option<u64> {
    let counts = text::lines(content).filter_map(|line| {
        let (key, value) = text::split(line, b':')?;
        let counted = key.ends_with(b"voluntary_ctxt_switches");
        text::decimal(value.trim_ascii()).filter(|_| counted)
    });
    counts.reduce(u64::saturating_add)
}

/// Where a sleeping thread is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SleepingPlace {
    pub syscall: Option<Syscall>,
    pub sp: Address,
    pub pc: Address,
}

/// `syscall`: `running`, or `-1 SP PC` outside of a call, or number, six arguments, SP and PC.
pub(crate) fn parse_syscall(content: &[u8]) -> Option<SleepingPlace> {
    let mut fields = text::fields(content.trim_ascii_end());
    let number = fields.next()?;
    let mut word = || text::hexadecimal(fields.next()?.strip_prefix(b"0x")?);
    let mut syscall = None;
    if number != b"-1" {
        let number = text::decimal(number)?;
        let mut args = [0; 6];
        for arg in &mut args {
            *arg = word()?;
        }
        syscall = Some(match Arch::host() {
            Some(arch) => arch.syscall(number, args),
            None => Syscall {
                number,
                name: String::new(),
                args,
            },
        });
    }
    Some(SleepingPlace {
        syscall,
        sp: Address(word()?),
        pc: Address(word()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeping_thread_tells_its_call() {
        let place = parse_syscall(b"202 0x7f00 0x189 0x0 0x0 0x0 0xffffffff 0x7ffc00 0x7f12\n");
        let place = place.expect("well-formed");
        let call = place.syscall.expect("inside");
        assert_eq!(
            (call.number, call.args[0], call.args[5]),
            (202, 0x7f00, 0xffff_ffff)
        );
        assert_eq!((place.sp, place.pc), (Address(0x7f_fc00), Address(0x7f12)));
        let place = parse_syscall(b"-1 0x10 0x20\n").expect("well-formed");
        assert_eq!((place.syscall, place.pc), (None, Address(0x20)));
        for text in [
            &b"running\n"[..],
            b"",
            b"1 0x1\n",
            b"-1",
            b"-2 0x1 0x2",
            b"7 1 2 3 4 5 6 7 8",
        ] {
            assert_eq!(parse_syscall(text), None);
        }
    }

    #[test]
    fn counts_are_read_or_unknown() {
        let run = Run {
            run_ns: 123_456,
            runs: 7,
        };
        assert_eq!(parse_schedstat(b"123456 99 7\n"), Some(run));
        assert_eq!(parse_schedstat(b"1 2"), None);
        let status = b"Name:\tx\nvoluntary_ctxt_switches:\t10\nnonvoluntary_ctxt_switches:\t5\n";
        assert_eq!(parse_switches(status), Some(15));
        assert_eq!(parse_switches(b""), None);
    }

    #[test]
    fn our_own_threads_are_read() {
        let mut reader = ThreadReader::open(std::process::id()).expect("our own");
        let threads = reader.read_all(true).expect("our own");
        let own = nix::unistd::gettid().as_raw().unsigned_abs();
        let (_, thread) = threads.iter().find(|(tid, _)| *tid == own).expect("listed");
        assert_eq!(thread.state, 'R');
        assert!(thread.switches.is_some());
    }
}
