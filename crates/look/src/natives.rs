//! Native frames for a look: captured while the threads stand still or sleep, unwound when they have been let go, and
//! put together with the Python frames.

use crate::opened::Opened;
use cpython::frame::Mark;
use cpython::mixed::{self, Piece};
use cpython::read::{KernelThread, Reading};
use native::{CAPTURE_BYTES_MAX, Captured, End, Place, Source, Space};
use process::elf::Module;
use process::hold::Hold;
use process::{Core, Maps, Memory, Watch};
use snapshot::{Frame, Origin, Thread};
use std::collections::HashMap;
use std::mem::take;

/// What stands for native frames that could not be found.
pub const LOST: &str = "[unknown]";

/// What was captured of a process's threads, by thread id.
#[derive(Debug, Default)]
pub(crate) struct Natives(HashMap<u32, Captured>);

/// Takes note of what is mapped now; costs time, and is done before anybody is held.
pub(crate) fn prepare(opened: &Opened) {
    let maps = Maps::read(opened.pid).unwrap_or_default();
    let mut space = opened.space.borrow_mut();
    match space.as_mut() {
        Some(space) => space.renew(maps),
        None => *space = Some(Space::new(maps)),
    }
}

impl Natives {
    /// Of the threads that are held, and of those that sleep.
    pub fn of_still(
        opened: &Opened,
        kernel: &[KernelThread],
        watch: Option<&Watch>,
        hold: Option<&Hold>,
    ) -> Natives {
        let mut places: HashMap<u32, Place> = HashMap::new();
        for thread in kernel {
            let asleep = watch.is_some_and(|watch| watch.is_asleep(thread.tid));
            if let (true, Some(pc), Some(sp)) = (asleep, thread.os.pc, thread.os.sp) {
                places.insert(thread.tid, Place::asleep(pc, sp));
            }
        }
        for held in hold.map_or(&[][..], Hold::threads) {
            if let Some(registers) = &held.registers {
                places.insert(held.tid, Place::from(registers));
            }
        }
        let space = opened.space.borrow();
        let Some(space) = space.as_ref() else {
            return Natives::default();
        };
        let memory = opened.memory.memory();
        let captured = |place| Captured::read(space.maps(), memory, place, CAPTURE_BYTES_MAX);
        Natives(
            places
                .into_iter()
                .map(|(tid, place)| (tid, captured(place)))
                .collect(),
        )
    }

    /// Where nobody is held: of those threads that sleep before and after.
    pub fn of_sleepers(
        opened: &Opened,
        kernel: &[KernelThread],
        watch: Option<&mut Watch>,
    ) -> Natives {
        prepare(opened);
        let Some(watch) = watch else {
            return Natives::default();
        };
        let mut natives = Natives::of_still(opened, kernel, Some(watch), None);
        natives.0.retain(|tid, _| watch.slept_on(*tid));
        natives
    }

    /// Puts the native frames into what was read.
    pub fn put_in(&self, opened: &Opened, reading: &mut Reading) {
        let mut space = opened.space.borrow_mut();
        let Some(space) = space.as_mut() else { return };
        let memory: &dyn Memory = opened.memory.memory();
        let open = |module: &Module| module.open(opened.pid, memory);
        let source = Source {
            memory,
            open: &open,
        };
        put_in(&self.0, space, &source, reading);
    }
}

/// Puts the native frames of a core's threads into what was read of it.
pub(crate) fn of_core(core: &Core, reading: &mut Reading) {
    let mut space = Space::new(core.maps().clone());
    let read = |place| Captured::read(core.maps(), core, place, CAPTURE_BYTES_MAX);
    let threads = core.threads().iter();
    let captured = threads
        .filter_map(|thread| Some((thread.tid, read(Place::from(thread.registers.as_ref()?)))))
        .collect();
    let open = |module: &Module| core.open_module(module);
    let source = Source {
        memory: core,
        open: &open,
    };
    put_in(&captured, &mut space, &source, reading);
}

fn put_in(
    captured: &HashMap<u32, Captured>,
    space: &mut Space,
    source: &Source<'_>,
    reading: &mut Reading,
) {
    let raw = &reading.raw;
    for thread in &mut reading.threads {
        let Some(captured) = captured.get(&thread.tid) else {
            continue;
        };
        let interpreters = raw.interpreters.iter();
        let mut threads = interpreters.flat_map(|interpreter| &interpreter.threads);
        let same = |raw: &&cpython::threads::RawThread| {
            thread.interpreter == Some(raw.interpreter) && thread.ident == Some(raw.ident)
        };
        let marks = threads.find(same).map_or(&[][..], |raw| &raw.marks);
        mix(thread, marks, captured, space, source);
    }
}

/// Mixes a thread's native frames into its Python frames.
fn mix(
    thread: &mut Thread,
    marks: &[Mark],
    captured: &Captured,
    space: &mut Space,
    source: &Source<'_>,
) {
    let unwound = space.unwind(source, captured);
    let mut native = Vec::with_capacity(unwound.frames.len());
    for frame in &unwound.frames {
        let Some(function) = space.function(frame.function) else {
            continue;
        };
        native.push(mixed::Native {
            name: &function.name,
            file: &function.file,
            sp: frame.sp,
            end: frame.end,
        });
    }
    let whole = unwound.end == End::Root;
    let mut python = take(&mut thread.frames);
    for piece in mixed::merge(&native, whole, marks, python.len()) {
        match piece {
            Piece::Python(range) => {
                let frames = python.get_mut(range).unwrap_or_default();
                thread.frames.extend(frames.iter_mut().map(take));
            }
            Piece::Native(index) => {
                let frame = native.get(index);
                let frame = frame.map(|frame| native_frame(frame.name, frame.file));
                thread.frames.extend(frame);
            }
            Piece::Lost => thread.frames.push(native_frame(LOST, "")),
        }
    }
}

fn native_frame(function: &str, file: &str) -> Frame {
    Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        native: true,
        origin: Origin::Native,
        ..Frame::default()
    }
}
