//! The directory of a session: the socket, the agent, and what a program is launched with.

use crate::SessionError;
use crate::protocol::Standing;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that only its owner can enter, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub fn new() -> Result<Directory, SessionError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("unknot-{}-{number}", std::process::id());
        // A socket's path has 108 bytes at most (unix(7)), so not below a deep TMPDIR.
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() > 60 {
            parent = PathBuf::from("/tmp");
        }
        let path = parent.join(name);
        Directory::make(&path).map_err(|error| SessionError::Directory {
            path: path.clone(),
            error,
        })?;
        Ok(Directory { path })
    }

    fn make(path: &Path) -> io::Result<()> {
        if path.exists() {
            // Left over from a process whose number was used again; it is ours, or this fails.
            std::fs::remove_dir_all(path)?;
        }
        DirBuilder::new().mode(0o700).create(path)?;
        DirBuilder::new().mode(0o700).create(path.join("site"))?;
        let write = |name: &str, bytes: &[u8], mode: u32| -> io::Result<()> {
            let mut file = File::create_new(path.join(name))?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(bytes)
        };
        write("agent.so", agent::SHARED_OBJECT, 0o700)?;
        write("support.py", agent::SUPPORT.as_bytes(), 0o600)?;
        write("boot.py", agent::BOOT.as_bytes(), 0o600)?;
        let own = path.to_string_lossy();
        let enter = format!("DIRECTORY = {own:?}\n{}", agent::ENTER);
        write("enter.py", enter.as_bytes(), 0o600)?;
        write("auto.so", agent::SHARED_OBJECT, 0o700)?;
        write("site/sitecustomize.py", agent::SITE.as_bytes(), 0o600)
    }

    /// Stores what new processes are to know, all of it or nothing.
    pub fn store(&self, standing: &Standing) -> io::Result<()> {
        let fresh = self.path.join("standing.new");
        std::fs::write(&fresh, serde_json::to_vec(standing)?)?;
        std::fs::rename(fresh, self.path.join("standing.json"))
    }

    /// What a running program is made to execute.
    pub fn enter(&self) -> PathBuf {
        self.path.join("enter.py")
    }

    /// The shared object under the name by which it starts itself when it is loaded.
    pub fn library(&self) -> PathBuf {
        self.path.join("auto.so")
    }

    /// Lets the user in whose process `pid` is; only root can and has to.
    pub fn give_to_owner_of(&self, pid: u32) -> Result<(), SessionError> {
        let Ok(status) = process::ProcStatus::read(pid) else {
            // Whether there is such a process is told by who enters it.
            return Ok(());
        };
        let own = process::permission::effective_uid();
        if own != 0 || status.uids[1] == own {
            return Ok(());
        }
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(status.uids[1]), None);
        let names = ["socket", "agent.so", "auto.so", "support.py", "enter.py"];
        let all = names.iter().map(|name| self.path.join(name));
        for path in all.chain([self.path.clone()]) {
            give(&path).map_err(|error| SessionError::Directory { path, error })?;
        }
        Ok(())
    }

    pub fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }

    /// The file with which a program is launched.
    pub fn boot(&self) -> PathBuf {
        self.path.join("boot.py")
    }

    /// What a program that is launched has in its environment besides: its Python children find the session by it.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut modules = self.path.join("site").into_os_string();
        if let Some(before) = std::env::var_os("PYTHONPATH").filter(|before| !before.is_empty()) {
            modules.push(":");
            modules.push(before);
        }
        vec![
            ("UNKNOT_SESSION", self.path.clone().into_os_string()),
            ("PYTHONPATH", modules),
        ]
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing useful can be done about a failure.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
