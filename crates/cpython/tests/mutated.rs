//! Whatever stands in a target's memory, reading it ends soon and without a panic.
//!
//! What a reading of a real process reads is recorded; then it is read again and again from the record, each time
//! with some of it spoiled where it counts: bits, whole words, pointers that lead elsewhere.

mod common;
#[path = "common/image.rs"]
mod image;

use image::Image;
use snapshot::Address;
use std::path::Path;
use testkit::Interpreter;

/// Readings of spoiled memory for each interpreter.
const ROUNDS: u64 = 40;

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

    fn place(&mut self, image: &Image) -> Address {
        image.place(self.next() as u32 as usize, self.next() as u32 as usize)
    }
}

/// Spoils some words that the reading reads; what stood there before.
fn spoil(image: &mut Image, random: &mut Random) -> Vec<(Address, u64)> {
    let mut before = Vec::new();
    for _ in 0..=random.below(8) {
        let at = random.place(image);
        let Some(word) = image.word(at) else {
            continue;
        };
        before.push((at, word));
        let spoiled = match random.below(6) {
            0 => word ^ (1 << random.below(64)),
            1 => random.next(),
            2 => u64::MAX,
            3 => 0,
            4 => word ^ (0xff << (8 * random.below(8))),
            // As a rule a pointer to something else that is there.
            _ => image.word(random.place(image)).unwrap_or(0),
        };
        image.set(at, spoiled);
    }
    before
}

fn check(interpreter: &Interpreter) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/mutated.py");
    let mut image = Image::capture(interpreter, &program);
    let frames = image.frames;
    assert!(frames > 30, "{interpreter}: {frames} frames");
    let (again, usual) = image.read_all();
    assert_eq!(again, frames, "{interpreter}");
    let mut random = Random(u64::from(interpreter.version.1));
    let mut most = 0;
    for _ in 0..ROUNDS {
        let before = spoil(&mut image, &mut random);
        most = most.max(image.read_all().1);
        for (at, word) in before.into_iter().rev() {
            image.set(at, word);
        }
    }
    eprintln!("{interpreter}: {frames} frames, {usual} reads, at most {most} when spoiled");
}

#[test]
fn spoiled_memory_is_survived() {
    let matrix = testkit::matrix();
    std::thread::scope(|scope| {
        for half in matrix.chunks(matrix.len().div_ceil(2).max(1)) {
            scope.spawn(|| half.iter().for_each(|interpreter| check(interpreter)));
        }
    });
}
