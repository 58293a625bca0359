//! `flamegraph`: an SVG that any browser shows. Without its script it is a readable picture, whose frames have
//! tooltips; with it they can be zoomed into, searched and walked by keyboard. It loads nothing.
//!
//! Each frame is an `<svg>` of its own with its place and width in percent: so the picture fills any width, names are
//! cut off at their frame's edge without any script, and zooming only changes two attributes.

use crate::flame::{Flame, Key, Node};
use crate::text::{duration, markup, percent, state_label};
use crate::{Metric, Profile, State, colour};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

const SCRIPT: &str = include_str!("svg/flamegraph.js");
const STYLE: &str = include_str!("svg/flamegraph.css");

/// A row's height.
const ROW: usize = 18;
/// What is above the first row.
const TOP: usize = 96;
/// What is below the last one.
const BOTTOM: usize = 52;
/// The width that is drawn for where nothing else is known.
const WIDTH: f64 = 1200.0;
/// What is narrower is left out, in percent of the width: a tenth of a pixel.
const NARROWEST: f64 = 0.1 / WIDTH * 100.0;
/// Below that no name is written, in percent: its first letter would not fit.
const NAMED: f64 = 8.0 / WIDTH * 100.0;
/// Rows that are drawn at most; a picture of more is of no use.
const ROWS_MAX: usize = 2_000;

/// A frame to draw.
struct Placed {
    node: u32,
    row: usize,
    left: f64,
    width: f64,
}

/// Writes the SVG.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let flame = Flame::of(profile);
    let placed = place(&flame);
    let rows = placed.iter().map(|frame| frame.row + 1).max().unwrap_or(1);
    let height = TOP + rows * ROW + BOTTOM;
    writeln!(
        out,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" id="unknot-flamegraph" width="100%" height="{height}" data-top="{TOP}" data-row="{ROW}" data-rows="{rows}" role="group" aria-label="Flame graph">
<style>{STYLE}</style>
<rect id="paper" width="100%" height="100%"/>"#
    )?;
    let title = match profile.about.command.join(" ") {
        command if command.is_empty() => "Flame graph".to_owned(),
        command => command,
    };
    writeln!(
        out,
        r#"<svg id="head" x="10" width="100%" height="34"><title>{0}</title><text id="title" y="26">{0}</text></svg>"#,
        markup(&title)
    )?;
    writeln!(
        out,
        r#"<text id="about" x="10" y="46">{}</text>"#,
        markup(&about(profile))
    )?;
    writeln!(
        out,
        r#"<text id="states" x="10" y="64">{}</text>"#,
        markup(&state_shares(profile))
    )?;
    writeln!(
        out,
        r#"<text id="detail" x="10" y="86" role="status"> </text>"#
    )?;
    writeln!(out, r#"<g id="frames">"#)?;
    for frame in &placed {
        out.write_all(draw(profile, &flame, frame).as_bytes())?;
    }
    writeln!(out, "</g>")?;
    legend(profile, height, out)?;
    writeln!(out, "<script><![CDATA[{SCRIPT}]]></script>\n</svg>")
}

/// Where each frame is; what is too narrow or too deep is not there.
fn place(flame: &Flame) -> Vec<Placed> {
    let whole = weight(&flame.nodes[0]).max(1);
    let mut placed = Vec::new();
    let mut todo = vec![(0_u32, 0_usize, 0_u64)];
    while let Some((id, row, left)) = todo.pop() {
        let Some(node) = flame.nodes.get(id as usize) else {
            continue;
        };
        let width = percent(weight(node), whole);
        if row > 0 && (width < NARROWEST || row >= ROWS_MAX) {
            continue;
        }
        placed.push(Placed {
            node: id,
            row,
            left: percent(left, whole),
            width: if row == 0 { 100.0 } else { width },
        });
        let mut at = left;
        let mut children = Vec::new();
        for child in &node.children {
            children.push((*child, row + 1, at));
            at += flame.nodes.get(*child as usize).map_or(0, weight);
        }
        // The heaviest is on top of the pile, and so drawn first.
        todo.extend(children.into_iter().rev());
    }
    placed
}

/// By time, or by samples where there is none.
fn weight(node: &Node) -> u64 {
    node.cost.ns
}

fn about(profile: &Profile) -> String {
    let about = &profile.about;
    let mut words = Vec::new();
    if !about.python.is_empty() {
        words.push(format!("Python {}", about.python));
    }
    if about.duration_ns > 0 {
        words.push(duration(about.duration_ns));
    }
    words.push(format!("{} samples", about.samples));
    if about.errors > 0 {
        words.push(format!("{} could not be read", about.errors));
    }
    if about.truncated > 0 {
        words.push(format!("{} cut off", about.truncated));
    }
    words.push(
        match about.metric {
            Metric::Wall => "wall time",
            Metric::Cpu => "CPU time",
            Metric::Gil => "time with the GIL",
        }
        .to_owned(),
    );
    words.join(" · ")
}

/// `running Python 34 %, waiting 60 %`.
fn state_shares(profile: &Profile) -> String {
    let all: u64 = profile
        .totals
        .iter()
        .map(|total| profile.weight_ns(total))
        .sum();
    let mut text = String::new();
    for state in State::ALL {
        let with_it = profile.totals.iter().filter(|total| total.state == state);
        let part: u64 = with_it.map(|total| profile.weight_ns(total)).sum();
        if part > 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(
                text,
                "{comma}{} {:.0} %",
                state_label(state),
                percent(part, all)
            );
        }
    }
    text
}

fn draw(profile: &Profile, flame: &Flame, frame: &Placed) -> String {
    let Some(node) = flame.nodes.get(frame.node as usize) else {
        return String::new();
    };
    let (label, place, fill) = match node.key {
        Key::Function(id) => function(profile, id),
        Key::Gil => (
            flame.name(profile, node.key).to_owned(),
            String::new(),
            colour::GIL,
        ),
        Key::Outside => (
            flame.name(profile, node.key).to_owned(),
            String::new(),
            colour::OUTSIDE,
        ),
        Key::All | Key::Group(_) => (
            flame.name(profile, node.key).to_owned(),
            String::new(),
            colour::GROUP,
        ),
    };
    let mut detail = format!(
        "{:.2} % · {} · {} samples",
        percent(node.cost.ns, flame.nodes[0].cost.ns),
        duration(node.cost.ns),
        node.cost.samples
    );
    if !node.children.is_empty() && node.own.ns > 0 {
        let own = percent(node.own.ns, flame.nodes[0].cost.ns);
        let _ = write!(detail, " · itself {own:.2} %");
    }
    let name = markup(&label);
    let y = TOP + frame.row * ROW;
    let mut out = format!(
        r#"<svg class="{}" x="{:.4}%" y="{y}" width="{:.4}%" height="{}"><title>{name}&#10;{}{}{}</title><rect width="100%" height="100%" fill="{}"/>"#,
        // Between narrow frames there is no room for an edge.
        if frame.width < 0.3 { "f n" } else { "f" },
        frame.left,
        frame.width,
        ROW - 1,
        markup(&place),
        if place.is_empty() { "" } else { "&#10;" },
        markup(&detail),
        colour::hex(fill),
    );
    if frame.width >= NAMED {
        let _ = write!(out, r#"<text x="4" y="13">{name}</text>"#);
    }
    out.push_str("</svg>\n");
    out
}

/// A function's label, its place in full, and its colour.
fn function(profile: &Profile, id: u32) -> (String, String, colour::Rgb) {
    let Some(function) = profile.functions.get(id as usize) else {
        return (String::new(), String::new(), colour::OUTSIDE);
    };
    let name = profile.text(function.name);
    let file = profile.text(function.file);
    let short = Path::new(file)
        .file_name()
        .map_or("".into(), |name| name.to_string_lossy());
    let (label, place) = match (file.is_empty(), function.first_line) {
        (true, _) => (name.to_owned(), String::new()),
        (false, 0) => (format!("{name} ({short})"), file.to_owned()),
        (false, line) => (format!("{name} ({short}:{line})"), format!("{file}:{line}")),
    };
    (label, place, colour::of(profile, function))
}

fn legend(profile: &Profile, height: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, r#"<g id="legend">"#)?;
    let y = height - 30;
    let mut x = 10;
    for (name, fill) in colour::LEGEND {
        writeln!(
            out,
            r#"<rect x="{x}" y="{y}" width="12" height="12" fill="{}"/><text x="{}" y="{}">{name}</text>"#,
            colour::hex(fill),
            x + 17,
            y + 10
        )?;
        x += 17 + name.len() * 7 + 18;
    }
    writeln!(
        out,
        r#"<text x="100%" dx="-10" y="{}" text-anchor="end">{}</text></g>"#,
        y + 10,
        markup(&profile.about.recorder)
    )
}

#[cfg(test)]
mod tests {
    use crate::{Format, synthetic, write};

    fn svg(profile: &crate::Profile) -> String {
        let mut bytes = Vec::new();
        write(profile, Format::Flamegraph, &mut bytes).expect("memory");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn it_names_places_and_shares_and_loads_nothing() {
        let text = svg(&synthetic::server());
        for part in [
            "transfer (bank.py:11)&#10;/srv/app/bank.py:11&#10;",
            "waits for Lock accounts_lock, held by Thread-2 (transfer) at bank.py:18&#10;",
            "waits for the GIL",
            "thread ThreadPoolExecutor-0_1 (4261)",
            "process 4300 (python report.py)",
        ] {
            assert!(text.contains(part), "{part}");
        }
        let urls = text.matches("http").count();
        let namespaces = text.matches("http://www.w3.org/").count();
        assert_eq!(urls, namespaces);
        assert_eq!(text, svg(&synthetic::server()));
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let text = svg(&synthetic::hostile());
        assert_eq!(text.matches("<script").count(), 1);
        assert!(!text.contains("<svg onload"));
        assert_eq!(text.matches("]]>").count(), 1);
    }

    #[test]
    fn what_is_too_narrow_is_left_out() {
        // 46,656 leaves, each a forty-thousandth.
        let text = svg(&synthetic::wide(6));
        let frames = text.matches("<svg class").count();
        assert!((5_000..20_000).contains(&frames), "{frames}");
        assert!(svg(&synthetic::empty()).contains("0 samples"));
    }
}
