//! The command `unknot`: arguments in, text or JSON and an exit code out. What it knows it learns from `look`
//! and `diagnose`; it reads no memory and holds no protocol.

mod cli;
mod completions;
mod convert;
mod debug;
mod diff;
mod dump;
mod failure;
mod output;
mod paint;
mod ps;
mod record;
mod sources;
mod target;
mod top;
mod view;
mod watch;
mod why;

use cli::Command;
use failure::Failure;
use paint::{Paint, Role};
use std::io::Write;
use std::process::ExitCode;

/// Exit code: a bug of ours.
const BUG: u8 = 101;

fn main() -> ExitCode {
    let (cli, escaped) = match cli::parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(failure::USAGE);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let outcome = match cli.command {
        Command::Why(args) => why::run(&args, escaped),
        Command::Dump(args) => dump::run(&args, escaped),
        Command::Ps(args) => ps::run(&args),
        Command::Debug(args) => debug::run(&args),
        Command::Record(args) => record::run(&args, escaped),
        Command::Top(args) => top::run(&args, escaped),
        Command::Convert(args) => convert::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(complain(&error)),
    }
}

/// Tells what failed on standard error; the exit code that goes with it.
fn complain(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    }) {
        return 0; // whoever read our output has seen enough
    }
    let (message, code) = match error.downcast_ref::<Failure>() {
        Some(failure) => (failure.to_string(), failure.code),
        None => (format!("{error:#}"), BUG),
    };
    let label = Paint::stderr().text(Role::Bad, "error:");
    let _ = writeln!(std::io::stderr(), "{label} {message}");
    code
}

/// Writes to standard output, all of it or an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes one JSON document to standard output.
fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    print(&text)
}
