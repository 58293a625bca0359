//! Chores of the workspace, as `cargo xtask CHORE`.

use anyhow::Result;
use clap::Parser;

mod pythons;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the workspace")]
enum Chore {
    /// Bring the CPythons that the tests want and this machine lacks
    Pythons(pythons::Arguments),
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Pythons(arguments) => pythons::run(&arguments),
    }
}
