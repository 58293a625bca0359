//! Small questions about a process: its CPU time, the signals that it handles.

use crate::proc::Stat;

/// CPU time that the process has used so far, in microseconds, in the granularity of the kernel's clock tick
/// (10 ms on Linux: USER_HZ is 100 on every architecture here).
pub fn cpu_us(pid: u32) -> Option<u64> {
    const TICK_US: u64 = 10_000;
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(Stat::parse(&stat)?.cpu_ticks.saturating_mul(TICK_US))
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
