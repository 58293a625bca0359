//! Every reader of what the kernel tells, for tests that hand them anything.

use crate::elf::{image, symtab};
use crate::proc::{ProcStatus, Stat, split_arguments};
use crate::{children, core, elf, fds, locks, maps::Maps, sockets, text};

/// Reads the bytes as each of the kernel's texts and records in turn.
pub fn read_all(bytes: &[u8]) {
    let maps = Maps::parse(bytes);
    let _ = elf::modules(&maps);
    let _ = ProcStatus::parse(bytes);
    let _ = Stat::parse(bytes);
    let _ = split_arguments(bytes);
    let _ = children::parse_pids(bytes);
    let _ = fds::parse_info(bytes);
    let _ = locks::parse(bytes);
    for line in text::lines(bytes) {
        let _ = sockets::parse_line(line);
        let _ = sockets::parse_unix_line(line);
    }
    let mut rest = bytes;
    while let Some((_, body, next)) = sockets::split_message(rest) {
        let _ = sockets::parse_unix_diag(body);
        assert!(next.len() < rest.len(), "a message takes some bytes");
        rest = next;
    }
    let _ = symtab::decode_known(bytes, 0);
    for note in image::notes_of(bytes) {
        let _ = (note.kind, note.name);
    }
    core::read_notes_of(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn spoiled_texts_are_survived() {
        let files = [
            "maps",
            "status",
            "stat",
            "cmdline",
            "environ",
            "auxv",
            "fdinfo/0",
            "net/tcp",
            "net/unix",
            "task/self/schedstat",
            "syscall",
        ];
        let mut texts: Vec<Vec<u8>> = files
            .iter()
            .filter_map(|name| std::fs::read(format!("/proc/self/{name}")).ok())
            .collect();
        texts.extend(std::fs::read("/proc/locks"));
        texts.push(b"1: FLOCK  ADVISORY  WRITE 42 fe:00:123 0 EOF\n1: -> POSIX ADVISORY READ 43 fe:00:123 7 99\n".to_vec());
        assert!(texts.len() > 7, "{} texts", texts.len());
        let mut random = Random(7);
        for round in 0..5000_usize {
            let mut text = texts[round % texts.len()].clone();
            text.truncate(4000);
            for _ in 0..=random.next() % 8 {
                let at = random.next() as usize % text.len().max(1);
                match random.next() % 4 {
                    0 => text.truncate(at),
                    1 => text.extend_from_within(at.min(text.len())..),
                    2 => drop(text.splice(at..at, *b"999999999999999999999")),
                    _ => {
                        if let Some(byte) = text.get_mut(at) {
                            *byte = random.next() as u8;
                        }
                    }
                }
            }
            read_all(&text);
        }
    }

    #[test]
    fn noise_is_survived() {
        let mut random = Random(9);
        for _ in 0..5000 {
            let length = random.next() % 300;
            // Small numbers are lengths and kinds that lead further.
            let byte = |random: &mut Random| match random.next() % 3 {
                0 => random.next() as u8,
                1 => random.next() as u8 % 24,
                _ => b" \n:0x-()ff"[random.next() as usize % 10],
            };
            let bytes: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
            read_all(&bytes);
        }
    }
}
