//! A small cache on disk, in the user's cache directory: what was found out about files that do not
//! change. Losing it costs time only, so nothing here is an error.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The version of the files' form; others are not read.
const VERSION: u32 = 1;
const CONTENT_BYTES_MAX: u64 = 16 << 20;
const KEY_BYTES_MAX: usize = 160;

/// A directory of cached facts.
#[derive(Debug, Clone)]
pub struct Store {
    directory: Option<PathBuf>,
}

impl Store {
    /// That of the user: `$XDG_CACHE_HOME/unknot`, or `~/.cache/unknot`.
    pub fn user() -> Store {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Store {
            directory: cache.map(|cache| cache.join("unknot")),
        }
    }

    /// In a directory of the caller's choice, made when something is first kept.
    pub fn at(directory: &Path) -> Store {
        Store {
            directory: Some(directory.to_owned()),
        }
    }

    /// What was kept of this kind under this key; `None` also when it is damaged or of another version.
    pub fn get(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, key)?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(path)
            .ok()?;
        let mut content = Vec::new();
        file.take(CONTENT_BYTES_MAX)
            .read_to_end(&mut content)
            .ok()?;
        let end = content.iter().position(|&byte| byte == b'\n')? + 1;
        let body = content.get(end..)?;
        let head = header(kind, body);
        (content.get(..end)? == head.as_bytes()).then(|| body.to_vec())
    }

    /// Keeps `content`, if that can be done: readers see the old or the new, never a part.
    pub fn put(&self, kind: &str, key: &str, content: &[u8]) {
        let Some(path) = self.path(kind, key) else {
            return;
        };
        let Some(directory) = self.directory.as_deref().filter(|dir| make_own(dir)) else {
            return;
        };
        let temporary = directory.join(format!(".{kind}.{}.tmp", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(header(kind, content).as_bytes())?;
            file.write_all(content)?;
            std::fs::rename(&temporary, path)
        };
        if write().is_err() {
            // Best effort: it may be that it was never made.
            let _ = std::fs::remove_file(&temporary);
        }
    }

    fn path(&self, kind: &str, key: &str) -> Option<PathBuf> {
        let plain = |text: &str| {
            let fits = (1..=KEY_BYTES_MAX).contains(&text.len());
            fits && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let named = plain(kind) && plain(key);
        Some(
            self.directory
                .as_ref()
                .filter(|_| named)?
                .join(format!("{key}.{kind}")),
        )
    }
}

/// Makes the directory; whether it is a directory of our own, so that nobody else can put links
/// into it (as under sudo, which may keep the other user's HOME).
fn make_own(directory: &Path) -> bool {
    // It may be there already.
    let _ = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    std::fs::symlink_metadata(directory).is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw()
    })
}

fn header(kind: &str, content: &[u8]) -> String {
    // FNV-1a: enough against a torn or rotten file, which is all that it is for.
    let sum = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("unknot {kind} {VERSION} {} {sum:016x}\n", content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("unknot-store-{}-{name}", std::process::id()))
    }

    #[test]
    fn what_is_kept_is_found_and_damage_is_seen() {
        let directory = scratch("kept");
        let store = Store::at(&directory);
        assert_eq!(store.get("symbols", "abc"), None);
        store.put("symbols", "abc", b"one\ntwo\n");
        store.put("symbols", "abc", b"one\nthree\n");
        assert_eq!(
            store.get("symbols", "abc").as_deref(),
            Some(&b"one\nthree\n"[..])
        );
        assert_eq!(store.get("other", "abc"), None);
        let file = directory.join("abc.symbols");
        let mut content = std::fs::read(&file).expect("just written");
        content.pop();
        std::fs::write(&file, &content).expect("our own file");
        assert_eq!(store.get("symbols", "abc"), None);
        std::fs::write(&file, b"").expect("our own file");
        assert_eq!(store.get("symbols", "abc"), None);
        std::fs::remove_dir_all(&directory).expect("our own directory");
    }

    #[test]
    fn bad_keys_and_places_are_harmless() {
        let store = Store::at(Path::new("/proc/nowhere"));
        store.put("symbols", "abc", b"x");
        assert_eq!(store.get("symbols", "abc"), None);
        let store = Store::at(&scratch("never"));
        store.put("symbols", "../../x", b"x");
        store.put("symbols", "", b"x");
        assert!(!scratch("never").exists());
    }
}
