//! What the tests of the command share: running it, and reading what it printed.
#![allow(dead_code)] // each test file uses its own part

pub mod header;

use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// What one run of the command gave.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {}\n{}", self.stdout, self.stderr))
    }
}

/// The command under test, with a cache of its own.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_unknot"))
}

/// Runs `unknot ARGS…` to its end, which must come within a minute.
pub fn unknot(args: &[&str]) -> Run {
    run(command().args(args))
}

/// Runs a prepared command to its end.
pub fn run(command: &mut Command) -> Run {
    let output = testkit::run_limited(command, Duration::from_secs(60)).expect("the command ends");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// An expected error: the code, no backtrace, nothing on standard output.
pub fn assert_told(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "{word:?} is missing in: {}",
            run.stderr
        );
    }
    for word in ["panicked", "RUST_BACKTRACE", "Os {"] {
        assert!(!run.stderr.contains(word), "{}", run.stderr);
    }
}
