//! `collapsed`: a stack on each line, its frames from the outermost inwards with semicolons between them, and how many
//! samples had it. What `flamegraph.pl` and its kin read.

use crate::text::{frame_label, one_line, process_label, task_label, thread_label};
use crate::tree::frame_ids;
use crate::{
    Builder, Format, Frame, FrameId, FrameKind, Function, Limits, Process, Profile, ReadError,
    State, Track, TrackId,
};
use std::collections::HashMap;
use std::io::{self, Write};

/// The time that a sample of a file stands for which does not say: that of 100 Hz.
const INTERVAL_NS: u64 = 10_000_000;

/// Writes collapsed stacks, in the order in which they were first seen: process and thread first, then (with it) the task, then frames
/// as `function (file:line)`.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let labels: Vec<String> = profile
        .frames
        .iter()
        .map(|frame| part(&frame_label(profile, frame)))
        .collect();
    let roots: Vec<String> = profile
        .tracks
        .iter()
        .map(|track| root(profile, track))
        .collect();
    // A thread's same stack is one line, whatever its states.
    let mut counts: HashMap<(u32, Option<u32>), u64> = HashMap::new();
    for total in &profile.totals {
        let count = counts.entry((total.track, total.stack)).or_default();
        *count = count.saturating_add(total.samples);
    }
    for total in &profile.totals {
        let count = counts.remove(&(total.track, total.stack)).unwrap_or(0);
        if count == 0 {
            continue;
        }
        let root = roots.get(total.track as usize).map_or("", String::as_str);
        let frames = frame_ids(profile, total.stack);
        let frames = frames
            .iter()
            .filter_map(|frame| labels.get(*frame as usize).map(String::as_str));
        let mut parts = Some(root)
            .filter(|root| !root.is_empty())
            .into_iter()
            .chain(frames)
            .peekable();
        if parts.peek().is_none() {
            out.write_all(b"?")?;
        }
        while let Some(text) = parts.next() {
            out.write_all(text.as_bytes())?;
            if parts.peek().is_some() {
                out.write_all(b";")?;
            }
        }
        writeln!(out, " {count}")?;
    }
    Ok(())
}

fn root(profile: &Profile, track: &Track) -> String {
    // A file that names neither gives none.
    let process = profile.processes.get(track.process as usize);
    let process = process.filter(|process| process.pid > 0 || process.name > 0);
    let parts = [
        process.map(|_| process_label(profile, track.process)),
        (track.tid > 0 || track.thread > 0).then(|| thread_label(profile, track)),
        task_label(profile, track),
    ];
    let parts: Vec<String> = parts.iter().flatten().map(|text| part(text)).collect();
    parts.join(";")
}

/// A frame's text, which may hold neither the separator nor an end of line.
fn part(text: &str) -> String {
    let text = one_line(text).replace(';', ":");
    if text.is_empty() {
        "?".to_owned()
    } else {
        text
    }
}

/// Whether the first line is a collapsed stack: text, then a count.
pub fn looks_like(bytes: &[u8]) -> bool {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| split(line).is_some())
}

/// The stack and the count of a line.
fn split(line: &str) -> Option<(&str, u64)> {
    let (stack, count) = line.trim_end().rsplit_once(' ')?;
    let stack = stack.trim_end();
    if stack.is_empty() || stack.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    // Some tools write fractions.
    let count = match count.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => count,
    };
    Some((stack, count.parse().ok()?))
}

/// Reads collapsed stacks. A first frame `process 7 (…)` and a following `thread NAME (9)` and `task NAME` make tracks,
/// as do Python profilers' `process 7:"…"` and `thread (0x…)`; a sample is taken to stand for 10 ms.
///
/// # Errors
/// Says which line is none.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| ReadError::broken(Format::Collapsed, error))?;
    let mut reader = Reader {
        builder: Builder::new(Limits::default()),
        tracks: HashMap::new(),
        processes: HashMap::new(),
        frames: HashMap::new(),
    };
    reader.builder.about().recorder = "collapsed stacks".to_owned();
    reader.builder.about().interval_ns = INTERVAL_NS;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((stack, count)) = split(line) else {
            let why = format!("its line {} does not end with a count", number + 1);
            return Err(ReadError::broken(Format::Collapsed, why));
        };
        reader.add(stack, count);
    }
    let mut profile = reader.builder.finish();
    profile.about.duration_ns = profile.about.samples.saturating_mul(INTERVAL_NS);
    Ok(profile)
}

struct Reader<'a> {
    builder: Builder,
    tracks: HashMap<(&'a str, &'a str, &'a str), TrackId>,
    processes: HashMap<&'a str, u32>,
    frames: HashMap<&'a str, FrameId>,
}

impl<'a> Reader<'a> {
    fn add(&mut self, stack: &'a str, count: u64) {
        let mut parts = stack.split(';').peekable();
        let mut take = |word: &str| {
            parts
                .next_if(|part| {
                    part.strip_prefix(word)
                        .is_some_and(|rest| rest.starts_with([' ', '(']))
                })
                .unwrap_or("")
        };
        let key = (take("process"), take("thread"), take("task"));
        let track = self.track(key);
        let mut frames = Vec::new();
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            frames.push(self.frame(part, parts.peek().is_none()));
        }
        let innermost = frames.last().copied();
        let (stack, cut) = self.builder.stack_of(frames);
        let state = innermost.map_or(State::Native, |frame| self.state(frame));
        let total = self.builder.total(track, stack, state);
        self.builder
            .add_sum(total, count, count.saturating_mul(INTERVAL_NS), 0);
        if cut {
            self.builder.about().truncated += count;
        }
    }

    fn state(&self, frame: FrameId) -> State {
        let profile = self.builder.so_far();
        let kind = profile
            .frames
            .get(frame as usize)
            .and_then(|frame| profile.function_of(frame))
            .map(|function| function.kind);
        match kind {
            Some(FrameKind::Wait) => State::Waiting,
            Some(FrameKind::Native) => State::Native,
            _ => State::Running,
        }
    }

    fn track(&mut self, key: (&'a str, &'a str, &'a str)) -> TrackId {
        if let Some(track) = self.tracks.get(&key) {
            return *track;
        }
        let (process, thread, task) = key;
        let process = self.process(process);
        let (thread, tid) = thread_of(thread);
        let track = Track {
            process,
            tid,
            thread: self.builder.string(thread),
            task: task
                .strip_prefix("task ")
                .map(|task| self.builder.string(task)),
            main: thread == "MainThread",
        };
        let track = self.builder.track(track);
        self.tracks.insert(key, track);
        track
    }

    fn process(&mut self, text: &'a str) -> u32 {
        if let Some(process) = self.processes.get(text) {
            return *process;
        }
        let (pid, name) = process_of(text);
        let name = self.builder.string(name);
        let process = self.builder.process(Process {
            pid,
            name,
            ..Process::default()
        });
        self.processes.insert(text, process);
        process
    }

    /// A frame; `innermost` may be what is waited for.
    fn frame(&mut self, part: &'a str, innermost: bool) -> FrameId {
        if let Some(frame) = self.frames.get(part) {
            return *frame;
        }
        let (name, file, line) = place(part);
        let kind = if innermost && file.is_empty() && name.starts_with("waits for ") {
            FrameKind::Wait
        } else if !file.is_empty() && line == 0 {
            FrameKind::Native
        } else {
            FrameKind::Python
        };
        let name = self.builder.string(name);
        let file = self.builder.string(file);
        let function = self.builder.function(Function {
            name,
            file,
            first_line: 0,
            kind,
        });
        let frame = self.builder.frame(Frame {
            function,
            line,
            instruction: None,
        });
        self.frames.insert(part, frame);
        frame
    }
}

/// Name and number of `thread NAME (17)`, and of others' `thread (17): NAME`.
pub fn thread_of(text: &str) -> (&str, u32) {
    let text = text.strip_prefix("thread").unwrap_or(text).trim();
    if let Some((number, name)) = text.split_once("): ")
        && number.starts_with('(')
    {
        let (_, number) = number_in_brackets(&text[..=number.len()]);
        return (name, number);
    }
    number_in_brackets(text)
}

/// PID and name of `process 7 (NAME)`, and of others' `process 7:"NAME"`.
pub fn process_of(text: &str) -> (u32, &str) {
    let rest = text.strip_prefix("process").unwrap_or("").trim();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (pid, name) = rest.split_at(digits);
    let name = name.trim_matches([' ', ':', '"']);
    let name = name
        .strip_prefix('(')
        .and_then(|name| name.strip_suffix(')'))
        .unwrap_or(name);
    (pid.parse().unwrap_or(0), name)
}

/// `name (17)` as name and number.
fn number_in_brackets(text: &str) -> (&str, u32) {
    let inner = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('));
    match inner {
        Some((name, number)) => {
            let parsed = match number.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            parsed.map_or((text, 0), |number| (name.trim_end(), number))
        }
        None => text.parse().map_or((text, 0), |number| ("", number)),
    }
}

/// Function, file and line of `function (file:line)`, as far as they are there.
pub fn place(text: &str) -> (&str, &str, u32) {
    let Some((name, inner)) = text.strip_suffix(')').and_then(|t| t.rsplit_once(" (")) else {
        return (text, "", 0);
    };
    if name.is_empty() || inner.is_empty() {
        return (text, "", 0);
    }
    if let Some((file, line)) = inner.rsplit_once(':')
        && !file.is_empty()
        && let Ok(line) = line.parse()
    {
        return (name, file, line);
    }
    // `Thread-1 (transfer)` is a name; a file has a dot or a path.
    if inner.contains(['.', '/']) {
        (name, inner, 0)
    } else {
        (text, "", 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, read, synthetic, write};

    fn text(profile: &crate::Profile) -> String {
        let mut bytes = Vec::new();
        write(profile, Format::Collapsed, &mut bytes).expect("memory");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn lines_name_process_thread_task_and_places() {
        let text = text(&synthetic::server());
        for line in [
            "process 4242 (python -m server);thread Thread-1 (transfer) (4250);Thread._bootstrap (/usr/lib/python3.13/threading.py:1014);",
            ";transfer (/srv/app/bank.py:18);waits for Lock accounts_lock, held by Thread-2 (transfer) at bank.py:18 ",
            "thread MainThread (4242);task Task-2;Task-1;Server.main (/srv/app/server.py:80);",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let sum: u64 = text
            .lines()
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum();
        assert_eq!(sum, synthetic::server().about.samples);
    }

    #[test]
    fn what_was_written_is_read_as_the_same_text() {
        for profile in [
            synthetic::empty(),
            synthetic::server(),
            synthetic::hostile(),
        ] {
            let written = text(&profile);
            if written.is_empty() {
                continue;
            }
            let again = read(written.as_bytes()).expect("our own");
            assert_eq!(again.check(), Ok(()));
            assert_eq!(again.about.samples, profile.about.samples);
            assert_eq!(
                text(&again).len(),
                written.len(),
                "{written}\n{}",
                text(&again)
            );
        }
    }

    #[test]
    fn other_tools_lines_are_read() {
        let profile = read(
            b"process 7:\"python x.py\";thread (0x1F): Worker-1;main (x.py:3);f (x.py:9) 12\nmain;g 3.7\n\n# a note\n{closure};h 1\n",
        )
        .expect("three lines");
        assert_eq!(profile.totals.len(), 3);
        assert_eq!(profile.processes[0].pid, 7);
        assert_eq!(profile.text(profile.processes[0].name), "python x.py");
        assert_eq!(profile.tracks[0].tid, 31);
        assert_eq!(profile.text(profile.tracks[0].thread), "Worker-1");
        assert_eq!(profile.totals[0].samples, 12);
        assert_eq!(profile.totals[1].samples, 3);
        assert!(read(b"main;f twelve\n").is_err());
        assert!(read(b"main;f 12\nmain;f x\n").is_err());
    }
}
