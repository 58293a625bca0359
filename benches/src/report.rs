//! Numbers, made into a table.

use std::fmt::Write as _;
use std::time::Duration;

/// The measurements of one tool on one process.
#[derive(Debug, Default)]
pub struct Series {
    /// From start to end, each run.
    pub latency: Vec<Duration>,
    /// Longest standstill of the process, each run.
    pub frozen: Vec<Duration>,
    /// Why there are none.
    pub failure: Option<String>,
}

/// The middle one; of an even number, the greater of the two in the middle.
pub fn median(values: &[Duration]) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

/// A Markdown table: each tool's medians, and how often the first tool's latency fits into its own.
pub fn table(rows: &[(String, Series)]) -> String {
    let mut text = String::from(
        "| tool | start to exit, ms | of it the least | times the first | frozen, ms |\n|---|---:|---:|---:|---:|\n",
    );
    let first = rows.first().and_then(|(_, series)| median(&series.latency));
    for (name, series) in rows {
        let _ = match (&series.failure, median(&series.latency)) {
            (Some(failure), _) => writeln!(text, "| {name} | {failure} | | | |"),
            (None, latency) => {
                let least = series.latency.iter().min().copied();
                let ratio = first
                    .zip(latency)
                    .map(|(first, own)| format!("{:.1}", own.as_secs_f64() / first.as_secs_f64()));
                let ratio = ratio.unwrap_or_default();
                writeln!(
                    text,
                    "| {name} | {} | {} | {ratio} | {} |",
                    ms(latency),
                    ms(least),
                    ms(median(&series.frozen))
                )
            }
        };
    }
    text
}

fn ms(time: Option<Duration>) -> String {
    time.map(|time| format!("{:.1}", time.as_secs_f64() * 1e3))
        .unwrap_or_default()
}

/// What the numbers depend on: processor, kernel.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| {
        line.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, name)| name)
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}",
        model.unwrap_or("unknown processor"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let ms = |numbers: &[u64]| {
            numbers
                .iter()
                .copied()
                .map(Duration::from_millis)
                .collect::<Vec<_>>()
        };
        assert_eq!(median(&ms(&[3, 1, 2])), Some(Duration::from_millis(2)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_row_for_each_tool() {
        let ms = |number| vec![Duration::from_millis(number)];
        let rows = [
            (
                "a".to_owned(),
                Series {
                    latency: ms(2),
                    frozen: ms(1),
                    failure: None,
                },
            ),
            (
                "b".to_owned(),
                Series {
                    latency: ms(5),
                    ..Series::default()
                },
            ),
            (
                "c".to_owned(),
                Series {
                    failure: Some("not here".to_owned()),
                    ..Series::default()
                },
            ),
        ];
        let text = table(&rows);
        assert!(text.ends_with("| a | 2.0 | 2.0 | 1.0 | 1.0 |\n| b | 5.0 | 5.0 | 2.5 |  |\n| c | not here | | | |\n"), "{text}");
    }
}
