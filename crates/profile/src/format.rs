//! The formats by name, by ending and by content.

use crate::{
    Profile, callgrind, collapsed, firefox, flamegraph, heatmap, page, perfetto, pprof, pstats,
    speedscope, stored,
};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

/// A form in which a profile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Our own stored form: gzipped JSON with all that a recording found.
    Unknot,
    /// A flame graph as an interactive SVG.
    Flamegraph,
    /// A page of its own that shows all of a recording.
    Html,
    /// speedscope's JSON.
    Speedscope,
    /// Collapsed (folded) stacks, a line each.
    Collapsed,
    /// pprof's gzipped protobuf.
    Pprof,
    /// callgrind's text, for KCachegrind.
    Callgrind,
    /// The marshalled statistics of `cProfile`, for `pstats`.
    Pstats,
    /// The Firefox Profiler's JSON.
    Firefox,
    /// Chrome's trace events, for Perfetto.
    Perfetto,
    /// Source lines, each with its heat.
    Heatmap,
}

/// Each format's name and the endings that stand for it; the first one is the ending of a file whose name we choose.
const NAMES: [(Format, &str, &[&str]); 11] = [
    (
        Format::Unknot,
        "unknot",
        &[".unknot", ".unknot.gz", ".unknot.json", ".unknot.json.gz"],
    ),
    (Format::Flamegraph, "flamegraph", &[".svg"]),
    // Before `html`, whose ending is a part of this one's.
    (
        Format::Heatmap,
        "heatmap",
        &[".heatmap.html", ".heatmap.htm", ".heatmap"],
    ),
    (Format::Html, "html", &[".html", ".htm"]),
    (
        Format::Firefox,
        "firefox",
        &[".firefox.json", ".profile.json", ".firefox"],
    ),
    (
        Format::Perfetto,
        "perfetto",
        &[
            ".perfetto.json",
            ".trace.json",
            ".perfetto-trace",
            ".pftrace",
            ".perfetto",
            ".trace",
        ],
    ),
    (
        Format::Speedscope,
        "speedscope",
        &[".speedscope.json", ".speedscope", ".json"],
    ),
    (
        Format::Collapsed,
        "collapsed",
        &[".collapsed", ".folded", ".txt"],
    ),
    (
        Format::Pprof,
        "pprof",
        &[".pb.gz", ".pprof", ".pb", ".pprof.gz"],
    ),
    (
        Format::Callgrind,
        "callgrind",
        &[".callgrind", ".cachegrind"],
    ),
    (Format::Pstats, "pstats", &[".pstats", ".prof"]),
];

impl Format {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Format> {
        NAMES.iter().map(|(format, ..)| *format)
    }

    /// Its name, as `--format` takes it.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(format, ..)| *format == self)
            .map_or("", |(_, name, _)| name)
    }

    /// The ending of a file in this form, as `.svg`.
    pub fn ending(self) -> &'static str {
        NAMES
            .iter()
            .find(|(format, ..)| *format == self)
            .map_or("", |(_, _, endings)| endings.first().unwrap_or(&""))
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        NAMES
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(format, ..)| *format)
    }

    /// The format that a file's ending stands for, whatever its case; `callgrind.out.4242` is callgrind's.
    pub fn from_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        if name.starts_with("callgrind.out") {
            return Some(Format::Callgrind);
        }
        NAMES
            .iter()
            .flat_map(|(format, _, endings)| endings.iter().map(move |ending| (*format, *ending)))
            .filter(|(_, ending)| name.ends_with(ending))
            .max_by_key(|(_, ending)| ending.len())
            .map(|(format, _)| format)
    }

    /// Whether [`read`] knows the form.
    pub fn is_readable(self) -> bool {
        matches!(
            self,
            Format::Unknot | Format::Html | Format::Speedscope | Format::Collapsed | Format::Pprof
        )
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes a profile. `out` should be buffered.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Unknot => stored::write(profile, out),
        Format::Flamegraph => flamegraph::write(profile, out),
        Format::Html => page::write(profile, None, out),
        Format::Speedscope => speedscope::write(profile, out),
        Format::Collapsed => collapsed::write(profile, out),
        Format::Pprof => pprof::write(profile, out),
        Format::Callgrind => callgrind::write(profile, out),
        Format::Pstats => pstats::write(profile, out),
        Format::Firefox => firefox::write(profile, out),
        Format::Perfetto => perfetto::write(profile, out),
        Format::Heatmap => heatmap::write(profile, out),
    }
}

/// Why bytes are not read as a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No form that is known.
    #[error(
        "it is none of the forms that can be read (unknot, html, speedscope, collapsed, pprof)"
    )]
    Unknown,
    /// A form that is only written.
    #[error("it is in the form `{0}`, which can be written but not read")]
    WriteOnly(Format),
    /// A newer version of our own form.
    #[error("its form has version {found}, and this unknot knows versions up to {known}")]
    Version {
        /// What it says.
        found: u64,
        /// What we know.
        known: u32,
    },
    /// It is packed, and cannot be unpacked.
    #[error("it is a gzip file that cannot be unpacked: {0}")]
    Gzip(String),
    /// It is damaged.
    #[error("it looks like `{format}`, but {why}")]
    Broken {
        /// What it looks like.
        format: Format,
        /// What is wrong with it.
        why: String,
    },
    /// It is larger than what is read.
    #[error("it holds more than {0}, which is more than is read")]
    TooLarge(&'static str),
}

impl ReadError {
    /// A damaged file of this form.
    pub(crate) fn broken(format: Format, why: impl std::fmt::Display) -> ReadError {
        ReadError::Broken {
            format,
            why: why.to_string(),
        }
    }
}

/// Frames that the stacks of all samples together may have in a file that is read: what every writer can still cope with.
const FRAMES_MAX: u64 = 1 << 29;

/// Reads a profile in any form that can be read, which is recognised by its content.
///
/// # Errors
/// Says why it cannot be read.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let profile = read_form(bytes)?;
    check_depths(&profile)?;
    Ok(profile)
}

fn read_form(bytes: &[u8]) -> Result<Profile, ReadError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let inner = crate::gzip::unpack(bytes)?;
        if inner.starts_with(&[0x1f, 0x8b]) {
            return Err(ReadError::Unknown);
        }
        return read_form(&inner);
    }
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = start.trim_ascii_start();
    match start.first() {
        None => Err(ReadError::Unknown),
        Some(b'{') if looks_like_json(start) => read_json(start),
        Some(b'[') if start.starts_with(b"[{\"") => Err(ReadError::WriteOnly(Format::Perfetto)),
        Some(b'<') => read_markup(start),
        Some(_) if start.starts_with(b"# callgrind format") => {
            Err(ReadError::WriteOnly(Format::Callgrind))
        }
        Some(_) if pprof::looks_like(bytes) => pprof::read(bytes),
        Some(_) if collapsed::looks_like(start) => collapsed::read(start),
        Some(_) => Err(ReadError::Unknown),
    }
}

/// A brace may also begin a collapsed stack (`{closure};main 3`): JSON goes on with a quote.
fn looks_like_json(start: &[u8]) -> bool {
    matches!(start[1..].trim_ascii_start().first(), Some(b'"' | b'}'))
}

/// What tells JSON documents apart; everything else in them is skipped.
#[derive(Deserialize)]
struct Marks {
    format: Option<serde::de::IgnoredAny>,
    #[serde(rename = "$schema")]
    schema: Option<serde::de::IgnoredAny>,
    shared: Option<serde::de::IgnoredAny>,
    #[serde(rename = "traceEvents")]
    trace_events: Option<serde::de::IgnoredAny>,
    meta: Option<serde::de::IgnoredAny>,
}

fn read_json(bytes: &[u8]) -> Result<Profile, ReadError> {
    let marks: Marks = serde_json::from_slice(bytes).map_err(|error| {
        // Cut off or damaged: what it was going to be shows in its beginning.
        let head = &bytes[..bytes.len().min(4096)];
        if head.windows(10).any(|word| word == b"speedscope") {
            ReadError::broken(Format::Speedscope, error)
        } else {
            ReadError::broken(Format::Unknot, error)
        }
    })?;
    if marks.format.is_some() {
        stored::read(bytes)
    } else if marks.shared.is_some() || marks.schema.is_some() {
        speedscope::read(bytes)
    } else if marks.trace_events.is_some() {
        Err(ReadError::WriteOnly(Format::Perfetto))
    } else if marks.meta.is_some() {
        Err(ReadError::WriteOnly(Format::Firefox))
    } else {
        Err(ReadError::Unknown)
    }
}

fn read_markup(bytes: &[u8]) -> Result<Profile, ReadError> {
    if let Some(packed) = page::recording_in(bytes) {
        return page::read(packed);
    }
    let head = &bytes[..bytes.len().min(2048)];
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    if has(b"unknot-heatmap") {
        Err(ReadError::WriteOnly(Format::Heatmap))
    } else if has(b"<svg") {
        Err(ReadError::WriteOnly(Format::Flamegraph))
    } else {
        Err(ReadError::Unknown)
    }
}

/// A stack table is a tree, so that a small file may stand for stacks of enormous length together.
fn check_depths(profile: &Profile) -> Result<(), ReadError> {
    let mut depths: Vec<u64> = Vec::with_capacity(profile.stacks.len());
    for stack in &profile.stacks {
        let above = stack.parent.map_or(0, |parent| {
            depths.get(parent as usize).copied().unwrap_or(0)
        });
        depths.push(above + 1);
    }
    let depth_of = |stack: Option<u32>| {
        stack.map_or(0, |stack| depths.get(stack as usize).copied().unwrap_or(0))
    };
    let in_totals: u64 = profile.totals.iter().map(|t| depth_of(t.stack)).sum();
    let in_timeline: u64 = profile
        .timeline
        .iter()
        .filter_map(|slice| profile.totals.get(slice.total as usize))
        .map(|total| depth_of(total.stack))
        .sum();
    if in_totals.saturating_add(in_timeline) > FRAMES_MAX {
        return Err(ReadError::TooLarge("500 million frames in its stacks"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_endings_stand_for_their_format() {
        for format in Format::all() {
            assert_eq!(Format::from_name(format.name()), Some(format));
            let file = format!("a{}", format.ending());
            assert_eq!(Format::from_path(Path::new(&file)), Some(format), "{file}");
        }
        for (file, format) in [
            ("out.SVG", Some(Format::Flamegraph)),
            ("a.b/page.htm", Some(Format::Html)),
            ("x.heatmap.html", Some(Format::Heatmap)),
            ("x.json", Some(Format::Speedscope)),
            ("x.speedscope.json", Some(Format::Speedscope)),
            ("a.profile.json", Some(Format::Firefox)),
            ("a.json.gz", None),
            ("a.perfetto.json", Some(Format::Perfetto)),
            ("callgrind.out.4242", Some(Format::Callgrind)),
            ("a.pb.gz", Some(Format::Pprof)),
            ("a.prof", Some(Format::Pstats)),
            ("a.unknot", Some(Format::Unknot)),
            ("a.tar", None),
            ("svg", None),
            ("/", None),
        ] {
            assert_eq!(Format::from_path(Path::new(file)), format, "{file}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        for (bytes, error) in [
            (&b""[..], ReadError::Unknown),
            (b"\x7fELF\x02\x01", ReadError::Unknown),
            (b"[{\"ph\":\"X\"}]", ReadError::WriteOnly(Format::Perfetto)),
            (
                b"{\"traceEvents\":[]}",
                ReadError::WriteOnly(Format::Perfetto),
            ),
            (b"{\"meta\":{}}", ReadError::WriteOnly(Format::Firefox)),
            (b"<svg></svg>", ReadError::WriteOnly(Format::Flamegraph)),
            (
                b"# callgrind format\n",
                ReadError::WriteOnly(Format::Callgrind),
            ),
            (b"{}", ReadError::Unknown),
        ] {
            assert_eq!(
                read(bytes),
                Err(error),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
