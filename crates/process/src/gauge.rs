//! What one thread does, asked again and again: its files under `/proc` stay open, so that a question is one call.

use crate::text;
use crate::threads::parse_syscall;
use snapshot::Address;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Files longer than this are read in part; what is asked for stands at their beginning.
const BYTES_MAX: usize = 512;

/// What a thread has run so far (`/proc/PID/task/TID/schedstat`, Documentation/scheduler/sched-stats.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ran {
    /// Time on a CPU, in nanoseconds; while the thread runs it is brought up to date at the kernel's tick.
    pub cpu_ns: u64,
    /// How often it got a CPU.
    pub runs: u64,
}

/// A thread's files.
#[derive(Debug)]
pub struct Gauge {
    schedstat: File,
    stat: File,
    syscall: Option<File>,
    futex_number: Option<u64>,
}

impl Gauge {
    /// For thread `tid` of process `pid`; `None` when it has ended.
    pub fn open(pid: u32, tid: u32) -> Option<Gauge> {
        let directory = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
        let open = |name: &str| File::open(directory.join(name));
        Some(Gauge {
            schedstat: open("schedstat").ok()?,
            stat: open("stat").ok()?,
            syscall: open("syscall").ok(),
            futex_number: crate::arch::Arch::host().and_then(|arch| arch.call_number("futex")),
        })
    }

    /// What it has run so far; `None` when it has ended or the kernel does not count that.
    pub fn ran(&self) -> Option<Ran> {
        let mut buffer = [0; BYTES_MAX];
        let mut fields = text::fields(content(&self.schedstat, &mut buffer)?);
        let cpu_ns = text::decimal(fields.next()?)?;
        let runs = text::decimal(fields.nth(1)?)?;
        Some(Ran { cpu_ns, runs })
    }

    /// Its letter of proc_pid_stat(5): R S D T t Z X I.
    pub fn state(&self) -> Option<char> {
        let mut buffer = [0; BYTES_MAX];
        let content = content(&self.stat, &mut buffer)?;
        // The name before it may have any bytes in it, brackets and spaces too.
        let name_end = content.iter().rposition(|byte| *byte == b')')?;
        let letter = content.get(name_end + 1..)?.trim_ascii_start().first()?;
        Some(char::from(*letter))
    }

    /// Its program counter and its stack pointer, while it sleeps.
    pub fn place(&self) -> Option<(Address, Address)> {
        let mut buffer = [0; BYTES_MAX];
        let place = parse_syscall(content(self.syscall.as_ref()?, &mut buffer)?)?;
        Some((place.pc, place.sp))
    }

    /// The address of the futex that it sleeps on, if it sleeps on one: the first argument of its system call.
    pub fn futex(&self) -> Option<u64> {
        let mut buffer = [0; BYTES_MAX];
        let content = content(self.syscall.as_ref()?, &mut buffer)?;
        let mut fields = text::fields(content);
        let number = text::decimal(fields.next()?)?;
        if Some(number) != self.futex_number {
            return None;
        }
        text::hexadecimal(fields.next()?.strip_prefix(b"0x")?)
    }
}

fn content<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let count = file.read_at(buffer, 0).ok()?;
    let content = buffer.get(..count)?.trim_ascii_end();
    (!content.is_empty()).then_some(content)
}
