//! `unknot why -- COMMAND`: runs the command, watches it, and explains when it stops getting on.

use crate::cli::WhyArgs;
use crate::dump::told;
use crate::failure::Failure;
use crate::paint::{Paint, Role};
use crate::why;
use diagnose::{Finding, Report};
use look::{Eye, Options, Source};
use process::launch::{self, Event};
use snapshot::{Address, Snapshot};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the watch looks whether the command gets on.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(500);
/// What a resting process may use and still count as "makes no progress": 2 ms of CPU time a second.
const CPU_SHARE_AT_REST: f64 = 0.002;
/// How long a command that is ended may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the command and watches it to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(words: &[OsString], args: &WhyArgs) -> anyhow::Result<u8> {
    let mut command = launch::launch(words).map_err(|error| not_started(words, &error))?;
    let mut watch = Watch::new(command.pid(), args);
    loop {
        match command.next(watch.pause())? {
            Event::Ended(code) => return Ok(code),
            Event::Quit => watch.explain(true)?,
            Event::Timeout if watch.stands_still() => watch.explain(false)?,
            Event::Timeout => process::hold::let_go_late(),
        }
        if args.once && watch.found {
            command.end(GRACE)?;
            return Ok(1);
        }
    }
}

fn not_started(words: &[OsString], error: &io::Error) -> Failure {
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    let shown = program.display();
    let (why, advice) = match error.kind() {
        io::ErrorKind::NotFound if program.is_file() => (
            "the interpreter that its first line names does not exist".to_owned(),
            "check what stands behind `#!`",
        ),
        io::ErrorKind::NotFound => (
            "there is no such program".to_owned(),
            "check its name, and whether PATH leads to it; `--python PATH` names the Python for a script",
        ),
        io::ErrorKind::PermissionDenied => (
            "it may not be executed".to_owned(),
            "check its permissions, or name its interpreter: `unknot why -- sh FILE`",
        ),
        _ => (error.to_string(), "check that it runs without unknot"),
    };
    Failure::target(format!("`{shown}` could not be started: {why}"), advice)
}

/// Whether the command gets on, and what was already told about it.
struct Watch<'a> {
    pid: u32,
    args: &'a WhyArgs,
    /// Since when nothing has moved.
    still_since: Instant,
    cpu_us: u64,
    signature: u64,
    /// How long its threads had run when their frames were last looked at.
    ran_ns: Option<u64>,
    eye: Option<Eye>,
    /// The findings already told, so that nothing is told twice.
    told: Option<Vec<Knot>>,
    /// Whether this standstill has been looked into.
    explained: bool,
    found: bool,
}

impl<'a> Watch<'a> {
    fn new(pid: u32, args: &'a WhyArgs) -> Self {
        Watch {
            pid,
            args,
            still_since: Instant::now(),
            cpu_us: 0,
            signature: 0,
            ran_ns: None,
            eye: None,
            told: None,
            explained: false,
            found: false,
        }
    }

    /// How long to wait for the next look.
    fn pause(&self) -> Duration {
        Duration::from_secs_f64(self.args.after / 4.0)
            .clamp(Duration::from_millis(20), LOOK_EVERY_MAX)
    }

    /// Whether the command has made no progress for `--after` seconds, asked for the first time since it last moved.
    fn stands_still(&mut self) -> bool {
        let rest = self.still_since.elapsed().as_secs_f64();
        let cpu_us = look::family_cpu_us(self.pid);
        let allowed_us = (rest * CPU_SHARE_AT_REST * 1e6) as u64;
        let moved = cpu_us.saturating_sub(self.cpu_us) > allowed_us.max(10_000);
        let signature = if moved { self.signature } else { self.frames() };
        if moved || signature != self.signature {
            (self.cpu_us, self.signature) = (cpu_us, signature);
            self.still_since = Instant::now();
            self.explained = false;
            return false;
        }
        !self.explained && rest >= self.args.after
    }

    /// Where every thread stands, as one number; 0 while it cannot be read (it is only starting, or is no Python).
    fn frames(&mut self) -> u64 {
        let ran_ns = look::family_run_ns(self.pid);
        if ran_ns.is_some() && ran_ns == self.ran_ns {
            // Who has not run stands where it stood.
            return self.signature;
        }
        self.ran_ns = ran_ns;
        let options = Options {
            pause: false,
            locals: false,
            children: !self.args.no_children,
            reach: false,
            native: false,
        };
        if self.eye.is_none() {
            self.eye = Eye::open(Source::Pid(self.pid), options).ok();
        }
        let Some(Ok(snapshot)) = self.eye.as_mut().map(Eye::look) else {
            // The command may become another program.
            self.eye = None;
            return 0;
        };
        signature(&snapshot)
    }

    /// Looks and tells what it finds; `asked`: the user pressed Ctrl-\, so "nothing is wrong" is told too.
    fn explain(&mut self, asked: bool) -> anyhow::Result<()> {
        self.explained = true;
        let judged = Eye::open(Source::Pid(self.pid), why::options(self.args))
            .and_then(|mut eye| why::judge(&mut eye));
        let (snapshot, report) = match judged {
            Ok(judged) => judged,
            Err(error) if asked => {
                let label = Paint::stderr().text(Role::Bad, "unknot:");
                say(&format!("{label} {}\n", told(error)));
                return Ok(());
            }
            // It has not started yet, or ends just now.
            Err(_) => return Ok(()),
        };
        let fault = report.is_fault();
        self.found |= fault;
        let knots = knots(&report);
        if asked || (fault && self.told.as_ref() != Some(&knots)) {
            if self.args.look.json {
                // As little as what we say beside it may end the watch.
                let _ = why::show(&snapshot, &report, true, true);
            } else {
                // The command owns standard output; what we have to say goes beside it.
                say(&format!(
                    "\n{}",
                    why::text(&snapshot, &report, true, Paint::stderr())
                ));
            }
            self.told = Some(knots);
        }
        Ok(())
    }
}

/// What makes a finding another one: in other words, or of other objects.
type Knot = (String, Vec<Option<Address>>);

fn knots(report: &Report) -> Vec<Knot> {
    let objects = |finding: &Finding| {
        let edges = finding.edges.iter();
        edges.map(|edge| edge.waits_for.address).collect()
    };
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.summary.clone(), objects(finding)))
        .collect()
}

/// Tells the user. That nobody listens is no reason to leave the command alone.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn signature(snapshot: &Snapshot) -> u64 {
    let mut hash = DefaultHasher::new();
    for process in &snapshot.processes {
        process.pid.hash(&mut hash);
        for thread in &process.threads {
            thread.tid.hash(&mut hash);
            // The same lines may wait for one thing after another.
            thread
                .waits_for
                .as_ref()
                .map(|wait| wait.address)
                .hash(&mut hash);
            for frame in &thread.frames {
                (&frame.file, frame.line, &frame.function).hash(&mut hash);
            }
        }
        for task in &process.tasks {
            task.name.hash(&mut hash);
            for frame in &task.frames {
                (frame.line, &frame.function).hash(&mut hash);
            }
        }
    }
    hash.finish()
}
