//! Other programs, run to their end.

use std::ffi::OsStr;
use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Says what goes on, on standard error.
pub fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "pythons: {message}");
}

/// A command without the variables that would lead an interpreter or the loader astray, in the C locale.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in [
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
    ] {
        command.env_remove(name);
    }
    command
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::process::Stdio::null());
    command
}

/// Runs a command that must succeed and returns what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}; is it installed?"))?;
    ensure!(
        output.status.success(),
        "{name} failed ({})\n{}",
        output.status,
        last_lines(&output.stderr, 15)
    );
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed what is not text"))
}

/// Runs a command that must succeed, for its effect.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn last_lines(bytes: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}
