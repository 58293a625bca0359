//! What can be reached from where, in real processes.

#[path = "../common/mod.rs"]
mod common;

use cpython::interpreter::interpreters;
use cpython::reach::{Question, Reached, Root, reach};
use cpython::reader::Reader;
use cpython::runtime::Runtime;
use process::{LiveMemory, PageCache};
use snapshot::Address;
use std::collections::HashSet;
use std::time::Duration;
use testkit::{Interpreter, Program, Target, matrix};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a program and hands over the list of its cases and `sys.modules`.
fn with_cases(
    interpreter: &Interpreter,
    source: &str,
    check: impl Fn(&Reader<'_>, &Runtime, Vec<Address>, Address),
) {
    let mut target = Target::spawn(interpreter, Program::Source(source), &[]).unwrap();
    let words = target.wait_ready(LIMIT).unwrap();
    if source.contains("# Threads that stand") {
        target.wait_blocked(LIMIT).unwrap();
    }
    let places: Vec<Address> = words
        .split(' ')
        .map(|word| Address(word.parse().unwrap()))
        .collect();
    let live = LiveMemory::new(target.pid());
    let runtime = Runtime::find(&live, &common::symbols(target.pid(), &live)).unwrap();
    let memory = PageCache::new(live);
    let reader = runtime.reader(&memory);
    let cases = reader.items(places[0], 10_000).unwrap();
    check(&reader, &runtime, cases, places[1]);
}

fn ask(reader: &Reader<'_>, root: Root<'_>, target: Address, modules: Address) -> Reached {
    let targets = HashSet::from([target]);
    let question = Question {
        targets: &targets,
        actors: &HashSet::new(),
        modules,
        objects_max: 20_000,
    };
    reach(reader, &[root], &question).remove(0)
}

/// Whether an answer differs from what is expected, and how.
fn differs(answer: &Reached, expected: bool) -> Option<String> {
    if answer.found.is_empty() != expected && answer.complete {
        return None;
    }
    let path = answer.found.first().map(|effect| &effect.path);
    Some(format!("{path:?}, complete: {}", answer.complete))
}

#[test]
fn what_code_can_get_hold_of() {
    for interpreter in matrix() {
        with_cases(
            interpreter,
            include_str!("reach.py"),
            |reader, _, cases, modules| {
                for case in cases {
                    let parts = reader.items(case, 4).unwrap();
                    let name = reader.string(parts[0], 200).unwrap();
                    let root = Root {
                        frames: &[],
                        extra: &[parts[1]],
                    };
                    let answer = ask(reader, root, parts[2], modules);
                    let wrong = differs(&answer, reader.truth(parts[3]).unwrap());
                    assert_eq!(wrong, None, "{interpreter}: {name}");
                }
            },
        );
    }
}

#[test]
fn what_threads_can_get_hold_of_from_where_they_stand() {
    for interpreter in matrix() {
        with_cases(
            interpreter,
            include_str!("threads.py"),
            |reader, runtime, cases, modules| {
                let found = interpreters(reader, runtime).unwrap();
                let threads: Vec<_> = found.iter().flat_map(|found| &found.threads).collect();
                for case in cases {
                    let parts = reader.items(case, 4).unwrap();
                    let ident = reader.int(parts[0]).unwrap().cast_unsigned();
                    let name = reader.string(parts[1], 200).unwrap();
                    let thread = threads.iter().find(|thread| thread.ident == ident).unwrap();
                    let root = Root {
                        frames: &thread.frames,
                        extra: &[],
                    };
                    let answer = ask(reader, root, parts[2], modules);
                    let wrong = differs(&answer, reader.truth(parts[3]).unwrap());
                    let what = reader.render(parts[2], &Default::default());
                    assert_eq!(wrong, None, "{interpreter}: {name}: {what}");
                }
            },
        );
    }
}
