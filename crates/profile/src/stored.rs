//! `unknot`: the form in which a recording is kept, with all that it found.
//!
//! gzipped JSON: `{"format": "unknot-profile", "schema": 1, "about": …, "strings": […], "functions": {"name": […],
//! …}, …}`. Tables with many rows stand as columns, which pack and parse well; times on the timeline are differences
//! to the row before. Readers skip fields that they do not know, and refuse a `schema` that is newer than theirs.

use crate::{
    About, Format, Frame, FrameKind, Function, Process, Profile, ReadError, SCHEMA, Slice, Source,
    Stack, State, Total, Track,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{self, Write};

/// What the field `format` says.
const FORMAT: &str = "unknot-profile";

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    format: Cow<'a, str>,
    schema: u32,
    about: Cow<'a, About>,
    strings: Cow<'a, [String]>,
    functions: Functions,
    frames: Frames,
    stacks: Stacks,
    processes: Cow<'a, [Process]>,
    tracks: Cow<'a, [Track]>,
    totals: Totals,
    timeline: Timeline,
    #[serde(default, skip_serializing_if = "<[Source]>::is_empty")]
    sources: Cow<'a, [Source]>,
}

#[derive(Serialize, Deserialize)]
struct Functions {
    name: Vec<u32>,
    file: Vec<u32>,
    first_line: Vec<u32>,
    kind: Vec<FrameKind>,
}

#[derive(Serialize, Deserialize)]
struct Frames {
    function: Vec<u32>,
    line: Vec<u32>,
    /// Absent where no frame has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instruction: Option<Vec<Option<u32>>>,
}

#[derive(Serialize, Deserialize)]
struct Stacks {
    parent: Vec<Option<u32>>,
    frame: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Totals {
    track: Vec<u32>,
    stack: Vec<Option<u32>>,
    state: Vec<State>,
    samples: Vec<u64>,
    wall_ns: Vec<u64>,
    cpu_ns: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Timeline {
    /// After the row before; the first row's after 0.
    start_delta_ns: Vec<i64>,
    duration_ns: Vec<u64>,
    total: Vec<u32>,
}

/// Writes the stored form.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut packer = crate::gzip::packer(out);
    serde_json::to_writer(&mut packer, &columns(profile))?;
    packer.finish()?;
    Ok(())
}

fn columns(profile: &Profile) -> Stored<'_> {
    let functions = &profile.functions;
    let frames = &profile.frames;
    let stacks = &profile.stacks;
    let totals = &profile.totals;
    let timeline = &profile.timeline;
    let has_instructions = frames.iter().any(|frame| frame.instruction.is_some());
    let mut before_ns = 0_u64;
    Stored {
        format: FORMAT.into(),
        schema: profile.schema,
        about: Cow::Borrowed(&profile.about),
        strings: Cow::Borrowed(&profile.strings),
        functions: Functions {
            name: functions.iter().map(|f| f.name).collect(),
            file: functions.iter().map(|f| f.file).collect(),
            first_line: functions.iter().map(|f| f.first_line).collect(),
            kind: functions.iter().map(|f| f.kind).collect(),
        },
        frames: Frames {
            function: frames.iter().map(|f| f.function).collect(),
            line: frames.iter().map(|f| f.line).collect(),
            instruction: has_instructions.then(|| frames.iter().map(|f| f.instruction).collect()),
        },
        stacks: Stacks {
            parent: stacks.iter().map(|s| s.parent).collect(),
            frame: stacks.iter().map(|s| s.frame).collect(),
        },
        processes: Cow::Borrowed(&profile.processes),
        tracks: Cow::Borrowed(&profile.tracks),
        totals: Totals {
            track: totals.iter().map(|t| t.track).collect(),
            stack: totals.iter().map(|t| t.stack).collect(),
            state: totals.iter().map(|t| t.state).collect(),
            samples: totals.iter().map(|t| t.samples).collect(),
            wall_ns: totals.iter().map(|t| t.wall_ns).collect(),
            cpu_ns: totals.iter().map(|t| t.cpu_ns).collect(),
        },
        timeline: Timeline {
            start_delta_ns: timeline
                .iter()
                .map(|slice| {
                    let delta = slice.start_ns.wrapping_sub(before_ns).cast_signed();
                    before_ns = slice.start_ns;
                    delta
                })
                .collect(),
            duration_ns: timeline.iter().map(|slice| slice.duration_ns).collect(),
            total: timeline.iter().map(|slice| slice.total).collect(),
        },
        sources: Cow::Borrowed(&profile.sources),
    }
}

/// The version alone, which is looked at before all else: what follows may have another shape in another version.
#[derive(Deserialize)]
struct Version {
    format: String,
    schema: u64,
}

/// Reads the stored form, unpacked.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let broken = |why: &dyn std::fmt::Display| ReadError::broken(Format::Unknot, why);
    let version: Version = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    if version.format != FORMAT {
        return Err(ReadError::Unknown);
    }
    if version.schema == 0 || version.schema > u64::from(SCHEMA) {
        return Err(ReadError::Version {
            found: version.schema,
            known: SCHEMA,
        });
    }
    let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    let profile = rows(stored).map_err(|table| {
        broken(&format!(
            "its table `{table}` has columns of different lengths"
        ))
    })?;
    profile.check().map_err(|why| broken(&why))?;
    Ok(profile)
}

/// The tables row by row; the name of one whose columns do not fit together.
fn rows(stored: Stored<'_>) -> Result<Profile, &'static str> {
    let fits = |table: &'static str, lengths: &[usize]| {
        let same = lengths.windows(2).all(|pair| pair[0] == pair[1]);
        if same { Ok(()) } else { Err(table) }
    };
    let f = stored.functions;
    fits(
        "functions",
        &[f.name.len(), f.file.len(), f.first_line.len(), f.kind.len()],
    )?;
    let functions = f.name.iter().zip(&f.file).zip(&f.first_line).zip(&f.kind);
    let functions = functions.map(|(((name, file), first_line), kind)| Function {
        name: *name,
        file: *file,
        first_line: *first_line,
        kind: *kind,
    });
    let f = stored.frames;
    let instructions = f.instruction.unwrap_or_else(|| vec![None; f.line.len()]);
    fits(
        "frames",
        &[f.function.len(), f.line.len(), instructions.len()],
    )?;
    let frames = f.function.iter().zip(&f.line).zip(&instructions);
    let frames = frames.map(|((function, line), instruction)| Frame {
        function: *function,
        line: *line,
        instruction: *instruction,
    });
    let s = stored.stacks;
    fits("stacks", &[s.parent.len(), s.frame.len()])?;
    let stacks = s.parent.iter().zip(&s.frame).map(|(parent, frame)| Stack {
        parent: *parent,
        frame: *frame,
    });
    let timeline = timeline(&stored.timeline)?;
    Ok(Profile {
        schema: stored.schema,
        about: stored.about.into_owned(),
        strings: stored.strings.into_owned(),
        functions: functions.collect(),
        frames: frames.collect(),
        stacks: stacks.collect(),
        processes: stored.processes.into_owned(),
        tracks: stored.tracks.into_owned(),
        totals: totals(&stored.totals)?,
        timeline,
        sources: stored.sources.into_owned(),
    })
}

fn totals(t: &Totals) -> Result<Vec<Total>, &'static str> {
    let rows = t.track.len();
    let others = [
        t.stack.len(),
        t.state.len(),
        t.samples.len(),
        t.wall_ns.len(),
        t.cpu_ns.len(),
    ];
    if others.iter().any(|length| *length != rows) {
        return Err("totals");
    }
    let keys = t.track.iter().zip(&t.stack).zip(&t.state);
    let weights = t.samples.iter().zip(&t.wall_ns).zip(&t.cpu_ns);
    Ok(keys
        .zip(weights)
        .map(
            |(((track, stack), state), ((samples, wall_ns), cpu_ns))| Total {
                track: *track,
                stack: *stack,
                state: *state,
                samples: *samples,
                wall_ns: *wall_ns,
                cpu_ns: *cpu_ns,
            },
        )
        .collect())
}

fn timeline(t: &Timeline) -> Result<Vec<Slice>, &'static str> {
    if t.duration_ns.len() != t.start_delta_ns.len() || t.total.len() != t.start_delta_ns.len() {
        return Err("timeline");
    }
    let mut at_ns = 0_u64;
    let rows = t.start_delta_ns.iter().zip(&t.duration_ns).zip(&t.total);
    Ok(rows
        .map(|((delta, duration_ns), total)| {
            at_ns = at_ns.wrapping_add(delta.cast_unsigned());
            Slice {
                start_ns: at_ns,
                duration_ns: *duration_ns,
                total: *total,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use crate::{Format, ReadError, read, synthetic, write};

    #[test]
    fn a_round_trip_is_exact_and_the_same_each_time() {
        for profile in [synthetic::empty(), synthetic::server(), synthetic::wide(3)] {
            let mut bytes = Vec::new();
            write(&profile, Format::Unknot, &mut bytes).expect("memory");
            let mut again = Vec::new();
            write(&profile, Format::Unknot, &mut again).expect("memory");
            assert_eq!(bytes, again);
            assert_eq!(read(&bytes).as_ref(), Ok(&profile));
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let mut bytes = Vec::new();
        write(&synthetic::server(), Format::Unknot, &mut bytes).expect("memory");
        let json = crate::gzip::unpack(&bytes).expect("our own");
        let json = String::from_utf8(json).expect("JSON is text");
        for (from, to, word) in [
            ("\"schema\":1", "\"schema\":2", "version 2"),
            ("\"schema\":1", "\"schema\":0", "version 0"),
            ("unknot-profile", "other", "none of the forms"),
            ("\"frame\":[", "\"frame\":[0,", "different lengths"),
            ("\"frame\":[0,", "\"frame\":[99999999,", "points outside"),
            ("\"parent\":[null,", "\"parent\":[0,", "points outside"),
            ("\"functions\":", "\"f\":", "missing field"),
        ] {
            assert!(json.contains(from), "{from}");
            let error = read(json.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert!(error.to_string().contains(word), "{to}: {error}");
        }
        let cut = read(&json.as_bytes()[..json.len() / 2]).expect_err("cut off");
        assert!(matches!(cut, ReadError::Broken { .. }), "{cut}");
    }
}
