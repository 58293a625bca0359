//! What can be reached from where, in real processes.

use cpython::bytecode::Dialect;
use cpython::caches::Caches;
use cpython::layout::{Layout, Version};
use cpython::reach::{Question, Root, reach};
use cpython::reader::Reader;
use process::{LiveMemory, PageCache};
use snapshot::Address;
use std::collections::HashSet;
use std::time::Duration;
use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(60);

fn layout_of(interpreter: &Interpreter) -> Option<Layout> {
    let (major, minor, micro) = interpreter.version;
    let version = Version::new(major, minor, micro);
    let version = match interpreter.free_threaded {
        true => version.free_threaded(),
        false => version,
    };
    Layout::for_version(&version)
}

fn check(interpreter: &Interpreter) -> Vec<String> {
    let Some(layout) = layout_of(interpreter) else {
        return vec![format!("{interpreter}: no table of its layout")];
    };
    let source = include_str!("reach.py");
    let mut target = Target::spawn(interpreter, Program::Source(source), &[]).unwrap();
    let words = target.wait_ready(LIMIT).unwrap();
    let lists: Vec<Address> = words
        .split(' ')
        .map(|word| Address(word.parse().unwrap()))
        .collect();
    let memory = PageCache::new(LiveMemory::new(target.pid()));
    let minor = u32::from(interpreter.version.1);
    let dialect = Dialect::for_version(3 << 24 | minor << 16).unwrap();
    let caches = Caches::new(dialect);
    let reader = Reader::new(&memory, &layout, &caches);
    let mut wrong = Vec::new();
    for case in reader.items(lists[0], 10_000).unwrap() {
        let parts = reader.items(case, 4).unwrap();
        let name = reader.string(parts[0], 200).unwrap();
        // Frames of generators cannot be read yet.
        if name.contains("generator") || name.contains("coroutine") {
            continue;
        }
        let expected = reader.truth(parts[3]).unwrap();
        let targets = HashSet::from([parts[2]]);
        let question = Question {
            targets: &targets,
            actors: &HashSet::new(),
            modules: lists[1],
            objects_max: 20_000,
        };
        let root = Root {
            frames: &[],
            extra: &[parts[1]],
        };
        let answer = reach(&reader, &[root], &question).remove(0);
        let path = answer.found.first().map_or("", |effect| &effect.path);
        if answer.found.is_empty() == expected || !expected && !answer.complete {
            let complete = answer.complete;
            wrong.push(format!(
                "{interpreter}: {name}: {} by {path}, complete: {complete}",
                !answer.found.is_empty()
            ));
        }
    }
    wrong
}

#[test]
fn what_code_can_get_hold_of() {
    let wrong: Vec<String> = matrix().into_iter().flat_map(check).collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
