//! Debian's builds, whose debugging information lies in packages of its own.
//!
//! A package's debug files bear the build-ids of the files that they belong to, so what is taken is always of the very
//! build that is installed here. It is kept beside the interpreters.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use object::Object as _;
use testkit::{Interpreter, Scratch};

use super::sources::{self, Source};
use crate::pythons::Apt;

/// What the packages say of an interpreter, where they were fetched before.
pub fn kept(interpreter: &Interpreter) -> Option<Source> {
    let files = sources::files(&directory(interpreter)?);
    (!files.is_empty()).then(|| Source {
        version: sources::version(interpreter),
        origin: "Debian's debug package".to_owned(),
        files,
    })
}

/// Fetches the packages and keeps the debug files of this interpreter, if they are in them.
pub fn fetch(interpreter: &Interpreter, apt: &Apt) -> Result<()> {
    let kept = directory(interpreter).context("there is no cache directory")?;
    let scratch = Scratch::new()?;
    for package in apt.closure(&[&format!("python{}-dbg", interpreter.tag)])? {
        if package.name.ends_with("-dbg") {
            package.unpack(scratch.path())?;
        }
    }
    let mut wanted = vec![interpreter.object().to_owned()];
    wanted.extend(sources::modules(interpreter));
    for file in wanted {
        let Some(found) = debug_file(scratch.path(), &file)? else {
            continue;
        };
        fs::create_dir_all(&kept)?;
        let name = format!(
            "{}.debug",
            file.file_name().unwrap_or_default().to_string_lossy()
        );
        fs::copy(found, kept.join(name))?;
    }
    Ok(())
}

fn directory(interpreter: &Interpreter) -> Option<PathBuf> {
    let (major, minor, micro) = interpreter.version;
    Some(testkit::pythons_dir()?.join(format!(".debug/{major}.{minor}.{micro}")))
}

/// The file below `root` that has the debugging information of `file`.
fn debug_file(root: &Path, file: &Path) -> Result<Option<PathBuf>> {
    let data = fs::read(file)?;
    let object = object::File::parse(data.as_slice())?;
    let Some((first, rest)) = object.build_id()?.and_then(<[u8]>::split_first) else {
        return Ok(None);
    };
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = root.join(format!("usr/lib/debug/.build-id/{first:02x}/{rest}.debug"));
    Ok(path.is_file().then_some(path))
}
