//! Every program of `examples/`, under every interpreter: what `unknot why --json` says of it is what its header states.
//! `examples/README.md` describes the header.

mod common;

use common::header::{Header, When};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::{Interpreter, Program, Scratch, Target};

/// How long a program may take to get where it is looked at, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a program that said `ready` may take for the few instructions from there into its knot.
const FROM_READY: Duration = Duration::from_secs(20);
/// Programs that run at once. They wait more than they compute.
const AT_ONCE: usize = 6;

/// The programs of `examples/knots` and `examples/healthy`.
fn programs() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .canonicalize()
        .expect("the examples are there");
    let mut found = Vec::new();
    for directory in ["knots", "healthy"] {
        let entries = std::fs::read_dir(examples.join(directory)).expect("the examples are there");
        found.extend(
            entries
                .map(|entry| entry.expect("a directory entry").path())
                .filter(|path| path.extension().is_some_and(|ending| ending == "py")),
        );
    }
    found.sort();
    found
}

/// One program under one interpreter, while it runs.
struct Run<'a> {
    header: &'a Header,
    target: Target,
    _scratch: Scratch,
}

impl<'a> Run<'a> {
    /// Starts the program and waits until it is where its header wants it looked at.
    fn begin(
        interpreter: &Interpreter,
        program: &Path,
        header: &'a Header,
    ) -> anyhow::Result<Self> {
        // For what it leaves behind when it is killed.
        let scratch = Scratch::new()?;
        let mut target = Target::spawn_with(interpreter, Program::Path(program), &[], |command| {
            // A user who types nothing, not one who has gone away.
            command
                .stdin(Stdio::piped())
                .env("TMPDIR", scratch.path())
                .current_dir(scratch.path());
        })?;
        match header.when {
            When::AtRest => target.wait_blocked(LIMIT)?,
            When::Ready => target.wait_line("ready", LIMIT)?,
        }
        Ok(Run {
            header,
            target,
            _scratch: scratch,
        })
    }

    /// Looks once; what was said if it is not what the header states.
    fn look(&self) -> Result<(), String> {
        let run = common::unknot(&["why", "--json", &self.target.pid().to_string()]);
        let Ok(document) = serde_json::from_str::<Value>(&run.stdout) else {
            return Err(format!(
                "no JSON, exit code {}: {}{}",
                run.code, run.stdout, run.stderr
            ));
        };
        let mut faults = self.header.faults(&document);
        let expected =
            i32::from(!["ok", "busy"].contains(&document["verdict"].as_str().unwrap_or_default()));
        if run.code != expected {
            faults.push(format!("exit code {} instead of {expected}", run.code));
        }
        if faults.is_empty() {
            return Ok(());
        }
        // What a person is told says as much as the JSON does, and says it shorter.
        let text = common::unknot(&["why", &self.target.pid().to_string()]);
        Err(format!(
            "{}\n--- in words\n{}{}",
            faults.join("\n"),
            text.stdout,
            text.stderr
        ))
    }

    /// Whether all that is said of it is what the header states.
    fn hold(&mut self) -> Result<(), String> {
        if self.header.healthy() {
            // A false alarm may depend on the moment.
            return self.look().and_then(|()| self.look());
        }
        let begin = Instant::now();
        loop {
            match self.look() {
                Err(_) if self.header.when == When::Ready && begin.elapsed() < FROM_READY => {}
                outcome => return outcome,
            }
        }
    }
}

fn check(interpreter: &Interpreter, program: &Path, header: &Header) -> Result<(), String> {
    let mut run =
        Run::begin(interpreter, program, header).map_err(|error| format!("{error:#}\n"))?;
    run.hold().map_err(|said| {
        let output = run.target.output();
        format!("{said}--- its output\n{}{}", output.stdout, output.stderr)
    })
}

#[test]
fn every_example_under_every_interpreter() {
    let programs: Vec<(PathBuf, Header)> = programs()
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("the program can be read");
            let header = Header::parse(&path.to_string_lossy(), &text)
                .unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            (path, header)
        })
        .collect();
    assert!(programs.len() > 40, "only {} examples", programs.len());
    let jobs: Vec<(&Interpreter, &Path, &Header)> = testkit::matrix()
        .into_iter()
        .flat_map(|interpreter| {
            programs
                .iter()
                .filter(|(_, header)| !(header.needs_gil && interpreter.free_threaded))
                .map(move |(path, header)| (interpreter, path.as_path(), header))
        })
        .collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&(interpreter, path, header)) =
                    jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(why) = check(interpreter, path, header) {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        let _ = writeln!(
                            std::io::stderr(),
                            "{name} {}: not as stated",
                            interpreter.tag
                        );
                        let entry = (name.into_owned(), interpreter.tag.as_str());
                        failures
                            .lock()
                            .expect("no thread has failed")
                            .insert(entry, why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread has failed");
    let account = failures
        .iter()
        .fold(String::new(), |mut text, ((name, tag), why)| {
            let _ = write!(text, "\n===== {name} {tag}\n{why}");
            text
        });
    assert!(
        failures.is_empty(),
        "{} of {} runs are not as stated\n{account}",
        failures.len(),
        jobs.len()
    );
}
