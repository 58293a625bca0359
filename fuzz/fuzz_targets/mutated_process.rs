//! A real process, some words of whose memory are others: each interpreter on this machine in turn.
//! The input is a list of places and what is done to the word there.
#![no_main]

use fuzz::Input;
use fuzz::image::Image;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::path::Path;

/// Most words that are spoiled at once.
const WORDS_MAX: usize = 32;

thread_local! {
    static IMAGES: RefCell<Vec<Image>> = RefCell::new(
        testkit::matrix()
            .into_iter()
            .map(|interpreter| {
                let program = "../crates/cpython/tests/programs/mutated.py";
                Image::capture(interpreter, &Path::new(env!("CARGO_MANIFEST_DIR")).join(program))
            })
            .collect(),
    );
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    IMAGES.with_borrow_mut(|images| {
        let chosen = input.number::<1>() as usize % images.len();
        let image = &mut images[chosen];
        let mut before = Vec::new();
        while !input.is_empty() && before.len() < WORDS_MAX {
            let at = image.place(input.number::<2>() as usize, input.number::<2>() as usize);
            let Some(word) = image.word(at) else {
                continue;
            };
            before.push((at, word));
            let spoiled = match input.number::<1>() % 5 {
                0 => word ^ 1 << (input.number::<1>() % 64),
                1 => input.number::<8>(),
                2 => word.wrapping_add_signed(i64::from(input.number::<1>() as i8)),
                3 => input.number::<4>(),
                // As a rule a pointer to something else that is there.
                _ => {
                    let other = image.place(input.number::<2>() as usize, input.number::<2>() as usize);
                    image.word(other).unwrap_or(0)
                }
            };
            image.set(at, spoiled);
        }
        image.read_all();
        for (at, word) in before.into_iter().rev() {
            image.set(at, word);
        }
    });
});
