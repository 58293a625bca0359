//! Free-threaded builds without debugging information of their own: their headers tell of all public and internal
//! structs, compiled with the definitions of that build.
//!
//! The structs that stand in a `.c` file are no part of the headers. They are those of the same minor version with the
//! GIL, behind an object's header that is larger; [`EXTRA`] has the exceptions. The tests hold the outcome against
//! `__basicsize__` and the debug offsets of real interpreters.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cpython::layout::{ABSENT, Layout, StructSpec, Version};
use testkit::{Interpreter, Scratch};

use super::rows::Rows;
use super::sources::Source;

/// Headers that define the structs that are declared, those that a version has.
const HEADERS: [&str; 20] = [
    "pycore_runtime.h",
    "pycore_runtime_structs.h",
    "pycore_interp.h",
    "pycore_interp_structs.h",
    "pycore_tstate.h",
    "pycore_pystate.h",
    "pycore_frame.h",
    "pycore_interpframe.h",
    "pycore_interpframe_structs.h",
    "pycore_code.h",
    "pycore_dict.h",
    "pycore_genobject.h",
    "pycore_gil.h",
    "pycore_llist.h",
    "pycore_lock.h",
    "pycore_object.h",
    "pycore_typeobject.h",
    "pycore_unicodeobject.h",
    "pycore_gc.h",
    "pycore_range.h",
];

/// Bytes at the end of a private struct that the build without the GIL has more.
const EXTRA: [(&str, u32); 1] = [("AsyncTask", 8)]; // task_tid

/// Reads the headers that came with an interpreter, and takes the rest from the build `with_gil`.
pub fn read(interpreter: &Interpreter, source: &Source, with_gil: &Rows) -> Result<Rows> {
    let include = include(interpreter).context("its headers are not here")?;
    let scratch = Scratch::new()?;
    let mut text =
        String::from("#define Py_BUILD_CORE 1\n#include <Python.h>\n#include <datetime.h>\n");
    for header in HEADERS {
        if include.join("internal").join(header).is_file() {
            text.push_str(&format!("#include <internal/{header}>\n"));
        }
    }
    let program = scratch.write("structs.c", &text)?;
    let object = scratch.path().join("structs.so");
    let mut compiler = Command::new("cc");
    compiler
        .args([
            "-w",
            "-g",
            "-O0",
            "-fPIC",
            "-shared",
            "-nostdlib",
            "-fno-eliminate-unused-debug-types",
        ])
        .args([
            "-Wl,--unresolved-symbols=ignore-all",
            "-DPy_GIL_DISABLED=1",
            "-DNDEBUG",
        ])
        .arg("-I")
        .arg(&include)
        .arg("-I")
        .arg(include.join("internal"))
        .arg("-I")
        .arg(include.parent().unwrap_or(&include))
        .arg(&program)
        .arg("-o")
        .arg(&object);
    let status = compiler
        .status()
        .context("cannot run cc; is it installed?")?;
    ensure!(
        status.success(),
        "the headers in {} do not compile",
        include.display()
    );
    let mut rows = Rows::read(&Source {
        files: vec![object],
        ..source.clone()
    })?;
    for ((spec, row), other) in Layout::SPECS.iter().zip(&mut rows.rows).zip(&with_gil.rows) {
        if row.first() == Some(&ABSENT) {
            *row = behind_larger_header(spec, other, with_gil)?;
        }
    }
    Ok(rows)
}

/// The version of the headers that came with an interpreter; it can be another patch release than the interpreter's.
pub fn version(interpreter: &Interpreter) -> Option<Version> {
    let text = std::fs::read_to_string(include(interpreter)?.join("patchlevel.h")).ok()?;
    let number = |name: &str| {
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut values = lines.filter_map(|words| match words.as_slice() {
            ["#define", found, value, ..] if *found == name => value.parse().ok(),
            _ => None,
        });
        values.next()
    };
    let (major, minor, micro) = (
        number("PY_MAJOR_VERSION")?,
        number("PY_MINOR_VERSION")?,
        number("PY_MICRO_VERSION")?,
    );
    Some(Version::new(major, minor, micro).free_threaded())
}

fn include(interpreter: &Interpreter) -> Option<PathBuf> {
    let prefix = interpreter.path.parent().and_then(Path::parent)?;
    let include = prefix.join(format!("include/python{}", interpreter.tag));
    include.join("internal").is_dir().then_some(include)
}

/// Bytes that an object's header is larger without the GIL.
const HEADER_GROWTH: u32 = 16;

fn behind_larger_header(spec: &StructSpec, row: &[u32], with_gil: &Rows) -> Result<Vec<u32>> {
    let object = with_gil.objects.get(spec.name).copied().unwrap_or(false);
    let growth = if object { HEADER_GROWTH } else { 0 };
    let extra = EXTRA
        .iter()
        .find(|(name, _)| *name == spec.name)
        .map_or(0, |(_, extra)| *extra);
    let mut moved: Vec<u32> = row
        .iter()
        .map(|number| {
            if *number == ABSENT {
                ABSENT
            } else {
                number + growth
            }
        })
        .collect();
    if let Some(size) = moved.first_mut().filter(|size| **size != ABSENT) {
        *size += extra;
    }
    Ok(moved)
}
