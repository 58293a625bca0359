//! What threads wait for and hold, in programs that say it themselves, on each interpreter.

mod common;

use cpython::read::{Reading, Wanted, read};
use cpython::runtime::Runtime;
use process::{LiveMemory, PageCache};
use snapshot::{Certainty, ThreadState};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

fn look(target: &Target) -> Reading {
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let memory = PageCache::new(live);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    let kernel = common::kernel_threads(target.pid());
    read(&memory, &runtime, target.pid(), &kernel, Wanted::default()).expect("it can be read")
}

/// What the comments of a program say must be seen.
fn expected(source: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for (number, line) in (1i64..).zip(source.lines()) {
        for fact in line.split("#: ").skip(1) {
            let mut words: Vec<String> = fact.split_whitespace().map(str::to_owned).collect();
            if line.trim_start().starts_with("# ") {
                continue;
            }
            // A comment on a line of its own names the line relative to it.
            let offset: i64 = match words.last().map(|word| word.parse()) {
                Some(Ok(offset)) => {
                    words.pop();
                    offset
                }
                _ => 0,
            };
            if words.first().is_some_and(|word| word == "no") {
                continue;
            }
            if words.first().is_some_and(|word| word == "idle") {
                facts.insert(words.join(" "));
            } else {
                facts.insert(format!("{} at {}", words.join(" "), number + offset));
            }
        }
    }
    facts
}

/// What was seen, in the same words.
fn seen(reading: &Reading, program: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let lower = |text: String| text.to_lowercase();
    for thread in &reading.threads {
        let name = thread.name.split(' ').next().unwrap_or_default();
        if thread.state == ThreadState::Idle {
            facts.insert(format!("idle {name}"));
            continue;
        }
        if let Some(wait) = &thread.waits_for
            && wait.place.file == program
        {
            facts.insert(format!(
                "wait {name} {:?} {} {} {} at {}",
                wait.kind,
                lower(format!("{:?}", wait.operation)),
                wait.name.as_deref().unwrap_or("-"),
                lower(format!("{:?}", wait.timeout)),
                wait.place.line
            ));
        }
        for hold in thread.holds.iter().filter(|hold| !hold.given_up) {
            let sure = match hold.certainty {
                Certainty::Certain => "",
                Certainty::Probable => " probable",
            };
            facts.insert(format!(
                "hold {name} {:?} {}{sure} at {}",
                hold.kind,
                hold.name.as_deref().unwrap_or("-"),
                hold.place.line
            ));
        }
    }
    facts
}

fn check(interpreter: &Interpreter, file: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs/sync")
        .join(file);
    let source = std::fs::read_to_string(&program).expect("the program");
    let mut target = Target::spawn(interpreter, Program::Path(&program), &[]).expect("it starts");
    target
        .wait_blocked(Duration::from_secs(120))
        .expect("it comes to rest");
    let reading = look(&target);
    let wanted = expected(&source);
    let got = seen(&reading, &program.to_string_lossy());
    let missing = wanted.difference(&got).map(|fact| format!("- {fact}"));
    // What the program says nothing of may be as it likes.
    let subject = |fact: &str| fact.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let denied = source
        .lines()
        .filter_map(|line| line.split("#: no ").nth(1));
    let spoken: BTreeSet<String> = wanted
        .iter()
        .map(|fact| subject(fact))
        .chain(denied.map(str::to_owned))
        .collect();
    let surplus = got
        .difference(&wanted)
        .filter(|fact| spoken.contains(&subject(fact)))
        .map(|fact| format!("+ {fact}"));
    missing
        .chain(surplus)
        .map(|fact| format!("{}: {file}: {fact}", interpreter.tag))
        .collect()
}

fn check_all(file: &str) {
    let only = std::env::var("UNKNOT_TEST_PYTHON").ok();
    let wrong: Vec<String> = testkit::matrix()
        .into_iter()
        .filter(|interpreter| {
            only.as_ref()
                .is_none_or(|only| interpreter.to_string().contains(only))
        })
        .flat_map(|interpreter| check(interpreter, file))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn threads_wait_and_hold() {
    check_all("threads.py");
}

#[test]
fn processes_are_waited_for() {
    check_all("processes.py");
}

#[test]
fn imports_logs_files_and_handlers() {
    check_all("others.py");
}

#[test]
fn odd_ways_to_wait_and_hold() {
    check_all("odd.py");
}

#[test]
fn locks_taken_by_functions_that_have_returned() {
    check_all("returned.py");
}
