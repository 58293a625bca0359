//! The memory of a live process, stopped or not.

use crate::{Memory, Range, ReadError};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use snapshot::Address;
use std::fs::File;
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// Most ranges that one `process_vm_readv` takes (`IOV_MAX`).
const RANGES_MAX: usize = 1024;

/// Memory of a live process, read with `process_vm_readv`; with `/proc/PID/mem` where a sandbox
/// forbids that call. Works the same while the process runs, is held, or is stopped by a signal.
#[derive(Debug)]
pub struct LiveMemory {
    pid: u32,
    /// The thread whose memory is asked for: the leader, until that one ends before the others.
    tid: AtomicI32,
    /// `/proc/PID/mem`, opened when `process_vm_readv` is refused.
    file: OnceLock<Option<File>>,
}

impl LiveMemory {
    /// The memory of process `pid`. Nothing is opened or checked yet.
    pub fn new(pid: u32) -> LiveMemory {
        LiveMemory {
            pid,
            tid: AtomicI32::new(i32::try_from(pid).unwrap_or(i32::MAX)),
            file: OnceLock::new(),
        }
    }

    /// The process it reads.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// One system call for all of `ranges` (at most [`RANGES_MAX`]); how many bytes came, counted
    /// from the first range on.
    fn read_vector(&self, ranges: &mut [Range<'_>]) -> Result<usize, ReadError> {
        let remote: Vec<RemoteIoVec> = ranges
            .iter()
            .map(|range| RemoteIoVec {
                base: range.address.0 as usize,
                len: range.buffer.len(),
            })
            .collect();
        let first = ranges.first().map_or(Address::NULL, |range| range.address);
        let mut local: Vec<IoSliceMut<'_>> = ranges
            .iter_mut()
            .map(|range| IoSliceMut::new(range.buffer))
            .collect();
        self.readv(&mut local, &remote, first)
    }

    fn readv(
        &self,
        local: &mut [IoSliceMut<'_>],
        remote: &[RemoteIoVec],
        first: Address,
    ) -> Result<usize, ReadError> {
        let tid = self.tid.load(Ordering::Relaxed);
        let errno = match process_vm_readv(Pid::from_raw(tid), local, remote) {
            Ok(count) => return Ok(count),
            Err(errno) => errno,
        };
        match errno {
            Errno::ESRCH => {
                if self.use_other_thread(tid) {
                    return self.readv(local, remote, first);
                }
                Err(ReadError::Gone)
            }
            Errno::EPERM | Errno::ENOSYS => self.read_file(local, remote, first),
            _ => Err(ReadError::Unmapped(first)),
        }
    }

    /// A process whose first thread has ended (`pthread_exit` in main) lives on in the others.
    fn use_other_thread(&self, ended: i32) -> bool {
        let Ok(tids) = crate::proc::thread_ids(self.pid) else {
            return false;
        };
        // Ended threads are tried once each: only go on to greater ids than the one that ended.
        let next = tids
            .into_iter()
            .filter_map(|tid| i32::try_from(tid).ok())
            .filter(|&tid| tid > ended)
            .min();
        if let Some(tid) = next {
            self.tid.store(tid, Ordering::Relaxed);
        }
        next.is_some()
    }

    fn read_file(
        &self,
        local: &mut [IoSliceMut<'_>],
        remote: &[RemoteIoVec],
        first: Address,
    ) -> Result<usize, ReadError> {
        let file = self
            .file
            .get_or_init(|| File::open(format!("/proc/{}/mem", self.pid)).ok());
        let file = file.as_ref().ok_or(ReadError::Denied)?;
        let mut count = 0;
        for (buffer, range) in local.iter_mut().zip(remote) {
            match file.read_exact_at(buffer, range.base as u64) {
                Ok(()) => count += buffer.len(),
                Err(_) if count > 0 => break,
                Err(_) => return Err(ReadError::Unmapped(first)),
            }
        }
        Ok(count)
    }
}

impl Memory for LiveMemory {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        if buffer.is_empty() {
            return Ok(());
        }
        let wanted = buffer.len();
        let remote = RemoteIoVec {
            base: address.0 as usize,
            len: wanted,
        };
        let count = self.readv(&mut [IoSliceMut::new(buffer)], &[remote], address)?;
        if count == wanted {
            Ok(())
        } else {
            Err(ReadError::Unmapped(address.plus(count as u64)))
        }
    }

    fn read_batch(&self, ranges: &mut [Range<'_>]) -> Result<(), ReadError> {
        for chunk in ranges.chunks_mut(RANGES_MAX) {
            for range in chunk.iter_mut() {
                range.ok = false;
            }
            let mut rest = chunk;
            while !rest.is_empty() {
                let mut count = match self.read_vector(rest) {
                    Ok(count) => count,
                    Err(ReadError::Unmapped(_)) => 0,
                    Err(error) => return Err(error),
                };
                let mut whole = 0;
                for range in rest.iter_mut() {
                    let Some(left) = count.checked_sub(range.buffer.len()) else {
                        break;
                    };
                    range.ok = true;
                    count = left;
                    whole += 1;
                }
                // The kernel stops at the first range that it cannot read: go on behind it.
                rest = rest.get_mut(whole + 1..).unwrap_or(&mut []);
            }
        }
        Ok(())
    }
}
