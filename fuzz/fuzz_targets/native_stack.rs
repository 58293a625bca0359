//! A library in memory and a stack that may be anything: the walk ends.
#![no_main]

use fuzz::Noise;
use libfuzzer_sys::fuzz_target;
use native::{Captured, Place, Source, Space};
use process::Maps;
use process::elf::Module;

fuzz_target!(|bytes: &[u8]| {
    let memory = Noise(bytes);
    let start = Noise::START.0;
    // Code and stack are the same noise, so that each can lead into the other.
    let text = format!("{start:x}-{:x} r-xp 00000000 00:00 0 [vdso]\n", start + 0x10_0000);
    let maps = Maps::parse(text.as_bytes());
    let word = |at: usize| {
        let piece = bytes.get(at..).and_then(|rest| rest.first_chunk());
        piece.map_or(0, |piece| u64::from(u16::from_le_bytes(*piece)))
    };
    let place = Place {
        pc: start + word(bytes.len().saturating_sub(2)),
        sp: start + word(bytes.len().saturating_sub(4)),
        fp: (word(8) & 1 == 0).then(|| start + word(bytes.len().saturating_sub(6))),
    };
    let open = |module: &Module| module.open_memory(&memory);
    let source = Source {
        memory: &memory,
        open: &open,
    };
    let captured = Captured::read(&maps, &memory, place, 1 << 16);
    let mut space = Space::new(maps);
    let unwound = space.unwind(&source, &captured);
    assert!(!unwound.frames.is_empty() && unwound.frames.len() <= (1 << 13) + 2);
});
