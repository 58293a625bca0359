//! A report told to a person: structured lines that a front end prints and colours.

use crate::report::{Edge, Finding, Party, Report};
use crate::words;
use snapshot::{Address, Certainty, Frame, Origin, Place, Process, Snapshot, ThreadState};

/// How many stacks of a finding are shown.
const STACKS_MAX: usize = 12;
/// How many frames of a stack are shown.
const FRAMES_MAX: usize = 12;
/// How many edges of a finding are shown.
const EDGES_MAX: usize = 40;
/// How many waits of a healthy program are shown.
const WAITS_MAX: usize = 10;
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
        healthy(&mut text, snapshot);
    }
    for finding in &report.findings {
        text.gap();
        explain_finding(&mut text, finding, snapshot, source);
    }
    if !snapshot.notes.is_empty() {
        text.gap();
        for note in &snapshot.notes {
            text.add(Role::Plain, 0, format!("Note: {note}"));
        }
    }
    text
}

fn healthy(text: &mut Text, snapshot: &Snapshot) {
    text.add(Role::Heading, 0, "ok: all that waits can still go on.");
    let several = snapshot.processes.len() > 1;
    let waiting = snapshot
        .processes
        .iter()
        .flat_map(|p| p.threads.iter().map(move |t| (p, t)));
    let mut left_out = 0usize;
    let mut shown = 0;
    for (process, thread) in waiting {
        let Some(wait) = thread
            .waits_for
            .as_ref()
            .filter(|_| thread.state != ThreadState::Idle)
        else {
            continue;
        };
        if shown == WAITS_MAX {
            left_out += 1;
            continue;
        }
        shown += 1;
        let party = Party {
            pid: Some(process.pid),
            thread: Some(thread.name.clone()),
            ..Party::default()
        };
        let edge = Edge {
            waiter: party.clone(),
            waits_for: crate::report::Target {
                kind: wait.kind,
                address: wait.address,
                name: wait.name.clone(),
                place: wait.place.clone(),
                inner: None,
            },
            held_by: None,
            certainty: Certainty::Certain,
            evidence: String::new(),
        };
        let told = words::Told {
            edge,
            operation: wait.operation,
        };
        let who = words::who(&party, several);
        let at = in_place(&wait.place)
            .map(|p| format!(", {p}"))
            .unwrap_or_default();
        text.add(
            Role::Plain,
            2,
            format!("{who} waits {}{at}", words::thing(&told)),
        );
    }
    if left_out > 0 {
        text.add(Role::Plain, 2, format!("and {left_out} more threads wait"));
    }
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
    stacks(text, finding, snapshot, source);
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

fn table(text: &mut Text, finding: &Finding, several: bool) {
    let rows: Vec<[String; 3]> = finding
        .edges
        .iter()
        .take(EDGES_MAX)
        .map(|e| row(e, several))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|r| r[column].chars().count());
        cells.max().unwrap_or(0).min(COLUMN_MAX)
    };
    let (first, second) = (width(0).max("who".len()), width(1).max("waits for".len()));
    text.add(
        Role::Heading,
        2,
        format!("{:first$}  {:second$}  held by", "who", "waits for"),
    );
    for (number, (edge, row)) in finding.edges.iter().zip(&rows).enumerate() {
        if number == finding.knot_edges && number > 0 {
            text.add(Role::Plain, 2, "behind them:");
        }
        let role = if number < finding.knot_edges {
            Role::Emphasis
        } else {
            Role::Plain
        };
        text.add(
            role,
            2,
            format!("{:first$}  {:second$}  {}", row[0], row[1], row[2]),
        );
        if let Some(place) = in_place(&edge.waiter.place) {
            text.add(Role::Place, 6, format!("waits at {place}"));
        }
        if let Some(holder) = &edge.held_by {
            let verb = if holder.ended {
                "was last at"
            } else {
                "took it at"
            };
            let lock = words::is_lock(edge.waits_for.kind);
            let other = words::who(&holder.party, several);
            let verb = if lock || holder.ended { verb } else { "is at" };
            if let Some(place) = in_place(&holder.party.place) {
                text.add(Role::Place, 6, format!("{other} {verb} {place}"));
            }
        }
        if !edge.evidence.is_empty() {
            let sure = if edge.certainty == Certainty::Probable {
                "probable: "
            } else {
                ""
            };
            text.add(Role::Plain, 6, format!("{sure}{}", edge.evidence));
        }
    }
    let more = finding.edges.len().saturating_sub(EDGES_MAX);
    if more > 0 {
        text.add(Role::Plain, 2, format!("and {more} more"));
    }
}

fn row(edge: &Edge, several: bool) -> [String; 3] {
    let kind = serde_word(edge.waits_for.kind);
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

/// The word that JSON uses for a kind.
fn serde_word(kind: snapshot::Kind) -> String {
    use snapshot::Kind;
    match kind {
        Kind::Gil => "GIL".to_owned(),
        Kind::NativeMutex => "native mutex".to_owned(),
        Kind::FileLock => "file lock".to_owned(),
        Kind::Pipe
        | Kind::Socket
        | Kind::File
        | Kind::Terminal
        | Kind::Timer
        | Kind::Signal
        | Kind::Descriptors
        | Kind::Unknown => format!("{kind:?}").to_lowercase(),
        _ => format!("{kind:?}"),
    }
}

/// The stacks of all who have a part in the finding.
fn stacks(
    text: &mut Text,
    finding: &Finding,
    snapshot: &Snapshot,
    source: &dyn Fn(&str, u32) -> Option<String>,
) {
    let several = snapshot.processes.len() > 1;
    let waiters = finding.edges.iter().map(|e| &e.waiter);
    let holders = finding
        .edges
        .iter()
        .filter_map(|e| e.held_by.as_ref())
        .filter(|h| !h.ended)
        .map(|h| &h.party);
    let mut seen: Vec<(Option<u32>, Option<u32>, Option<&str>)> = Vec::new();
    for party in waiters.chain(holders).chain(&finding.places) {
        let key = (party.pid, party.tid, party.task.as_deref());
        if seen.contains(&key) || seen.len() == STACKS_MAX {
            continue;
        }
        seen.push(key);
        let Some(frames) = frames_of(snapshot, party).filter(|f| !f.is_empty()) else {
            continue;
        };
        let tid = party
            .tid
            .map(|t| format!(" (thread {t})"))
            .unwrap_or_default();
        text.gap();
        text.add(
            Role::Heading,
            0,
            format!("{}{tid}:", words::who(party, several)),
        );
        stack(text, frames, source);
    }
}

fn frames_of<'s>(snapshot: &'s Snapshot, party: &Party) -> Option<&'s [Frame]> {
    let process = snapshot
        .processes
        .iter()
        .find(|p| Some(p.pid) == party.pid)?;
    let thread = process.threads.iter().find(|t| Some(t.tid) == party.tid);
    let task = party.task.as_ref().and_then(|name| {
        let named = |address: Option<Address>| match address {
            Some(address) => process
                .tasks
                .iter()
                .find(|t| t.address == address && t.name == *name),
            None => None,
        };
        // A running task's frames are its thread's.
        match named(thread.and_then(|t| t.running_task)) {
            Some(_) => None,
            None => own_task(process, name),
        }
    });
    match task {
        Some(task) => Some(&task.frames),
        None => thread.map(|t| &t.frames[..]),
    }
}

fn own_task<'s>(process: &'s Process, name: &str) -> Option<&'s snapshot::Task> {
    process.tasks.iter().find(|t| t.name == name)
}

fn stack(text: &mut Text, frames: &[Frame], source: &dyn Fn(&str, u32) -> Option<String>) {
    // Above the program's own innermost frame, the library's frames say little.
    let first_own = frames
        .iter()
        .position(|f| f.origin == Origin::Program && !f.native)
        .unwrap_or(0);
    if first_own > 0
        && let Some(inner) = frames.first()
    {
        let place = in_place(&inner.place()).unwrap_or_default();
        text.add(Role::Place, 2, format!("(innermost: {place})"));
    }
    for frame in frames.iter().skip(first_own).take(FRAMES_MAX) {
        let Some(place) = in_place(&frame.place()) else {
            continue;
        };
        text.add(Role::Place, 2, place);
        if frame.line > 0
            && !frame.native
            && let Some(line) = source(&frame.file, frame.line)
        {
            text.add(Role::Source, 6, line.trim());
        }
    }
    let more = frames.len().saturating_sub(first_own + FRAMES_MAX);
    if more > 0 {
        text.add(Role::Plain, 2, format!("and {more} more frames"));
    }
}
