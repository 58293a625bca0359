//! The native stacks of another process: which functions called each other, down to the start of the thread.
//!
//! - [`Place`] and [`Captured`]: where a thread stands, and what its stack holds from there on. Capturing is one read,
//!   so that a thread that runs need only be stopped for that.
//! - [`Space`]: what is executable in a process, file by file, opened when a stack leads there; it unwinds
//!   ([`Space::unwind`]) what was captured and names the functions.
//!
//! Unwinding goes by `.eh_frame` (with the crate framehop), and by frame pointers where code has none. The kernel tells
//! where a sleeping thread's stack and program counters are, but not its frame pointer; where a frame can be left by that
//! alone, its place is searched on the stack, and taken where the rest of the stack then leads to the thread's start.
//!
//! Invariants: what is captured and what files say may be garbage; each walk goes up the stack, which is bounded, and
//! nothing panics. Nothing is read but through [`process::Memory`] and [`process::elf`].
//!
//! Absent: any knowledge of what language the target runs in, but for how C++ and Rust mangle names; stopping threads.
//! Only 64-bit x86 so far: [`process::arch`] knows no other machine.

mod calls;
mod capture;
mod names;
mod space;
mod unwind;

pub use capture::{CAPTURE_BYTES_MAX, Captured, Place};
pub use space::{Function, FunctionId, Source, Space};
pub use unwind::{End, Frame, Unwound};
