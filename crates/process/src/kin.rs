//! Small questions about a process: its CPU time, the signals that it handles.

use crate::proc::{Stat, thread_ids};

/// CPU time that the process has used so far, in microseconds, in the granularity of the kernel's clock tick
/// (10 ms on Linux: USER_HZ is 100 on every architecture here).
pub fn cpu_us(pid: u32) -> Option<u64> {
    const TICK_US: u64 = 10_000;
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(Stat::parse(&stat)?.cpu_ticks.saturating_mul(TICK_US))
}

/// How long the threads that the process has now were on a CPU so far, in nanoseconds: as long as it stays the same, none of
/// them has run. `None` where the kernel does not count it (`schedstat`, proc_pid_schedstat(5)). One that has ended has 0.
pub fn run_ns(pid: u32) -> Option<u64> {
    let mut sum = 0u64;
    for tid in thread_ids(pid).unwrap_or_default() {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")) else {
            // A thread that has just ended, or a kernel that does not count.
            continue;
        };
        let run: u64 = text.split_whitespace().next()?.parse().ok()?;
        sum = sum.wrapping_add(run);
    }
    let counted = sum > 0 || thread_ids(pid).is_err();
    counted.then_some(sum)
}

/// Whether the process has handlers of its own for signals other than SIGINT (`SigCgt` of proc_pid_status(5)); not the
/// real-time signals, some of which libc keeps for itself.
pub fn catches_signals(pid: u32) -> bool {
    const SIGINT_BIT: u64 = 1 << 1;
    const STANDARD: u64 = (1 << 31) - 1;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask & STANDARD & !SIGINT_BIT != 0)
}
