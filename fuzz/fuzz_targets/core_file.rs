//! A core file that may be anything.
#![no_main]

use fuzz::with_file;
use libfuzzer_sys::fuzz_target;
use process::{Core, Memory, elf};
use snapshot::Address;

/// The head of a core for this machine, so that more than the head is tried: 64 bytes, a table of segments behind them.
fn head(segments: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(4u16.to_le_bytes());
    bytes.extend(62u16.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(64u64.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, segments, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn open(content: &[u8]) {
    with_file(content, |path| {
        let Ok(core) = Core::open(&path) else { return };
        let _ = (core.pid(), core.command(), core.remarks());
        for thread in core.threads() {
            let _ = thread.os_thread();
        }
        for module in elf::modules(core.maps()) {
            if let Ok(elf) = core.open_module(&module) {
                let _ = elf.find(&["_PyRuntime"], &[".PyRuntime"]);
            }
        }
        for mapping in core.maps().iter() {
            let mut bytes = [0; 64];
            let _ = core.read(mapping.start, &mut bytes);
            let _ = core.read(Address(mapping.end.0.wrapping_sub(8)), &mut bytes);
        }
    });
}

fuzz_target!(|bytes: &[u8]| {
    open(bytes);
    if let Some((&segments, rest)) = bytes.split_first() {
        let mut content = head(u16::from(segments % 16));
        content.extend(rest);
        open(&content);
    }
});
