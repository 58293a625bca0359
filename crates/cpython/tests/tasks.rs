//! What tasks wait for and hold, and who waits for them, in programs that say it themselves, on each interpreter.

mod common;

use cpython::read::{Reading, Wanted, read};
use cpython::runtime::Runtime;
use process::{LiveMemory, PageCache};
use snapshot::{FutureState, SyncState, TaskState};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

fn look(target: &Target) -> Reading {
    let live = LiveMemory::new(target.pid());
    let symbols = common::symbols(target.pid(), &live);
    let memory = PageCache::new(live);
    let runtime = Runtime::find(&memory, &symbols).expect("a runtime");
    read(&memory, &runtime, target.pid(), &[], Wanted::default()).expect("it can be read")
}

/// What the comments of a program say must be seen: `#: FACT`, with the number of their line where the fact has a place, or
/// with that of the line which the comment names relative to its own.
fn expected(source: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for (number, line) in (1i64..).zip(source.lines()) {
        for fact in line.split("#: ").skip(1) {
            let mut words: Vec<&str> = fact.split_whitespace().collect();
            let offset = words.last().and_then(|word| word.parse::<i64>().ok());
            if offset.is_some() {
                words.pop();
            }
            let place = matches!(words.first(), Some(&"wait" | &"hold" | &"failed"));
            let mut text = words.join(" ");
            if place {
                text += &format!(" at {}", number + offset.unwrap_or(0));
            }
            facts.insert(text);
        }
    }
    facts
}

/// What was seen, in the same words.
fn seen(reading: &Reading, program: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let lower = |text: String| text.to_lowercase();
    for task in &reading.tasks {
        let name = &task.name;
        if let Some(wait) = &task.waits_for
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
        for hold in task.holds.iter().filter(|hold| !hold.given_up) {
            facts.insert(format!(
                "hold {name} {:?} {} at {}",
                hold.kind,
                hold.name.as_deref().unwrap_or("-"),
                hold.place.line
            ));
        }
        for by in &task.awaited_by {
            facts.insert(format!("awaited {name} {by}"));
        }
        if task.state == TaskState::Failed {
            let place = task.frames.iter().find(|frame| frame.file == program);
            facts.insert(format!(
                "failed {name} {} at {}",
                task.exception.as_deref().unwrap_or("-"),
                place.map_or(0, |frame| frame.line)
            ));
        }
    }
    facts
}

fn start(interpreter: &Interpreter, file: &str) -> (Target, std::path::PathBuf) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs/tasks")
        .join(file);
    let mut target = Target::spawn(interpreter, Program::Path(&program), &[]).expect("it starts");
    target
        .wait_ready(Duration::from_secs(120))
        .expect("it comes to rest");
    (target, program)
}

fn check(interpreter: &Interpreter, file: &str) -> Vec<String> {
    let (target, program) = start(interpreter, file);
    let source = std::fs::read_to_string(&program).expect("the program");
    let reading = look(&target);
    let got = seen(&reading, &program.to_string_lossy());
    let wanted = expected(&source);
    // What the program says nothing of may be as it likes.
    let subject = |fact: &str| fact.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let spoken: BTreeSet<String> = wanted.iter().map(|fact| subject(fact)).collect();
    let missing = wanted.difference(&got).map(|fact| format!("- {fact}"));
    let surplus = got
        .difference(&wanted)
        .filter(|fact| spoken.contains(&subject(fact)))
        .map(|fact| format!("+ {fact}"));
    missing
        .chain(surplus)
        .map(|fact| format!("{}: {file}: {fact}", interpreter.tag))
        .collect()
}

fn matrix() -> impl Iterator<Item = &'static Interpreter> {
    let only = std::env::var("UNKNOT_TEST_PYTHON").ok();
    testkit::matrix().into_iter().filter(move |interpreter| {
        only.as_ref()
            .is_none_or(|only| interpreter.to_string().contains(only))
    })
}

fn check_all(file: &str) {
    let wrong: Vec<String> = matrix().flat_map(|one| check(one, file)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tasks_wait_and_hold() {
    check_all("waits.py");
}

#[test]
fn tasks_of_pure_python_are_read_alike() {
    check_all("pure.py");
}

#[test]
fn what_other_threads_gave_a_loop_is_tied_to_their_futures() {
    for interpreter in matrix() {
        let (target, _) = start(interpreter, "threads.py");
        let reading = look(&target);
        let state = |name: &str| {
            let task = reading.tasks.iter().find(|task| task.name == name);
            let woken = task.and_then(|task| {
                let object = reading.objects.iter().find(|o| o.address == task.address);
                object.and_then(|o| o.wakes.first().copied())
            });
            reading
                .objects
                .iter()
                .find_map(|object| (Some(object.address) == woken).then_some(&object.state))
        };
        assert!(
            matches!(
                state("begun"),
                Some(SyncState::Future {
                    state: FutureState::Pending | FutureState::Running,
                    ..
                })
            ),
            "{interpreter}: {:#?}",
            reading.objects
        );
        let brought = reading.objects.iter().any(|object| {
            matches!(
                object.state,
                SyncState::Future {
                    event_loop: Some(_),
                    ..
                }
            )
        });
        assert!(brought, "{interpreter}: {:#?}", reading.objects);
    }
}
