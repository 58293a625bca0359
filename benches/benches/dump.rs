//! All stacks of a process, once: how long each tool takes from its start to its end, how long the process stands still, and how
//! much memory the tool needs.
//!
//! `cargo bench -p benches --bench dump [-- --runs N] [--python TAG]… [--threads N]… [--write]`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use benches::peers::{Cost, Tool, build_unknot, dumpers, environment, python};
use benches::report::{Column, Series, machine, ms, put, table};
use benches::subject::{Watcher, with_threads};
use clap::Parser;
use testkit::Interpreter;

/// A tool that has taken so long in one situation is not run there again.
const BUDGET: Duration = Duration::from_secs(20);
/// How many threads compute without the GIL while it is measured how long the busy process stands still.
const NATIVE_BUSY: u32 = 2;
const COLUMNS: [Column; 5] = [
    column("all asleep, ms", 1, true),
    column("a tenth computing, ms", 1, true),
    column("frozen, one computing, ms", 2, false),
    column("frozen, three computing, ms", 2, false),
    column("memory, MiB", 1, false),
];
const ASLEEP: usize = 0;
const BUSY: usize = 1;
const FROZEN: usize = 2;
const FROZEN_BUSY: usize = 3;
const MEMORY: usize = 4;

const fn column(title: &'static str, digits: usize, ratio: bool) -> Column {
    Column {
        title,
        digits,
        ratio,
    }
}

#[derive(Parser)]
struct Arguments {
    /// How often each tool is run in each situation
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The CPythons that are looked at
    #[arg(long, default_values = ["3.8", "3.11", "3.13", "3.14", "3.14t", "3.15"])]
    python: Vec<String>,
    /// How many threads their processes have
    #[arg(long, default_values_t = [50, 1000])]
    threads: Vec<u32>,
    /// The unknot that is measured, instead of one that is built
    #[arg(long)]
    unknot: Option<PathBuf>,
    /// Only the tools with this in their names
    #[arg(long, default_value = "")]
    only: String,
    /// Write the tables to docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let unknot = arguments.unknot.clone();
    let unknot = unknot.map_or_else(build_unknot, Ok)?;
    let peers = environment()?;
    let mut text = format!(
        "{} runs of each tool, by turns; {}.\n",
        arguments.runs,
        machine()
    );
    for (index, tag) in arguments.python.iter().enumerate() {
        let python = match python(tag) {
            Ok(python) => python,
            Err(error) => {
                let _ = writeln!(text, "\n{error}.");
                continue;
            }
        };
        let mut tools = dumpers(python, &unknot, &peers);
        tools.retain(|tool| tool.name.contains(&arguments.only));
        if index == 0 {
            let mut versions: Vec<String> = tools.iter().filter_map(Tool::version).collect();
            versions.dedup();
            let _ = writeln!(text, "{}.", versions.join("; "));
        }
        for &threads in &arguments.threads {
            let rows = measure(&tools, python, threads, arguments.runs)?;
            let rows = table(&COLUMNS, &rows, arguments.runs as usize);
            let version = python.to_string();
            let version = version.split("  ").filter(|part| !part.is_empty()).nth(1);
            let version = version.map_or("", str::trim);
            let _ = writeln!(
                text,
                "\n#### {tag} ({version}), {threads} threads\n\n{rows}"
            );
            std::io::stderr().write_all(rows.as_bytes())?;
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    if arguments.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        put(&path, "dump", &text)?;
    }
    Ok(())
}

/// Every tool by turns, so that what else the machine does falls on all of them.
fn measure(
    tools: &[Tool],
    python: &Interpreter,
    threads: u32,
    runs: u32,
) -> Result<Vec<(String, Vec<Series>)>> {
    let empty = || COLUMNS.iter().map(|_| Series::default()).collect();
    let mut rows: Vec<(String, Vec<Series>)> = tools
        .iter()
        .map(|tool| (tool.name.clone(), empty()))
        .collect();
    for (column, busy) in [(ASLEEP, 0), (BUSY, threads / 10)] {
        let target = with_threads(python, threads, busy)?;
        by_turns(tools, &mut rows, column, runs, |tool, series| {
            let cost = run(tool, target.pid())?;
            series[column].values.push(ms(cost.latency));
            series[MEMORY].values.push(cost.memory_kib as f64 / 1024.0);
            Ok(())
        });
    }
    let mut alone: Vec<Series> = empty();
    for (column, busy) in [(FROZEN, 0), (FROZEN_BUSY, NATIVE_BUSY)] {
        let watcher = Watcher::start(python, threads, busy)?;
        by_turns(tools, &mut rows, column, runs, |tool, series| {
            let frozen = watcher.frozen(|| run(tool, watcher.target.pid()).map(drop))?;
            series[column].values.push(ms(frozen));
            Ok(())
        });
        for _ in 0..runs {
            let nothing = watcher.frozen(|| {
                std::thread::sleep(Duration::from_millis(10));
                Ok(())
            })?;
            alone[column].values.push(ms(nothing));
        }
    }
    rows.push(("no tool, 10 ms".to_owned(), alone));
    Ok(rows)
}

fn by_turns(
    tools: &[Tool],
    rows: &mut [(String, Vec<Series>)],
    column: usize,
    runs: u32,
    mut measure: impl FnMut(&Tool, &mut [Series]) -> Result<()>,
) {
    let mut spent = vec![Duration::ZERO; tools.len()];
    for round in 0..runs as usize {
        // Each round begins with another tool: who comes behind a heavy one finds the processor's caches cold.
        for turn in 0..tools.len() {
            let at = (round + turn) % tools.len();
            let (tool, series, spent) = (&tools[at], &mut rows[at].1, &mut spent[at]);
            if series[column].failure.is_some() || *spent > BUDGET {
                continue;
            }
            let begin = Instant::now();
            if let Err(error) = measure(tool, series) {
                series[column].failure = Some(short(&error));
            }
            *spent += begin.elapsed();
        }
    }
}

fn run(tool: &Tool, pid: u32) -> Result<Cost> {
    tool.run(Path::new(env!("CARGO_BIN_EXE_once")), pid)
}

/// The first line of an error, fit for a table.
fn short(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().replace('|', "/");
    line.chars().take(160).collect()
}
