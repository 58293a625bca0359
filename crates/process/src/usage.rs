//! How much CPU time a whole process has used, at the price of one short call.

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A process's CPU-time clock (clock_getcpuclockid(3)): the sum over all its threads, in nanoseconds. What a thread uses is
/// added when it leaves its CPU, and at the kernel's tick while it stays there: a process whose clock stands has at most
/// threads that have been on a CPU since less than a tick.
#[derive(Debug, Clone, Copy)]
pub struct CpuClock {
    clock: ClockId,
}

impl CpuClock {
    /// Of process `pid`; `None` when it has ended.
    pub fn of(pid: u32) -> Option<CpuClock> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?);
        let clock = clock_getcpuclockid(pid).ok()?;
        Some(CpuClock { clock })
    }

    /// CPU time used so far, in nanoseconds; `None` when it has ended.
    pub fn used_ns(&self) -> Option<u64> {
        let time = clock_gettime(self.clock).ok()?;
        let whole_ns = u64::try_from(time.tv_sec())
            .ok()?
            .checked_mul(1_000_000_000)?;
        whole_ns.checked_add(u64::try_from(time.tv_nsec()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_while_the_process_computes() {
        let clock = CpuClock::of(std::process::id()).expect("there");
        let before = clock.used_ns().expect("a time");
        while clock.used_ns().expect("a time") == before {
            std::hint::black_box(0);
        }
        assert!(CpuClock::of(u32::MAX).is_none());
    }

    #[test]
    fn it_stands_while_the_process_sleeps() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("it starts");
        let clock = CpuClock::of(child.id()).expect("there");
        // Once it sleeps, two readings are the same, whatever time lies between them.
        loop {
            let before = clock.used_ns();
            std::thread::sleep(std::time::Duration::from_millis(20));
            if clock.used_ns() == before {
                break;
            }
        }
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        assert_eq!(clock.used_ns(), None);
    }
}
