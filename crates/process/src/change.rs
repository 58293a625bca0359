//! Changing a process that is held still: its memory, a thread's system call, what a thread does next.
//!
//! All of it needs a [`Hold`], and each change is complete in itself: unknot may be killed between any two of them, and
//! the target goes on. So a thread that is sent on an errand ([`Hold::send`]) comes back by itself: what it has to come
//! back to lies on its stack in the form in which the kernel puts it there for a signal handler, and the kernel puts it
//! back (rt_sigreturn(2)), every register and the signal mask.

mod frame;

use crate::arch::{Interruption, Registers};
use crate::hold::{Hold, NT_PRSTATUS};
use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::unistd::Pid;
use snapshot::Address;
use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;

/// Most bytes written at a time.
const BYTES_MAX: usize = 1 << 16;
/// Most places written at a time.
const PATCHES_MAX: usize = 64;

/// Bytes for a place in the target.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Where the first one goes.
    pub address: Address,
    /// What to write.
    pub bytes: Vec<u8>,
}

impl Patch {
    /// These bytes for this place.
    pub fn new(address: Address, bytes: impl Into<Vec<u8>>) -> Patch {
        Patch {
            address,
            bytes: bytes.into(),
        }
    }
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Nothing that can be written is mapped there.
    #[error("nothing that can be written is mapped at {0}")]
    Unmapped(Address),
    /// The kernel refused.
    #[error("the kernel does not permit it")]
    Denied,
    /// The process, or the thread, has ended.
    #[error("it has ended")]
    Gone,
    /// The thread is not held, or is in no system call that was interrupted.
    #[error("the thread is not asleep in a system call")]
    NotInCall,
    /// The errand would end the thread's system call early, and its caller may not expect that.
    #[error("its system call cannot be gone on with afterwards")]
    CallWouldEnd,
    /// The machine, or a protection of the thread's stack, is not one for which this is known to work.
    #[error("{0}")]
    Unsupported(&'static str),
    /// More than is written at a time.
    #[error("it is too much to be written at a time")]
    TooMuch,
}

/// What a function is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// The address of the errand's data, so many bytes from its start.
    Data(usize),
}

/// Functions that a thread calls, one after the other, before it goes on with what it was doing.
#[derive(Debug, Clone)]
pub struct Errand<'a> {
    /// Functions of the C calling convention, each with its first two arguments.
    pub calls: &'a [(Address, [Argument; 2])],
    /// What their arguments point to: put on the thread's stack, for the time of the errand.
    pub data: &'a [u8],
    /// A place in the target where `rt_sigreturn` is called: libc's `__restore_rt`.
    pub restorer: Address,
    /// Bytes of stack that the functions may need.
    pub stack_bytes: u64,
    /// Whether the thread's system call may end with EINTR, where the kernel could not go on with it.
    pub may_end_call: bool,
}

impl Hold {
    /// Writes all of these, in their order, in one system call.
    ///
    /// # Errors
    /// When it could not be written to its end. What stands before the place that failed may have been written.
    pub fn write(&self, patches: &[Patch]) -> Result<(), ChangeError> {
        let wanted: usize = patches.iter().map(|patch| patch.bytes.len()).sum();
        if wanted > BYTES_MAX || patches.len() > PATCHES_MAX {
            return Err(ChangeError::TooMuch);
        }
        let first = patches.first().map_or(Address::NULL, |patch| patch.address);
        let remote: Vec<RemoteIoVec> = patches
            .iter()
            .map(|patch| RemoteIoVec {
                base: patch.address.0 as usize,
                len: patch.bytes.len(),
            })
            .collect();
        let local: Vec<IoSlice<'_>> = patches
            .iter()
            .map(|patch| IoSlice::new(&patch.bytes))
            .collect();
        // The first thread may have ended before the others: any that is held will do.
        let tid = self.threads().first().ok_or(ChangeError::Gone)?.tid;
        match process_vm_writev(Pid::from_raw(tid.cast_signed()), &local, &remote) {
            Ok(count) if count == wanted => Ok(()),
            Ok(_) => Err(ChangeError::Unmapped(first)),
            Err(Errno::ESRCH) => Err(ChangeError::Gone),
            // A sandbox around unknot may forbid the call, and leave this.
            Err(Errno::EPERM | Errno::ENOSYS) => write_file(tid, patches),
            Err(_) => Err(ChangeError::Unmapped(first)),
        }
    }

    /// Ends the system call in which a held thread was interrupted: its caller gets EINTR, as of a signal that is
    /// handled. Only for callers that expect that. Whether there was a call to end; one that the stop itself has ended
    /// counts.
    ///
    /// # Errors
    /// When the thread is not held, or the kernel refuses.
    pub fn end_call(&self, tid: u32) -> Result<bool, ChangeError> {
        let registers = self.registers_of(tid)?;
        match registers.interruption() {
            None => Ok(false),
            Some(Interruption::Ended) => Ok(true),
            Some(Interruption::BegunAgain | Interruption::GoesOn) => {
                set_registers(tid, &registers.with_call_ended())?;
                Ok(true)
            }
        }
    }

    /// Sends a held thread, asleep in a system call, on an errand. It sets out when it is let go, and goes on with its
    /// call afterwards: as if a signal handler had run that asks for that (`SA_RESTART`).
    ///
    /// Nothing is taken back if unknot ends meanwhile: nothing has to be.
    ///
    /// # Errors
    /// When the thread is not asleep in a call, when its call could not be gone on with, when its stack has no room, or
    /// where this is not known to work. Then nothing has changed.
    pub fn send(&self, tid: u32, errand: &Errand<'_>) -> Result<(), ChangeError> {
        let registers = self.registers_of(tid)?;
        match registers.interruption() {
            None => return Err(ChangeError::NotInCall),
            Some(Interruption::GoesOn)
                if !errand.may_end_call && !frame::sleeps_for_the_rest(&registers) =>
            {
                return Err(ChangeError::CallWouldEnd);
            }
            Some(_) => {}
        }
        let prepared = frame::prepare(self.pid(), tid, &registers, errand)?;
        self.write(&[prepared.stack])?;
        set_registers(tid, &prepared.registers)
    }

    fn registers_of(&self, tid: u32) -> Result<Registers, ChangeError> {
        let thread = self.threads().iter().find(|thread| thread.tid == tid);
        let thread = thread.ok_or(ChangeError::NotInCall)?;
        thread.registers.ok_or(ChangeError::Unsupported(
            "the machine's registers are not known here",
        ))
    }
}

fn write_file(tid: u32, patches: &[Patch]) -> Result<(), ChangeError> {
    let file = File::options()
        .write(true)
        .open(format!("/proc/{tid}/mem"))
        .map_err(|_| ChangeError::Denied)?;
    for patch in patches {
        file.write_all_at(&patch.bytes, patch.address.0)
            .map_err(|_| ChangeError::Unmapped(patch.address))?;
    }
    Ok(())
}

fn set_registers(tid: u32, registers: &Registers) -> Result<(), ChangeError> {
    let mut words = registers.words().to_vec();
    let mut vector = libc::iovec {
        iov_base: words.as_mut_ptr().cast(),
        iov_len: size_of_val(words.as_slice()),
    };
    let tid = tid.cast_signed();
    // SAFETY: the kernel reads at most `iov_len` bytes from `iov_base`, which is `words`; both outlive the call. What it
    // changes is the tracee's.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETREGSET, tid, NT_PRSTATUS, &raw mut vector) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::ESRCH) => Err(ChangeError::Gone),
        Err(_) => Err(ChangeError::Denied),
    }
}
