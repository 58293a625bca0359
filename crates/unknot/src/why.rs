//! `unknot why`: what a program waits for, and why that is.

use crate::cli::WhyArgs;
use crate::dump::told;
use crate::paint::{Paint, Role};
use crate::target::{Target, understand};
use crate::view::words;
use crate::watch;
use diagnose::{Report, Role as Told, Text};
use look::{Eye, Options, Source};
use serde::Serialize;
use snapshot::{Process, Snapshot};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// How long to wait before the second look, where one is needed. The contract asks for at least 100 ms.
const SECOND_LOOK: Duration = Duration::from_millis(120);

/// How long threads may take to go back to where they were held.
const SETTLE: Duration = Duration::from_millis(40);

/// What `why --json` prints.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    processes: &'a [Process],
    held_still_us: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
}

/// Looks at a process or core once, or runs a command and watches it.
///
/// # Errors
/// Wrong usage; a target that cannot be read or started.
pub fn run(args: &WhyArgs, escaped: bool) -> anyhow::Result<u8> {
    let source = match understand(&args.target.target, escaped, args.target.python.as_deref())? {
        Target::Command(words) => return watch::run(&words, args),
        Target::Pid(pid) => Source::Pid(pid),
        Target::Core(path) => Source::Core(path),
    };
    let mut eye = Eye::open(source, options(args)).map_err(told)?;
    let (snapshot, report) = judge(&mut eye).map_err(told)?;
    show(&snapshot, &report, eye.is_live(), args.look.json)?;
    Ok(u8::from(report.is_fault()))
}

/// How to look, for `why`.
pub fn options(args: &WhyArgs) -> Options {
    Options {
        pause: !args.look.no_pause,
        locals: false,
        children: !args.no_children,
        reach: true,
        native: false,
    }
}

/// Looks, and looks again where the first look alone cannot decide.
///
/// # Errors
/// When the target cannot be read.
pub fn judge(eye: &mut Eye) -> Result<(Snapshot, Report), look::LookError> {
    let mut first = eye.look()?;
    let report = diagnose::diagnose(&first, None);
    if !report.wants_second_look || !eye.is_live() {
        return Ok((first, report));
    }
    std::thread::sleep(SETTLE);
    eye.settle(&mut first);
    std::thread::sleep(SECOND_LOOK);
    match eye.look() {
        Ok(second) => {
            let report = diagnose::diagnose(&second, Some(&first));
            Ok((second, report))
        }
        // It ended in between: what was seen first is what there is.
        Err(_) => Ok((first, report)),
    }
}

/// Prints the verdict on standard output; `live` as for [`text`].
///
/// # Errors
/// When standard output is gone.
pub fn show(snapshot: &Snapshot, report: &Report, live: bool, json: bool) -> anyhow::Result<()> {
    if json {
        let document = Document {
            report,
            processes: &snapshot.processes,
            held_still_us: snapshot.held_still_us,
            notes: &snapshot.notes,
        };
        return crate::print_json(&document);
    }
    crate::print(&text(snapshot, report, live, Paint::stdout()))
}

/// The verdict as text; `live` says that the snapshot is of processes that run here.
pub fn text(snapshot: &Snapshot, report: &Report, live: bool, paint: Paint) -> String {
    let mut out = String::new();
    if let Some(process) = snapshot.processes.first() {
        let title = format!(
            "Process {}: {}",
            process.pid,
            words::command(&process.command)
        );
        out.push_str(&paint.lines(Role::Strong, 0, &title));
        let mut facts = vec![
            words::python(process),
            words::count(process.threads.len(), "thread"),
        ];
        if snapshot.processes.len() > 1 {
            facts.push(format!(
                "{} below it",
                words::count(snapshot.processes.len() - 1, "process")
                    .replace("processs", "processes")
            ));
        }
        if snapshot.held_still_us > 1 {
            facts.push(format!(
                "held still for {}",
                words::milliseconds(snapshot.held_still_us)
            ));
        }
        let _ = writeln!(out, "{}\n", paint.text(Role::Faint, &facts.join(" · ")));
    }
    let sources = match live {
        true => Sources::of(snapshot),
        false => Sources::default(),
    };
    render(
        &mut out,
        &diagnose::explain(report, snapshot, &|file, line| sources.line(file, line)),
        report,
        paint,
    );
    out
}

fn render(out: &mut String, text: &Text, report: &Report, paint: Paint) {
    for line in &text.lines {
        if line.text.is_empty() {
            out.push('\n');
            continue;
        }
        let role = match line.role {
            Told::Heading if report.is_fault() => Role::Bad,
            Told::Heading | Told::Emphasis => Role::Strong,
            Told::Place => Role::Place,
            Told::Source | Told::Aside => Role::Faint,
            Told::Plain | Told::Blank => Role::Plain,
        };
        out.push_str(&paint.lines(role, line.indent, &line.text));
    }
}

/// Source files, each read once, bounded.
#[derive(Default)]
pub struct Sources {
    /// The live processes whose files these are: a name means what it means to them, in their root and directory.
    pids: Vec<u32>,
    files: std::cell::RefCell<HashMap<String, Option<Vec<String>>>>,
}

/// Larger source files are not shown.
const SOURCE_BYTES_MAX: u64 = 4 << 20;
/// So many processes of a family are asked for a file, before the name is taken as it is here.
const ASKED_MAX: usize = 8;

impl Sources {
    /// The files as the processes of a snapshot see them.
    fn of(snapshot: &Snapshot) -> Sources {
        let processes = snapshot.processes.iter().take(ASKED_MAX);
        Sources {
            pids: processes.map(|process| process.pid).collect(),
            ..Sources::default()
        }
    }

    fn read(&self, file: &str) -> Option<Vec<String>> {
        let seen = self.pids.iter().map(|pid| match file.strip_prefix('/') {
            Some(inside) => format!("/proc/{pid}/root/{inside}"),
            None => format!("/proc/{pid}/cwd/{file}"),
        });
        seen.chain([file.to_owned()])
            .find_map(|path| read_lines(&path))
    }

    /// Line `number` of `file`, without its ends; `None` where the file cannot be read here.
    pub fn line(&self, file: &str, number: u32) -> Option<String> {
        Some(self.whole_line(file, number)?.trim().to_owned())
    }

    /// Line `number` of `file` with its indentation; `None` where the file cannot be read here.
    pub fn whole_line(&self, file: &str, number: u32) -> Option<String> {
        let mut files = self.files.borrow_mut();
        let lines = files
            .entry(file.to_owned())
            .or_insert_with(|| self.read(file));
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        lines.as_ref()?.get(index).cloned()
    }
}

fn read_lines(file: &str) -> Option<Vec<String>> {
    let facts = std::fs::metadata(file).ok()?;
    if !facts.is_file() || facts.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    Some(
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect(),
    )
}
