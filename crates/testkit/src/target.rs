//! A program under test, in a process group of its own.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::stillness::is_gone;
use crate::{Interpreter, Scratch, descendants, wait_still};

/// What a target runs.
#[derive(Debug, Clone, Copy)]
pub enum Program<'a> {
    /// This text, as the file `program.py` in a directory of the target's own.
    Source(&'a str),
    /// This file.
    Path(&'a Path),
}

/// What a target has printed so far.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// On standard output.
    pub stdout: String,
    /// On standard error.
    pub stderr: String,
}

/// A running Python program. Dropping it kills its process group and every other descendant, and reaps it.
///
/// The program finds a module `testkit_ready` to import: `testkit_ready.ready("word", 7)` ends [`Target::wait_ready`],
/// which returns `"word 7"`. Its standard input is empty; it writes no `__pycache__`.
#[derive(Debug)]
pub struct Target {
    child: Child,
    ended: Option<ExitStatus>,
    program: PathBuf,
    fifo: File,
    unread: Vec<u8>,
    scratch: Scratch,
}

impl Target {
    /// Starts the program with these arguments.
    pub fn spawn(interpreter: &Interpreter, program: Program<'_>, args: &[&str]) -> Result<Self> {
        Self::spawn_with(interpreter, program, args, |_| ())
    }

    /// The same, and `prepare` may change the command before it is started (its environment, its directory).
    pub fn spawn_with(
        interpreter: &Interpreter,
        program: Program<'_>,
        args: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let scratch = Scratch::new()?;
        let program = match program {
            Program::Source(text) => scratch.write("program.py", text)?,
            Program::Path(path) => path.to_owned(),
        };
        let modules = scratch.path().join("modules");
        std::fs::create_dir(&modules)?;
        std::fs::write(
            modules.join("testkit_ready.py"),
            include_str!("testkit_ready.py"),
        )?;
        let fifo_path = scratch.path().join("ready");
        mkfifo(&fifo_path, Mode::S_IRUSR | Mode::S_IWUSR).context("cannot make a FIFO")?;
        // Open for both directions, so that it neither blocks here nor reports an end between two writers.
        let fifo = File::options().read(true).write(true).open(&fifo_path)?;
        let mut command = Command::new(&interpreter.path);
        command
            .arg(&program)
            .args(args)
            .env("UNKNOT_READY", &fifo_path)
            .env("PYTHONPATH", &modules)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("PYTHONHOME")
            .stdin(Stdio::null())
            .stdout(File::create(scratch.path().join("stdout"))?)
            .stderr(File::create(scratch.path().join("stderr"))?)
            .process_group(0);
        prepare(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {interpreter}"))?;
        Ok(Self {
            child,
            ended: None,
            program,
            fifo,
            unread: Vec::new(),
            scratch,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that it runs.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The number, from 1, of the only line of the program's file that holds this text (a comment, for example).
    pub fn line(&self, text: &str) -> u32 {
        let source =
            std::fs::read_to_string(&self.program).expect("the program's file can be read");
        let mut lines = (1u32..)
            .zip(source.lines())
            .filter(|(_, line)| line.contains(text))
            .map(|(number, _)| number);
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no line of {} holds {text:?}", self.program.display()));
        assert!(
            lines.next().is_none(),
            "more than one line of {} holds {text:?}",
            self.program.display()
        );
        line
    }

    /// It has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.status().is_none()
    }

    /// How it ended, when it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// What it has printed so far. Python keeps back what it prints to a file until it flushes.
    pub fn output(&self) -> Output {
        let read = |name: &str| {
            let bytes = std::fs::read(self.scratch.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Output {
            stdout: read("stdout"),
            stderr: read("stderr"),
        }
    }

    /// Waits until the program calls `testkit_ready.ready(…)` and returns the words of that call.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<String> {
        const SLICE: Duration = Duration::from_millis(100);
        let begin = Instant::now();
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            // Asked before the last look into the FIFO: what it said before its end counts.
            let ended = self.status();
            let left = timeout.saturating_sub(begin.elapsed());
            let slice = if ended.is_some() {
                Duration::ZERO
            } else {
                left.min(SLICE)
            };
            let mut ready = [PollFd::new(self.fifo.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::try_from(slice)?)? > 0 {
                let mut bytes = [0; 4096];
                let length = self.fifo.read(&mut bytes)?;
                self.unread.extend(bytes.iter().take(length));
                continue;
            }
            if let Some(status) = ended {
                bail!(
                    "the program ended ({status}) before it was ready\n{}",
                    self.account()
                );
            }
            if left.is_zero() {
                bail!(
                    "the program was not ready within {timeout:?}\n{}",
                    self.account()
                );
            }
        }
    }

    /// Waits until every thread of the program and of its descendants sleeps without progress: so a program that says nothing
    /// shows that it has reached its hang. A sleep of less than half a second is not taken for one.
    pub fn wait_blocked(&mut self, timeout: Duration) -> Result<()> {
        let quiet = Duration::from_millis(600);
        wait_still(self.pid(), quiet, timeout).with_context(|| self.account())
    }

    /// Waits until the program has printed this line, and flushed it.
    pub fn wait_line(&mut self, line: &str, timeout: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            // Asked before the look at what it printed: what it said before its end counts.
            let ended = self.status();
            if self.output().stdout.lines().any(|printed| printed == line) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!(
                    "the program ended ({status}) before it printed `{line}`\n{}",
                    self.account()
                );
            }
            if begin.elapsed() >= timeout {
                bail!(
                    "the program did not print `{line}` within {timeout:?}\n{}",
                    self.account()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the program's end.
    pub fn wait_end(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.status() {
                return Ok(status);
            }
            if begin.elapsed() >= timeout {
                bail!(
                    "the program did not end within {timeout:?}\n{}",
                    self.account()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// For a message: the program and what it printed.
    fn account(&self) -> String {
        let Output { stdout, stderr } = self.output();
        format!(
            "{}\n--- its output\n{stdout}--- its errors\n{stderr}",
            self.program.display()
        )
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Collected before the kill, while children that made a session of their own can still be told to be its.
        let family = descendants(self.pid());
        if let Ok(pid) = i32::try_from(self.pid()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let others = family.get(1..).unwrap_or_default();
        for pid in others.iter().filter_map(|&pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        // The others are not ours to wait for. They end at once, but not in this very moment.
        for _ in 0..1000 {
            if others.iter().all(|&pid| is_gone(pid)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
