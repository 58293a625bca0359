//! What the trees of all the brought interpreters have in common.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::run::{self, command};

/// `PLACE/bin/python3.14t`
pub fn executable(place: &Path, tag: &str) -> PathBuf {
    place.join("bin").join(format!("python{tag}"))
}

/// Makes `bin/python3`, the name by which the tests look for an interpreter.
pub fn name_python3(tree: &Path, tag: &str) -> Result<()> {
    let link = tree.join("bin/python3");
    std::os::unix::fs::symlink(format!("python{tag}"), &link)
        .with_context(|| format!("cannot make {}", link.display()))
}

/// Copies a file or a directory with all it holds, links as links, into a directory that is made where it is missing.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    run::run(
        command("cp")
            .args(["--archive", "--no-target-directory"])
            .arg(from)
            .arg(to),
    )
}

/// Copies the C headers, with CPython's own internal ones, out of unpacked Debian packages.
pub fn copy_headers(unpacked: &Path, tree: &Path, tag: &str) -> Result<()> {
    let version = tag.trim_end_matches('t');
    let headers = tree.join(format!("include/python{tag}"));
    copy(
        &unpacked.join(format!("usr/include/python{version}")),
        &headers,
    )?;
    // Debian's pyconfig.h is a signpost to that of each architecture.
    let real = unpacked.join(format!(
        "usr/include/x86_64-linux-gnu/python{version}/pyconfig.h"
    ));
    let mut text = std::fs::read_to_string(&real)
        .with_context(|| format!("cannot read {}", real.display()))?;
    if tag != version {
        const OFF: &str = "/* #undef Py_GIL_DISABLED */";
        ensure!(
            text.contains(OFF),
            "pyconfig.h does not mention Py_GIL_DISABLED"
        );
        text = text.replace(OFF, "#define Py_GIL_DISABLED 1");
    }
    let target = headers.join("pyconfig.h");
    let _ = std::fs::remove_file(&target);
    std::fs::write(&target, text).with_context(|| format!("cannot write {}", target.display()))
}
