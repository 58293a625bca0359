//! Values of a real process, read and shown, compared with what Python itself says of them.

use cpython::bytecode::Dialect;
use cpython::caches::Caches;
use cpython::layout::{Layout, Version};
use cpython::reader::Reader;
use cpython::render::RenderLimits;
use process::{LiveMemory, PageCache};
use snapshot::Address;
use std::time::Duration;
use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(60);
const LIMITS: RenderLimits = RenderLimits {
    depth: 4,
    items: 20,
    characters: 100,
    total: 4000,
};

fn layout_of(interpreter: &Interpreter) -> Option<Layout> {
    let (major, minor, micro) = interpreter.version;
    let version = Version::new(major, minor, micro);
    let version = match interpreter.free_threaded {
        true => version.free_threaded(),
        false => version,
    };
    Layout::for_version(&version)
}

/// Each item of a list as it is rendered.
fn shown(reader: &Reader<'_>, list: Address) -> Vec<String> {
    let items = reader.items(list, 10_000).expect("the list can be read");
    items
        .into_iter()
        .map(|item| reader.render(item, &LIMITS))
        .collect()
}

fn check(interpreter: &Interpreter) -> Vec<String> {
    let scratch = testkit::Scratch::new().unwrap();
    let texts = scratch.path().join("texts.json");
    let source = include_str!("values.py");
    let argument = texts.to_str().unwrap();
    let mut target = Target::spawn(interpreter, Program::Source(source), &[argument]).unwrap();
    let words = target.wait_ready(LIMIT).unwrap();
    let lists: Vec<Address> = words
        .split(' ')
        .map(|word| Address(word.parse().unwrap()))
        .collect();
    let texts: Vec<Vec<Option<String>>> =
        serde_json::from_str(&std::fs::read_to_string(&texts).unwrap()).unwrap();
    let memory = PageCache::new(LiveMemory::new(target.pid()));
    let Some(layout) = layout_of(interpreter) else {
        eprintln!("{interpreter}: no table of its layout yet");
        return Vec::new();
    };
    let minor = u32::from(interpreter.version.1);
    let dialect = Dialect::for_version(3 << 24 | minor << 16).unwrap();
    let caches = Caches::new(dialect);
    let reader = Reader::new(&memory, &layout, &caches);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, got: Vec<String>, wanted: &[Option<String>]| {
        assert_eq!(got.len(), wanted.len(), "{interpreter}: {what}");
        for (got, wanted) in got.iter().zip(wanted) {
            if let Some(wanted) = wanted
                && got != wanted
            {
                wrong.push(format!("{interpreter}: {what}: {got} instead of {wanted}"));
            }
        }
    };
    compare("repr", shown(&reader, lists[0]), &texts[0]);
    compare("own form", shown(&reader, lists[1]), &texts[1]);
    let names = reader
        .items(lists[2], 100)
        .unwrap()
        .into_iter()
        .map(|object| match reader.attribute(object, "name") {
            Ok(Some(name)) => reader.render(name, &LIMITS),
            Ok(None) => "-".to_owned(),
            Err(error) => format!("{} of {}", error, reader.render(object, &LIMITS)),
        });
    let wanted: Vec<_> = texts[2]
        .iter()
        .map(|name| {
            Some(
                name.as_ref()
                    .map_or("-".to_owned(), |name| format!("'{name}'")),
            )
        })
        .collect();
    compare("attribute", names.collect(), &wanted);
    // Whatever stands there, it ends and does not panic.
    for list in lists {
        for step in 0..512 {
            reader.render(list.plus(step * 8), &RenderLimits::default());
        }
    }
    wrong
}

#[test]
fn values_are_shown_as_python_shows_them() {
    let wrong: Vec<String> = matrix().into_iter().flat_map(check).collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
