//! `unknot convert`: a recording in another format.

use crate::failure::Failure;
use crate::output;
use clap::Args;
use profile::{Format, Profile};
use std::path::{Path, PathBuf};

/// What follows the options in `--help`.
pub const HELP: &str = "Reads what `unknot record` wrote as unknot or html, and speedscope, collapsed and pprof of any profiler.
Writes flamegraph, html, speedscope, collapsed, pprof, callgrind, pstats, firefox, perfetto, heatmap, unknot.
FILE and OUT may be -, standard input and output.

Examples:
  unknot convert run.unknot -o run.svg               a flame graph
  unknot convert run.unknot -o page.html             a page with everything in it
  unknot convert run.unknot -o callgrind.out.1       for KCachegrind
  unknot convert other.speedscope.json -o run.pb.gz  from speedscope to pprof
  unknot convert run.unknot -f collapsed -o - | head";

/// `unknot convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The recording; its format is recognised by its content
    #[arg(value_name = "FILE")]
    pub input: PathBuf,
    /// Where to write
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// The format to write [default: by OUT's ending]
    #[arg(short, long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<Format>,
    /// Print what was written as JSON
    #[arg(long)]
    pub json: bool,
}

/// A format by its name.
///
/// # Errors
/// Names those that there are.
pub fn format(text: &str) -> Result<Format, String> {
    // An ending names its format too: `-f svg`.
    let by_ending = || Format::from_path(Path::new(&format!("x.{text}")));
    Format::from_name(text).or_else(by_ending).ok_or_else(|| {
        let names: Vec<&str> = Format::all().map(Format::name).collect();
        format!("the formats are {}", names.join(", "))
    })
}

/// What is told of a conversion.
#[derive(serde::Serialize)]
struct Told<'a> {
    schema: u32,
    file: &'a str,
    format: Format,
    samples: u64,
    stacks: usize,
    processes: usize,
    threads: usize,
    tasks: usize,
    duration_s: f64,
}

/// Converts.
///
/// # Errors
/// When one file cannot be read or the other not be written.
pub fn run(args: &ConvertArgs) -> anyhow::Result<u8> {
    let format = match args.format.or_else(|| Format::from_path(&args.output)) {
        Some(format) => format,
        None => return Err(no_format(&args.output).into()),
    };
    if args.json && output::is_standard(&args.output) {
        let what = "--json and the converted recording would both go to standard output";
        return Err(Failure::usage(what, "give a file with -o, or leave out --json").into());
    }
    let profile = load(&args.input)?;
    output::write(&args.output, |out| profile::write(&profile, format, out))?;
    if args.json {
        let tasks = profile
            .tracks
            .iter()
            .filter(|track| track.task.is_some())
            .count();
        crate::print_json(&Told {
            schema: 1,
            file: &args.output.to_string_lossy(),
            format,
            samples: profile.about.samples,
            stacks: profile.stacks.len(),
            processes: profile.processes.len(),
            threads: profile.tracks.len() - tasks,
            tasks,
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            duration_s: profile.about.duration_ns as f64 / 1e9,
        })?;
    }
    Ok(0)
}

/// That a path does not say its format.
pub fn no_format(path: &Path) -> Failure {
    let endings: Vec<&str> = Format::all().map(Format::ending).collect();
    let what = if output::is_standard(path) {
        "standard output has no ending that says in which format to write".to_owned()
    } else {
        format!("the ending of {} stands for no format", path.display())
    };
    let advice = format!(
        "give one with -f, or one of these endings: {}",
        endings.join(" ")
    );
    Failure::usage(what, advice)
}

/// Reads a recording.
///
/// # Errors
/// Says why it cannot be read.
pub fn load(path: &Path) -> Result<Profile, Failure> {
    let bytes = output::read(path)?;
    profile::read(&bytes).map_err(|error| {
        let advice = match error {
            profile::ReadError::WriteOnly(_) => {
                "convert the recording that it was made from; `unknot record -o run.unknot` keeps all of it"
            }
            profile::ReadError::Version { .. } => "use the unknot that wrote it, or a newer one",
            _ => "",
        };
        let name = if output::is_standard(path) { "standard input".to_owned() } else { path.display().to_string() };
        Failure::target(format!("cannot read {name} as a recording: {error}"), advice)
    })
}
