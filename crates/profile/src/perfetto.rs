//! `perfetto`: Chrome's trace events in JSON, which Perfetto, `chrome://tracing` and speedscope open. Every function of
//! every stack is a slice on its thread's track, as long as it stayed on the stack; tasks have tracks of their own.

use crate::lanes::{Stretch, has_order, lanes};
use crate::text::{kind_name, process_label, task_label};
use crate::tree::frame_ids;
use crate::{FrameKind, FunctionId, Profile, State, Total, Track};
use serde::Serialize;
use std::io::{self, Write};

/// Where the numbers of tasks' tracks begin: above those of all threads (Linux: 2^22).
const TASKS_START: u64 = 1 << 23;

#[derive(Serialize)]
struct Event<'a, A> {
    ph: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    pid: u32,
    tid: u64,
    /// In microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    args: A,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Order {
    sort_index: usize,
}

/// Where a function is. That it is the same each time lets readers match beginnings and ends also in recursion.
#[derive(Serialize)]
struct Place<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Other<'a> {
    recorder: &'a str,
    command: String,
    python: &'a str,
    samples: u64,
    errors: u64,
    late: u64,
    /// Whether times are the recording's; otherwise only lengths are.
    in_order_of_time: bool,
}

/// Writes trace events.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let about = &profile.about;
    let other = Other {
        recorder: &about.recorder,
        command: about.command.join(" "),
        python: &about.python,
        samples: about.samples,
        errors: about.errors,
        late: about.late,
        in_order_of_time: has_order(profile),
    };
    out.write_all(b"{\"displayTimeUnit\":\"ms\",\"otherData\":")?;
    serde_json::to_writer(&mut *out, &other)?;
    out.write_all(b",\"traceEvents\":[")?;
    let mut writer = Writer {
        profile,
        out,
        first: true,
        pid: 0,
        tid: 0,
    };
    for (index, process) in profile.processes.iter().enumerate() {
        writer.pid = process.pid;
        let name = process_label(profile, index as u32);
        writer.metadata("process_name", Name { name: &name })?;
        writer.metadata("process_sort_index", Order { sort_index: index })?;
    }
    for (index, (track, lane)) in profile.tracks.iter().zip(lanes(profile)).enumerate() {
        writer.track(index, track)?;
        writer.lane(&lane)?;
    }
    out.write_all(b"\n]}\n")
}

struct Writer<'a> {
    profile: &'a Profile,
    out: &'a mut dyn Write,
    first: bool,
    pid: u32,
    tid: u64,
}

impl Writer<'_> {
    fn event<A: Serialize>(&mut self, event: &Event<'_, A>) -> io::Result<()> {
        self.out
            .write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        serde_json::to_writer(&mut *self.out, event)?;
        Ok(())
    }

    fn metadata<A: Serialize>(&mut self, name: &str, args: A) -> io::Result<()> {
        self.event(&Event {
            ph: "M",
            name,
            cat: None,
            pid: self.pid,
            tid: self.tid,
            ts: None,
            dur: None,
            args,
        })
    }

    fn track(&mut self, index: usize, track: &Track) -> io::Result<()> {
        let process = self.profile.processes.get(track.process as usize);
        self.pid = process.map_or(0, |process| process.pid);
        let thread = self.profile.text(track.thread);
        let name = match task_label(self.profile, track) {
            Some(task) => {
                self.tid = TASKS_START + index as u64;
                format!("{task} in {thread}")
            }
            None => {
                // A thread without a number still has a track of its own.
                self.tid = match track.tid {
                    0 => TASKS_START + index as u64,
                    tid => u64::from(tid),
                };
                thread.to_owned()
            }
        };
        self.metadata("thread_name", Name { name: &name })?;
        self.metadata("thread_sort_index", Order { sort_index: index })
    }

    /// A track's slices. A function stays open as long as it is on the stack, whatever its line. Slices are written as
    /// they opened, outer ones first: so readers nest also those that begin and end together.
    fn lane(&mut self, lane: &[Stretch]) -> io::Result<()> {
        let mut slices: Vec<Slice> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut end_ns = 0;
        for stretch in lane {
            let Some(total) = self.profile.totals.get(stretch.total as usize) else {
                continue;
            };
            if stretch.start_ns > end_ns {
                close(&mut slices, &mut open, 0, end_ns);
            }
            let functions = self.functions(total);
            let same = open
                .iter()
                .zip(&functions)
                .take_while(|(open, function)| slices[**open].function == **function)
                .count();
            close(&mut slices, &mut open, same, stretch.start_ns);
            for function in &functions[same..] {
                open.push(slices.len());
                slices.push(Slice {
                    function: *function,
                    start_ns: stretch.start_ns,
                    end_ns: stretch.end_ns,
                });
            }
            end_ns = stretch.end_ns;
        }
        close(&mut slices, &mut open, 0, end_ns);
        slices.iter().try_for_each(|slice| self.slice(slice))
    }

    /// A stack's functions, from the outermost inwards; `None`: the wait for the GIL, which has no frame.
    fn functions(&self, total: &Total) -> Vec<Option<FunctionId>> {
        let profile = self.profile;
        let frames = frame_ids(profile, total.stack);
        let places = frames
            .iter()
            .filter_map(|frame| profile.frames.get(*frame as usize));
        let mut functions: Vec<_> = places.map(|place| Some(place.function)).collect();
        let innermost = functions.last().copied().flatten();
        let kind = innermost
            .and_then(|id| profile.functions.get(id as usize))
            .map(|function| function.kind);
        if total.state == State::Gil && kind.is_some_and(|kind| kind != FrameKind::Wait) {
            functions.push(None);
        }
        functions
    }

    fn slice(&mut self, slice: &Slice) -> io::Result<()> {
        let profile = self.profile;
        let function = slice
            .function
            .and_then(|id| profile.functions.get(id as usize));
        let kind = function.map_or(FrameKind::Wait, |function| function.kind);
        self.event(&Event {
            ph: "X",
            name: function.map_or("waits for the GIL", |f| profile.text(f.name)),
            cat: Some(kind_name(kind)),
            pid: self.pid,
            tid: self.tid,
            ts: Some(micros(slice.start_ns)),
            dur: Some(micros(slice.end_ns.saturating_sub(slice.start_ns))),
            args: Place {
                file: function.map_or("", |f| profile.text(f.file)),
                line: function.map(|f| f.first_line).filter(|line| *line > 0),
            },
        })
    }
}

/// A function's time on the stack.
struct Slice {
    function: Option<FunctionId>,
    start_ns: u64,
    end_ns: u64,
}

/// Ends all open slices but the outermost `keep`.
fn close(slices: &mut [Slice], open: &mut Vec<usize>, keep: usize, at_ns: u64) {
    for done in open.drain(keep.min(open.len())..) {
        slices[done].end_ns = at_ns;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the form counts microseconds with a fraction"
)]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}
