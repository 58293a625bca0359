//! `cargo xtask layouts`: the tables of where the fields of CPython's structs lie.
//!
//! Each build of CPython that has debugging information gives one table ([`sources`] finds them); what is written is
//! committed, so that only those who add a field or a version run this. docs/layouts.md tells how.

mod rows;
mod sources;
mod write;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use rows::Rows;
use sources::Source;

/// The arguments of `cargo xtask layouts`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Say what is absent from each layout
    #[arg(long)]
    absent: bool,
    /// Compare with the committed tables and write nothing
    #[arg(long)]
    check: bool,
    /// Take debugging information from these files too: VERSION=DIR, for example 3.14.2t=objects/
    #[arg(long, value_name = "VERSION=DIR", value_parser = sources::parse_named)]
    dwarf: Vec<Source>,
}

/// Makes the tables.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut sources = arguments.dwarf.clone();
    sources.extend(sources::installed());
    let mut made = Vec::new();
    for source in &sources {
        eprintln!("{:8} {}", source.label(), source.origin);
        let rows = Rows::read(source).with_context(|| format!("cannot read {}", source.label()))?;
        if arguments.absent {
            rows.tell_absent();
        }
        made.push(rows);
    }
    let text = write::tables(made);
    let path = tables_path();
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if arguments.check {
        ensure!(
            text == committed,
            "{} is not what this machine's interpreters say",
            path.display()
        );
    } else if text != committed {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn tables_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/cpython/src/layout/tables.rs")
}
