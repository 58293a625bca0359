//! Another process as the kernel shows it.

pub mod arch;
pub mod cache;
pub mod children;
pub mod elf;
pub mod fds;
pub mod hold;
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
mod text;
pub mod threads;

pub use cache::PageCache;
pub use hold::{HeldThread, Hold, HoldError};
pub use live::LiveMemory;
pub use maps::{Mapping, Maps, Perms};
pub use memory::{Memory, Range, ReadError};
pub use proc::{ProcError, ProcStatus};
pub use syscalls::{Blocking, blocking};
pub use threads::ThreadReader;
