//! `cargo xtask layouts`: the tables of where the fields of CPython's structs lie.
//!
//! Each build of CPython that has debugging information gives one table ([`sources`] finds them); what is written is
//! committed, so that only those who add a field or a version run this. docs/layouts.md tells how.

mod debug;
mod headers;
mod rows;
mod sources;
mod write;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cpython::layout::Version;
use testkit::Interpreter;

use crate::pythons::Apt;
use rows::Rows;
use sources::Source;

/// The arguments of `cargo xtask layouts`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Say what is absent from each layout
    #[arg(long)]
    absent: bool,
    /// First fetch Debian's debug packages for the interpreters that lack debugging information
    #[arg(long)]
    fetch: bool,
    /// Compare with the committed tables and write nothing
    #[arg(long)]
    check: bool,
    /// Take debugging information from these files too: VERSION=DIR, for example 3.14.2t=objects/
    #[arg(long, value_name = "VERSION=DIR", value_parser = sources::parse_named)]
    dwarf: Vec<Source>,
}

/// Makes the tables.
pub fn run(arguments: &Arguments) -> Result<()> {
    let interpreters: Vec<&Interpreter> = testkit::interpreters()
        .iter()
        .filter(|interpreter| interpreter.release == "final" && !interpreter.tag.ends_with('d'))
        .collect();
    if arguments.fetch {
        fetch(&interpreters)?;
    }
    let mut made = Made {
        rows: Vec::new(),
        tell_absent: arguments.absent,
    };
    for source in &arguments.dwarf {
        made.read(source)?;
    }
    for interpreter in &interpreters {
        if let Some(source) = sources::own(interpreter).or_else(|| debug::kept(interpreter)) {
            made.read(&source)?;
        }
    }
    for interpreter in interpreters
        .iter()
        .filter(|interpreter| interpreter.free_threaded)
    {
        made.read_headers(interpreter)?;
    }
    let text = write::tables(made.rows);
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
        tell(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Says what goes on, on standard error.
fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "layouts: {message}");
}

/// Fetches debug packages for the interpreters that can have some.
fn fetch(interpreters: &[&Interpreter]) -> Result<()> {
    let work = testkit::pythons_dir()
        .context("there is no cache directory")?
        .join(".work");
    let apt = Apt::new(&work)?;
    for interpreter in interpreters {
        let lacking =
            !interpreter.dwarf && !interpreter.free_threaded && debug::kept(interpreter).is_none();
        if lacking && let Err(error) = debug::fetch(interpreter, &apt) {
            tell(&format!("{interpreter}: {error:#}"));
        }
    }
    Ok(())
}

/// What was read so far, no version twice.
struct Made {
    rows: Vec<Rows>,
    tell_absent: bool,
}

impl Made {
    fn has(&self, version: Version) -> bool {
        self.rows.iter().any(|rows| rows.version == version)
    }

    fn read(&mut self, source: &Source) -> Result<()> {
        if !self.has(source.version) {
            let rows =
                Rows::read(source).with_context(|| format!("cannot read {}", source.label()))?;
            self.take(source, rows);
        }
        Ok(())
    }

    /// The rows of a build that has headers alone, where there is a build with the GIL to take the rest from.
    fn read_headers(&mut self, interpreter: &Interpreter) -> Result<()> {
        let Some(version) = headers::version(interpreter) else {
            return Ok(());
        };
        let with_gil = self
            .rows
            .iter()
            .filter(|rows| rows.version.minor == version.minor && !rows.version.free_threaded)
            .max_by_key(|rows| rows.version);
        if let Some(with_gil) = with_gil
            && !self.has(version)
        {
            let source = Source {
                version,
                origin: "its headers".to_owned(),
                files: Vec::new(),
            };
            let rows = headers::read(interpreter, &source, with_gil)
                .with_context(|| format!("cannot read {}", source.label()))?;
            self.take(&source, rows);
        }
        Ok(())
    }

    fn take(&mut self, source: &Source, rows: Rows) {
        tell(&format!("{:8} from {}", source.label(), source.origin));
        if self.tell_absent {
            rows.tell_absent();
        }
        self.rows.push(rows);
    }
}

fn tables_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/cpython/src/layout/tables.rs")
}
