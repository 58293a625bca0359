//! File locks of the whole machine: `/proc/locks` (proc_locks(5)).

use crate::maps::device;
use crate::proc::{ProcError, read_file};
use crate::text;
use snapshot::FileLock;
use std::path::Path;

/// Most lines looked at.
const LINES_MAX: usize = 100_000;

/// A lock that a process holds or waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Who took it or waits, as unknot numbers it; `None`: a lock that belongs to an open file instead
    /// of a process (`ofd`), or a process outside of unknot's PID namespace. For `flock` it is who
    /// called it; processes forked since hold it too.
    pub pid: Option<u32>,
    /// The lock.
    pub lock: FileLock,
}

/// Those that process `pid` took or waits for.
pub fn of(pid: u32) -> Result<Vec<FileLock>, ProcError> {
    let all = all()?.into_iter();
    Ok(all
        .filter(|locked| locked.pid == Some(pid))
        .map(|locked| locked.lock)
        .collect())
}

/// All of the machine that unknot may see.
pub fn all() -> Result<Vec<Locked>, ProcError> {
    Ok(parse(&read_file(0, Path::new("/proc/locks"))?))
}

/// Takes the text of `/proc/locks` apart. A waiter's line has an arrow, the number of the lock that
/// it waits for, and comes after it; waiters for waiters are indented further.
pub(crate) fn parse(content: &[u8]) -> Vec<Locked> {
    let mut locks = Vec::new();
    // The lines above this one that it may hang on: how deep they are, and whose they are.
    let mut above: Vec<(usize, Option<u32>)> = Vec::new();
    for line in text::lines(content).take(LINES_MAX) {
        let Some((_, line)) = text::split(line, b':') else {
            continue;
        };
        let arrow = line.windows(2).position(|pair| pair == b"->");
        let (depth, rest) = match arrow {
            Some(at) => (at + 1, line.get(at + 2..).unwrap_or_default()),
            None => (0, line),
        };
        above.retain(|&(other, _)| other < depth);
        let blocked_by = above.last().and_then(|&(_, pid)| pid);
        let Some(mut locked) = parse_lock(rest) else {
            continue;
        };
        locked.lock.waiting = arrow.is_some();
        locked.lock.blocked_by = blocked_by;
        above.push((depth, locked.pid));
        locks.push(locked);
    }
    locks
}

/// The lock that a line of `/proc/PID/fdinfo/FD` tells of, without its number.
pub(crate) fn parse_own(line: &[u8]) -> Option<FileLock> {
    Some(parse_lock(line)?.lock)
}

/// `POSIX  ADVISORY  WRITE 812 fe:00:1234 0 EOF`.
fn parse_lock(line: &[u8]) -> Option<Locked> {
    let mut fields = text::fields(line);
    let class = match fields.next()? {
        b"FLOCK" => "flock",
        b"POSIX" => "posix",
        b"OFDLCK" => "ofd",
        _ => return None,
    };
    let exclusive = match fields.nth(1)? {
        b"WRITE" | b"RW" => true,
        b"READ" => false,
        _ => return None,
    };
    // -1: belongs to no process; 0: to one that cannot be seen from here.
    let pid = text::decimal(fields.next()?).and_then(|pid| u32::try_from(pid).ok());
    let (major, rest) = text::split(fields.next()?, b':')?;
    let (minor, inode) = text::split(rest, b':')?;
    Some(Locked {
        pid: pid.filter(|&pid| pid != 0),
        lock: FileLock {
            class: class.to_owned(),
            exclusive,
            dev: device(text::hexadecimal(major)?, text::hexadecimal(minor)?),
            inode: text::decimal(inode)?,
            waiting: false,
            blocked_by: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_hang_on_their_holder() {
        let locks = parse(
            b"1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
              1: -> POSIX  ADVISORY  WRITE 12 fe:00:77 0 EOF\n\
              1:  -> POSIX  ADVISORY  READ  13 fe:00:77 0 EOF\n\
              1: -> POSIX  ADVISORY  WRITE 14 fe:00:77 0 EOF\n\
              2: FLOCK  ADVISORY  READ  15 00:2f:5 0 EOF\n\
              3: OFDLCK ADVISORY  WRITE -1 00:2f:6 0 EOF\n",
        );
        let short: Vec<_> = locks
            .iter()
            .map(|it| (it.pid, it.lock.waiting, it.lock.blocked_by))
            .collect();
        assert_eq!(
            short,
            [
                (Some(11), false, None),
                (Some(12), true, Some(11)),
                (Some(13), true, Some(12)),
                (Some(14), true, Some(11)),
                (Some(15), false, None),
                (None, false, None),
            ]
        );
        let flock = &locks[4].lock;
        assert_eq!((flock.class.as_str(), flock.exclusive), ("flock", false));
        assert_eq!((flock.dev, flock.inode), (device(0, 0x2f), 5));
    }

    #[test]
    fn nonsense_is_left_out() {
        assert!(
            parse(b"\n:\n1:\n1: -> \n1: LEASE x\n1: FLOCK A WRITE 1 z:z:z\n1: FLOCK\n").is_empty()
        );
    }
}
