//! Hashes of strings as the target computes them, so that a key of a dictionary is found where the target would find
//! it, instead of by reading the dictionary's other keys, which lie all over its memory.
//!
//! A string's hash is SipHash over its characters as they are stored, keyed with two words at random that the process
//! keeps in `_Py_HashSecret` (`Python/pyhash.c`): SipHash-2-4 up to 3.10, SipHash-1-3 from 3.11 on, unless CPython was
//! configured otherwise. Which it is shows from any string that remembers its hash, and so does that the secret was
//! read right.

use crate::object::flags;
use crate::reader::Reader;
use snapshot::Address;
use std::cell::Cell;

/// Longest string that is used to find out how strings are hashed.
const SAMPLE_MAX: usize = 256;
/// How many strings are tried for it.
const TRIES_MAX: u32 = 16;

/// How the target hashes strings, as far as it is known.
#[derive(Debug)]
pub struct Hashes {
    /// `_Py_HashSecret`.
    secret: Option<Address>,
    known: Cell<Known>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    /// Not found out, after so many tries.
    NotYet(u32),
    /// It cannot be found out.
    Never,
    Sip(Sip),
}

/// SipHash with its keys and its rounds for each word and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sip {
    keys: [u64; 2],
    rounds: [u8; 2],
}

impl Hashes {
    /// For a process whose `_Py_HashSecret` is at `secret`.
    pub fn new(secret: Option<Address>) -> Self {
        Hashes {
            secret,
            known: Cell::new(Known::NotYet(0)),
        }
    }

    /// The hash of an ASCII string, `None` while it is not known how the target hashes; `sample` gives a string of the
    /// target's to find that out with.
    pub(crate) fn of(
        &self,
        reader: &Reader<'_>,
        text: &str,
        sample: impl FnOnce() -> Option<Address>,
    ) -> Option<i64> {
        if let Known::NotYet(tries) = self.known.get() {
            let found = sample().and_then(|sample| self.find(reader, sample));
            self.known.set(match found {
                Some(Some(sip)) => Known::Sip(sip),
                None if tries < TRIES_MAX => Known::NotYet(tries + 1),
                Some(None) | None => Known::Never,
            });
        }
        match self.known.get() {
            Known::Sip(sip) if text.is_ascii() => Some(sip.of(text.as_bytes())),
            _ => None,
        }
    }

    /// The function that gives the hash that this string remembers; `None` where it remembers none or cannot be read.
    fn find(&self, reader: &Reader<'_>, sample: Address) -> Option<Option<Sip>> {
        let Some(secret) = self.secret else {
            return Some(None);
        };
        reader.class_with(sample, flags::UNICODE).ok()?;
        let remembered: i64 = reader.get(sample, reader.layout.ascii.hash).ok()?;
        let text = reader.raw_string(sample, SAMPLE_MAX).ok()?;
        if remembered == -1 || text.is_empty() || text.len() >= SAMPLE_MAX || !text.is_ascii() {
            return None;
        }
        let keys = [
            reader.scalar(secret).ok()?,
            reader.scalar(secret.plus(8)).ok()?,
        ];
        let mut functions = [[1, 3], [2, 4]]
            .map(|rounds| Sip { keys, rounds })
            .into_iter();
        Some(functions.find(|sip| sip.of(text.as_bytes()) == remembered))
    }
}

impl Sip {
    /// As `PyObject_Hash` gives it: -1 means an error there and is never a hash; nothing has the hash 0.
    fn of(&self, bytes: &[u8]) -> i64 {
        if bytes.is_empty() {
            return 0;
        }
        match self.hash(bytes).cast_signed() {
            -1 => -2,
            hash => hash,
        }
    }

    /// SipHash (Aumasson and Bernstein, 2012).
    fn hash(&self, bytes: &[u8]) -> u64 {
        let [k0, k1] = self.keys;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = bytes.len() as u8;
        for word in words.iter().chain([&last]) {
            let word = u64::from_le_bytes(*word);
            state[3] ^= word;
            (0..self.rounds[0]).for_each(|_| round(&mut state));
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        (0..self.rounds[1]).for_each(|_| round(&mut state));
        state.into_iter().fold(0, |hash, word| hash ^ word)
    }
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_siphash_of_its_authors() {
        // The keys and the first and eighth of the test vectors in appendix A of the paper and its reference code.
        let keys = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let sip = Sip {
            keys,
            rounds: [2, 4],
        };
        let input: Vec<u8> = (0..15).collect();
        assert_eq!(sip.hash(&input), 0xa129_ca61_49be_45e5);
        assert_eq!(sip.hash(&input[..8]), 0x93f5_f579_9a93_2462);
        assert_eq!(sip.of(b""), 0);
    }

    #[test]
    fn its_shorter_form_is_that_of_the_standard_library() {
        use std::hash::Hasher;
        let sip = Sip {
            keys: [0, 0],
            rounds: [1, 3],
        };
        for text in [
            "a",
            "hexversion",
            "threading",
            "exactly 8",
            "sixteen letters!",
        ] {
            let mut hasher = std::collections::hash_map::DefaultHasher::new();
            hasher.write(text.as_bytes());
            assert_eq!(sip.hash(text.as_bytes()), hasher.finish());
        }
    }
}
