//! All stacks of a process, once: how long each tool takes from its start to its end, and how long the process stands still.
//!
//! `cargo bench -p benches --bench dump [-- --runs N] [--write]`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use benches::peers::{Tool, subject_python, tools};
use benches::report::{Series, machine, median, table};
use benches::subject::{Watcher, with_threads};
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// How often each tool is run on each process
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Write the tables to docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let python = subject_python()?;
    let tools = tools()?;
    let mut text = String::from("# Benchmarks\n\n## All stacks, once\n\n");
    let _ = writeln!(
        text,
        "Made by `cargo bench -p benches --bench dump -- --write`, {} runs of each tool, by turns; medians.",
        arguments.runs
    );
    let _ = writeln!(
        text,
        "{}; {}.\n",
        machine(),
        python
            .to_string()
            .split("  ")
            .next()
            .unwrap_or_default()
            .trim()
    );
    let versions: Vec<String> = tools.iter().filter_map(Tool::version).collect();
    let mut versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    versions.dedup();
    let _ = writeln!(text, "{}.\n", versions.join("; "));
    let _ = writeln!(
        text,
        "*Frozen* is the longest time in which the process, every thread of it but one being asleep, did not get to look at the clock \
         while the tool ran. It holds the scheduler's own pauses too: the last row is as long a time without any tool.\n"
    );
    for threads in [50, 1000] {
        let rows = measure(&tools, threads, arguments.runs)?;
        let _ = writeln!(text, "### {threads} threads\n\n{}", table(&rows));
    }
    std::io::stdout().write_all(text.as_bytes())?;
    if arguments.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        std::fs::create_dir_all(path.with_file_name(""))?;
        std::fs::write(&path, text.trim_end().to_owned() + "\n")?;
    }
    Ok(())
}

/// Every tool by turns, so that what else the machine does falls on all of them.
fn measure(tools: &[Tool], threads: u32, runs: u32) -> Result<Vec<(String, Series)>> {
    let python = subject_python()?;
    let mut rows: Vec<(String, Series)> = tools
        .iter()
        .map(|tool| (tool.name.clone(), Series::default()))
        .collect();
    let busy = with_threads(python, threads)?;
    for _ in 0..runs {
        for (tool, (_, series)) in tools.iter().zip(&mut rows) {
            if series.failure.is_none() {
                match tool.run(busy.pid()) {
                    Ok(latency) => series.latency.push(latency),
                    Err(error) => series.failure = Some(short(&error)),
                }
            }
        }
    }
    drop(busy);
    let watcher = Watcher::start(python, threads)?;
    let mut alone = Series::default();
    for _ in 0..runs {
        for (tool, (_, series)) in tools.iter().zip(&mut rows) {
            if series.failure.is_none() {
                match watcher.longest_gap(|| tool.run(watcher.target.pid()).map(drop)) {
                    Ok(gap) => series.frozen.push(gap),
                    Err(error) => series.failure = Some(short(&error)),
                }
            }
        }
        let pause = rows
            .first()
            .and_then(|(_, series)| median(&series.latency))
            .unwrap_or(Duration::from_millis(20));
        alone.frozen.push(watcher.longest_gap(|| {
            std::thread::sleep(pause);
            Ok(())
        })?);
    }
    rows.push(("no tool".to_owned(), alone));
    Ok(rows)
}

/// The first line of an error, fit for a table.
fn short(error: &anyhow::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .replace('|', "/")
        .chars()
        .take(100)
        .collect()
}
