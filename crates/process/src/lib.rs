//! Another process as the kernel shows it: live, held still, or left behind as a core file.
//!
//! - Memory: [`Memory`] is the one way to read it. [`LiveMemory`] reads a process, stopped or not;
//!   [`Core`] a core file; [`PageCache`] keeps pages of either, so that a second reading of the same
//!   things is one system call.
//! - What is mapped ([`maps`]), and where its symbols and sections are ([`elf`], with a cache on disk,
//!   [`store`]).
//! - Holding it still ([`hold`]), with each thread's registers ([`arch`]); changing it meanwhile ([`change`]).
//! - Which threads did not run meanwhile, so that they need not be held ([`watch`]).
//! - Threads ([`threads`]), what their system calls wait for ([`syscalls`]), descriptors and who has
//!   their other ends ([`fds`]), file locks ([`locks`]), children and PID namespaces ([`children`]).
//!
//! Invariants:
//! - The target decides nothing here: every length, count and depth that comes from it, from a file
//!   or from the kernel's text is bounded, what makes no sense is left out or is an error value, and
//!   nothing panics.
//! - Who looks writes nothing: what changes a target, its memory or a thread's registers, is in [`change`] alone, needs
//!   a [`Hold`], and is called by those who enter a target on purpose (crate `attach`). No signal is sent to a target,
//!   and none of its files is opened where that could be noticed (a FIFO, a device, a terminal). Held threads are let
//!   go whatever happens.
//! - A PID or thread id is in unknot's own PID namespace unless its name says otherwise.
//! - All `unsafe` of the workspace's core is here, each with its reason.
//!
//! Absent: any knowledge of what language the target runs in; names of symbols and sections come in
//! as arguments. No output, no exit, no retrying: callers decide. Only Linux and 64-bit little-endian
//! ELF; what differs by machine is a table in [`arch`].

pub mod arch;
pub mod births;
pub mod cache;
pub mod change;
pub mod children;
pub mod core;
pub mod elf;
pub mod fds;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod gauge;
pub mod hold;
pub mod interrupt;
pub mod kin;
pub mod launch;
pub mod live;
pub mod locks;
pub mod maps;
mod memory;
pub mod permission;
pub mod proc;
mod sockets;
pub mod store;
pub mod syscalls;
pub mod terminal;
mod text;
pub mod threads;
pub mod turns;
pub mod usage;
pub mod watch;

pub use self::core::{Core, CoreError, CoreThread};
pub use cache::PageCache;
pub use change::{Argument, ChangeError, Errand, Patch};
pub use hold::{HeldThread, Hold, HoldError};
pub use live::LiveMemory;
pub use maps::{Mapping, Maps, Perms};
pub use memory::{Memory, Range, ReadError};
pub use proc::{ProcError, ProcStatus};
pub use syscalls::{Blocking, blocking, ends_half_way};
pub use threads::ThreadReader;
pub use watch::Watch;
