//! A program that blocks in one way or another, and a script that says that it has run.

#![allow(dead_code)] // each test file needs a part

use attach::{EnterError, Entered, Options};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::{Interpreter, Program, Scratch, Target};

/// Long, so that a slow machine does not fail a test.
pub const LONG: Duration = Duration::from_secs(30);

/// A program whose standard input is the test's.
pub struct Subject {
    pub target: Target,
    input: UnixStream,
    scratch: Scratch,
    script: PathBuf,
    ran: PathBuf,
}

impl Subject {
    /// Starts it, and waits until it says that it is ready.
    pub fn start(interpreter: &Interpreter, program: &str) -> Subject {
        Subject::start_with(interpreter, program, |_| ())
    }

    /// The same, with a command that `prepare` may change.
    pub fn start_with(
        interpreter: &Interpreter,
        program: &str,
        prepare: impl FnOnce(&mut std::process::Command),
    ) -> Subject {
        let (input, other) = UnixStream::pair().expect("a pair of sockets");
        let scratch = Scratch::new().expect("a directory");
        let ran = scratch.path().join("ran");
        let script = format!(
            "import os\nf = os.open({:?}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\nos.write(f, b'x')\nos.close(f)\n",
            ran.display()
        );
        let script = scratch.write("script.py", &script).expect("the script");
        let mut target =
            Target::spawn_with(interpreter, Program::Source(program), &[], |command| {
                command.stdin(Stdio::from(OwnedFd::from(other)));
                prepare(command);
            })
            .expect("it starts");
        target.wait_ready(LONG).expect("it gets ready");
        Subject {
            target,
            input,
            scratch,
            script,
            ran,
        }
    }

    pub fn pid(&self) -> u32 {
        self.target.pid()
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn script(&self) -> &Path {
        &self.script
    }

    /// How often the script has run.
    pub fn runs(&self) -> u64 {
        std::fs::metadata(&self.ran).map_or(0, |metadata| metadata.len())
    }

    /// Enters it once.
    pub fn enter(&self, options: Options<'_>) -> Result<Entered, EnterError> {
        let before = self.runs();
        let entered = attach::enter(
            self.pid(),
            &self.script,
            &mut || self.runs() > before,
            options,
        );
        if entered.is_ok() {
            assert_eq!(self.runs(), before + 1, "it runs once");
        }
        entered
    }

    /// Waits until its main thread sleeps in one of these system calls.
    pub fn wait_in(&self, calls: &[&str]) {
        let began = Instant::now();
        let mut reader = process::ThreadReader::open(self.pid()).expect("it runs");
        loop {
            let thread = reader.read(self.pid(), true).expect("it runs");
            let call = thread.syscall.map(|call| call.name).unwrap_or_default();
            if calls.contains(&call.as_str()) {
                return;
            }
            assert!(began.elapsed() < LONG, "it is in {call:?}, not {calls:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on.
    pub fn go(&mut self) {
        self.input.write_all(b"go\n").expect("it reads");
    }

    /// Lets it go on, and checks that it ends well.
    pub fn finish(mut self, context: &str) {
        // It may have ended by itself.
        let _ = self.input.write_all(b"go\n");
        let status = self.target.wait_end(LONG).expect("it ends");
        let output = self.target.output();
        assert!(
            status.success() && output.stdout.trim_end().ends_with("fine"),
            "{context}: {status}\n{}\n{}",
            output.stdout,
            output.stderr
        );
        assert_eq!(output.stderr, "", "{context}");
    }
}
