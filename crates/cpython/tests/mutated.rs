//! Whatever stands in a target's memory, reading it ends soon and without a panic.
//!
//! What a reading of a real process reads is recorded; then it is read again and again from the record, each time
//! with some of it spoiled where it counts: bits, whole words, pointers that lead elsewhere.

mod common;

use cpython::generator::{await_chain, is_generator};
use cpython::interpreter::interpreters;
use cpython::reader::Reader;
use cpython::runtime::{Runtime, Symbols};
use cpython::threads::thread_objects;
use cpython::traceback::frames_of_traceback;
use process::{LiveMemory, Memory, ReadError};
use snapshot::Address;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const PAGE: u64 = 4096;
/// Readings of spoiled memory for each interpreter.
const ROUNDS: u64 = 1000;
/// Most reads of memory that one reading may take, where an unspoiled one takes some thousands.
const READS_MAX: u64 = 1_000_000;

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

/// The recorded pages, with some words spoiled.
struct Spoiled {
    pages: BTreeMap<u64, Vec<u8>>,
    reads: Cell<u64>,
}

impl Spoiled {
    fn byte_mut(&mut self, address: Address) -> Option<&mut u8> {
        let page = self.pages.get_mut(&(address.0 / PAGE))?;
        page.get_mut((address.0 % PAGE) as usize)
    }

    fn word(&self, address: Address) -> Option<[u8; 8]> {
        let mut word = [0; 8];
        self.copy(address, &mut word).ok()?;
        Some(word)
    }

    fn set(&mut self, address: Address, word: [u8; 8]) {
        for (offset, byte) in (0..).zip(word) {
            if let Some(place) = self.byte_mut(address.plus(offset)) {
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

impl Memory for Spoiled {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < READS_MAX, "the reading does not end");
        self.copy(address, buffer)
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Reads all that this crate's frames side reads; how many frames there were.
fn read_all(memory: &dyn Memory, symbols: &Symbols) -> usize {
    let Ok(runtime) = Runtime::find(memory, symbols) else {
        return 0;
    };
    let reader = runtime.reader(memory);
    let interpreters = interpreters(&reader, &runtime).unwrap_or_default();
    let mut frames = 0;
    for interpreter in &interpreters {
        for thread in thread_objects(&reader, interpreter).into_values() {
            let _ = reader.attribute(thread, "_name");
        }
        for thread in &interpreter.threads {
            frames += thread.frames.len();
            for frame in &thread.frames {
                let _ = (frame.line(), frame.column());
                read_variables(&reader, frame);
            }
            if let Some(exception) = thread.handling {
                frames_of_traceback(&reader, exception);
            }
        }
    }
    frames
}

fn read_variables(reader: &Reader<'_>, frame: &cpython::frame::RawFrame) {
    let locals = frame.code.locals(reader).unwrap_or_default();
    for local in locals {
        let _ = frame.slot(reader, local.slot);
    }
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

/// Spoils some words that the reading reads; what stood there before.
fn spoil(
    memory: &mut Spoiled,
    reads: &[(Address, usize)],
    random: &mut Random,
) -> Vec<(Address, [u8; 8])> {
    let place = |random: &mut Random| {
        let (address, length) = reads[random.below(reads.len())];
        Address((address.0 + random.below(length) as u64) & !7)
    };
    let mut before = Vec::new();
    for _ in 0..=random.below(8) {
        let at = place(random);
        let Some(word) = memory.word(at) else {
            continue;
        };
        before.push((at, word));
        let number = u64::from_le_bytes(word);
        let spoiled = match random.below(6) {
            0 => number ^ (1 << random.below(64)),
            1 => random.next(),
            2 => u64::MAX,
            3 => 0,
            4 => number ^ (0xff << (8 * random.below(8))),
            // As a rule a pointer to something else that is there.
            _ => {
                let other = place(random);
                memory.word(other).map_or(0, u64::from_le_bytes)
            }
        };
        memory.set(at, spoiled.to_le_bytes());
    }
    before
}

fn check(interpreter: &Interpreter) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/mutated.py");
    let mut target = Target::spawn(interpreter, Program::Path(&program), &[]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(60))
        .expect("it gets ready");
    target
        .wait_blocked(Duration::from_secs(60))
        .expect("its threads come to rest");
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let recorder = Recorder {
        live,
        reads: RefCell::default(),
    };
    let frames = read_all(&recorder, &symbols);
    assert!(frames > 30, "{interpreter}: {frames} frames");
    let reads = recorder.reads.take();
    let mut pages = BTreeMap::new();
    for (address, length) in &reads {
        for number in address.0 / PAGE..=(address.0 + *length as u64) / PAGE {
            pages.entry(number).or_insert_with(|| {
                let mut bytes = vec![0; PAGE as usize];
                let _ = recorder.live.read(Address(number * PAGE), &mut bytes);
                bytes
            });
        }
    }
    let mut memory = Spoiled {
        pages,
        reads: Cell::new(0),
    };
    assert_eq!(read_all(&memory, &symbols), frames);
    let usual = memory.reads.take();
    let mut random = Random(u64::from(interpreter.version.1));
    let mut most = 0;
    for _ in 0..ROUNDS {
        let before = spoil(&mut memory, &reads, &mut random);
        read_all(&memory, &symbols);
        most = most.max(memory.reads.take());
        for (at, word) in before.into_iter().rev() {
            memory.set(at, word);
        }
    }
    eprintln!("{interpreter}: {frames} frames, {usual} reads, at most {most} when spoiled");
}

#[test]
fn spoiled_memory_is_survived() {
    for interpreter in testkit::matrix() {
        check(interpreter);
    }
}
