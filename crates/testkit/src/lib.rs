//! Real interpreters and real programs for the tests of every other crate.
//!
//! [`matrix`] is one interpreter for each CPython that unknot reads and this machine has;
//! [`Target`] runs a program under one of them, in a process group that never outlives the test.
//! A program says itself when it is ready ([`Target::wait_ready`]); where it cannot be made to say so,
//! [`Target::wait_blocked`] waits until none of its threads makes progress.
//!
//! Nothing here is shipped, so a broken test environment may panic with a plain message.

mod interpreters;
mod limited;
mod scratch;
mod stillness;
mod target;

pub use interpreters::{Interpreter, Source, TAGS, interpreters, matrix, pythons_dir, skipped};
pub use limited::run_limited;
pub use scratch::Scratch;
pub use stillness::{descendants, wait_still};
pub use target::{Output, Program, Target};
