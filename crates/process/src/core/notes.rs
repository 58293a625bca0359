//! The notes of a core file: threads with their registers, the process, the files that were mapped.

use super::CoreThread;
use crate::arch::{Arch, Registers};
use crate::elf::image::{notes_of, u16_at, u32_at, u64_at};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const NT_PRSTATUS: u32 = 1;
const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;

/// Where the parts of `struct elf_prstatus` are, on 64-bit machines.
const PRSTATUS_SIGNAL: usize = 12;
const PRSTATUS_PID: usize = 32;
/// User and system time, each seconds and microseconds.
const PRSTATUS_TIMES: [usize; 2] = [48, 64];
const PRSTATUS_REGISTERS: usize = 112;
/// And of `struct elf_prpsinfo`.
const PRPSINFO_PID: usize = 24;
const PRPSINFO_PARENT: usize = 28;
const PRPSINFO_NAME: std::ops::Range<usize> = 40..56;
const PRPSINFO_COMMAND: std::ops::Range<usize> = 56..136;

const THREADS_MAX: usize = 1 << 18;
const FILES_MAX: usize = 1 << 20;
const AUXILIARY_MAX: usize = 256;

/// The process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreProcess {
    pub pid: u32,
    pub parent: u32,
    pub name: String,
    pub command: String,
}

/// A mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileEntry {
    pub start: u64,
    pub end: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    pub path: PathBuf,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub threads: Vec<CoreThread>,
    pub process: Option<CoreProcess>,
    pub files: Vec<FileEntry>,
    pub auxiliary: Vec<(u64, u64)>,
}

impl Notes {
    /// Takes the notes of one segment.
    pub fn take(&mut self, bytes: &[u8], arch: Option<&'static Arch>) {
        for note in notes_of(bytes).filter(|note| note.name == b"CORE\0") {
            match note.kind {
                NT_PRSTATUS if self.threads.len() < THREADS_MAX => {
                    self.threads.extend(thread(note.content, arch));
                }
                NT_PRPSINFO => self.process = process(note.content).or(self.process.take()),
                NT_FILE => self.files = files(note.content).unwrap_or_default(),
                NT_AUXV => {
                    let entries = note.content.chunks_exact(16).take(AUXILIARY_MAX);
                    self.auxiliary = entries.map(|it| (u64_at(it, 0), u64_at(it, 8))).collect();
                }
                _ => {}
            }
        }
    }
}

fn thread(content: &[u8], arch: Option<&'static Arch>) -> Option<CoreThread> {
    let words: Vec<u64> = content
        .get(PRSTATUS_REGISTERS..)?
        .chunks_exact(8)
        .take(arch.map_or(0, |arch| arch.registers))
        .map(|word| u64_at(word, 0))
        .collect();
    let enough = arch.filter(|arch| words.len() == arch.registers);
    let times = PRSTATUS_TIMES.map(|at| {
        let seconds = u64_at(content, at).saturating_mul(1_000_000);
        seconds.saturating_add(u64_at(content, at + 8))
    });
    Some(CoreThread {
        tid: u32_at(content, PRSTATUS_PID),
        registers: enough.map(|arch| Registers::new(arch, &words)),
        signal: i32::from(u16_at(content, PRSTATUS_SIGNAL)),
        cpu_us: times.iter().fold(0, |sum, &time| time.saturating_add(sum)),
    })
}

fn process(content: &[u8]) -> Option<CoreProcess> {
    let text = |range: std::ops::Range<usize>| {
        let bytes = content.get(range)?;
        let end = bytes.iter().position(|&byte| byte == 0);
        let bytes = bytes.get(..end.unwrap_or(bytes.len()))?;
        Some(String::from_utf8_lossy(bytes).trim_end().to_owned())
    };
    Some(CoreProcess {
        pid: u32_at(content, PRPSINFO_PID),
        parent: u32_at(content, PRPSINFO_PARENT),
        name: text(PRPSINFO_NAME)?,
        command: text(PRPSINFO_COMMAND)?,
    })
}

/// Count and page size, then start, end and offset (in pages) of each, then their names.
fn files(content: &[u8]) -> Option<Vec<FileEntry>> {
    let count = usize::try_from(u64_at(content, 0)).ok()?;
    let page_bytes = u64_at(content, 8);
    let entries_bytes = count.checked_mul(24)?;
    let (entries, names) = content.get(16..)?.split_at_checked(entries_bytes)?;
    let paths = names.split(|&byte| byte == 0);
    let files = entries.chunks_exact(24).zip(paths).take(FILES_MAX);
    let files = files.map(|(entry, path)| {
        Some(FileEntry {
            start: u64_at(entry, 0),
            end: u64_at(entry, 8),
            offset: u64_at(entry, 16).checked_mul(page_bytes)?,
            path: OsStr::from_bytes(path).into(),
        })
    });
    Some(
        files
            .flatten()
            .filter(|file| file.start < file.end && !file.path.as_os_str().is_empty())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::X86_64;

    fn note(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [5, content.len() as u32, kind] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"CORE\0\0\0\0");
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn notes_are_taken_apart() {
        let mut status = vec![0; 336];
        status[12] = 6;
        status[32] = 77;
        status[48] = 2;
        status[64 + 8] = 5;
        status[112 + 16 * 8] = 0x40;
        let mut files = Vec::new();
        for number in [2_u64, 4096, 0x1000, 0x3000, 1, 0x5000, 0x4000, 0] {
            files.extend(number.to_le_bytes());
        }
        files.extend(b"/bin/a\0/bin/b\0");
        let mut bytes = note(NT_PRSTATUS, &status);
        bytes.extend(note(NT_FILE, &files));
        let mut notes = Notes::default();
        notes.take(&bytes, Some(&X86_64));
        let [thread] = notes.threads.as_slice() else {
            panic!("{notes:?}");
        };
        assert_eq!(
            (thread.tid, thread.signal, thread.cpu_us),
            (77, 6, 2_000_005)
        );
        assert_eq!(thread.registers.map(|it| it.pc().0), Some(0x40));
        // The second ends before it starts.
        let expected = FileEntry {
            start: 0x1000,
            end: 0x3000,
            offset: 4096,
            path: "/bin/a".into(),
        };
        assert_eq!(notes.files, [expected]);
    }

    #[test]
    fn hostile_notes_are_harmless() {
        for content in [vec![], vec![0xff; 16], vec![0xff; 40], vec![0xff; 400]] {
            for kind in [NT_PRSTATUS, NT_PRPSINFO, NT_FILE, NT_AUXV] {
                let mut notes = Notes::default();
                notes.take(&note(kind, &content), Some(&X86_64));
                assert!(notes.files.is_empty());
            }
        }
    }
}
