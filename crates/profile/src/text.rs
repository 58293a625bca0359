//! How frames and tracks are named in text, and how text is escaped.

use crate::{Frame, FrameKind, Profile, State, Track};
use std::fmt::Write;

/// `function (file:line)`, with as much as is known.
pub fn frame_label(profile: &Profile, frame: &Frame) -> String {
    let Some(function) = profile.function_of(frame) else {
        return String::new();
    };
    let name = profile.text(function.name);
    let file = profile.text(function.file);
    match (file.is_empty(), frame.line) {
        (true, _) => name.to_owned(),
        (false, 0) => format!("{name} ({file})"),
        (false, line) => format!("{name} ({file}:{line})"),
    }
}

/// `process 7 (python app.py)`.
pub fn process_label(profile: &Profile, process: u32) -> String {
    let Some(process) = profile.processes.get(process as usize) else {
        return "process".to_owned();
    };
    match profile.text(process.name) {
        "" => format!("process {}", process.pid),
        name => format!("process {} ({name})", process.pid),
    }
}

/// `thread main (9)`, with the name as far as it has one; of a task, that of its loop's thread.
pub fn thread_label(profile: &Profile, track: &Track) -> String {
    match (profile.text(track.thread), track.tid) {
        ("", 0) => "thread".to_owned(),
        ("", tid) => format!("thread {tid}"),
        (name, 0) => format!("thread {name}"),
        (name, tid) => format!("thread {name} ({tid})"),
    }
}

/// `task NAME`, of a track that is one.
pub fn task_label(profile: &Profile, track: &Track) -> Option<String> {
    track.task.map(|task| match profile.text(task) {
        "" => "task".to_owned(),
        name => format!("task {name}"),
    })
}

/// A state for people.
pub fn state_label(state: State) -> &'static str {
    match state {
        State::Running => "running Python",
        State::Native => "running native code",
        State::Gil => "waiting for the GIL",
        State::Waiting => "waiting",
        State::Suspended => "suspended in an await",
        State::Idle => "idle",
    }
}

/// A kind of frame as the stored form has it.
pub fn kind_name(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Python => "python",
        FrameKind::Native => "native",
        FrameKind::Gc => "gc",
        FrameKind::Wait => "wait",
        FrameKind::Task => "task",
    }
}

/// A length of time for people, with three digits that count.
pub fn duration(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = ns as f64;
    match ns {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.*} µs", digits(value / 1e3), value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.*} ms", digits(value / 1e6), value / 1e6),
        _ => format!("{:.*} s", digits(value / 1e9), value / 1e9),
    }
}

/// Digits behind the point, so that three count.
fn digits(value: f64) -> usize {
    match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    }
}

/// A part of a whole in percent, from 0 to 100; 0 of an empty whole.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let share = part as f64 / whole as f64 * 100.0;
    share
}

/// Text as XML and HTML take it, between tags and in quoted attributes. Control characters, which XML has no way to
/// write, become U+FFFD.
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Text on one line: what would end it or move about in it becomes a space.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (ns, text) in [
            (0, "0 s"),
            (999, "999 ns"),
            (1_500, "1.50 µs"),
            (12_345_678, "12.3 ms"),
            (123_456_789_012, "123 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn markup_cannot_be_left() {
        assert_eq!(
            markup("<a b='c\"'>&\u{1b}\n"),
            "&lt;a b=&#39;c&quot;&#39;&gt;&amp;\u{fffd}&#10;"
        );
    }
}
