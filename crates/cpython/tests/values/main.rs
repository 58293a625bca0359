//! Values of a real process, read and shown, compared with what Python itself says of them.

#[path = "../common/mod.rs"]
mod common;

use cpython::caches::Caches;
use cpython::reach::{Question, Root, reach};
use cpython::reader::Reader;
use cpython::render::RenderLimits;
use cpython::runtime::Runtime;
use process::{LiveMemory, Memory, PageCache, ReadError};
use snapshot::Address;
use std::collections::HashSet;
use std::time::Duration;
use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(60);
const LIMITS: RenderLimits = RenderLimits {
    depth: 4,
    items: 20,
    characters: 100,
    total: 4000,
};

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
    let live = LiveMemory::new(target.pid());
    let runtime = Runtime::find(&live, &common::symbols(target.pid(), &live)).unwrap();
    let memory = PageCache::new(live);
    let reader = runtime.reader(&memory);
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
    for list in &lists {
        for step in 0..512 {
            reader.render(list.plus(step * 8), &RenderLimits::default());
        }
    }
    for seed in 0..3 {
        survive(
            &Scribbled {
                memory: &memory,
                seed,
            },
            &runtime,
            &lists,
        );
    }
    wrong
}

/// Reads all values in memory full of garbage.
fn survive(memory: &Scribbled<'_>, runtime: &Runtime, lists: &[Address]) {
    let caches = Caches::new(runtime.dialect, None);
    let reader = Reader::new(memory, &runtime.layout, &caches);
    let mut objects = Vec::new();
    for list in lists {
        objects.extend(reader.items(*list, 1000).unwrap_or_default());
    }
    for object in &objects {
        reader.render(*object, &RenderLimits::default());
        let _ = reader.attribute(*object, "name");
    }
    let question = Question {
        targets: &HashSet::new(),
        actors: &HashSet::new(),
        modules: Address::NULL,
        objects_max: 3000,
    };
    let root = Root {
        frames: &[],
        extra: &objects,
    };
    reach(&reader, &[root], &question);
}

/// Memory in which one word of 64 is not what it was.
struct Scribbled<'m> {
    memory: &'m dyn Memory,
    seed: u64,
}

impl Memory for Scribbled<'_> {
    fn read(&self, address: Address, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.memory.read(address, buffer)?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = address.0.saturating_add(buffer.len() as u64);
        for word in address.0 / 8..end.div_ceil(8) {
            let mixed = (word ^ self.seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if mixed >> 58 != 0 {
                continue;
            }
            // Small changes too: a wrong count does more harm than a wild pointer.
            let bytes = if self.seed.is_multiple_of(2) { 8 } else { 2 };
            let change = mixed.rotate_left(29).to_le_bytes();
            for (place, change) in (word * 8..).zip(change).take(bytes) {
                let index = place
                    .checked_sub(address.0)
                    .and_then(|index| usize::try_from(index).ok());
                if let Some(byte) = index.and_then(|index| buffer.get_mut(index)) {
                    *byte ^= change;
                }
            }
        }
        Ok(())
    }
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
