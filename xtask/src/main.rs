//! Chores of the workspace, as `cargo xtask CHORE`.

use anyhow::Result;
use clap::Parser;

mod layouts;
mod opcodes;
mod pythons;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the workspace")]
enum Chore {
    /// Bring the CPythons that the tests want and this machine lacks
    Pythons(pythons::Arguments),
    /// Make the tables of where the fields of CPython's structs lie, from debugging information
    Layouts(layouts::Arguments),
    /// Write the opcode tables of the CPythons that are here
    Opcodes(opcodes::Arguments),
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Pythons(arguments) => pythons::run(&arguments),
        Chore::Layouts(arguments) => layouts::run(&arguments),
        Chore::Opcodes(arguments) => opcodes::run(&arguments),
    }
}
