//! A recorded profile, and the formats that it is written in and read from.
//!
//! - [`Profile`] is what a recording found, as plain data: stacks as a tree, who was in them for how long, and
//!   when. It knows neither how samples are taken nor any interpreter's inside.
//! - [`Builder`] puts one together, sample by sample, in memory bounded by the number of distinct stacks, not by
//!   time.
//! - [`write()`] and [`read()`] know the [`Format`]s, one file of this crate each; [`diff()`] compares two profiles.
//!
//! Invariants: a stack's parent comes before it; every index in a [`Profile`] that [`Profile::check`] has accepted
//! is within its table; what was dropped or thinned out is counted in [`About`]. No system call, no output: formats
//! are written into a [`std::io::Write`] and read from bytes, which are as hostile as any file. Stacks may be of any
//! depth: nothing here recurses over them.

mod base64;
mod build;
mod callgrind;
mod collapsed;
mod colour;
mod diff;
mod firefox;
mod flame;
mod flamegraph;
mod format;
mod gzip;
mod heatmap;
mod lanes;
mod model;
mod page;
mod perfetto;
mod pprof;
mod protobuf;
mod pstats;
mod read;
mod speedscope;
mod stored;
#[cfg(any(test, feature = "synthetic"))]
pub mod synthetic;
mod text;
mod tree;

pub use build::{Builder, Limits, Sample};
pub use diff::{DIFF_SCHEMA, Diff, FunctionChange, Side, StackChange, Weight, diff};
pub use format::{Format, ReadError, read, write};
pub use model::{
    About, Frame, FrameId, FrameKind, Function, FunctionId, Metric, Process, ProcessId, Profile,
    SCHEMA, Slice, Source, Stack, StackId, State, StringId, Total, TotalId, Track, TrackId,
};

/// Writes the page that shows what has changed from one recording to another.
///
/// # Errors
/// Those of `out`.
pub fn write_diff_page(
    before: &Profile,
    after: &Profile,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    page::write(after, Some(before), out)
}
