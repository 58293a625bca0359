//! Numbers, made into a table.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

/// The measurements of one tool in one situation.
#[derive(Debug, Default)]
pub struct Series {
    /// Each run, in the unit of its column.
    pub values: Vec<f64>,
    /// Why there are none.
    pub failure: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What is measured, and its unit.
    pub title: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// Whether to say how often the first row's number fits into each row's own.
    pub ratio: bool,
}

/// The middle one; of an even number, the greater of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A Markdown table of medians: a row for each tool, with as many series as there are columns. A median of fewer than `runs` runs
/// says how many there were.
pub fn table(columns: &[Column], rows: &[(String, Vec<Series>)], runs: usize) -> String {
    let mut text = String::from("| tool |");
    for column in columns {
        let ratio = if column.ratio { " × |" } else { "" };
        let _ = write!(text, " {} |{ratio}", column.title);
    }
    text.push_str("\n|---|");
    for column in columns {
        text.push_str(if column.ratio { "---:|---:|" } else { "---:|" });
    }
    text.push('\n');
    let mut notes = Vec::new();
    for (name, series) in rows {
        let _ = write!(text, "| {name} |");
        for (index, (column, series)) in columns.iter().zip(series).enumerate() {
            let middle = median(&series.values);
            let first = rows
                .first()
                .and_then(|(_, all)| median(&all.get(index)?.values));
            let mut cell =
                middle.map_or_else(String::new, |value| format!("{value:.*}", column.digits));
            if middle.is_some() && series.values.len() < runs {
                let _ = write!(cell, " ({} runs)", series.values.len());
            }
            if let Some(failure) = &series.failure {
                let note = format!("{name} {failure}");
                if !notes.contains(&note) {
                    notes.push(note);
                }
                cell = "–".to_owned();
            }
            let _ = write!(text, " {cell} |");
            if column.ratio {
                let ratio = first
                    .zip(middle)
                    .map(|(first, own)| format!(" {:.1} |", own / first));
                text.push_str(&ratio.unwrap_or_else(|| " |".to_owned()));
            }
        }
        text.push('\n');
    }
    for note in notes {
        let _ = write!(text, "\n- {note}");
    }
    text.trim_end().to_owned() + "\n"
}

/// Puts `text` into a document, between the comments `<!-- NAME -->` and `<!-- /NAME -->`.
///
/// # Errors
/// When the document has no such place.
pub fn put(document: &Path, name: &str, text: &str) -> Result<()> {
    let whole = std::fs::read_to_string(document)?;
    let place = || {
        let (head, rest) = whole.split_once(&format!("<!-- {name} -->"))?;
        let (_, tail) = rest.split_once(&format!("<!-- /{name} -->"))?;
        Some((head, tail))
    };
    let Some((head, tail)) = place() else {
        anyhow::bail!("{} has no place for {name}", document.display());
    };
    let new = format!("{head}<!-- {name} -->\n{text}<!-- /{name} -->{tail}");
    Ok(std::fs::write(document, new)?)
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
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_row_for_each_tool() {
        let row = |name: &str, values: &[f64], failure: Option<&str>| {
            let series = Series {
                values: values.to_vec(),
                failure: failure.map(str::to_owned),
            };
            (name.to_owned(), vec![series])
        };
        let rows = [
            row("a", &[2.0, 2.0], None),
            row("b", &[5.0], None),
            row("c", &[], Some("is not here")),
        ];
        let column = Column {
            title: "ms",
            digits: 1,
            ratio: true,
        };
        let text = table(&[column], &rows, 2);
        let wanted = "| tool | ms | × |\n|---|---:|---:|\n| a | 2.0 | 1.0 |\n| b | 5.0 (1 runs) | 2.5 |\n| c | – | |\n\n- c is not here\n";
        assert_eq!(text, wanted);
    }
}
