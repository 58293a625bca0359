//! The command line: what may be typed, and what it means.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Explains and controls a running Python program, from outside, with no change to it.
#[derive(Debug, Parser)]
#[command(name = "unknot", version, about, max_term_width = 100)]
#[command(after_help = "Examples:
  unknot ps                      the Python processes here
  unknot why 4242                what process 4242 waits for, and who holds it
  unknot why -- python app.py    run app.py, and explain when it hangs
  unknot dump --locals 4242      every thread and task, with its variables")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain what a program waits for, and name the knot
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 1 a finding, 2 wrong usage, 3 the target cannot be read.

Examples:
  unknot why 4242                       look once at a running process and its children
  unknot why core.4242                  the same of a core file
  unknot why -- pytest -x               run the command; explain when it stops getting on, or on Ctrl-\\
  unknot why --once --after 10 app.py   end app.py at the first finding, with code 1"
    )]
    Why(WhyArgs),
    /// Show every process, thread and task: stack, locals, locks
    #[command(after_help = "Examples:
  unknot dump 4242
  unknot dump --native 4242             with the frames of C, C++ and Rust code
  unknot dump --locals --json 4242 | jq '.processes[].threads[].waits_for'")]
    Dump(DumpArgs),
    /// List the Python processes here
    #[command(after_help = "Example:
  unknot ps --json")]
    Ps(PsArgs),
    /// Stop a program where you want, step through it, look into it
    #[command(after_help = crate::debug::HELP)]
    Debug(crate::debug::DebugArgs),
    /// Record where a program spends its time, or waits
    #[command(after_help = crate::record::HELP)]
    Record(crate::record::RecordArgs),
    /// Watch where a program's threads are, live
    #[command(after_help = crate::top::HELP)]
    Top(crate::top::TopArgs),
    /// Write a recording in another format
    #[command(after_help = crate::convert::HELP)]
    Convert(crate::convert::ConvertArgs),
    /// Show what has changed from one recording to another
    #[command(after_help = crate::diff::HELP)]
    Diff(crate::diff::DiffArgs),
    /// Print a script that lets a shell complete unknot's options
    #[command(after_help = crate::completions::HELP)]
    Completions(crate::completions::CompletionsArgs),
}

/// How to look at a process: shared by `why` and `dump`.
#[derive(Debug, Args, Clone)]
pub struct LookArgs {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
    /// Read without holding the target still (the answer may mix two moments)
    #[arg(long)]
    pub no_pause: bool,
}

/// What to look at.
#[derive(Debug, Args, Clone)]
pub struct TargetArgs {
    /// Python to run SCRIPT.py, -m or -c with [default: the virtual environment's, else python3]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// PID | CORE | -- COMMAND… | SCRIPT.py… | -m MODULE… | -c CODE
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "TARGET"
    )]
    pub target: Vec<OsString>,
}

/// `unknot why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// How to look.
    #[command(flatten)]
    pub look: LookArgs,
    /// Look at child processes too, as is done anyway
    #[arg(long, overrides_with = "no_children")]
    pub children: bool,
    /// Leave child processes out
    #[arg(long)]
    pub no_children: bool,
    /// With a command: explain after so many seconds without progress
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    pub after: f64,
    /// With a command: end it at the first finding, with code 1
    #[arg(long)]
    pub once: bool,
    /// What to look at.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `unknot dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// How to look.
    #[command(flatten)]
    pub look: LookArgs,
    /// Show local variables
    #[arg(long)]
    pub locals: bool,
    /// Show native frames too (C, C++, Rust), and the system calls that threads are in
    #[arg(long)]
    pub native: bool,
    /// Look at child processes too
    #[arg(long)]
    pub children: bool,
    /// What to look at.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `unknot ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// Seconds as they are typed.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (0.01..=1e9).contains(&value) => Ok(value),
        _ => Err("give seconds, for instance 5 or 0.5".to_owned()),
    }
}

/// Parses the command line. Options may also follow a PID or core file, where they cannot be the target's own:
/// they are moved before it and all is parsed again.
///
/// # Errors
/// clap's own error, with its exit code 2, or 0 for `--help`.
pub fn parse(args: Vec<OsString>) -> Result<(Cli, bool), clap::Error> {
    let cli = Cli::try_parse_from(&args)?;
    let Some(target) = cli.command.target() else {
        return Ok((cli, false));
    };
    let count = target.len();
    let start = args.len().saturating_sub(count);
    let escaped = start > 0 && args[start - 1] == "--";
    if escaped || count < 2 || !crate::target::is_pid_or_core(&target[0]) {
        return Ok((cli, escaped));
    }
    let mut moved = args[..start].to_vec();
    moved.extend_from_slice(&args[start + 1..]);
    moved.push(args[start].clone());
    Ok((Cli::try_parse_from(&moved)?, false))
}

impl Command {
    fn target(&self) -> Option<&[OsString]> {
        match self {
            Command::Why(args) => Some(&args.target.target),
            Command::Dump(args) => Some(&args.target.target),
            Command::Record(args) => Some(&args.target.target),
            Command::Top(args) => Some(&args.target.target),
            Command::Ps(_)
            | Command::Debug(_)
            | Command::Convert(_)
            | Command::Diff(_)
            | Command::Completions(_) => None,
        }
    }
}
