//! The debug offsets of real builds, as they lie in the file, and changed at random.

use cpython::layout::debug_offsets::{self, DEBUG_OFFSETS_SIZE};
use cpython::layout::{ABSENT, DebugOffsetsError, Layout, columns};
use object::{Object as _, ObjectSection as _};
use proptest::prelude::*;
use testkit::Interpreter;

use crate::{interpreters, layout, version};

/// The start of `_PyRuntime` as the linker has it: the debug offsets are constant.
fn in_file(interpreter: &Interpreter) -> Option<Vec<u8>> {
    let data = std::fs::read(interpreter.object()).expect("the interpreter can be read");
    let object = object::File::parse(data.as_slice()).expect("it is an ELF file");
    let section = object.section_by_name(".PyRuntime")?;
    let data = section.data().expect("the section can be read");
    Some(data.get(..DEBUG_OFFSETS_SIZE)?.to_vec())
}

/// From 3.13 on all have them, and where they differ from the tables it is in what differs from build to build.
#[test]
fn agree_with_the_tables() {
    /// Ends of structs, and places behind the collector's state, whose size depends on how the build was configured.
    const OFTEN: [&str; 8] = [
        "runtime_state",
        "interpreter_state",
        "thread_state",
        "interpreter.gil",
        "interpreter.modules",
        "interpreter.sysdict",
        "interpreter.builtins",
        "code_object",
    ];
    for interpreter in interpreters() {
        let Some(bytes) = in_file(interpreter).filter(|_| interpreter.at_least(13)) else {
            assert!(!interpreter.at_least(13), "{interpreter} has none");
            continue;
        };
        let (made, info) = Layout::from_debug_offsets(&bytes).expect("they make sense");
        assert_eq!(info.version, version(interpreter), "{interpreter}");
        for correction in &info.corrected {
            eprintln!(
                "{interpreter}: {} is {}, not {}",
                correction.what, correction.process, correction.table
            );
            assert!(OFTEN.contains(&correction.what), "{interpreter}");
        }
        check(&made, &layout(interpreter));
    }
}

#[test]
fn what_is_none_is_an_error() {
    assert_eq!(
        debug_offsets::version(b"xdebug"),
        Err(DebugOffsetsError::None)
    );
    assert_eq!(
        debug_offsets::version(b"xdebugpy"),
        Err(DebugOffsetsError::Truncated)
    );
    let mut bytes = b"xdebugpy".to_vec();
    bytes.extend(0x031f_00f0_u64.to_le_bytes());
    bytes.extend([0; 512]);
    assert!(matches!(
        Layout::from_debug_offsets(&bytes),
        Err(DebugOffsetsError::Unknown(_))
    ));
}

fn samples() -> Vec<Vec<u8>> {
    interpreters()
        .filter_map(in_file)
        .filter(|bytes| bytes.starts_with(b"xdebugpy"))
        .collect()
}

/// Every offset lies within its struct, and whatever the layout lacked it lacks still.
fn check(layout: &Layout, before: &Layout) {
    for ((row, old), (name, _)) in layout.to_rows().iter().zip(before.to_rows()).zip(columns()) {
        for (offset, old) in row.iter().zip(&old).skip(1) {
            let bounded = *old != ABSENT && *offset < 1 << 24;
            assert!(*offset == ABSENT || bounded, "{name} {offset}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_words_give_an_error_or_a_bounded_layout(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0..DEBUG_OFFSETS_SIZE / 8, prop_oneof![any::<u64>(), 0..512u64, Just(u64::MAX)]), 0..8),
        length in 0..=DEBUG_OFFSETS_SIZE,
    ) {
        let samples = samples_once();
        if !samples.is_empty() {
            let mut bytes = samples[which.index(samples.len())].clone();
            for (word, value) in changes {
                bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
            }
            if let Ok((layout, info)) = Layout::from_debug_offsets(&bytes[..length]) {
                let before = Layout::for_version(&info.version).expect("its version is known");
                check(&layout, &before);
            }
        }
    }

    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 24..DEBUG_OFFSETS_SIZE), minor in 13..16u8, free: bool) {
        bytes[..8].copy_from_slice(debug_offsets::COOKIE);
        bytes[8..16].copy_from_slice(&u64::from(u32::from_be_bytes([3, minor, 0, 0xf0])).to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::from(free).to_le_bytes());
        let mut layout = Layout::candidates().next().expect("there are tables").1;
        let before = layout.clone();
        if layout.with_debug_offsets(&bytes).is_err() {
            prop_assert_eq!(layout.to_rows(), before.to_rows());
        }
    }
}

fn samples_once() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(samples)
}
