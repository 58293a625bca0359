//! Native frames among the Python ones: captured while a thread stands still or sleeps, unwound when it has been let go.

use crate::member::Counts;
use crate::places::Places;
use crate::python::Python;
use crate::stop::STOP_LIMIT;
use crate::{Grain, Options};
use cpython::frame::Mark;
use cpython::mixed::{self, Piece};
use cpython::sweep::{CodeTable, Entry, Outcome};
use native::{CAPTURE_BYTES_MAX, Captured, End, FunctionId, Place, Source, Space};
use process::elf::Module;
use process::hold::Hold;
use process::{LiveMemory, Maps, Memory};
use profile::{Builder, Frame, FrameId, FrameKind, Function, Metric, StackId};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// How often it is looked what is mapped, at most.
const RENEW: Duration = Duration::from_millis(100);
/// So much of a stack is captured at first; all of it, once it is known where it begins.
const CAPTURE_BYTES: usize = 64 << 10;
/// What is captured behind the outermost frame's stack pointer.
const ROOM_BYTES: u64 = 256;
/// So often a sleeping thread is read anew that has gone on while it was read.
const AGAIN_MAX: usize = 3;
/// What stands for native frames that could not be found.
const LOST: &str = "[unknown]";

/// A thread's stack with native frames, and what is known of the memory that it takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NativeStack {
    /// The whole stack; `None` where there are no native frames to it.
    pub stack: Option<StackId>,
    /// The outermost frame's stack pointer.
    root: Option<u64>,
    /// Where less than all was captured: so much the next time.
    more: usize,
}

impl NativeStack {
    /// How much is captured of a stack from this pointer on.
    fn capture_bytes(&self, sp: u64) -> usize {
        let used = self.root.and_then(|root| root.checked_sub(sp));
        let used = used.and_then(|used| usize::try_from(used + ROOM_BYTES).ok());
        let used = used.filter(|used| *used <= CAPTURE_BYTES_MAX);
        used.unwrap_or(CAPTURE_BYTES).max(self.more)
    }

    /// Learns from an unwound stack.
    fn learn(&mut self, end: End, root: Option<u64>, captured: usize) {
        match end {
            End::Root => (self.root, self.more) = (root, 0),
            End::Cut => (self.root, self.more) = (None, (captured * 2).min(CAPTURE_BYTES_MAX)),
            End::Lost => (self.root, self.more) = (None, 0),
        }
    }
}

/// The native code of one process.
#[derive(Debug)]
pub(crate) struct Natives {
    space: Space,
    renewed: Instant,
    frames: FxHashMap<(FunctionId, u64), FrameId>,
    lost: Option<FrameId>,
}

impl Natives {
    fn new(pid: u32) -> Natives {
        Natives {
            space: Space::new(Maps::read(pid).unwrap_or_default()),
            renewed: Instant::now(),
            frames: FxHashMap::default(),
            lost: None,
        }
    }

    /// Looks what is mapped, where something was met that was not before.
    fn renew(&mut self, pid: u32) {
        if self.space.is_stale() && self.renewed.elapsed() >= RENEW {
            self.space.renew(Maps::read(pid).unwrap_or_default());
            self.renewed = Instant::now();
        }
    }

    /// A frame of native code; `address` tells instructions apart where that is asked for.
    fn frame(
        &mut self,
        function: FunctionId,
        address: u64,
        grain: Grain,
        builder: &mut Builder,
    ) -> FrameId {
        let found = self.space.function(function);
        let offset = match (grain, found) {
            (Grain::Instruction, Some(found)) if found.start != 0 => {
                address.saturating_sub(found.start)
            }
            _ => 0,
        };
        if let Some(frame) = self.frames.get(&(function, offset)) {
            return *frame;
        }
        let (name, file) = found.map_or((LOST, ""), |found| (&*found.name, &*found.file));
        let instruction = (grain == Grain::Instruction).then_some(offset);
        let instruction = instruction.and_then(|offset| u32::try_from(offset).ok());
        let frame = native_frame(name, file, instruction, builder);
        self.frames.insert((function, offset), frame);
        frame
    }
}

fn native_frame(
    name: &str,
    file: &str,
    instruction: Option<u32>,
    builder: &mut Builder,
) -> FrameId {
    let (name, file) = (builder.string(name), builder.string(file));
    let function = builder.function(Function {
        name,
        file,
        first_line: 0,
        kind: FrameKind::Native,
    });
    builder.frame(Frame {
        function,
        line: 0,
        instruction,
    })
}

impl Python {
    /// As [`Python::settle`], with native frames. A thread that sleeps is not stopped; one that runs is, for one copy of its
    /// Python frames, its registers and its stack. `false`: its stack is not known.
    pub fn settle_native(
        &mut self,
        index: usize,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> bool {
        let pid = self.opened.pid;
        self.natives
            .get_or_insert_with(|| Natives::new(pid))
            .renew(pid);
        let Some(thread) = self.threads.get_mut(index) else {
            return false;
        };
        thread.native.stack = None;
        for again in 0..=AGAIN_MAX {
            if again > 0 {
                // It has gone on since it was asked for: one that waits for the GIL wakes up every few milliseconds.
                let is_gil = |futex| self.sweeper.is_gil(futex);
                let Some(thread) = self.threads.get_mut(index) else {
                    return false;
                };
                thread.ask(is_gil);
                if thread.is_asleep() && self.copy_one(index).is_err() {
                    return false;
                }
            }
            let thread = self.threads.get(index);
            if thread.is_some_and(|thread| thread.is_held_for(options)) {
                return self.stop_and_mix(index, options, builder, counts);
            }
            if !self.settle(index, options, builder, counts) {
                return false;
            }
            // Nobody asks where it sleeps when only time on a CPU counts.
            if options.metric != Metric::Wall || self.mix_asleep(index, options, builder) {
                break;
            }
        }
        true
    }

    /// Stops a thread for one copy of its Python frames, its registers and its stack.
    fn stop_and_mix(
        &mut self,
        index: usize,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> bool {
        let tid = self.threads.get(index).map_or(0, |thread| thread.tid);
        if !self.stops.may_begin() {
            return false;
        }
        let Ok(hold) = Hold::take_thread(self.opened.pid, tid, STOP_LIMIT) else {
            return false;
        };
        let place = hold.threads().first().and_then(|held| held.registers);
        let place = place.as_ref().map(Place::from);
        let mut cut = false;
        let copied = self.copy_one_while(index, || {
            cut = hold.held() > options.pause_max;
            !cut
        });
        let place = place.filter(|_| !cut);
        let captured = place.and_then(|place| self.capture(index, place));
        self.stops.note(hold.release(), cut, options, counts);
        if copied.is_err() || self.resolve(index, options, builder) != Outcome::Read {
            return false;
        }
        if let Some(captured) = captured {
            self.mix(index, &captured, options, builder);
        }
        true
    }

    /// Adds native frames to the stack of a thread that sleeps; `false` where it has gone on meanwhile. What was cut short is
    /// captured once more, as that does not disturb it.
    fn mix_asleep(&mut self, index: usize, options: &Options, builder: &mut Builder) -> bool {
        let mut captured_before = 0;
        loop {
            let gauge = self.threads.get(index).and_then(|t| t.gauge.as_ref());
            let place = gauge.and_then(|gauge| gauge.place());
            let captured = place.and_then(|(pc, sp)| self.capture(index, Place::asleep(pc, sp)));
            let asleep = self.threads.get(index).is_some_and(|t| t.still_asleep());
            let Some(captured) = captured.filter(|_| asleep) else {
                return false;
            };
            let end = self.mix(index, &captured, options, builder);
            if end != End::Cut || captured.stack.len() <= captured_before {
                return true;
            }
            captured_before = captured.stack.len();
        }
    }

    /// Captures a thread's stack.
    fn capture(&self, index: usize, place: Place) -> Option<Captured> {
        let bytes = self.threads.get(index)?.native.capture_bytes(place.sp);
        let maps = self.natives.as_ref()?.space.maps();
        let memory: &LiveMemory = self.opened.memory.memory();
        Some(Captured::read(maps, memory, place, bytes))
    }

    /// Unwinds what was captured, and puts it together with the Python frames that were read at the same time.
    fn mix(
        &mut self,
        index: usize,
        captured: &Captured,
        options: &Options,
        builder: &mut Builder,
    ) -> End {
        let memory: &dyn Memory = self.opened.memory.memory();
        let pid = self.opened.pid;
        let (Some(natives), Some(swept), Some(thread)) = (
            &mut self.natives,
            self.sweeper.threads().get(index),
            self.threads.get_mut(index),
        ) else {
            return End::Lost;
        };
        let open = |module: &Module| module.open(pid, memory);
        let source = Source {
            memory,
            open: &open,
        };
        let unwound = natives.space.unwind(&source, captured);
        let root = unwound.frames.last().map(|frame| frame.sp);
        thread.native.learn(unwound.end, root, captured.stack.len());
        let entries = swept.entries();
        // From the innermost outwards, as the marks count them.
        let shown: Vec<usize> = (0..entries.len())
            .rev()
            .filter(|entry| {
                entries
                    .get(*entry)
                    .is_some_and(|entry| entry.code.is_some())
            })
            .collect();
        let marks = self.sweeper.marks(swept);
        let pieces = pieces(&natives.space, &unwound, &marks, shown.len());
        let mut tower = Tower {
            stack: None,
            builder,
            grain: options.grain,
        };
        for piece in pieces.into_iter().rev() {
            match piece {
                Piece::Native(index) => {
                    if let Some(frame) = unwound.frames.get(index) {
                        tower.native(natives, frame);
                    }
                }
                Piece::Lost => tower.lost(natives),
                Piece::Python(range) => {
                    for at in shown.get(range).unwrap_or_default().iter().rev() {
                        // What a task's stack stands upon is not what the loop's thread runs.
                        if let Some(ground) = thread.ground.filter(|ground| ground.index == *at) {
                            tower.stack = ground.base;
                        }
                        if let Some(entry) = entries.get(*at) {
                            tower.python(entry, self.sweeper.codes(), &mut self.places);
                        }
                    }
                }
            }
        }
        thread.native.stack = tower.stack;
        unwound.end
    }
}

/// A stack that is built from the outermost frame inwards.
struct Tower<'a> {
    stack: Option<StackId>,
    builder: &'a mut Builder,
    grain: Grain,
}

impl Tower<'_> {
    fn add(&mut self, frame: FrameId) {
        match self.builder.stack(self.stack, frame) {
            Some(stack) => self.stack = Some(stack),
            None => self.builder.about().truncated += 1,
        }
    }

    fn native(&mut self, natives: &mut Natives, frame: &native::Frame) {
        let frame = natives.frame(frame.function, frame.address, self.grain, self.builder);
        self.add(frame);
    }

    fn lost(&mut self, natives: &mut Natives) {
        let lost = natives.lost;
        let lost = lost.unwrap_or_else(|| native_frame(LOST, "", None, self.builder));
        natives.lost = Some(lost);
        self.add(lost);
    }

    fn python(&mut self, entry: &Entry, codes: &CodeTable, places: &mut Places) {
        if let Some(frame) = places.frame(entry, codes, self.grain, self.builder) {
            self.add(frame);
        }
    }
}

fn pieces(space: &Space, unwound: &native::Unwound, marks: &[Mark], shown: usize) -> Vec<Piece> {
    let native = unwound.frames.iter().map(|frame| {
        let function = space.function(frame.function);
        let (name, file) = function.map_or((LOST, ""), |f| (&*f.name, &*f.file));
        mixed::Native {
            name,
            file,
            sp: frame.sp,
            end: frame.end,
        }
    });
    let native: Vec<mixed::Native<'_>> = native.collect();
    mixed::merge(&native, unwound.end == End::Root, marks, shown)
}
