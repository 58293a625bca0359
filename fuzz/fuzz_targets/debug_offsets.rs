//! `_Py_DebugOffsets` that say anything: a layout that comes of them holds to its bounds.
#![no_main]

use cpython::layout::Layout;
use cpython::layout::debug_offsets::{COOKIE, version};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = version(bytes);
    let _ = Layout::from_debug_offsets(bytes);
    let mut input = Input(bytes);
    // With a head that makes sense, so that more than the head is tried.
    let mut offsets = COOKIE.to_vec();
    let minor = 13 + input.number::<1>() % 3;
    offsets.extend((0x0300_00f0 | minor << 16 | input.number::<1>() % 4 << 8).to_le_bytes());
    offsets.extend((input.number::<1>() % 2).to_le_bytes());
    while !input.is_empty() {
        // Offsets are small.
        let word = match input.number::<1>() {
            0xff => input.number::<8>(),
            small => small << 3 | input.number::<1>() << 8,
        };
        offsets.extend(word.to_le_bytes());
    }
    let _ = Layout::from_debug_offsets(&offsets);
});
