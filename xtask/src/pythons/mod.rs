//! `cargo xtask pythons`: the interpreters of the test matrix.
//!
//! 3.8 to 3.13 come from pyenv or the system, as on developers' machines; what these do not have is brought here,
//! for x86-64 Linux, from Debian's archive and PyPI alone:
//!
//! - 3.14 and 3.15 are Debian's own binaries with the libraries they were linked for ([`debian`]);
//! - 3.14t and 3.15t are free-threaded binaries out of a PyPI wheel, with Debian's standard library ([`wheel`]);
//! - 3.13t is compiled from Debian's source package ([`source`]).
//!
//! Each lies in a directory named by its tag, is built beside its place and moved there whole, and is left alone when it runs.
//! Nothing outside the destination is changed.

mod apt;
mod debian;
mod run;
mod source;
mod sums;
mod tree;
mod wheel;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

pub use apt::Apt;
use run::tell;

/// What can be brought. The order is that of the time they take.
const BROUGHT: [&str; 5] = ["3.14", "3.15", "3.14t", "3.15t", "3.13t"];

/// What an interpreter must be able to do to count as brought.
const TRIAL: &str = "import asyncio, ctypes, hashlib, multiprocessing, queue, select, socket, ssl, subprocess, threading, zlib";

/// The arguments of `cargo xtask pythons`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to put them (by default unknot/pythons in your cache directory, where the tests look)
    #[arg(long, value_name = "DIR")]
    dest: Option<PathBuf>,
    /// Print the interpreters that the tests use, and bring nothing
    #[arg(long)]
    list: bool,
    /// Bring these, for example 3.14t (by default all that can be brought and no interpreter is found for)
    #[arg(value_name = "TAG", value_parser = BROUGHT)]
    tags: Vec<String>,
}

/// Brings or lists interpreters.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        list();
        return Ok(());
    }
    let dest = match &arguments.dest {
        Some(dest) => std::path::absolute(dest)?,
        None => testkit::pythons_dir().context(
            "no cache directory: neither XDG_CACHE_HOME nor HOME is set; give --dest DIR",
        )?,
    };
    let absent = testkit::skipped();
    let wanted: Vec<&str> = if !arguments.tags.is_empty() {
        arguments.tags.iter().map(String::as_str).collect()
    } else if arguments.dest.is_some() {
        BROUGHT.to_vec()
    } else {
        BROUGHT
            .into_iter()
            .filter(|tag| absent.contains(tag))
            .collect()
    };
    bring(&dest, &wanted)?;
    for tag in absent.iter().filter(|tag| !BROUGHT.contains(tag)) {
        tell(&format!(
            "{tag}: not on this machine and not brought from anywhere; `pyenv install {tag}` makes it"
        ));
    }
    Ok(())
}

/// Prints the matrix.
#[expect(clippy::print_stdout, reason = "this is what the chore was asked for")]
fn list() {
    let found = testkit::interpreters();
    for tag in testkit::TAGS {
        match found.iter().find(|interpreter| interpreter.tag == tag) {
            Some(interpreter) => println!("{interpreter}"),
            None => println!("{tag:6} absent"),
        }
    }
}

/// Brings each of the interpreters; one that fails does not keep the others from coming.
fn bring(dest: &Path, tags: &[&str]) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "interpreters are brought for x86-64 Linux alone"
    );
    let work = dest.join(".work");
    std::fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let lock = std::fs::File::create(work.join("lock"))?;
    lock.lock().context("cannot lock the destination")?;
    let mut apt = None;
    let mut failed = Vec::new();
    for &tag in tags {
        if runs(&tree::executable(&dest.join(tag), tag)).is_ok() {
            tell(&format!("{tag}: already there"));
            continue;
        }
        match bring_one(dest, tag, &mut apt) {
            Ok(()) => tell(&format!("{tag}: at {}", dest.join(tag).display())),
            Err(error) => {
                tell(&format!("{tag}: {error:#}"));
                failed.push(tag);
            }
        }
    }
    ensure!(failed.is_empty(), "could not bring {}", failed.join(", "));
    Ok(())
}

fn bring_one(dest: &Path, tag: &str, apt: &mut Option<Apt>) -> Result<()> {
    let place = dest.join(tag);
    let work = dest.join(".work");
    let build = work.join(tag);
    if build.exists() {
        std::fs::remove_dir_all(&build)?;
    }
    std::fs::create_dir_all(&build)?;
    let apt = match apt {
        Some(apt) => apt,
        None => apt.insert(Apt::new(&work)?),
    };
    let tree = match tag.strip_suffix('t') {
        None => debian::build(apt, tag, &build, &place)?,
        Some("3.13") => source::build(apt, tag, &build, &place)?,
        Some(_) => wheel::build(apt, tag, &build)?,
    };
    if place.symlink_metadata().is_ok() {
        // It did not run. A symbolic link is taken away itself, not what it points to.
        let remove = if place.is_symlink() {
            std::fs::remove_file(&place)
        } else {
            std::fs::remove_dir_all(&place)
        };
        remove.with_context(|| format!("cannot replace {}", place.display()))?;
    }
    std::fs::rename(&tree, &place)
        .with_context(|| format!("cannot move {} to its place", tree.display()))?;
    runs(&tree::executable(&place, tag)).context("it was brought but does not run")?;
    std::fs::remove_dir_all(&build)?;
    Ok(())
}

/// An interpreter runs when it can import what the tests' programs use.
fn runs(executable: &Path) -> Result<()> {
    if !executable.is_file() {
        bail!("{} is not there", executable.display());
    }
    run::run(run::command(executable).args(["-I", "-c", TRIAL]))
}
