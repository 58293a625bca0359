//! A report told to a person: structured lines that a front end prints and colours.

mod healthy;
mod stacks;

use crate::report::{Edge, Finding, Report};
use crate::words;
use snapshot::{Certainty, Kind, Place, Snapshot};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How many rows of a finding's table are shown.
const ROWS_MAX: usize = 40;
/// How wide a column of the table may get, in characters.
const COLUMN_MAX: usize = 44;

/// What a line is, so that a front end can colour it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The finding in a sentence, or the head of a section.
    Heading,
    /// Ordinary text.
    Plain,
    /// A place in the program.
    Place,
    /// A line of the program's source.
    Source,
    /// What is there for whoever wants to know more.
    Aside,
    /// What a reader should see first in its section.
    Emphasis,
    /// Nothing: a gap between sections.
    Blank,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub role: Role,
    /// How many spaces it is to be set in by.
    pub indent: usize,
    /// Its text, without line breaks and control characters.
    pub text: String,
}

/// A report told to a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// From top to bottom.
    pub lines: Vec<Line>,
}

impl Text {
    fn add(&mut self, role: Role, indent: usize, text: impl AsRef<str>) {
        // The target chooses names and source: no line of it may move the cursor.
        let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let text = text
            .as_ref()
            .trim_end()
            .replace('\t', "    ")
            .chars()
            .map(clean)
            .collect();
        self.lines.push(Line { role, indent, text });
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|l| l.role != Role::Blank) {
            self.lines.push(Line {
                role: Role::Blank,
                indent: 0,
                text: String::new(),
            });
        }
    }

    /// The lines without colour, each ended by a line break.
    pub fn to_plain(&self) -> String {
        let mut all = String::new();
        for line in &self.lines {
            let padded = format!("{:indent$}{}", "", line.text, indent = line.indent);
            all.push_str(padded.trim_end());
            all.push('\n');
        }
        all
    }
}

/// The gist in sentences, then who waits for whom, then the stacks that matter. `source` gives a line
/// of a file of the target, where it can be had.
pub fn explain(
    report: &Report,
    snapshot: &Snapshot,
    source: &dyn Fn(&str, u32) -> Option<String>,
) -> Text {
    let mut text = Text::default();
    if report.findings.is_empty() {
        healthy::tell(&mut text, snapshot);
    }
    for finding in &report.findings {
        text.gap();
        explain_finding(&mut text, finding, snapshot, source);
    }
    let notes = notes(snapshot);
    if !notes.is_empty() {
        text.gap();
        for note in &notes {
            text.add(Role::Plain, 0, format!("Note: {note}"));
        }
    }
    text
}

/// What could not be read, so that a partial answer is known for one.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = snapshot.notes.clone();
    for process in &snapshot.processes {
        let of = match snapshot.processes.len() {
            0 | 1 => String::new(),
            _ => format!("of process {}, ", process.pid),
        };
        notes.extend(process.notes.iter().map(|note| format!("{of}{note}")));
        let mut cut = process.threads.iter().filter(|thread| thread.frames_cut);
        if let Some(first) = cut.next() {
            let name = &first.name;
            notes.push(match cut.count() {
                0 => format!("{of}the stack of {name} could not be read whole"),
                1 => {
                    format!("{of}the stacks of {name} and one more thread could not be read whole")
                }
                more => {
                    format!(
                        "{of}the stacks of {name} and {more} more threads could not be read whole"
                    )
                }
            });
        }
    }
    notes
}

fn explain_finding(
    text: &mut Text,
    finding: &Finding,
    snapshot: &Snapshot,
    source: &dyn Fn(&str, u32) -> Option<String>,
) {
    let sure = match finding.certainty {
        Certainty::Certain => "",
        Certainty::Probable => " (probably)",
    };
    text.add(
        Role::Heading,
        0,
        format!("{}{sure}: {}.", finding.kind.word(), finding.summary),
    );
    text.add(Role::Plain, 0, format!("Why: {}.", finding.cause));
    if !finding.edges.is_empty() {
        text.gap();
        table(text, finding, snapshot.processes.len() > 1);
    }
    text.gap();
    stacks::tell(text, finding, snapshot, source);
}

/// `bank.py:12 in transfer()`
fn in_place(place: &Place) -> Option<String> {
    let spot = words::spot(place)?;
    Some(match place.function.as_str() {
        "" => spot,
        "<module>" => format!("{spot} in the module"),
        function => format!("{spot} in {function}()"),
    })
}

/// One line of the table: an edge, and how many more are like it.
struct Row<'f> {
    edge: &'f Edge,
    cells: [String; 3],
    more: usize,
}

/// The knot's own edges one by one; those behind them that differ by their waiter alone are folded together.
/// Returns the number of rows of the knot too.
fn rows(finding: &Finding, several: bool) -> (Vec<Row<'_>>, usize) {
    let (own, behind) = finding
        .edges
        .split_at(finding.knot_edges.min(finding.edges.len()));
    let row = |edge| Row {
        edge,
        cells: cells(edge, several),
        more: 0,
    };
    let mut rows: Vec<Row<'_>> = own.iter().map(row).collect();
    let count = rows.len();
    let mut index = HashMap::new();
    for edge in behind {
        let new = row(edge);
        let like = (
            new.cells[1].clone(),
            new.cells[2].clone(),
            &edge.waiter.place,
        );
        match index.entry(like) {
            Entry::Vacant(place) => {
                place.insert(rows.len());
                rows.push(new);
            }
            Entry::Occupied(known) => rows[*known.get()].more += 1,
        }
    }
    for row in rows.iter_mut().filter(|row| row.more > 0) {
        row.cells[0] = format!("{} and {} more", row.cells[0], row.more);
    }
    (rows, count)
}

fn table(text: &mut Text, finding: &Finding, several: bool) {
    let (rows, own) = rows(finding, several);
    let width = |column: usize| {
        let cells = rows.iter().take(ROWS_MAX);
        let widths = cells.map(|r| r.cells[column].chars().count());
        widths.max().unwrap_or(0).min(COLUMN_MAX)
    };
    let (first, second) = (width(0).max("who".len()), width(1).max("waits for".len()));
    text.add(
        Role::Heading,
        2,
        format!("{:first$}  {:second$}  held by", "who", "waits for"),
    );
    for (number, Row { edge, cells, .. }) in rows.iter().take(ROWS_MAX).enumerate() {
        if number == own && number > 0 {
            text.add(Role::Plain, 2, "behind them:");
        }
        let role = if number < own {
            Role::Emphasis
        } else {
            Role::Plain
        };
        text.add(
            role,
            2,
            format!("{:first$}  {:second$}  {}", cells[0], cells[1], cells[2]),
        );
        details(text, edge, several);
    }
    let more = rows.iter().skip(ROWS_MAX).map(|row| 1 + row.more);
    let more: usize = more.sum();
    if more > 0 {
        text.add(Role::Plain, 2, format!("and {more} more"));
    }
}

/// Where the two of an edge are, and how it is known.
fn details(text: &mut Text, edge: &Edge, several: bool) {
    if let Some(place) = in_place(&edge.waiter.place) {
        text.add(Role::Place, 6, format!("waits at {place}"));
    }
    if let Some(holder) = &edge.held_by {
        let verb = if holder.ended {
            "was last at"
        } else {
            "took it at"
        };
        // Where a native mutex was taken, no frame tells: the place is where its holder is.
        let kind = edge.waits_for.kind;
        let lock = words::is_lock(kind) && kind != Kind::NativeMutex;
        let other = words::who(&holder.party, several);
        let verb = if lock || holder.ended { verb } else { "is at" };
        if let Some(place) = in_place(&holder.party.place) {
            text.add(Role::Place, 6, format!("{other} {verb} {place}"));
        }
    }
    if !edge.evidence.is_empty() {
        let sure = match edge.certainty {
            Certainty::Certain => "",
            Certainty::Probable => " (probable)",
        };
        text.add(Role::Aside, 6, format!("evidence{sure}: {}", edge.evidence));
    }
}

fn cells(edge: &Edge, several: bool) -> [String; 3] {
    let kind = edge.waits_for.kind.to_string();
    let thing = match &edge.waits_for.name {
        Some(name) => format!("{kind} {name}"),
        None => match edge.waits_for.address {
            Some(address) => format!("{kind} {address}"),
            None => kind,
        },
    };
    let holder = match &edge.held_by {
        None => "nobody".to_owned(),
        Some(holder) => {
            let nameless = holder.party.thread.is_none() && holder.party.task.is_none();
            match (
                &holder.how,
                holder.ended && nameless && holder.party.pid.is_none(),
            ) {
                (Some(how), true) => how.clone(),
                (Some(how), false) => format!("{} ({how})", words::who(&holder.party, several)),
                (None, _) => words::who(&holder.party, several),
            }
        }
    };
    [words::who(&edge.waiter, several), thing, holder]
}
