//! `unknot completions`: what a shell needs to complete unknot's options.

use crate::cli::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// What follows the options in `--help`.
pub const HELP: &str = "Examples:
  unknot completions bash > ~/.local/share/bash-completion/completions/unknot
  unknot completions zsh > ~/.zfunc/_unknot
  unknot completions fish > ~/.config/fish/completions/unknot.fish";

/// `unknot completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to print it for
    pub shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "unknot", &mut script);
    crate::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
