//! The memory of a real process, as far as a reading of it goes, to be spoiled and read again. The fuzz targets use it too.

use crate::common::{kernel_threads, symbols};
use cpython::frame::RawFrame;
use cpython::generator::{await_chain, is_generator};
use cpython::interpreter::interpreters;
use cpython::reach::{Question, Root, reach};
use cpython::read::{KernelThread, Reading, Wanted, read};
use cpython::reader::Reader;
use cpython::runtime::{Runtime, Symbols};
use cpython::signals;
use cpython::threads::thread_objects;
use cpython::traceback::frames_of_traceback;
use process::{LiveMemory, Memory, ReadError};
use snapshot::Address;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const PAGE: u64 = 4096;
/// Most reads of memory that one reading may take, where an unspoiled one takes some thousands.
const READS_MAX: u64 = 2_000_000;
/// How long the program may take to come to rest.
const LIMIT: Duration = Duration::from_secs(120);

/// Notes all that is read.
struct Recorder {
    live: LiveMemory,
    reads: RefCell<Vec<(Address, usize)>>,
}

impl Memory for Recorder {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.live.read(address, buffer)?;
        self.reads.borrow_mut().push((address, buffer.len()));
        Ok(())
    }
}

/// The pages that a reading reads, and what else it needs.
pub struct Image {
    /// How many frames there are when nothing is spoiled.
    pub frames: usize,
    pages: HashMap<u64, Vec<u8>>,
    places: Vec<(Address, usize)>,
    reads: Cell<u64>,
    pid: u32,
    symbols: Symbols,
    kernel: Vec<KernelThread>,
}

impl Image {
    /// Runs a program until it is ready and at rest, and keeps what a reading of it reads.
    pub fn capture(interpreter: &Interpreter, program: &Path) -> Image {
        let mut target =
            Target::spawn(interpreter, Program::Path(program), &[]).expect("it starts");
        target.wait_ready(LIMIT).expect("it gets ready");
        target
            .wait_blocked(LIMIT)
            .expect("its threads come to rest");
        let live = LiveMemory::new(target.pid());
        let symbols = symbols(target.pid(), &live);
        let kernel = kernel_threads(target.pid());
        let recorder = Recorder {
            live,
            reads: RefCell::default(),
        };
        let frames = read_all(&recorder, &symbols, target.pid(), &kernel);
        let places = recorder.reads.take();
        let mut pages = HashMap::new();
        for (address, length) in &places {
            for number in address.0 / PAGE..=(address.0 + *length as u64) / PAGE {
                pages.entry(number).or_insert_with(|| {
                    let mut bytes = vec![0; PAGE as usize];
                    let _ = recorder.live.read(Address(number * PAGE), &mut bytes);
                    bytes
                });
            }
        }
        Image {
            frames,
            pages,
            places,
            reads: Cell::new(0),
            pid: target.pid(),
            symbols,
            kernel,
        }
    }

    /// Reads it all; how many frames there are, and how often memory was read.
    pub fn read_all(&self) -> (usize, u64) {
        let frames = read_all(self, &self.symbols, self.pid, &self.kernel);
        (frames, self.reads.take())
    }

    /// The address of the word that holds byte `offset` of what the reading reads at its step `index`; both count round.
    pub fn place(&self, index: usize, offset: usize) -> Address {
        let (address, length) = self
            .places
            .get(index % self.places.len().max(1))
            .copied()
            .unwrap_or_default();
        Address(address.0.saturating_add((offset % length.max(1)) as u64) & !7)
    }

    /// The word at an address.
    pub fn word(&self, address: Address) -> Option<u64> {
        let mut word = [0; 8];
        self.copy(address, &mut word).ok()?;
        Some(u64::from_le_bytes(word))
    }

    /// Puts another word there.
    pub fn set(&mut self, address: Address, word: u64) {
        for (offset, byte) in (0..).zip(word.to_le_bytes()) {
            let at = address.plus(offset).0;
            let page = self.pages.get_mut(&(at / PAGE));
            if let Some(place) = page.and_then(|page| page.get_mut((at % PAGE) as usize)) {
                *place = byte;
            }
        }
    }

    fn copy(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let unmapped = ReadError::Unmapped(address);
        let (mut at, mut rest) = (address.0, buffer);
        while !rest.is_empty() {
            let page = self.pages.get(&(at / PAGE)).ok_or(unmapped)?;
            let (_, piece) = page.split_at((at % PAGE) as usize);
            let length = piece.len().min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&piece[..length]);
            rest = later;
            at = at.checked_add(length as u64).ok_or(unmapped)?;
        }
        Ok(())
    }
}

impl Memory for Image {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < READS_MAX, "the reading does not end");
        self.copy(address, buffer)
    }
}

/// Reads all that this crate can read; how many frames there were.
fn read_all(memory: &dyn Memory, symbols: &Symbols, pid: u32, kernel: &[KernelThread]) -> usize {
    let Ok(runtime) = Runtime::find(memory, symbols) else {
        return 0;
    };
    let reader = runtime.reader(memory);
    for interpreter in &interpreters(&reader, &runtime).unwrap_or_default() {
        for thread in thread_objects(&reader, interpreter).into_values() {
            let _ = reader.attribute(thread, "_name");
        }
        for thread in &interpreter.threads {
            for frame in &thread.frames {
                read_frame(&reader, frame);
            }
            if let Some(exception) = thread.handling {
                frames_of_traceback(&reader, exception);
            }
        }
    }
    let Ok(reading) = read(memory, &runtime, pid, kernel, Wanted { locals: true }) else {
        return 0;
    };
    read_reach(&reader, &runtime, &reading);
    let frames = reading.threads.iter().map(|thread| thread.frames.len());
    frames.sum()
}

fn read_frame(reader: &Reader<'_>, frame: &RawFrame) {
    let _ = (frame.line(), frame.column());
    for slot in 0..frame.code.stacksize.min(20) {
        if let Some(value) = frame.stack_slot(reader, slot)
            && is_generator(reader, value)
        {
            await_chain(reader, value);
        }
    }
    let _ = frame.code.instructions(reader);
    let _ = frame.code.exception_table(reader);
    let _ = frame.code.name_at(reader, 0);
    let _ = frame.code.const_at(reader, 0);
    if let Some(tasks) = frame.local(reader, "tasks") {
        let _ = reader.items(tasks, 10);
    }
}

/// Who can reach what is waited for, as a look asks it.
fn read_reach(reader: &Reader<'_>, runtime: &Runtime, reading: &Reading) {
    let waits = reading
        .threads
        .iter()
        .filter_map(|thread| thread.waits_for.as_ref());
    let targets: HashSet<Address> = waits
        .flat_map(|wait| [wait.address, wait.inner_address])
        .flatten()
        .collect();
    let actors: HashSet<Address> = reading.tasks.iter().map(|task| task.address).collect();
    let handlers: Vec<Address> = signals::handlers(reader, runtime)
        .into_iter()
        .flatten()
        .map(|handler| handler.function)
        .collect();
    let interpreters = &reading.raw.interpreters;
    let threads = interpreters.iter().flat_map(|interp| &interp.threads);
    let mut roots: Vec<Root<'_>> = threads
        .map(|thread| Root {
            frames: &thread.frames,
            extra: &handlers,
        })
        .collect();
    roots.extend(reading.raw.tasks.iter().map(|task| Root {
        frames: &task.frames,
        extra: &task.callbacks,
    }));
    let question = Question {
        targets: &targets,
        actors: &actors,
        modules: interpreters.first().map_or(Address::NULL, |i| i.modules),
        objects_max: 300,
    };
    reach(reader, &roots, &question);
}
