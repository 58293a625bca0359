//! The processes that the tools look at.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::{Interpreter, Program, Scratch, Target};

/// Starting a thousand threads takes its time.
const LIMIT: Duration = Duration::from_secs(300);

/// A process with many threads, so many of which compute.
///
/// # Errors
/// When it does not start.
pub fn with_threads(python: &Interpreter, threads: u32, busy: u32) -> Result<Target> {
    let mut target = Target::spawn(
        python,
        program(),
        &[&threads.to_string(), &busy.to_string()],
    )?;
    target.wait_ready(LIMIT)?;
    // Those that were started last may not yet be where they will stay.
    std::thread::sleep(Duration::from_millis(200));
    Ok(target)
}

/// A process that watches its clocks, to tell for how long it stood still.
pub struct Watcher {
    /// The process.
    pub target: Target,
    clock: File,
    _scratch: Scratch,
}

impl Watcher {
    /// Starts it, with so many threads beside the one that watches; `busy` of them compute without the GIL.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(python: &Interpreter, threads: u32, busy: u32) -> Result<Self> {
        let scratch = Scratch::new()?;
        let path = scratch.path().join("clock");
        std::fs::write(&path, [0; 16])?;
        let arguments = [
            &threads.to_string(),
            &busy.to_string(),
            &*path.to_string_lossy(),
        ];
        let mut target = Target::spawn(python, program(), &arguments)?;
        target.wait_ready(LIMIT)?;
        std::thread::sleep(Duration::from_millis(200));
        let clock = File::options().read(true).open(&path)?;
        Ok(Self {
            target,
            clock,
            _scratch: scratch,
        })
    }

    /// For how long the watching thread stood still during `action`, in all: neither on a CPU nor waiting for one.
    ///
    /// # Errors
    /// Those of the action.
    pub fn frozen(&self, action: impl FnOnce() -> Result<()>) -> Result<Duration> {
        let before = self.next_looks()?;
        action()?;
        let after = self.next_looks()?;
        Ok(Duration::from_nanos(
            u64::try_from(after - before).unwrap_or(0),
        ))
    }

    /// What it says after a look that began later than this call: the least of five, as one that lost its CPU between two clocks
    /// says too much.
    fn next_looks(&self) -> Result<i64> {
        let begin = Instant::now();
        let (_, first) = self.look()?;
        let (mut least, mut last) = (i64::MAX, first + 1);
        while last < first + 7 {
            let (frozen, looks) = self.look()?;
            if looks > last {
                (least, last) = (least.min(frozen), looks);
            }
            ensure!(begin.elapsed() < LIMIT, "the process looks no more");
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(least)
    }

    fn look(&self) -> Result<(i64, i64)> {
        let mut bytes = [0; 16];
        self.clock.read_exact_at(&mut bytes, 0)?;
        let (frozen, looks) = bytes.split_at(8);
        Ok((
            i64::from_le_bytes(frozen.try_into()?),
            i64::from_le_bytes(looks.try_into()?),
        ))
    }
}

fn program() -> Program<'static> {
    Program::Path(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/subject.py"
    )))
}
