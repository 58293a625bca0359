//! The processes that the tools look at.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use testkit::{Interpreter, Program, Scratch, Target};

/// Starting a thousand threads under a busy GIL takes its time.
const LIMIT: Duration = Duration::from_secs(300);

/// A process with many threads, a tenth of which compute.
///
/// # Errors
/// When it does not start.
pub fn with_threads(python: &Interpreter, threads: u32) -> Result<Target> {
    let mut target = Target::spawn(python, program(), &[&threads.to_string()])?;
    target.wait_ready(LIMIT)?;
    Ok(target)
}

/// A process that watches the clock, to tell how long it stood still.
pub struct Watcher {
    /// The process.
    pub target: Target,
    gap: File,
    _scratch: Scratch,
}

impl Watcher {
    /// Starts it, with so many threads that are blocked beside the one that watches.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(python: &Interpreter, threads: u32) -> Result<Self> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("gap");
        std::fs::write(&path, [0; 8])?;
        let mut target = Target::spawn(
            python,
            program(),
            &[&threads.to_string(), &path.to_string_lossy()],
        )?;
        target.wait_ready(LIMIT)?;
        let gap = File::options().read(true).write(true).open(&path)?;
        Ok(Self {
            target,
            gap,
            _scratch: scratch,
        })
    }

    /// The longest time that the process stood still during `action`, whatever kept it.
    ///
    /// # Errors
    /// Those of the action.
    pub fn longest_gap(&self, action: impl FnOnce() -> Result<()>) -> Result<Duration> {
        self.gap.write_all_at(&[0; 8], 0)?;
        action()?;
        // The gap in progress shows when the process looks at the clock the next time.
        std::thread::sleep(Duration::from_millis(20));
        let mut bytes = [0; 8];
        self.gap.read_exact_at(&mut bytes, 0)?;
        Ok(Duration::from_nanos(u64::from_le_bytes(bytes)))
    }
}

fn program() -> Program<'static> {
    Program::Path(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/subject.py"
    )))
}
