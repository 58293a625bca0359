//! `speedscope`: the JSON of the speedscope viewer, one of its profiles for each thread and task.
//!
//! Its form is described by the `file-format-schema.json` that speedscope publishes. We write `sampled` profiles: in
//! the order of the timeline, with empty stacks in the gaps, or by totals where there is no timeline; frames are shared.

use crate::lanes::{Stretch, lanes, scales};
use crate::read::{Interner, Weighted};
use crate::text::{process_label, task_label, thread_label};
use crate::tree::frame_ids;
use crate::{Format, FrameId, Profile, ReadError, State, Total, Track, TrackId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, Write};

/// What names the form.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    shared: Shared<'a>,
    profiles: Vec<Sampled>,
    name: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    exporter: &'a str,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<SharedFrame<'a>>,
}

#[derive(Serialize)]
struct SharedFrame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    line: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(line: &u32) -> bool {
    *line == 0
}

#[derive(Serialize)]
struct Sampled {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start: u64,
    #[serde(rename = "endValue")]
    end: u64,
    samples: Vec<Vec<FrameId>>,
    weights: Vec<u64>,
}

impl Sampled {
    fn push(&mut self, frames: Vec<FrameId>, weight: u64) {
        self.samples.push(frames);
        self.weights.push(weight);
        self.end = self.end.saturating_add(weight);
    }
}

/// Writes speedscope's JSON.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let frames = profile.frames.iter().map(|frame| {
        let function = profile.function_of(frame);
        SharedFrame {
            name: function.map_or("", |f| profile.text(f.name)),
            file: function.map_or("", |f| profile.text(f.file)),
            line: frame.line,
        }
    });
    let lanes = lanes(profile);
    let scales = scales(profile, &lanes);
    let mut profiles: Vec<Sampled> = lanes
        .iter()
        .zip(&profile.tracks)
        .map(|(lane, track)| sampled(profile, track, lane, &scales))
        .collect();
    let busiest = busiest(profile);
    // The importer wants at least one profile, and each with something in it.
    let active = profiles[..busiest.min(profiles.len())]
        .iter()
        .filter(|sampled| !sampled.samples.is_empty())
        .count();
    profiles.retain(|sampled| !sampled.samples.is_empty());
    if profiles.is_empty() {
        profiles.push(Sampled {
            r#type: "sampled",
            name: "nothing was sampled".to_owned(),
            unit: "nanoseconds",
            start: 0,
            end: 0,
            samples: Vec::new(),
            weights: Vec::new(),
        });
    }
    let file = File {
        schema: SCHEMA,
        shared: Shared {
            frames: frames.collect(),
        },
        active: active.min(profiles.len().saturating_sub(1)),
        profiles,
        name: profile.about.command.join(" "),
        exporter: &profile.about.recorder,
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths of time that are not negative"
)]
fn sampled(profile: &Profile, track: &Track, lane: &[Stretch], scales: &[f64]) -> Sampled {
    let start = lane.first().map_or(0, |stretch| stretch.start_ns);
    let mut sampled = Sampled {
        r#type: "sampled",
        name: name(profile, track),
        unit: "nanoseconds",
        start,
        end: start,
        samples: Vec::new(),
        weights: Vec::new(),
    };
    let mut end_ns = start;
    for stretch in lane {
        let gap = stretch.start_ns.saturating_sub(end_ns);
        end_ns = stretch.end_ns;
        if gap > 0 {
            sampled.push(Vec::new(), gap);
        }
        let stack = profile
            .totals
            .get(stretch.total as usize)
            .and_then(|total| total.stack);
        let scale = scales.get(stretch.total as usize).copied().unwrap_or(1.0);
        let weight = ((stretch.end_ns - stretch.start_ns) as f64 * scale).round();
        sampled.push(frame_ids(profile, stack), weight as u64);
    }
    sampled
}

fn name(profile: &Profile, track: &Track) -> String {
    let mut name = thread_label(profile, track);
    if let Some(task) = task_label(profile, track) {
        name = format!("{task}, {name}");
    }
    if profile.processes.len() > 1 {
        name = format!("{name}, {}", process_label(profile, track.process));
    }
    name
}

/// The track with the most running samples, which is shown first.
fn busiest(profile: &Profile) -> usize {
    let mut weights = vec![0_u64; profile.tracks.len()];
    let running =
        |total: &&Total| matches!(total.state, State::Running | State::Native | State::Gil);
    for total in profile.totals.iter().filter(running) {
        if let Some(weight) = weights.get_mut(total.track as usize) {
            *weight = weight.saturating_add(total.samples);
        }
    }
    let most = weights.iter().copied().max().unwrap_or(0);
    weights
        .iter()
        .position(|weight| *weight == most)
        .unwrap_or(0)
}

#[derive(Deserialize)]
struct ReadFile {
    shared: ReadShared,
    profiles: Vec<ReadProfile>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    exporter: Option<String>,
}

#[derive(Deserialize)]
struct ReadShared {
    frames: Vec<ReadFrame>,
}

#[derive(Deserialize)]
struct ReadFrame {
    name: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    line: Option<f64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ReadProfile {
    Sampled {
        name: String,
        unit: String,
        #[serde(rename = "startValue")]
        start: f64,
        samples: Vec<Vec<u32>>,
        weights: Vec<f64>,
    },
    Evented {
        name: String,
        unit: String,
        #[serde(rename = "startValue")]
        start: f64,
        events: Vec<Event>,
    },
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    at: f64,
    frame: u32,
}

/// Reads speedscope's JSON, `sampled` and `evented` profiles.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let file: ReadFile = serde_json::from_slice(bytes)
        .map_err(|error| ReadError::broken(Format::Speedscope, error))?;
    let mut interner = Interner::new(Format::Speedscope);
    let about = interner.builder.about();
    about.recorder = file.exporter.unwrap_or_else(|| "speedscope".to_owned());
    about
        .command
        .extend(file.name.filter(|name| !name.is_empty()));
    let frames: Vec<FrameId> = file
        .shared
        .frames
        .iter()
        .map(|frame| {
            let line = frame.line.unwrap_or(0.0).clamp(0.0, f64::from(u32::MAX));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped"
            )]
            let line = line as u32;
            interner.frame(&frame.name, frame.file.as_deref().unwrap_or(""), line)
        })
        .collect();
    for profile in &file.profiles {
        let (ReadProfile::Sampled { name, .. } | ReadProfile::Evented { name, .. }) = profile;
        let track = interner.track(name);
        let mut reader = TrackReader {
            frames: &frames,
            track,
            interner: &mut interner,
            cache: HashMap::new(),
        };
        reader.read(profile)?;
    }
    Ok(interner.finish())
}

struct TrackReader<'a> {
    frames: &'a [FrameId],
    track: TrackId,
    interner: &'a mut Interner,
    /// Stacks by their parent and frame index; saves walking where it can.
    cache: HashMap<Vec<u32>, Option<u32>>,
}

impl TrackReader<'_> {
    fn read(&mut self, profile: &ReadProfile) -> Result<(), ReadError> {
        match profile {
            ReadProfile::Sampled {
                unit,
                start,
                samples,
                weights,
                ..
            } => {
                let unit = Unit::of(unit);
                if samples.len() != weights.len() {
                    let why = "one of its profiles has another number of samples than of weights";
                    return Err(ReadError::broken(Format::Speedscope, why));
                }
                let mut at = unit.ns(*start)?;
                for (sample, weight) in samples.iter().zip(weights) {
                    let weight = unit.ns(*weight)?;
                    self.sample(sample, at, weight, unit)?;
                    at = at.saturating_add(weight);
                }
                Ok(())
            }
            ReadProfile::Evented {
                unit,
                start,
                events,
                ..
            } => self.events(Unit::of(unit), *start, events),
        }
    }

    fn events(&mut self, unit: Unit, start: f64, events: &[Event]) -> Result<(), ReadError> {
        let broken = |why| Err(ReadError::broken(Format::Speedscope, why));
        let mut at = unit.ns(start)?;
        let mut open: Vec<u32> = Vec::new();
        for event in events {
            let now = unit.ns(event.at)?;
            if now < at {
                return broken("its events are not in the order of time");
            }
            self.sample(&open, at, now - at, unit)?;
            at = now;
            match event.r#type.as_str() {
                "O" => open.push(event.frame),
                "C" if open.last() == Some(&event.frame) => {
                    open.pop();
                }
                "C" => return broken("it closes a frame that is not the innermost one"),
                _ => return broken("it has an event that neither opens nor closes a frame"),
            }
        }
        Ok(())
    }

    fn sample(
        &mut self,
        sample: &[u32],
        at: u64,
        weight: u64,
        unit: Unit,
    ) -> Result<(), ReadError> {
        if sample.is_empty() || weight == 0 {
            return Ok(());
        }
        let stack = match self.cache.get(sample) {
            Some(stack) => *stack,
            None => {
                let frames: Option<Vec<FrameId>> = sample
                    .iter()
                    .map(|frame| self.frames.get(*frame as usize).copied())
                    .collect();
                let Some(frames) = frames else {
                    let why = "a sample names a frame that is not there";
                    return Err(ReadError::broken(Format::Speedscope, why));
                };
                let stack = self.interner.stack(&frames)?;
                self.cache.insert(sample.to_vec(), stack);
                stack
            }
        };
        self.interner.weigh(Weighted {
            track: self.track,
            stack,
            state: State::Running,
            at_ns: unit.is_time().then_some(at),
            samples: (!unit.is_time()).then_some(weight),
            wall_ns: weight,
            cpu_ns: 0,
        });
        Ok(())
    }
}

/// What weights are counted in.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// Of so many nanoseconds each.
    Time(f64),
    /// Anything else.
    Count,
}

impl Unit {
    fn of(name: &str) -> Unit {
        match name {
            "nanoseconds" => Unit::Time(1.0),
            "microseconds" => Unit::Time(1e3),
            "milliseconds" => Unit::Time(1e6),
            "seconds" => Unit::Time(1e9),
            _ => Unit::Count,
        }
    }

    fn is_time(self) -> bool {
        self != Unit::Count
    }

    fn ns(self, value: f64) -> Result<u64, ReadError> {
        let factor = match self {
            Unit::Time(factor) => factor,
            Unit::Count => 1.0,
        };
        let ns = value * factor;
        // Three hundred years of nanoseconds: what lies above is no time.
        if !(0.0..=9.3e18).contains(&ns) {
            return Err(ReadError::broken(
                Format::Speedscope,
                format!("its weight {value} is none"),
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked"
        )]
        let ns = ns.round() as u64;
        Ok(ns)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, read, synthetic, write};

    #[test]
    fn what_was_written_is_read_with_its_tracks_and_times() {
        let profile = synthetic::server();
        let mut bytes = Vec::new();
        write(&profile, Format::Speedscope, &mut bytes).expect("memory");
        let again = read(&bytes).expect("our own");
        assert_eq!(again.check(), Ok(()));
        let tracks = |p: &crate::Profile| -> Vec<String> {
            let all = p.tracks.iter().map(|track| {
                let process = &p.processes[track.process as usize];
                let names = [track.thread, process.name, track.task.unwrap_or(0)];
                format!(
                    "{} {} {:?}",
                    process.pid,
                    track.tid,
                    names.map(|name| p.text(name))
                )
            });
            all.collect()
        };
        assert_eq!(tracks(&again), tracks(&profile));
        let time = |p: &crate::Profile| p.totals.iter().map(|t| t.wall_ns).sum::<u64>();
        assert_eq!(time(&again), time(&profile));
        assert_eq!(again.about.samples, profile.about.samples);
        assert_eq!(again.timeline.len(), profile.timeline.len());
    }

    #[test]
    fn events_and_other_units_are_read() {
        let text = r#"{"$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": [{"name": "a"}, {"name": "b", "file": "b.py", "line": 3}]},
            "profiles": [
                {"type": "evented", "name": "x", "unit": "milliseconds", "startValue": 5, "endValue": 9, "events": [
                    {"type": "O", "at": 5, "frame": 0}, {"type": "O", "at": 6, "frame": 1},
                    {"type": "C", "at": 8, "frame": 1}, {"type": "C", "at": 9, "frame": 0}]},
                {"type": "sampled", "name": "y", "unit": "none", "startValue": 0, "endValue": 3,
                 "samples": [[0], [0, 1]], "weights": [1, 2]}]}"#;
        let profile = read(text.as_bytes()).expect("two profiles");
        let own: Vec<_> = profile
            .totals
            .iter()
            .map(|t| (t.track, t.samples, t.wall_ns))
            .collect();
        assert!(own.contains(&(0, 2, 2_000_000)), "{own:?}");
        assert!(own.contains(&(1, 2, 2)), "{own:?}");
        for (from, to) in [
            (
                r#""type": "C", "at": 8, "frame": 1"#,
                r#""type": "C", "at": 8, "frame": 0"#,
            ),
            (r#""at": 8"#, r#""at": 3"#),
            (r#""weights": [1, 2]"#, r#""weights": [1]"#),
            (r#""weights": [1, 2]"#, r#""weights": [1, -2]"#),
            ("[0, 1]]", "[0, 7]]"),
        ] {
            assert!(read(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }
}
