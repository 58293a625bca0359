//! Generators, coroutines and asynchronous generators: their frames and what they await.

use crate::frame::{RawFrame, interpreter_frame, object_frame};
use crate::layout::{FrameState, GeneratorForm};
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Most coroutines that await one another in a chain.
const CHAIN_MAX: usize = 100_000;
/// Most wrappers around what is awaited.
const WRAPPERS_MAX: usize = 8;

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
    Ok(match frame_state(reader, generator)? {
        FrameState::Created => GeneratorState::Created,
        FrameState::Suspended | FrameState::Awaiting => GeneratorState::Suspended,
        FrameState::Executing => GeneratorState::Running,
        FrameState::Finished => GeneratorState::Cleared,
    })
}

fn frame_state(reader: &Reader<'_>, generator: Address) -> Result<FrameState, ReadError> {
    let fields = &reader.layout.generator;
    let traits = &reader.layout.traits;
    let known = |state| {
        traits
            .frame_state(state)
            .ok_or(ReadError::Nonsense(generator))
    };
    if traits.generator == GeneratorForm::Embedded {
        return known(reader.get(generator, fields.gi_frame_state)?);
    }
    let frame: Address = reader.get(generator, fields.gi_frame)?;
    if frame.is_null() {
        return Ok(FrameState::Finished);
    }
    let frame_fields = &reader.layout.frame_object;
    if traits.generator == GeneratorForm::FrameWithState {
        return known(reader.get(frame, frame_fields.f_executing)?);
    }
    if reader.get(generator, fields.gi_running)? != 0 {
        return Ok(FrameState::Executing);
    }
    let last: i32 = reader.get(frame, frame_fields.f_lasti)?;
    Ok(if last < 0 {
        FrameState::Created
    } else {
        FrameState::Suspended
    })
}

/// The frame of a generator, coroutine or asynchronous generator that has not ended.
pub fn generator_frame(reader: &Reader<'_>, generator: Address) -> Option<RawFrame> {
    if frame_state(reader, generator).ok()? == FrameState::Finished {
        return None;
    }
    let fields = &reader.layout.generator;
    let step = if fields.gi_frame.exists() {
        let frame = reader.get(generator, fields.gi_frame).ok()?;
        object_frame(reader, frame)
    } else {
        let frame = reader.place(generator, fields.gi_iframe).ok()?;
        interpreter_frame(reader, frame)
    };
    step.ok()?.frame
}

/// What a suspended generator or coroutine awaits (`cr_await`, `gi_yieldfrom`), with the wrappers around
/// coroutines, asynchronous generators and futures taken off.
pub fn awaited(reader: &Reader<'_>, generator: Address) -> Option<Address> {
    let frame = generator_frame(reader, generator)?;
    awaited_by(reader, generator, &frame)
}

fn awaited_by(reader: &Reader<'_>, generator: Address, frame: &RawFrame) -> Option<Address> {
    match frame_state(reader, generator).ok()? {
        FrameState::Awaiting => (),
        FrameState::Suspended if delegates(reader, frame) => (),
        _ => return None,
    }
    let below = reader.layout.traits.awaited_slot;
    let slot = frame.stack_depth?.checked_sub(below)?;
    Some(unwrapped(reader, frame.stack_slot(reader, slot)?))
}

/// Whether a frame that was suspended stands in an `await` or `yield from`, not in a `yield`: up to 3.12 only the
/// next instruction tells.
fn delegates(reader: &Reader<'_>, frame: &RawFrame) -> bool {
    let next = frame.offset.saturating_add(2);
    let Ok(code) = frame.code.instructions(reader) else {
        return false;
    };
    let Some(&[opcode, argument]) = code.get(next..next.saturating_add(2)) else {
        return false;
    };
    match reader.codes.dialect().opcode_name(opcode) {
        // Up to 3.10: stays the next one until the inner generator ends.
        "YIELD_FROM" => true,
        // Its argument says after what it comes: 2 `yield from`, 3 `await`.
        "RESUME" => argument & 3 >= 2,
        _ => false,
    }
}

/// What is inside of the objects that wrap an awaited one.
fn unwrapped(reader: &Reader<'_>, object: Address) -> Address {
    let layout = reader.layout;
    let mut object = object;
    for _ in 0..WRAPPERS_MAX {
        let Ok(class) = reader.class_of(object) else {
            break;
        };
        let inner = match &*class.name {
            "coroutine_wrapper" => layout.coro_wrapper.cw_coroutine,
            "async_generator_asend" => layout.async_gen_asend.ags_gen,
            "async_generator_athrow" => layout.async_gen_athrow.agt_gen,
            "anext_awaitable" => layout.anext_awaitable.wrapped,
            "FutureIter" => layout.future_iter.future,
            _ => break,
        };
        match reader.get(object, inner).map(Address::non_null) {
            Ok(Some(inner)) => object = inner,
            _ => break,
        }
    }
    object
}

/// An await chain.
#[derive(Debug, Clone, Default)]
pub struct AwaitChain {
    /// The frames, from the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// What the innermost one awaits and is no generator or coroutine: a future, an iterator, …
    pub awaited: Option<Address>,
}

/// From a coroutine through all that it awaits.
pub fn await_chain(reader: &Reader<'_>, coroutine: Address) -> AwaitChain {
    let mut chain = AwaitChain::default();
    let mut at = coroutine;
    let mut remembered = Address::NULL;
    loop {
        let count = chain.frames.len();
        if at == remembered || count >= CHAIN_MAX {
            break;
        }
        if count.is_power_of_two() {
            remembered = at;
        }
        if count > 0 && !is_generator(reader, at) {
            chain.awaited = Some(at);
            break;
        }
        let Some(frame) = generator_frame(reader, at) else {
            break;
        };
        let next = awaited_by(reader, at, &frame);
        chain.frames.push(frame);
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    chain.frames.reverse();
    chain
}

/// Whether the object is a generator, a coroutine or an asynchronous generator.
pub fn is_generator(reader: &Reader<'_>, object: Address) -> bool {
    reader
        .class_of(object)
        .is_ok_and(|class| matches!(&*class.name, "generator" | "coroutine" | "async_generator"))
}

/// The frames of a coroutine's await chain, from the innermost outwards.
pub fn frames_of_generator(reader: &Reader<'_>, coroutine: Address) -> Vec<RawFrame> {
    await_chain(reader, coroutine).frames
}
