//! Reading pprof's form.

use super::MAPPINGS;
use crate::protobuf::{Fields, Value};
use crate::read::{Interner, Weighted};
use crate::{Format, FrameId, FrameKind, Metric, Profile, ReadError, State, Track, TrackId};
use std::collections::HashMap;

/// Whether bytes begin as a profile does: with fields that it has, of the kinds that they are.
pub fn looks_like(bytes: &[u8]) -> bool {
    let mut seen = 0;
    for field in Fields::of(bytes).take(3) {
        let fits = match field {
            Ok((1..=6 | 11, Value::Bytes(_))) => true,
            Ok((7..=10 | 12..=15, Value::Number(_) | Value::Bytes(_))) => true,
            // A file that is cut off is still told as what it was.
            Err(_) => seen > 0,
            Ok(_) => false,
        };
        if !fits {
            return false;
        }
        seen += 1;
    }
    seen > 0
        && bytes
            .first()
            .is_some_and(|first| matches!(first, 0x0a | 0x12 | 0x1a | 0x22 | 0x2a | 0x32))
        && !bytes.trim_ascii().is_empty()
        && std::str::from_utf8(&bytes[..bytes.len().min(16)])
            .is_ok_and(|t| t.contains(char::is_control))
}

/// The tables of a file, as they stand in it.
#[derive(Default)]
struct Tables<'a> {
    types: Vec<(u64, u64)>,
    samples: Vec<&'a [u8]>,
    mappings: HashMap<u64, u64>,
    locations: HashMap<u64, Location>,
    functions: HashMap<u64, [u64; 4]>,
    strings: Vec<&'a str>,
    time_ns: u64,
    duration_ns: u64,
    period: u64,
    comments: Vec<u64>,
}

/// Where a location leads: its mapping, its address, and its functions and lines from the innermost outwards.
#[derive(Default)]
struct Location {
    mapping: u64,
    address: u64,
    lines: Vec<(u64, u64)>,
}

fn broken(why: &'static str) -> ReadError {
    ReadError::broken(Format::Pprof, why)
}

/// Reads pprof's form, unpacked.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let tables = Tables::read(bytes)?;
    let mut interner = Interner::new(Format::Pprof);
    let about = interner.builder.about();
    about.recorder = tables
        .comments
        .first()
        .map_or("pprof", |text| tables.text(*text))
        .to_owned();
    let command = tables.comments.get(1).map_or("", |text| tables.text(*text));
    about.command = command
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    about.start_unix_ns = tables.time_ns;
    about.interval_ns = tables.period;
    if let Some(name) = tables.mappings.get(&1) {
        let python = tables.text(*name).strip_prefix("python ").unwrap_or("");
        python.clone_into(&mut about.python);
    }
    let values = Values::of(&tables);
    if values.wall.is_none() && values.cpu.is_some() {
        about.metric = Metric::Cpu;
    }
    let mut frames: HashMap<u64, Vec<FrameId>> = HashMap::new();
    let mut tracks: HashMap<(u32, &str, &str, u32, &str), TrackId> = HashMap::new();
    for sample in &tables.samples {
        let sample = Sample::read(sample, &tables)?;
        let mut stack = Vec::new();
        for location in sample.locations.iter().rev() {
            let known = match frames.get(location) {
                Some(known) => known,
                None => {
                    let made = tables.frames(*location, &mut interner)?;
                    frames.entry(*location).or_insert(made)
                }
            };
            stack.extend_from_slice(known);
            if stack.len() > 1 << 24 {
                return Err(ReadError::TooLarge("16 million frames in one stack"));
            }
        }
        let stack = interner.stack(&stack)?;
        let key = (
            sample.pid,
            sample.process,
            sample.thread,
            sample.tid,
            sample.task,
        );
        let track = match tracks.get(&key) {
            Some(track) => *track,
            None => {
                let process = interner.process(sample.pid, sample.process);
                let builder = &mut interner.builder;
                let track = Track {
                    process,
                    tid: sample.tid,
                    thread: builder.string(sample.thread),
                    task: (!sample.task.is_empty()).then(|| builder.string(sample.task)),
                    main: sample.thread == "MainThread",
                };
                let track = builder.track(track);
                tracks.insert(key, track);
                track
            }
        };
        interner.weigh(values.weighted(track, stack, &sample));
    }
    let mut profile = interner.finish();
    profile.about.duration_ns = tables.duration_ns;
    Ok(profile)
}

impl<'a> Tables<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut tables = Tables::default();
        for field in Fields::of(bytes) {
            let (field, value) = field.map_err(broken)?;
            let inner = value.bytes();
            match field {
                1 => {
                    let [kind, unit] = numbers(inner, [1, 2])?;
                    tables.types.push((kind, unit));
                }
                2 => tables.samples.push(inner),
                3 => {
                    let [id, name] = numbers(inner, [1, 5])?;
                    tables.mappings.insert(id, name);
                }
                4 => tables.location(inner)?,
                5 => {
                    let [id, name, file, line] = numbers(inner, [1, 2, 4, 5])?;
                    tables.functions.insert(id, [name, file, line, 0]);
                }
                6 => {
                    let text = std::str::from_utf8(inner)
                        .map_err(|_| broken("a text in it is no UTF-8"))?;
                    tables.strings.push(text);
                }
                9 => tables.time_ns = value.number(),
                10 => tables.duration_ns = value.number(),
                12 => tables.period = value.number(),
                13 => value
                    .numbers(&mut tables.comments)
                    .ok_or(broken("its comments are cut off"))?,
                _ => {}
            }
        }
        Ok(tables)
    }

    fn location(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let mut location = Location::default();
        let mut id = 0;
        for field in Fields::of(bytes) {
            match field.map_err(broken)? {
                (1, value) => id = value.number(),
                (2, value) => location.mapping = value.number(),
                (3, value) => location.address = value.number(),
                (4, value) => {
                    let [function, line] = numbers(value.bytes(), [1, 2])?;
                    location.lines.push((function, line));
                }
                _ => {}
            }
        }
        self.locations.insert(id, location);
        Ok(())
    }

    fn text(&self, index: u64) -> &'a str {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.strings.get(index).copied().unwrap_or("")
    }

    /// A location's frames, from the outermost inwards.
    fn frames(&self, id: u64, interner: &mut Interner) -> Result<Vec<FrameId>, ReadError> {
        let location = self
            .locations
            .get(&id)
            .ok_or(broken("a sample names a location that is not there"))?;
        let mapping = self
            .mappings
            .get(&location.mapping)
            .map_or("", |name| self.text(*name));
        let kind = MAPPINGS[1..].iter().find(|(_, name)| *name == mapping);
        if location.lines.is_empty() {
            let name = format!("{:#x}", location.address);
            return Ok(vec![interner.frame_of(
                &name,
                mapping,
                0,
                0,
                FrameKind::Native,
            )]);
        }
        let frames = location.lines.iter().rev().map(|(function, line)| {
            let [name, file, first_line, _] = self
                .functions
                .get(function)
                .copied()
                .ok_or(broken("a location names a function that is not there"))?;
            let (name, file) = (self.text(name), self.text(file));
            let line = u32::try_from(*line).unwrap_or(0);
            let first_line = u32::try_from(first_line).unwrap_or(0);
            Ok(match kind {
                Some((kind, _)) => interner.frame_of(name, file, line, first_line, *kind),
                None => interner.frame_of(name, file, line, first_line, FrameKind::Python),
            })
        });
        frames.collect()
    }
}

/// These fields of a message, which are numbers.
fn numbers<const N: usize>(bytes: &[u8], wanted: [u32; N]) -> Result<[u64; N], ReadError> {
    let mut found = [0; N];
    for field in Fields::of(bytes) {
        let (field, value) = field.map_err(broken)?;
        for (slot, wanted) in found.iter_mut().zip(wanted) {
            if wanted == field {
                *slot = value.number();
            }
        }
    }
    Ok(found)
}

/// Which of a sample's values is what, with the nanoseconds that one of it is.
struct Values {
    samples: Option<usize>,
    wall: Option<(usize, u64)>,
    cpu: Option<(usize, u64)>,
    /// Where there is no time: what stands for it.
    other: usize,
}

impl Values {
    fn of(tables: &Tables<'_>) -> Values {
        let mut values = Values {
            samples: None,
            wall: None,
            cpu: None,
            other: tables.types.len().saturating_sub(1),
        };
        for (index, (kind, unit)) in tables.types.iter().enumerate() {
            let (kind, unit) = (tables.text(*kind), tables.text(*unit));
            let factor = match unit {
                "nanoseconds" => 1,
                "microseconds" => 1_000,
                "milliseconds" => 1_000_000,
                "seconds" => 1_000_000_000,
                _ => 0,
            };
            match factor {
                0 if unit == "count" && values.samples.is_none() => values.samples = Some(index),
                0 => {}
                _ if kind.contains("cpu") && values.cpu.is_none() => {
                    values.cpu = Some((index, factor))
                }
                _ if values.wall.is_none() => values.wall = Some((index, factor)),
                _ => {}
            }
        }
        values
    }

    fn weighted(&self, track: TrackId, stack: Option<u32>, sample: &Sample<'_>) -> Weighted {
        let value = |index: usize| {
            let value = sample.values.get(index).copied().unwrap_or(0);
            // A negative one is a difference to another profile; it has no place here.
            u64::try_from(value.cast_signed()).unwrap_or(0)
        };
        let time = |at: Option<(usize, u64)>| {
            at.map(|(index, factor)| value(index).saturating_mul(factor))
        };
        let cpu_ns = time(self.cpu);
        Weighted {
            track,
            stack,
            state: sample.state,
            at_ns: None,
            samples: self.samples.map(value),
            wall_ns: time(self.wall)
                .or(cpu_ns)
                .unwrap_or_else(|| value(self.other)),
            cpu_ns: cpu_ns.unwrap_or(0),
        }
    }
}

/// A sample as it stands in the file.
struct Sample<'a> {
    locations: Vec<u64>,
    values: Vec<u64>,
    pid: u32,
    process: &'a str,
    thread: &'a str,
    tid: u32,
    task: &'a str,
    state: State,
}

impl<'a> Sample<'a> {
    fn read(bytes: &'a [u8], tables: &Tables<'a>) -> Result<Self, ReadError> {
        let mut sample = Sample {
            locations: Vec::new(),
            values: Vec::new(),
            pid: 0,
            process: "",
            thread: "",
            tid: 0,
            task: "",
            state: State::Running,
        };
        for field in Fields::of(bytes) {
            let (field, value) = field.map_err(broken)?;
            match field {
                1 => value
                    .numbers(&mut sample.locations)
                    .ok_or(broken("a sample is cut off"))?,
                2 => value
                    .numbers(&mut sample.values)
                    .ok_or(broken("a sample is cut off"))?,
                3 => {
                    let [key, text, number] = numbers(value.bytes(), [1, 2, 3])?;
                    sample.label(tables.text(key), tables.text(text), number);
                }
                _ => {}
            }
        }
        Ok(sample)
    }

    fn label(&mut self, key: &str, text: &'a str, number: u64) {
        let number = u32::try_from(number).unwrap_or(0);
        match key {
            "process" => self.process = text,
            "pid" => self.pid = number,
            // Other profilers' names for the same.
            "thread" | "thread name" | "thread_name" => self.thread = text,
            "tid" | "thread id" | "thread_id" => self.tid = number,
            "task" | "task name" => self.task = text,
            "state" => {
                let known = State::ALL.into_iter().find(|state| state.name() == text);
                self.state = known.unwrap_or_default();
            }
            _ => {}
        }
    }
}
