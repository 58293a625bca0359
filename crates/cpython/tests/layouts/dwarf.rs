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
    // Another patch release than a table's is corrected by what the process tells of itself.
    let in_tables = |interpreter: &&Interpreter| {
        tables()
            .iter()
            .any(|table| table.version == version(interpreter))
    };
    for interpreter in interpreters().filter(in_tables) {
        let files = files(interpreter);
        if files.is_empty() {
            continue;
        }
        let mut wrong = Vec::new();
        for (spec, row) in Layout::SPECS.iter().zip(layout(interpreter).to_rows()) {
            compare(spec, &row, &files, &mut wrong);
        }
        assert!(
            wrong.is_empty(),
            "{interpreter}; run `cargo xtask layouts`\n{}",
            wrong.join("\n")
        );
        string_bits(interpreter, &files);
    }
}

/// The bits of a string's `state`, which are no row of the tables.
fn string_bits(interpreter: &Interpreter, files: &[ObjectFile]) {
    let fields: [&[&str]; 4] = [
        &["state.kind"],
        &["state.compact"],
        &["state.ascii"],
        &["state"],
    ];
    let found = dwarfstruct::locate(files, &["PyASCIIObject"], &fields)
        .expect("its DWARF can be read")
        .expect("it has strings");
    let places: Vec<dwarfstruct::Place> = found
        .places
        .into_iter()
        .map(|place| place.expect("a string has it").1)
        .collect();
    let bit = |index: usize| {
        let (low, _) = places[index].bits.expect("a bit field");
        (places[index].offset - places[3].offset) * 8 + low
    };
    let unicode = layout(interpreter).traits.unicode;
    let held = [unicode.kind, unicode.compact, unicode.ascii].map(u64::from);
    assert_eq!(held, [bit(0), bit(1), bit(2)], "{interpreter}");
}

/// The files that have an interpreter's DWARF: itself and its modules, or the debug files that
/// `cargo xtask layouts --fetch` keeps.
fn files(interpreter: &Interpreter) -> Vec<ObjectFile> {
    let paths = if interpreter.dwarf {
        own(interpreter)
    } else {
        let (major, minor, micro) = interpreter.version;
        let kept = testkit::pythons_dir().filter(|_| !interpreter.free_threaded);
        kept.map(|kept| listed(&kept.join(format!(".debug/{major}.{minor}.{micro}"))))
            .unwrap_or_default()
    };
    let open = |path: &PathBuf| match ObjectFile::open(path) {
        Err(DwarfError::None(_)) => None,
        file => Some(file.expect("its DWARF can be read")),
    };
    paths.iter().filter_map(open).collect()
}

fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn own(interpreter: &Interpreter) -> Vec<PathBuf> {
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
    let mut paths = listed(&modules);
    paths.retain(is_wanted);
    paths.insert(0, interpreter.object().to_owned());
    paths
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
