//! `unknot record`: the sampling profiler.

use crate::cli::TargetArgs;
use crate::dump::told;
use crate::failure::Failure;
use crate::output;
use crate::paint::{Paint, Role};
use crate::target::{Target, understand};
use clap::{Args, ValueEnum};
use process::interrupt::Interrupts;
use process::launch::{self, Event, Launched};
use profile::{Format, Metric, Profile};
use sample::{Options, Recorder, Schedule};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What follows the options in `--help`.
pub const HELP: &str = "FORMAT: flamegraph (SVG), html (a page with everything in it), speedscope, collapsed, pprof, callgrind, pstats, firefox,
perfetto, heatmap, unknot (our own, for `unknot convert` and `unknot diff`); by FILE's ending where it is not given.

Examples:
  unknot record -d 10 -o profile.svg 4242         ten seconds of a running process
  unknot record -o page.html app.py               app.py from its start to its end
  unknot record --children -o p.html -- pytest    a command and its children
  unknot record --native -o page.html 4242        with the frames of C, C++ and Rust code
  unknot record --mode cpu -r 1000 -o p.pb.gz 4242";

/// How often a command's end, Ctrl-C and the progress line are looked after.
const ASIDE: Duration = Duration::from_millis(20);
/// How often the progress line is drawn.
const DRAW: Duration = Duration::from_millis(500);
/// The highest rate that may be asked for in numbers; `max` goes as far as it goes.
const RATE_MAX_HZ: f64 = 1e6;

/// `unknot record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Samples a second, or `max`
    #[arg(short, long, value_name = "HZ", default_value = "100", value_parser = rate)]
    pub rate: Rate,
    /// Stop after so many seconds [default: when the target ends, or on Ctrl-C]
    #[arg(short, long, value_name = "SECONDS", value_parser = crate::cli::seconds)]
    pub duration: Option<f64>,
    /// The format to write [default: by FILE's ending]
    #[arg(short, long, value_name = "FORMAT", value_parser = crate::convert::format)]
    pub format: Option<Format>,
    /// Where to write [default: unknot-PID.svg]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What is measured: time that passes, time on a CPU, or time with the GIL
    #[arg(long, value_name = "MODE", default_value = "wall")]
    pub mode: Mode,
    /// Record threads with nothing to do, too
    #[arg(long)]
    pub idle: bool,
    /// Record child processes too, also those that are started meanwhile
    #[arg(long)]
    pub children: bool,
    /// Record native frames too (C, C++, Rust); each sample of a thread that runs stops it for a copy of its stack
    #[arg(long)]
    pub native: bool,
    /// What frames are told apart by
    #[arg(long, value_name = "GRAIN", default_value = "line")]
    pub by: Grain,
    /// Never stop a thread
    #[arg(long)]
    pub no_pause: bool,
    /// How long a thread may be stopped for a copy of its stack, where that changes too fast to be read otherwise; 0: never
    #[arg(
        long,
        value_name = "US",
        default_value_t = 1000,
        conflicts_with = "no_pause"
    )]
    pub max_pause_us: u64,
    /// Print what was recorded as one JSON document
    #[arg(long)]
    pub json: bool,
    /// What to look at.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// As often as it goes.
    Max,
    /// So many times a second.
    Hz(f64),
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Time that passes
    Wall,
    /// Time on a CPU
    Cpu,
    /// Time with the GIL
    Gil,
}

/// What frames are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Grain {
    /// Functions
    Function,
    /// Lines
    Line,
    /// Instructions
    Instruction,
}

impl Rate {
    /// The mean time between two sweeps; zero for as short as possible.
    pub fn interval(self) -> Duration {
        match self {
            Rate::Max => Duration::ZERO,
            Rate::Hz(hz) => Duration::from_secs_f64(1.0 / hz),
        }
    }
}

/// A rate as it is typed.
///
/// # Errors
/// Says what can be typed.
pub fn rate(text: &str) -> Result<Rate, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Rate::Max),
        Ok(hz) if hz.is_finite() && (0.001..=RATE_MAX_HZ).contains(&hz) => Ok(Rate::Hz(hz)),
        _ => Err("give samples a second, for instance 100, or `max`".to_owned()),
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    samples: u64,
    errors: u64,
    late: u64,
    truncated: u64,
    duration_s: f64,
    achieved_hz: f64,
    sweeps: u64,
    stops: u64,
    stopped_us: u64,
    stop_max_us: u64,
    stops_over: u64,
    processes: usize,
    file: String,
    format: Format,
}

/// Records, and writes what was recorded.
///
/// # Errors
/// Wrong usage; a target that cannot be read or started; a file that cannot be written.
pub fn run(args: &RecordArgs, escaped: bool) -> anyhow::Result<u8> {
    let target = understand(&args.target.target, escaped, args.target.python.as_deref())?;
    let chosen = args.output.as_deref();
    if args.json && chosen.is_some_and(output::is_standard) {
        let what = "--json and the recording would both go to standard output";
        return Err(Failure::usage(what, "give a file with -o, or leave out --json").into());
    }
    let format = match (args.format, chosen) {
        (Some(format), _) => format,
        (None, None) => Format::Flamegraph,
        (None, Some(path)) => {
            Format::from_path(path).ok_or_else(|| crate::convert::no_format(path))?
        }
    };
    if let Some(path) = chosen {
        output::check(path)?;
    }
    let mut session = match target {
        Target::Pid(pid) => Session::of_process(pid, options(args))?,
        Target::Command(words) => Session::of_command(&words, options(args))?,
        Target::Core(_) => {
            let advice = "give the PID of a process that runs, or a command";
            return Err(Failure::usage("a core file does not run", advice).into());
        }
    };
    let path = match chosen {
        Some(path) => path.to_owned(),
        None => {
            let path = PathBuf::from(format!("unknot-{}{}", session.pid, format.ending()));
            output::check(&path)?;
            path
        }
    };
    session.progress = Some(Progress::new(args.duration));
    session.record(args)?;
    let Session {
        recorder,
        schedule,
        command,
        ..
    } = session;
    write(recorder, &schedule, args, format, &path)?;
    // A command goes on to its end when the time for recording is over.
    command.map_or(Ok(0), end_of)
}

/// A recording that goes on: of a process, or of a command that was started for it.
pub struct Session {
    pid: u32,
    /// What is recorded.
    pub recorder: Recorder,
    /// When to sweep.
    pub schedule: Schedule,
    /// When it began.
    pub began: Instant,
    command: Option<Launched>,
    interrupts: Option<Interrupts>,
    progress: Option<Progress>,
}

impl Session {
    /// Of a process.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_process(pid: u32, options: Options) -> anyhow::Result<Session> {
        let mut session = Session::new(pid, options);
        session.recorder.open().map_err(told)?;
        session.interrupts = Some(Interrupts::new()?);
        Ok(session)
    }

    /// Of a command, which is started.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn of_command(words: &[std::ffi::OsString], options: Options) -> anyhow::Result<Session> {
        let command = launch::launch(words).map_err(|error| {
            let program = words.first().map(|word| word.to_string_lossy());
            let program = program.unwrap_or_default();
            Failure::target(
                format!("`{program}` could not be started: {error}"),
                "check its name and that it may be executed",
            )
        })?;
        let mut session = Session::new(command.pid(), options);
        session.command = Some(command);
        Ok(session)
    }

    fn new(pid: u32, options: Options) -> Session {
        Session {
            pid,
            recorder: Recorder::new(pid, options),
            schedule: Schedule::new(options.interval, seed()),
            command: None,
            interrupts: None,
            progress: None,
            began: Instant::now(),
        }
    }

    /// The command's exit code, once it has ended; 0 without a command.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn end(self) -> anyhow::Result<u8> {
        self.command.map_or(Ok(0), end_of)
    }

    /// Sweeps until the time is over, the target has ended, or the user wants no more.
    fn record(&mut self, args: &RecordArgs) -> anyhow::Result<()> {
        let end = args.duration.map(Duration::from_secs_f64);
        let mut aside = Instant::now();
        loop {
            let at = self.schedule.next_sweep();
            let at = end.map_or(at, |end| at.min(self.began + end));
            if self.wait_until(at, &mut aside)? {
                break;
            }
            if end.is_some_and(|end| self.began.elapsed() >= end) {
                break;
            }
            let swept = self.recorder.sweep();
            if swept.processes == 0 && self.command.is_none() {
                break;
            }
        }
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
        Ok(())
    }

    /// Waits, and looks after what else there is; whether the recording is over.
    ///
    /// # Errors
    /// When the command cannot be waited for.
    pub fn wait_until(&mut self, at: Instant, aside: &mut Instant) -> anyhow::Result<bool> {
        loop {
            let now = Instant::now();
            if now >= *aside {
                *aside = now + ASIDE;
                if self.is_over()? {
                    return Ok(true);
                }
                if let Some(progress) = &mut self.progress {
                    progress.draw(&self.recorder, self.began.elapsed());
                }
            }
            let Some(left) = at.checked_duration_since(now).filter(|d| !d.is_zero()) else {
                return Ok(false);
            };
            std::thread::sleep(left.min(ASIDE));
        }
    }

    fn is_over(&mut self) -> anyhow::Result<bool> {
        if let Some(command) = &mut self.command {
            return Ok(matches!(command.next(Duration::ZERO)?, Event::Ended(_)));
        }
        Ok(self.interrupts.as_mut().is_some_and(Interrupts::any))
    }
}

fn write(
    recorder: Recorder,
    schedule: &Schedule,
    args: &RecordArgs,
    format: Format,
    path: &Path,
) -> anyhow::Result<()> {
    let (sweeps, counts) = (recorder.sweeps(), recorder.counts());
    let mut profile = recorder.finish(schedule.late());
    if matches!(format, Format::Html | Format::Heatmap | Format::Unknot) {
        crate::sources::add(&mut profile);
    }
    output::write(path, |out| profile::write(&profile, format, out))?;
    let duration_s = profile.about.duration_ns as f64 / 1e9;
    let document = Document {
        samples: profile.about.samples,
        errors: profile.about.errors,
        late: profile.about.late,
        truncated: profile.about.truncated,
        duration_s,
        achieved_hz: sweeps as f64 / duration_s.max(1e-9),
        sweeps,
        stops: counts.stops,
        stopped_us: microseconds(counts.stopped),
        stop_max_us: microseconds(counts.stop_max),
        stops_over: counts.stops_over,
        processes: profile.processes.len(),
        file: path.to_string_lossy().into_owned(),
        format,
    };
    if args.json {
        return crate::print_json(&document);
    }
    if !output::is_standard(path) {
        tell(&document, &profile, args);
    }
    Ok(())
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What came out, on standard error: the command's own output is not to be mixed with ours.
fn tell(document: &Document, profile: &Profile, args: &RecordArgs) {
    let mut facts = vec![
        format!(
            "{} samples in {:.1} s",
            document.samples, document.duration_s
        ),
        format!("{:.0} sweeps a second", document.achieved_hz),
    ];
    if document.processes > 1 {
        facts.push(format!("{} processes", document.processes));
    }
    let mut problem = |count: u64, words: &str| {
        if count > 0 {
            facts.push(format!("{count} {words}"));
        }
    };
    problem(document.errors, "could not be read");
    problem(document.stops_over, "stops too long");
    problem(document.truncated, "cut short");
    // With `max` there is no beat to be missed.
    if args.rate != Rate::Max {
        problem(document.late, "sweeps too late");
    }
    let paint = Paint::stderr();
    let _ = writeln!(
        std::io::stderr(),
        "{} {} ({})",
        paint.text(Role::Strong, "Written:"),
        crate::paint::harmless(&document.file),
        facts.join(", ")
    );
    if profile.about.samples == 0 && profile.about.python.is_empty() {
        let hint = "Nothing was recorded: no Python ran in this process. `--children` records those that it starts, too.";
        let _ = writeln!(std::io::stderr(), "{hint}");
    } else if profile.about.samples == 0 {
        let _ = writeln!(
            std::io::stderr(),
            "Nothing was recorded: no thread did anything that `--mode {}` counts. `--idle` records waiting threads too.",
            match args.mode {
                Mode::Wall => "wall",
                Mode::Cpu => "cpu",
                Mode::Gil => "gil",
            }
        );
    }
}

fn options(args: &RecordArgs) -> Options {
    Options {
        interval: args.rate.interval(),
        metric: match args.mode {
            Mode::Wall => Metric::Wall,
            Mode::Cpu => Metric::Cpu,
            Mode::Gil => Metric::Gil,
        },
        idle: args.idle,
        children: args.children,
        grain: match args.by {
            Grain::Function => sample::Grain::Function,
            Grain::Line => sample::Grain::Line,
            Grain::Instruction => sample::Grain::Instruction,
        },
        native: args.native,
        pause_max: if args.no_pause {
            Duration::ZERO
        } else {
            Duration::from_micros(args.max_pause_us)
        },
    }
}

/// Any number.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// The command's exit code, once it has ended.
fn end_of(mut command: Launched) -> anyhow::Result<u8> {
    loop {
        if let Event::Ended(code) = command.next(Duration::from_secs(60))? {
            return Ok(code);
        }
    }
}

/// The line that says how far the recording is, on a terminal.
struct Progress {
    shown: bool,
    next: Instant,
    until_s: Option<f64>,
    is_terminal: bool,
}

impl Progress {
    fn new(until_s: Option<f64>) -> Progress {
        Progress {
            shown: false,
            next: Instant::now() + DRAW,
            until_s,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn draw(&mut self, recorder: &Recorder, elapsed: Duration) {
        if !self.is_terminal || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + DRAW;
        self.shown = true;
        let elapsed_s = elapsed.as_secs_f64();
        let about = &recorder.so_far().about;
        let hz = recorder.sweeps() as f64 / elapsed_s.max(1e-9);
        let left = match self.until_s {
            Some(until_s) => format!("{:.0} s left", (until_s - elapsed_s).max(0.0)),
            None => "Ctrl-C ends".to_owned(),
        };
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{elapsed_s:.0} s, {} samples, {hz:.0} sweeps a second, {} not read, {left}",
            about.samples,
            recorder.counts().errors
        );
    }

    fn clear(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
