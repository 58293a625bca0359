//! Files, stacks and registers that make no sense: whatever is in them, a walk ends, and nothing panics.

use native::{Captured, End, Place, Source, Space, Unwound};
use process::elf::{ElfError, Module};
use process::{LiveMemory, Maps, Memory, Range, ReadError};
use proptest::prelude::*;
use snapshot::Address;
use std::io::Write;

/// Where the image and the stack are put.
const IMAGE_AT: u64 = 0x7000_0000_0000;
const STACK_AT: u64 = 0x7fff_0000_0000;

/// An image in memory, and a stack.
struct Bytes {
    image: Vec<u8>,
    stack: Vec<u8>,
}

impl Memory for Bytes {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        let piece = |start: u64, bytes: &[u8]| {
            let at = usize::try_from(address.0.checked_sub(start)?).ok()?;
            bytes
                .get(at..at.checked_add(buffer.len())?)
                .map(<[u8]>::to_vec)
        };
        let found = piece(IMAGE_AT, &self.image).or_else(|| piece(STACK_AT, &self.stack));
        buffer.copy_from_slice(&found.ok_or(ReadError::Unmapped(address))?);
        Ok(())
    }
}

/// The kernel's ELF image in each process: small, with symbols and unwind data.
fn vdso() -> Vec<u8> {
    let pid = std::process::id();
    let maps = Maps::read(pid).expect("our own");
    let found = maps
        .iter()
        .find(|mapping| mapping.path.as_deref() == Some("[vdso]".as_ref()));
    let Some(mapping) = found else {
        return Vec::new();
    };
    let mut bytes = vec![0; usize::try_from(mapping.len()).expect("small")];
    let memory = LiveMemory::new(pid);
    memory
        .read(mapping.start, &mut bytes)
        .expect("it is readable");
    bytes
}

fn maps(bytes: &Bytes) -> Maps {
    let end = |start: u64, bytes: &[u8]| start + (bytes.len() as u64).next_multiple_of(4096);
    let text = format!(
        "{IMAGE_AT:x}-{:x} r-xp 00000000 00:00 0 [vdso]\n{STACK_AT:x}-{:x} rw-p 00000000 00:00 0 [stack]\n",
        end(IMAGE_AT, &bytes.image),
        end(STACK_AT, &bytes.stack)
    );
    Maps::parse(text.as_bytes())
}

fn unwind(bytes: &Bytes, place: Place) -> (Space, Unwound) {
    let maps = maps(bytes);
    let mut space = Space::new(maps.clone());
    let open = |module: &Module| module.open_memory(bytes);
    let source = Source {
        memory: bytes,
        open: &open,
    };
    let captured = Captured::read(&maps, bytes, place, 1 << 20);
    let unwound = space.unwind(&source, &captured);
    (space, unwound)
}

/// What must hold of every walk: it goes up, and each frame has a name.
fn check(bytes: &Bytes, space: &Space, unwound: &Unwound) {
    assert!(!unwound.frames.is_empty());
    assert!(unwound.frames.len() <= bytes.stack.len() / 8 + 2);
    for pair in unwound.frames.windows(2) {
        assert!(pair[0].sp < pair[1].sp && pair[0].end == pair[1].sp);
    }
    for frame in &unwound.frames {
        assert!(space.function(frame.function).is_some());
    }
}

/// A word of a stack: of the image, of the stack, or anything.
fn word(image: usize, stack: usize) -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..image.max(1) as u64).prop_map(|at| IMAGE_AT + at),
        (0..stack.max(1) as u64).prop_map(|at| STACK_AT + at / 8 * 8),
        any::<u64>(),
        Just(0),
    ]
}

fn place(image: usize, stack: usize) -> impl Strategy<Value = Place> {
    let fp = proptest::option::of(word(image, stack));
    (word(image, stack), word(image, stack), fp).prop_map(|(pc, sp, fp)| Place { pc, sp, fp })
}

const STACK_WORDS: usize = 600;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn mutated_images_and_stacks_are_survived(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        headers in proptest::collection::vec((0_usize..0x1000, any::<u8>()), 0..6),
        words in proptest::collection::vec(word(0x2000, STACK_WORDS * 8), STACK_WORDS),
        at in place(0x2000, STACK_WORDS * 8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut image = vdso();
        prop_assume!(!image.is_empty());
        for (index, byte) in changes {
            let at = index.index(image.len());
            image[at] = byte;
        }
        for (at, byte) in headers {
            let at = at % image.len();
            image[at] = byte;
        }
        let stack = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = Bytes { image, stack };
        let (space, unwound) = unwind(&bytes, at);
        check(&bytes, &space, &unwound);
        // A truncated image.
        let end = cut.index(bytes.image.len());
        bytes.image.truncate(end);
        let (space, unwound) = unwind(&bytes, at);
        check(&bytes, &space, &unwound);
    }

    #[test]
    fn mutated_files_are_survived(
        changes in proptest::collection::vec((0_usize..0x400, any::<u8>()), 0..8),
        inside in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..200),
        words in proptest::collection::vec(word(0x30000, STACK_WORDS * 8), STACK_WORDS),
        at in place(0x30000, STACK_WORDS * 8),
    ) {
        let mut file = interpreter_file();
        prop_assume!(!file.is_empty());
        for (at, byte) in changes {
            let at = at % file.len();
            file[at] = byte;
        }
        for (index, byte) in inside {
            let at = index.index(file.len());
            file[at] = byte;
        }
        let stack = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let bytes = Bytes { image: file.clone(), stack };
        let maps = maps(&bytes);
        let mut space = Space::new(maps.clone());
        let open = |module: &Module| {
            let mut copy = tempfile()?;
            copy.write_all(&file)?;
            module.open_as(copy)
        };
        let source = Source { memory: &bytes, open: &open };
        let captured = Captured::read(&maps, &bytes, at, 1 << 20);
        let unwound = space.unwind(&source, &captured);
        check(&bytes, &space, &unwound);
    }
}

/// A nameless file.
fn tempfile() -> Result<std::fs::File, ElfError> {
    use std::os::unix::fs::OpenOptionsExt;
    const O_TMPFILE: i32 = 0o20_200_000;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(O_TMPFILE);
    Ok(options.open(std::env::temp_dir())?)
}

/// The file of the dynamic linker, which each process has: an ELF file of moderate size.
fn interpreter_file() -> Vec<u8> {
    let maps = Maps::read(std::process::id()).expect("our own");
    let path = maps.iter().find_map(|mapping| {
        let path = mapping.path.as_deref()?;
        let name = path.file_name()?.to_str()?;
        (name.starts_with("ld-linux") || name.starts_with("ld-musl")).then(|| path.to_owned())
    });
    path.and_then(|path| std::fs::read(path).ok())
        .unwrap_or_default()
}

#[test]
fn a_chain_of_frame_pointers_that_loops_ends() {
    let words = |word: &dyn Fn(u64) -> u64| -> Vec<u8> {
        (0..512).flat_map(|at| word(at).to_le_bytes()).collect()
    };
    // Each frame pointer points to itself, or back, and each return address into code without unwind data.
    let chains: [&dyn Fn(u64) -> u64; 3] = [
        &|at| {
            if at % 2 == 0 {
                STACK_AT + at * 8
            } else {
                IMAGE_AT + 0x100
            }
        },
        &|at| {
            if at % 2 == 0 {
                STACK_AT
            } else {
                IMAGE_AT + 0x100
            }
        },
        &|at| {
            if at % 2 == 0 {
                STACK_AT + at * 8 + 16
            } else {
                IMAGE_AT + 0x100
            }
        },
    ];
    for chain in chains {
        let bytes = Bytes {
            image: vec![0x90; 0x1000],
            stack: words(chain),
        };
        for fp in [None, Some(STACK_AT), Some(STACK_AT + 0x800)] {
            let place = Place {
                pc: IMAGE_AT + 0x10,
                sp: STACK_AT,
                fp,
            };
            let (space, unwound) = unwind(&bytes, place);
            check(&bytes, &space, &unwound);
            assert_ne!(unwound.end, End::Root);
        }
    }
}

#[test]
fn nothing_is_read_where_nothing_is() {
    let nowhere = Bytes {
        image: Vec::new(),
        stack: Vec::new(),
    };
    for sp in [0, 7, u64::MAX - 8, u64::MAX] {
        let place = Place {
            pc: u64::MAX,
            sp,
            fp: Some(u64::MAX),
        };
        let captured = Captured::read(&Maps::default(), &nowhere, place, usize::MAX);
        assert!(captured.stack.is_empty());
        let (_, unwound) = unwind(&nowhere, place);
        assert_eq!((unwound.frames.len(), unwound.end), (1, End::Lost));
    }
    let mut ranges: [Range<'_>; 0] = [];
    assert!(nowhere.read_batch(&mut ranges).is_ok());
}
