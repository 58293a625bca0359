//! `pprof`: the gzipped protobuf of the pprof tools, after the messages of their `proto/profile.proto`.
//!
//! Sample types: `samples` in `count`, `wall` and `cpu` in `nanoseconds`. Who and what did it stand in each sample's
//! labels: `process`, `pid`, `thread`, `tid`, `task`, `state`. What kind of frame a location is stands in its mapping.

mod read;

pub use read::{looks_like, read};

use crate::protobuf::Message;
use crate::{FrameKind, Metric, Profile, Total};
use std::collections::HashMap;
use std::io::{self, Write};

/// The mappings, by kind of frame; the first one is named after the Python.
const MAPPINGS: [(FrameKind, &str); 5] = [
    (FrameKind::Python, "python"),
    (FrameKind::Native, "[native]"),
    (FrameKind::Gc, "[gc]"),
    (FrameKind::Wait, "[waits]"),
    (FrameKind::Task, "[tasks]"),
];

/// The string table; index 0 is the empty one.
struct Strings<'a> {
    indices: HashMap<&'a str, u64>,
    list: Vec<&'a str>,
}

impl<'a> Strings<'a> {
    fn index(&mut self, text: &'a str) -> u64 {
        let next = self.list.len() as u64;
        *self.indices.entry(text).or_insert_with(|| {
            self.list.push(text);
            next
        })
    }
}

/// Writes pprof's form.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut strings = Strings {
        indices: HashMap::new(),
        list: Vec::new(),
    };
    strings.index("");
    let python = match profile.about.python.as_str() {
        "" => "python".to_owned(),
        version => format!("python {version}"),
    };
    let command = profile.about.command.join(" ");
    let mut packer = crate::gzip::packer(out);
    let mut message = Message::default();
    let types = [
        ("samples", "count"),
        ("wall", "nanoseconds"),
        ("cpu", "nanoseconds"),
    ];
    for (name, unit) in types {
        message.message(1, &pair(strings.index(name), strings.index(unit)));
    }
    for total in &profile.totals {
        message.message(2, &sample(profile, total, &mut strings));
        flush(&mut message, &mut packer)?;
    }
    for (index, (_, name)) in MAPPINGS.iter().enumerate() {
        let name = if index == 0 { python.as_str() } else { name };
        let mut mapping = Message::default();
        mapping.number(1, index as u64 + 1);
        mapping.number(5, strings.index(name));
        for has in [7, 8, 9] {
            mapping.number(has, 1);
        }
        message.message(3, &mapping);
    }
    locations(profile, &mut message);
    for (index, function) in profile.functions.iter().enumerate() {
        let mut entry = Message::default();
        entry.number(1, index as u64 + 1);
        entry.number(2, strings.index(profile.text(function.name)));
        entry.number(3, strings.index(profile.text(function.name)));
        entry.number(4, strings.index(profile.text(function.file)));
        entry.number(5, u64::from(function.first_line));
        message.message(5, &entry);
    }
    let wall = profile.about.metric != Metric::Cpu;
    let shown = strings.index(if wall { "wall" } else { "cpu" });
    let nanoseconds = strings.index("nanoseconds");
    let comments = [
        strings.index(&profile.about.recorder),
        strings.index(&command),
    ];
    message.number(9, profile.about.start_unix_ns);
    message.number(10, profile.about.duration_ns);
    message.message(11, &pair(shown, nanoseconds));
    message.number(12, profile.about.interval_ns);
    message.packed(13, comments);
    message.number(14, shown);
    for text in &strings.list {
        message.bytes(6, text.as_bytes());
        flush(&mut message, &mut packer)?;
    }
    packer.write_all(&message.0)?;
    packer.finish()?;
    Ok(())
}

/// Messages follow each other without an end: what is there can be written before the rest is made.
fn flush(message: &mut Message, out: &mut impl Write) -> io::Result<()> {
    if message.0.len() > 1 << 16 {
        out.write_all(&message.0)?;
        message.0.clear();
    }
    Ok(())
}

fn pair(first: u64, second: u64) -> Message {
    let mut message = Message::default();
    message.number(1, first);
    message.number(2, second);
    message
}

fn sample<'a>(profile: &'a Profile, total: &Total, strings: &mut Strings<'a>) -> Message {
    let mut sample = Message::default();
    let mut locations = crate::tree::frame_ids(profile, total.stack);
    locations.reverse();
    sample.packed(1, locations.into_iter().map(|frame| u64::from(frame) + 1));
    sample.packed(2, [total.samples, total.wall_ns, total.cpu_ns]);
    let mut label = |key: &'a str, text: &'a str, number: u32| {
        if text.is_empty() && number == 0 {
            return;
        }
        let mut label = Message::default();
        label.number(1, strings.index(key));
        label.number(2, strings.index(text));
        label.number(3, u64::from(number));
        sample.message(3, &label);
    };
    if let Some(track) = profile.tracks.get(total.track as usize) {
        if let Some(process) = profile.processes.get(track.process as usize) {
            label("process", profile.text(process.name), 0);
            label("pid", "", process.pid);
        }
        label("thread", profile.text(track.thread), 0);
        label("tid", "", track.tid);
        if let Some(task) = track.task {
            label("task", profile.text(task), 0);
        }
    }
    label("state", total.state.name(), 0);
    sample
}

fn locations(profile: &Profile, message: &mut Message) {
    for (index, frame) in profile.frames.iter().enumerate() {
        let kind = profile.function_of(frame).map(|function| function.kind);
        let mapping = MAPPINGS.iter().position(|(known, _)| Some(*known) == kind);
        let mut line = Message::default();
        line.number(1, u64::from(frame.function) + 1);
        line.number(2, u64::from(frame.line));
        let mut location = Message::default();
        location.number(1, index as u64 + 1);
        location.number(2, mapping.unwrap_or(0) as u64 + 1);
        location.message(4, &line);
        message.message(4, &location);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, read, synthetic, write};

    #[test]
    fn totals_come_back_as_they_were() {
        let profile = synthetic::server();
        let mut bytes = Vec::new();
        write(&profile, Format::Pprof, &mut bytes).expect("memory");
        let again = read(&bytes).expect("our own");
        assert_eq!(again.check(), Ok(()));
        let key = |p: &crate::Profile| {
            let mut all: Vec<String> = p
                .totals
                .iter()
                .map(|t| {
                    let track = &p.tracks[t.track as usize];
                    let frames: Vec<String> = p
                        .frames_of(t.stack)
                        .map(|frame| {
                            let kind = p.function_of(frame).map(|f| f.kind);
                            format!("{} {kind:?}", crate::text::frame_label(p, frame))
                        })
                        .collect();
                    let task = track.task.map(|task| p.text(task));
                    let who = (p.text(track.thread), track.tid, task);
                    format!(
                        "{who:?} {frames:?} {:?} {} {} {}",
                        t.state, t.samples, t.wall_ns, t.cpu_ns
                    )
                })
                .collect();
            all.sort();
            all
        };
        assert_eq!(key(&again), key(&profile));
        assert_eq!(again.about.python, profile.about.python);
        assert_eq!(again.about.command, profile.about.command);
        assert_eq!(again.about.duration_ns, profile.about.duration_ns);
    }
}
