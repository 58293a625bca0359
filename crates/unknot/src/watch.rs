//! `unknot why -- COMMAND`: runs the command, watches it, and explains when it stops getting on.

use crate::cli::WhyArgs;
use crate::dump::told;
use crate::failure::Failure;
use crate::paint::{Paint, Role};
use crate::why;
use look::{Eye, Options, Source};
use process::launch::{self, Event, Launched};
use snapshot::Snapshot;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
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
    let mut command = launch::launch(words).map_err(|error| {
        let program = words
            .first()
            .map(|w| w.to_string_lossy().into_owned())
            .unwrap_or_default();
        Failure::target(
            format!("`{program}` could not be started: {error}"),
            "check its name and that it may be executed",
        )
    })?;
    let mut watch = Watch::new(command.pid(), args);
    loop {
        match command.next(watch.pause())? {
            Event::Ended(code) => return Ok(code),
            Event::Quit => watch.explain(true)?,
            Event::Timeout if watch.stands_still() => watch.explain(false)?,
            Event::Timeout => {}
        }
        if args.once && watch.found {
            end(&mut command, &watch)?;
            return Ok(1);
        }
    }
}

fn end(command: &mut Launched, watch: &Watch<'_>) -> anyhow::Result<()> {
    command.end(&watch.descendants, GRACE)?;
    Ok(())
}

/// Whether the command gets on, and what was already told about it.
struct Watch<'a> {
    pid: u32,
    args: &'a WhyArgs,
    /// Since when nothing has moved.
    still_since: Instant,
    cpu_us: u64,
    signature: u64,
    /// The findings already told, so that nothing is told twice.
    told: Option<String>,
    /// Whether this standstill has been looked into.
    explained: bool,
    found: bool,
    descendants: Vec<u32>,
}

impl<'a> Watch<'a> {
    fn new(pid: u32, args: &'a WhyArgs) -> Self {
        Watch {
            pid,
            args,
            still_since: Instant::now(),
            cpu_us: 0,
            signature: 0,
            told: None,
            explained: false,
            found: false,
            descendants: Vec::new(),
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
    fn frames(&self) -> u64 {
        let options = Options {
            pause: false,
            locals: false,
            children: !self.args.no_children,
            reach: false,
        };
        let look = Eye::open(Source::Pid(self.pid), options).and_then(|mut eye| eye.look());
        look.map(|snapshot| signature(&snapshot)).unwrap_or(0)
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
                eprintln!("{label} {}", told(error));
                return Ok(());
            }
            // It has not started yet, or ends just now.
            Err(_) => return Ok(()),
        };
        let fault = report.is_fault();
        self.found |= fault;
        self.descendants = snapshot
            .processes
            .iter()
            .map(|p| p.pid)
            .filter(|pid| *pid != self.pid)
            .collect();
        let summary = report
            .findings
            .iter()
            .map(|f| f.summary.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        if asked || (fault && self.told.as_deref() != Some(&summary)) {
            if self.args.look.json {
                why::show(&snapshot, &report, true)?;
            } else {
                // The command owns standard output; what we have to say goes beside it.
                eprint!("\n{}", why::text(&snapshot, &report, Paint::stderr()));
            }
            self.told = Some(summary);
        }
        Ok(())
    }
}

fn signature(snapshot: &Snapshot) -> u64 {
    let mut hash = DefaultHasher::new();
    for process in &snapshot.processes {
        process.pid.hash(&mut hash);
        for thread in &process.threads {
            thread.tid.hash(&mut hash);
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
