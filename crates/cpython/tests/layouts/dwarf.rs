//! Every row of the tables against the DWARF of each interpreter that has it.

use std::path::{Path, PathBuf};

use cpython::layout::{Layout, StructSpec, tables};
use dwarfstruct::{DwarfError, ObjectFile};
use testkit::Interpreter;

use crate::{interpreters, layout, version};

/// Extension modules with private structs that are declared.
const MODULES: [&str; 8] = [
    "_asyncio",
    "_queue",
    "_decimal",
    "_collections",
    "_datetime",
    "_functools",
    "_multiprocessing",
    "_thread",
];

#[test]
fn rows_are_what_the_interpreters_say() {
    for interpreter in interpreters().filter(|interpreter| interpreter.dwarf) {
        let exact = tables()
            .iter()
            .any(|table| table.version == version(interpreter));
        if !exact {
            // Another patch release than the table's: what it tells of itself corrects the table.
            continue;
        }
        let files = files(interpreter);
        let mut wrong = Vec::new();
        for (spec, row) in Layout::SPECS.iter().zip(layout(interpreter).to_rows()) {
            compare(spec, &row, &files, &mut wrong);
        }
        assert!(
            wrong.is_empty(),
            "{interpreter}; run `cargo xtask layouts`\n{}",
            wrong.join("\n")
        );
    }
}

fn files(interpreter: &Interpreter) -> Vec<ObjectFile> {
    let prefix = interpreter
        .path
        .parent()
        .and_then(Path::parent)
        .expect("it lies in bin");
    let modules = prefix.join(format!("lib/python{}/lib-dynload", interpreter.tag));
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        MODULES.contains(&name.split('.').next().unwrap_or_default())
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(modules)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(is_wanted)
                .collect()
        })
        .unwrap_or_default();
    paths.sort();
    paths.insert(0, interpreter.object().to_owned());
    let open = |path: &PathBuf| match ObjectFile::open(path) {
        Err(DwarfError::None(_)) => None,
        file => Some(file.expect("its DWARF can be read")),
    };
    paths.iter().filter_map(open).collect()
}

fn compare(spec: &StructSpec, row: &[u32], files: &[ObjectFile], wrong: &mut Vec<String>) {
    let paths: Vec<&[&str]> = spec.fields.iter().map(|field| field.paths).collect();
    let located = dwarfstruct::locate(files, spec.dwarf, &paths).expect("its DWARF can be read");
    let size = located.as_ref().map(|located| located.size);
    let places = spec.fields.iter().enumerate().map(|(index, field)| {
        let place = located
            .as_ref()
            .and_then(|located| located.places[index].as_ref());
        (field.name, place.map(|(_, place)| place.offset))
    });
    let said = std::iter::once(("its size", size)).chain(places);
    for ((name, said), held) in said.zip(row) {
        let held = (*held != cpython::layout::ABSENT).then_some(u64::from(*held));
        if held != said {
            wrong.push(format!("{}: {name} is {said:?}, not {held:?}", spec.name));
        }
    }
}
