//! `firefox`: the processed form of the Firefox Profiler, version 60, in JSON; newer profilers upgrade it as they load it.
//! Its fields are described in the Firefox Profiler's `src/types/profile.ts` and `docs-developer/CHANGELOG-formats.md`.

use crate::lanes::{Stretch, lanes, scales};
use crate::text::task_label;
use crate::{FrameKind, Metric, Profile, Track};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// The version of the processed form.
const VERSION: u32 = 60;
/// Samples of all threads together: long stretches are many samples, so that the profiler's graphs are filled.
const SAMPLES_MAX: u64 = 400_000;

/// The categories, by kind of frame, with the profiler's colours.
const CATEGORIES: [(FrameKind, &str, &str); 5] = [
    (FrameKind::Python, "Python", "yellow"),
    (FrameKind::Native, "Native", "blue"),
    (FrameKind::Gc, "Garbage collection", "purple"),
    (FrameKind::Wait, "Waiting", "grey"),
    (FrameKind::Task, "Task", "green"),
];

/// Writes the processed form.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let lanes = lanes(profile);
    let scales = scales(profile, &lanes);
    let length_ns: u64 = lanes
        .iter()
        .flatten()
        .fold(0, |sum, s| sum.saturating_add(s.end_ns - s.start_ns));
    let step_ns = profile
        .about
        .interval_ns
        .max(length_ns / SAMPLES_MAX)
        .max(1_000);
    let mut strings = Strings::default();
    let shared = shared(profile, &mut strings);
    out.write_all(b"{\"meta\":")?;
    serde_json::to_writer(&mut *out, &meta(profile))?;
    out.write_all(b",\"libs\":[],\"pages\":[],\"counters\":[],\"threads\":[")?;
    for (index, (track, lane)) in profile.tracks.iter().zip(&lanes).enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        let thread = thread(
            profile,
            index,
            track,
            samples(profile, lane, &scales, step_ns),
            first_ns(lane),
        );
        serde_json::to_writer(&mut *out, &thread)?;
    }
    if profile.tracks.is_empty() {
        // The profiler opens no document without a thread.
        let nothing = Track::default();
        let thread = thread(
            profile,
            0,
            &nothing,
            samples(profile, &[], &scales, step_ns),
            None,
        );
        serde_json::to_writer(&mut *out, &thread)?;
    }
    out.write_all(b"],\"shared\":")?;
    serde_json::to_writer(&mut *out, &shared.with_strings(strings))?;
    out.write_all(b"}\n")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the form counts milliseconds with a fraction"
)]
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn meta(profile: &Profile) -> Value {
    let about = &profile.about;
    let categories: Vec<Value> = CATEGORIES
        .iter()
        .map(|(_, name, color)| (*name, *color))
        .chain([("Other", "grey")])
        .map(|(name, color)| json!({"name": name, "color": color, "subcategories": ["Other"]}))
        .collect();
    let product = match about.command.join(" ") {
        command if command.is_empty() => "Python".to_owned(),
        command => command,
    };
    let interval_ns = match about.interval_ns {
        0 => 1_000_000,
        ns => ns,
    };
    json!({
        "interval": millis(interval_ns),
        "startTime": millis(about.start_unix_ns),
        "processType": 0,
        "product": product,
        "importedFrom": about.recorder,
        "stackwalk": 0,
        "debug": false,
        "version": 30,
        "preprocessedProfileVersion": VERSION,
        "symbolicated": true,
        "doesNotUseFrameImplementation": true,
        "sourceCodeIsNotOnSearchfox": true,
        "keepProfileThreadOrder": true,
        "categories": categories,
        "markerSchema": [],
        "extensions": {"id": [], "name": [], "baseURL": [], "length": 0},
        "sampleUnits": {"time": "ms", "eventDelay": "ms", "threadCPUDelta": "µs"},
        "profilingStartTime": 0,
        "profilingEndTime": millis(about.duration_ns),
    })
}

#[derive(Default)]
struct Strings {
    indices: HashMap<String, usize>,
    list: Vec<String>,
}

impl Strings {
    fn index(&mut self, text: &str) -> usize {
        if let Some(index) = self.indices.get(text) {
            return *index;
        }
        self.list.push(text.to_owned());
        self.indices.insert(text.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }
}

/// The tables that all threads share, without their strings.
struct Shared(serde_json::Map<String, Value>);

impl Shared {
    fn with_strings(mut self, strings: Strings) -> Value {
        self.0.insert("stringArray".to_owned(), json!(strings.list));
        Value::Object(self.0)
    }
}

fn shared(profile: &Profile, strings: &mut Strings) -> Shared {
    let nulls = |length: usize| vec![Value::Null; length];
    let frames = profile.frames.len();
    let mut categories: Vec<usize> = Vec::with_capacity(frames);
    for frame in &profile.frames {
        let kind = profile.function_of(frame).map(|f| f.kind);
        let known = CATEGORIES
            .iter()
            .position(|(known, ..)| Some(*known) == kind);
        categories.push(known.unwrap_or(CATEGORIES.len()));
    }
    let or_null = |line: u32| (line > 0).then_some(line);
    let stack_table = json!({
        "frame": profile.stacks.iter().map(|s| s.frame).collect::<Vec<_>>(),
        "prefix": profile.stacks.iter().map(|s| s.parent).collect::<Vec<_>>(),
        "length": profile.stacks.len(),
    });
    let frame_table = json!({
        "address": vec![-1; frames],
        "inlineDepth": vec![0; frames],
        "category": categories,
        "subcategory": vec![0; frames],
        "func": profile.frames.iter().map(|f| f.function).collect::<Vec<_>>(),
        "nativeSymbol": nulls(frames),
        "innerWindowID": nulls(frames),
        "line": profile.frames.iter().map(|f| or_null(f.line)).collect::<Vec<_>>(),
        "column": nulls(frames),
        "length": frames,
    });
    let mut sources: Vec<usize> = Vec::new();
    let mut source_of: HashMap<u32, usize> = HashMap::new();
    for function in &profile.functions {
        if function.file > 0 && !source_of.contains_key(&function.file) {
            source_of.insert(function.file, sources.len());
            sources.push(strings.index(profile.text(function.file)));
        }
    }
    let functions = &profile.functions;
    let count = functions.len();
    let names: Vec<usize> = functions
        .iter()
        .map(|f| strings.index(profile.text(f.name)))
        .collect();
    let func_table = json!({
        "name": names,
        "isJS": vec![false; count],
        "relevantForJS": vec![false; count],
        "resource": vec![-1; count],
        "source": functions.iter().map(|f| source_of.get(&f.file)).collect::<Vec<_>>(),
        "lineNumber": functions.iter().map(|f| or_null(f.first_line)).collect::<Vec<_>>(),
        "columnNumber": nulls(count),
        "length": count,
    });
    let tables = [
        ("stackTable", stack_table),
        ("frameTable", frame_table),
        ("funcTable", func_table),
        (
            "resourceTable",
            json!({"lib": [], "name": [], "host": [], "type": [], "length": 0}),
        ),
        (
            "nativeSymbols",
            json!({"libIndex": [], "address": [], "name": [], "functionSize": [], "length": 0}),
        ),
        (
            "sources",
            json!({"uuid": nulls(sources.len()), "filename": sources, "length": sources.len()}),
        ),
    ];
    Shared(
        tables
            .map(|(name, table)| (name.to_owned(), table))
            .into_iter()
            .collect(),
    )
}

/// When a lane begins.
fn first_ns(lane: &[Stretch]) -> Option<u64> {
    lane.first().map(|stretch| stretch.start_ns)
}

fn thread(
    profile: &Profile,
    index: usize,
    track: &Track,
    samples: Value,
    first_ns: Option<u64>,
) -> Value {
    let process = profile.processes.get(track.process as usize);
    let pid = process.map_or(0, |process| process.pid);
    let thread_name = profile.text(track.thread);
    let name = match task_label(profile, track) {
        Some(task) => format!("{task} in {thread_name}"),
        None if thread_name.is_empty() => format!("thread {}", track.tid),
        None => thread_name.to_owned(),
    };
    let started_ns = process.map_or(0, |process| process.start_ns);
    let registered_ns = first_ns.unwrap_or(started_ns);
    let tid = match track.task {
        Some(_) => json!(format!("{}.{index}", track.tid)),
        None => json!(track.tid),
    };
    json!({
        "name": name,
        "processName": process.map_or("", |process| profile.text(process.name)),
        "processType": "default",
        "processStartupTime": millis(started_ns),
        "processShutdownTime": process.and_then(|process| process.end_ns).map(millis),
        "registerTime": millis(registered_ns.max(started_ns)),
        "unregisterTime": Value::Null,
        "pausedRanges": [],
        "isMainThread": track.main && track.task.is_none(),
        "pid": pid.to_string(),
        "tid": tid,
        "samples": samples,
        "markers": {"data": [], "name": [], "startTime": [], "endTime": [], "phase": [], "category": [], "length": 0},
    })
}

fn samples(profile: &Profile, lane: &[Stretch], scales: &[f64], step_ns: u64) -> Value {
    let (mut stacks, mut times, mut weights, mut cpus) = (vec![], vec![], vec![], vec![]);
    for stretch in lane {
        let Some(total) = profile.totals.get(stretch.total as usize) else {
            continue;
        };
        // The share of it that was on a CPU, in thousandths.
        let share = match (profile.about.metric, total.wall_ns) {
            (Metric::Cpu, _) => 1000,
            (_, 0) => 0,
            (_, wall_ns) => {
                (u128::from(total.cpu_ns) * 1000 / u128::from(wall_ns)).min(1000) as u64
            }
        };
        let scale = scales.get(stretch.total as usize).copied().unwrap_or(1.0);
        let mut at_ns = stretch.start_ns;
        while at_ns < stretch.end_ns {
            let until_ns = at_ns.saturating_add(step_ns).min(stretch.end_ns);
            let part_ns = until_ns - at_ns;
            stacks.push(total.stack);
            times.push(millis(at_ns));
            weights.push(millis(part_ns) * scale);
            cpus.push(part_ns / 1000 * share / 1000);
            at_ns = until_ns;
        }
    }
    json!({
        "length": stacks.len(),
        "stack": stacks,
        "time": times,
        "weight": weights,
        "weightType": "tracing-ms",
        "threadCPUDelta": cpus,
    })
}
