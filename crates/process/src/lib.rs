//! Another process as the kernel shows it.

mod memory;

pub use memory::{Memory, Range, ReadError};
