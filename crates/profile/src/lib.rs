//! A recorded profile, and the formats that it is written in and read from.
//!
//! - [`Profile`] is what a recording found, as plain data: stacks as a tree, who was in them for how long, and
//!   when. It knows neither how samples are taken nor any interpreter's inside.
//! - [`Builder`] puts one together, sample by sample, in memory bounded by the number of distinct stacks, not by
//!   time.
//!
//! Invariants: a stack's parent comes before it; every index in a [`Profile`] that [`Profile::check`] has accepted
//! is within its table; what was dropped or thinned out is counted in [`About`]. No system call, no output: formats
//! are written into a [`std::io::Write`] and read from bytes, which are as hostile as any file.

mod build;
mod model;

pub use build::{Builder, Limits, Sample};
pub use model::{
    About, Frame, FrameId, FrameKind, Function, FunctionId, Metric, Process, ProcessId, Profile,
    SCHEMA, Slice, Stack, StackId, State, StringId, Total, TotalId, Track, TrackId,
};
