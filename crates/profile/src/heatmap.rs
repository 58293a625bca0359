//! `heatmap`: source files with the heat of each line, as one page of HTML without any script. A line's heat is its share
//! of all: what was spent in it, and in what it called.

use crate::text::{duration, markup, percent};
use crate::tree::{Cost, Step, Sums, costs, walk};
use crate::{FrameKind, Profile, colour};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

const STYLE: &str = include_str!("html/heatmap.css");

/// Lines that are shown around a hot one where the whole text would be too much.
const AROUND: u32 = 3;
/// A file of more lines is shown around its hot lines only.
const WHOLE_MAX: usize = 2_000;

/// A line's costs and function.
#[derive(Clone, Copy, Default)]
struct Line {
    own: Cost,
    inclusive: Cost,
    function: u32,
}

/// A file's costs: itself, and by line.
#[derive(Default)]
struct File {
    own: Cost,
    inclusive: Cost,
    lines: BTreeMap<u32, Line>,
}

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let sums = Sums::of(profile);
    let files = files(profile, &sums);
    let title = match profile.about.command.join(" ") {
        command if command.is_empty() => "Heat by line".to_owned(),
        command => command,
    };
    writeln!(
        out,
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="unknot-heatmap">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · heat by line</title>
<style>{STYLE}</style></head><body>
<header><h1>{title}</h1><p>{} samples · {} in all threads and tasks · <b>itself</b>: in the line; <b>total</b>: with what it called</p></header>
<main>"#,
        profile.about.samples,
        duration(sums.all.ns),
        title = markup(&title),
    )?;
    if files.is_empty() {
        writeln!(out, "<p>No sample has a line.</p>")?;
    }
    if files.len() > 1 {
        contents(profile, &files, sums.all, out)?;
    }
    let sources: HashMap<u32, &str> = profile
        .sources
        .iter()
        .map(|source| (source.file, source.text.as_str()))
        .collect();
    for (id, file) in &files {
        let name = profile.text(*id);
        let library = if colour::is_library(name) {
            " class=\"library\""
        } else {
            ""
        };
        let open = if library.is_empty() { " open" } else { "" };
        writeln!(
            out,
            r#"<details id="f{id}"{library}{open}><summary><h2>{}</h2><span>{:.1} % itself, {:.1} % total</span></summary>
<table><thead><tr><th>itself</th><th>total</th><th>line</th><th>source</th></tr></thead><tbody>"#,
            markup(name),
            percent(file.own.ns, sums.all.ns),
            percent(file.inclusive.ns, sums.all.ns),
        )?;
        lines(profile, file, sources.get(id).copied(), sums.all, out)?;
        writeln!(out, "</tbody></table></details>")?;
    }
    writeln!(out, "</main></body></html>")
}

/// The files of all Python functions, the hottest first.
fn files(profile: &Profile, sums: &Sums) -> Vec<(u32, File)> {
    let mut files: HashMap<u32, File> = HashMap::new();
    let function = |id: u32| {
        profile
            .functions
            .get(id as usize)
            .filter(|f| f.kind == FrameKind::Python && f.file > 0)
    };
    for ((id, number), cost) in &sums.lines {
        if let Some(f) = function(*id) {
            let line = files
                .entry(f.file)
                .or_default()
                .lines
                .entry(*number)
                .or_default();
            // Two functions on one line, a lambda in a call: the sum would count the inner one twice.
            if cost.ns > line.inclusive.ns {
                line.inclusive = *cost;
            }
            line.function = *id;
        }
    }
    for (place, cost) in own_by_python_line(profile) {
        if let Some(f) = function(place.0) {
            let file = files.entry(f.file).or_default();
            file.own.add(cost);
            file.lines.entry(place.1).or_default().own.add(cost);
        }
    }
    inclusive_by_file(profile, &mut files);
    let mut files: Vec<(u32, File)> = files.into_iter().collect();
    files.sort_by(|(a, x), (b, y)| {
        let library = |id: u32| colour::is_library(profile.text(id));
        (library(*a), y.own.ns, profile.text(*a)).cmp(&(library(*b), x.own.ns, profile.text(*b)))
    });
    files
}

/// What was spent in native code, the collector or a wait is the line's that called it.
fn own_by_python_line(profile: &Profile) -> Vec<((u32, u32), Cost)> {
    let mut all: BTreeMap<(u32, u32), Cost> = BTreeMap::new();
    for total in &profile.totals {
        let cost = Cost {
            samples: total.samples,
            ns: profile.weight_ns(total),
        };
        let line = profile.frames_of(total.stack).find(|frame| {
            profile
                .function_of(frame)
                .is_some_and(|f| f.kind == FrameKind::Python)
        });
        if let Some(frame) = line {
            all.entry((frame.function, frame.line))
                .or_default()
                .add(cost);
        }
    }
    all.into_iter().collect()
}

fn inclusive_by_file(profile: &Profile, files: &mut HashMap<u32, File>) {
    let (_, inclusive) = costs(profile);
    let mut open: HashMap<u32, u32> = HashMap::new();
    walk(profile, |step| {
        let (Step::Enter(id) | Step::Leave(id)) = step;
        let function = profile
            .stacks
            .get(id as usize)
            .and_then(|stack| profile.frames.get(stack.frame as usize))
            .and_then(|frame| profile.function_of(frame));
        let Some(file) = function.map(|f| f.file) else {
            return;
        };
        let count = open.entry(file).or_default();
        if matches!(step, Step::Leave(_)) {
            *count -= 1;
            return;
        }
        *count += 1;
        if *count == 1
            && let Some(entry) = files.get_mut(&file)
        {
            entry.inclusive.add(inclusive[id as usize]);
        }
    });
}

fn contents(
    profile: &Profile,
    files: &[(u32, File)],
    all: Cost,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, r#"<nav aria-label="Files"><ol>"#)?;
    for (id, file) in files {
        let share = percent(file.own.ns, all.ns);
        writeln!(
            out,
            r##"<li><a href="#f{id}"><span class="bar" style="--share:{share:.2}%"></span><b>{share:.1} %</b> {}</a></li>"##,
            markup(profile.text(*id))
        )?;
    }
    writeln!(out, "</ol></nav>")
}

fn lines(
    profile: &Profile,
    file: &File,
    text: Option<&str>,
    all: Cost,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(text) = text else {
        for (number, line) in &file.lines {
            let name = profile
                .functions
                .get(line.function as usize)
                .map_or("", |f| profile.text(f.name));
            row(*number, *line, &format!("in {name}"), "name", all, out)?;
        }
        return Ok(());
    };
    let count = text.lines().count();
    let near = |number: u32| {
        let from = number.saturating_sub(AROUND);
        file.lines
            .range(from..=number.saturating_add(AROUND))
            .next()
            .is_some()
    };
    let mut gap = false;
    for (index, text) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if count > WHOLE_MAX && !near(number) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            writeln!(out, r#"<tr class="gap"><td colspan="4">…</td></tr>"#)?;
        }
        let line = file.lines.get(&number).copied().unwrap_or_default();
        row(number, line, text, "text", all, out)?;
    }
    // What the text does not have: it has changed, or the line is unknown.
    for (number, line) in &file.lines {
        if *number == 0 || *number as usize > count {
            row(
                *number,
                *line,
                "(not in the text at hand)",
                "name",
                all,
                out,
            )?;
        }
    }
    Ok(())
}

fn row(
    number: u32,
    line: Line,
    text: &str,
    class: &str,
    all: Cost,
    out: &mut dyn Write,
) -> io::Result<()> {
    let own = percent(line.own.ns, all.ns);
    let total = percent(line.inclusive.ns, all.ns);
    // The eye judges area: the root makes small shares visible and leaves the order.
    let heat = (own / 100.0).sqrt().max((total / 100.0).sqrt() * 0.35);
    let share = |value: f64| match value {
        v if v <= 0.0 => String::new(),
        v if v < 0.05 => "&lt;0.1".to_owned(),
        v => format!("{v:.1}"),
    };
    writeln!(
        out,
        r#"<tr style="--heat:{heat:.3}"><td>{}</td><td>{}</td><td>{}</td><td class="{class}">{}</td></tr>"#,
        share(own),
        share(total),
        if number > 0 {
            number.to_string()
        } else {
            String::new()
        },
        markup(text).replace("&#9;", "    "),
    )
}

#[cfg(test)]
mod tests {
    use crate::{Format, synthetic, write};

    #[test]
    fn lines_have_their_heat_and_text() {
        let mut bytes = Vec::new();
        write(&synthetic::server(), Format::Heatmap, &mut bytes).expect("memory");
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains("balance += balance * rate"), "{text}");
        assert!(text.contains("in Server.respond"), "{text}");
        let mut bytes = Vec::new();
        write(&synthetic::hostile(), Format::Heatmap, &mut bytes).expect("memory");
        assert!(!String::from_utf8(bytes).expect("text").contains("<script"));
    }
}
