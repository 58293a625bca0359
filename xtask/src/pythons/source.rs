//! CPython compiled from Debian's source package.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use super::run::{self, command, tell};
use super::tree;

/// Compiles below `build` and installs into a tree there that is to be moved to `place`. It has DWARF.
pub fn build(apt: &Apt, tag: &str, build: &Path, place: &Path) -> Result<PathBuf> {
    let Some(version) = tag.strip_suffix('t') else {
        bail!("only free-threaded builds are compiled")
    };
    let archive = apt.source_archive(&format!("python{version}"))?;
    let source = build.join("source");
    std::fs::create_dir_all(&source)?;
    run::run(
        command("tar")
            .args(["--extract", "--strip-components=1", "--directory"])
            .arg(&source)
            .arg("--file")
            .arg(&archive),
    )?;
    tell(&format!("{tag}: compiling (some minutes)"));
    let mut configure = command("./configure");
    configure.current_dir(&source).arg("--prefix").arg(place);
    configure.args([
        "--quiet",
        "--disable-gil",
        "--disable-test-modules",
        "--without-static-libpython",
        "--with-ensurepip=no",
    ]);
    run::run(configure.env("OPT", "-DNDEBUG -O2 -g"))?;
    let jobs = format!(
        "--jobs={}",
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    let make = |goals: &[&str]| {
        run::run(
            command("make")
                .current_dir(&source)
                .args(["--silent", &jobs])
                .args(goals),
        )
    };
    make(&["python", "sharedmods"])?;
    let staging = build.join("staging");
    make(&["altinstall", &format!("DESTDIR={}", staging.display())])?;
    let below = place
        .strip_prefix("/")
        .context("the destination is not absolute")?;
    let made = staging.join(below);
    tree::name_python3(&made, tag)?;
    Ok(made)
}
