//! From frame to frame, up the stack.

use crate::calls::{self, CALL_BYTES_MAX, Call};
use crate::capture::Captured;
use crate::space::{FunctionId, Source, Space};
use framehop::x86_64::UnwindRegsX86_64;
use framehop::{Error, FrameAddress, Unwinder};
use snapshot::Address;

/// Most frames of one stack.
const FRAMES_MAX: usize = 1 << 16;
/// How far up the stack a frame pointer that is not known is searched.
const SEARCH_BYTES: u64 = 16 << 10;
/// Most places that are tried as such, and most frames that all trials together may take.
const TRIALS_MAX: usize = 64;
const TRIAL_FRAMES_MAX: usize = 1 << 17;
/// Stands for a frame pointer that is not known: no address that can be read, and not near the end of all addresses.
const NO_FRAME_POINTER: u64 = 0x8badf00d_00000001;

/// A function's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it runs.
    pub function: FunctionId,
    /// An address in the current instruction, or in the call that it is in.
    pub address: u64,
    /// Where its part of the stack starts,
    pub sp: u64,
    /// and ends: the caller's stack pointer after the return.
    pub end: u64,
}

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the start of the thread.
    Root,
    /// Where no more of the stack was captured.
    Cut,
    /// Where it could not be told who called: code without unwind data, a stack that makes no sense.
    Lost,
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwound {
    /// From the innermost outwards.
    pub frames: Vec<Frame>,
    /// Where it ended.
    pub end: End,
}

/// The frame that a walk is at.
#[derive(Clone, Copy)]
struct At {
    address: FrameAddress,
    regs: UnwindRegsX86_64,
}

/// One step of a walk.
enum Step {
    To(At),
    End(End),
    /// Only the frame pointer, which is not known, would tell.
    NeedsFramePointer,
}

impl Space {
    /// Unwinds what was captured.
    pub fn unwind(&mut self, source: &Source<'_>, captured: &Captured) -> Unwound {
        let place = captured.place;
        let fp = place.fp.unwrap_or(NO_FRAME_POINTER);
        let mut at = At {
            address: FrameAddress::from_instruction_pointer(place.pc),
            regs: UnwindRegsX86_64::new(place.pc, place.sp, fp),
        };
        let mut frames = Vec::new();
        if !self.is_code(place.pc) {
            self.stale = true;
        }
        loop {
            match self.step(source, captured, at, &mut frames) {
                Step::To(next) => at = next,
                Step::End(end) => return Unwound { frames, end },
                Step::NeedsFramePointer => {
                    // The frame that the search begins with is walked again by each trial.
                    frames.pop();
                    return self.search(source, captured, at, frames);
                }
            }
        }
    }

    /// Notes the frame at hand and goes on to its caller.
    fn step(
        &mut self,
        source: &Source<'_>,
        captured: &Captured,
        at: At,
        frames: &mut Vec<Frame>,
    ) -> Step {
        let lookup = at.address.address_for_lookup();
        let function = self.function_at(source, lookup);
        let sp = at.regs.sp();
        frames.push(Frame {
            function,
            address: lookup,
            sp,
            end: captured.end(),
        });
        if frames.len() >= FRAMES_MAX {
            return Step::End(End::Lost);
        }
        let known = self.has_module(lookup);
        let mut regs = at.regs;
        let mut read = |address| captured.word(address);
        let found = self
            .unwinder
            .unwind_frame(at.address, &mut regs, &mut self.cache, &mut read);
        let behind = |address: u64| captured.cut && address >= captured.end();
        match found {
            Ok(Some(ret)) => {
                let next = FrameAddress::from_return_address(ret).filter(|_| regs.sp() > sp);
                let Some(address) = next else {
                    return Step::End(End::Lost);
                };
                if !self.is_code(address.address_for_lookup()) {
                    self.stale |= self.maps().find(Address(ret)).is_none();
                    return Step::End(End::Lost);
                }
                if let Some(frame) = frames.last_mut() {
                    frame.end = regs.sp();
                }
                Step::To(At { address, regs })
            }
            // Without unwind data, a frame pointer of 0 need not mean the thread's start.
            Ok(None) if known => Step::End(End::Root),
            Err(_) if at.regs.bp() == NO_FRAME_POINTER => Step::NeedsFramePointer,
            Err(Error::CouldNotReadStack(address)) if behind(address) => Step::End(End::Cut),
            Ok(None) | Err(_) => Step::End(End::Lost),
        }
    }

    /// Tries the places on the stack where the frame pointer may point to: a return address is right above. The first
    /// counts from which the walk leads to the thread's start; those above a call of another function come last.
    fn search(
        &mut self,
        source: &Source<'_>,
        captured: &Captured,
        at: At,
        frames: Vec<Frame>,
    ) -> Unwound {
        let function = self.function_at(source, at.address.address_for_lookup());
        let start = self.function(function).map_or(0, |function| function.start);
        let (mut likely, mut others) = (Vec::new(), Vec::new());
        let first = at.regs.sp();
        for place in (first..first.saturating_add(SEARCH_BYTES)).step_by(8) {
            let Ok(ret) = captured.word(place.saturating_add(8)) else {
                break;
            };
            if !self.is_code(ret) {
                continue;
            }
            match call_before(source, ret) {
                Call::None => (),
                Call::Indirect => likely.push(place),
                Call::Direct(target) if target == start || !self.starts(source, target) => {
                    likely.push(place);
                }
                Call::Direct(_) => others.push(place),
            }
        }
        let mut taken = 0;
        for place in likely.into_iter().chain(others).take(TRIALS_MAX) {
            let mut trial = frames.clone();
            let mut at = at;
            at.regs.set_bp(place);
            let end = loop {
                match self.step(source, captured, at, &mut trial) {
                    Step::To(next) => at = next,
                    Step::End(end) => break end,
                    Step::NeedsFramePointer => break End::Lost,
                }
            };
            taken += trial.len() - frames.len();
            if end != End::Lost {
                return Unwound { frames: trial, end };
            }
            if taken > TRIAL_FRAMES_MAX {
                break;
            }
        }
        self.without_caller(source, captured, at, frames)
    }

    /// The frames so far, and the one that cannot be left.
    fn without_caller(
        &mut self,
        source: &Source<'_>,
        captured: &Captured,
        at: At,
        mut frames: Vec<Frame>,
    ) -> Unwound {
        let address = at.address.address_for_lookup();
        frames.push(Frame {
            function: self.function_at(source, address),
            address,
            sp: at.regs.sp(),
            end: captured.end(),
        });
        Unwound {
            frames,
            end: End::Lost,
        }
    }

    /// Whether a function is known to start at this address. Stubs that lead to other files have no names.
    fn starts(&mut self, source: &Source<'_>, address: u64) -> bool {
        let id = self.function_at(source, address);
        self.function(id).is_some_and(|f| f.start == address)
    }
}

/// The call that ends at a return address.
fn call_before(source: &Source<'_>, ret: u64) -> Call {
    let mut bytes = [0; CALL_BYTES_MAX];
    let Some(at) = ret.checked_sub(CALL_BYTES_MAX as u64) else {
        return Call::None;
    };
    match source.memory.read(Address(at), &mut bytes) {
        Ok(()) => calls::before(ret, &bytes),
        Err(_) => Call::None,
    }
}
