//! The stacks of all who have a part in a finding.

use super::{Role, Text, in_place};
use crate::report::{Finding, Party};
use crate::words;
use snapshot::{Address, Frame, Origin, Process, Snapshot, Task};
use std::collections::{HashMap, HashSet};

/// How many stacks of a finding are shown.
const STACKS_MAX: usize = 12;
/// How many frames of a stack are shown.
const FRAMES_MAX: usize = 12;
/// How many names stand above a stack that several share.
const NAMES_MAX: usize = 3;

/// Gives a line of a file of the target, where it can be had.
type Source<'a> = &'a dyn Fn(&str, u32) -> Option<String>;

/// A stack, and whose it is.
struct Stack<'s> {
    frames: &'s [Frame],
    names: Vec<String>,
}

pub(super) fn tell(text: &mut Text, finding: &Finding, snapshot: &Snapshot, source: Source<'_>) {
    for Stack { frames, names } in stacks(finding, snapshot).iter().take(STACKS_MAX) {
        let shown = names.iter().take(NAMES_MAX);
        let shown: Vec<&str> = shown.map(String::as_str).collect();
        let more = match names.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.gap();
        text.add(Role::Heading, 0, format!("{}{more}:", shown.join(", ")));
        stack(text, frames, source);
    }
}

/// Each stack once, the waiters' first.
fn stacks<'s>(finding: &Finding, snapshot: &'s Snapshot) -> Vec<Stack<'s>> {
    let several = snapshot.processes.len() > 1;
    let waiters = finding.edges.iter().map(|e| &e.waiter);
    let holders = finding
        .edges
        .iter()
        .filter_map(|e| e.held_by.as_ref())
        .filter(|h| !h.ended)
        .map(|h| &h.party);
    let (mut stacks, mut seen) = (Vec::<Stack<'_>>::new(), HashSet::new());
    let mut index: HashMap<Vec<(&str, u32, &str)>, usize> = HashMap::new();
    for party in waiters.chain(holders).chain(&finding.places) {
        if !seen.insert((party.pid, party.tid, party.task.as_deref())) {
            continue;
        }
        let Some(frames) = frames_of(snapshot, party).filter(|f| !f.is_empty()) else {
            continue;
        };
        let tid = party
            .tid
            .map(|t| format!(" (thread {t})"))
            .unwrap_or_default();
        let name = format!("{}{tid}", words::who(party, several));
        let place = |f: &'s Frame| (f.file.as_str(), f.line, f.function.as_str());
        let known = *index
            .entry(frames.iter().map(place).collect())
            .or_insert(stacks.len());
        match stacks.get_mut(known) {
            Some(stack) => stack.names.push(name),
            None => stacks.push(Stack {
                frames,
                names: vec![name],
            }),
        }
    }
    stacks
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

fn own_task<'s>(process: &'s Process, name: &str) -> Option<&'s Task> {
    process.tasks.iter().find(|t| t.name == name)
}

/// The program's own frames with their source; how the library leads from one to the next is said in a line.
fn stack(text: &mut Text, frames: &[Frame], source: Source<'_>) {
    let own = |frame: &Frame| frame.origin == Origin::Program && !frame.native;
    let none = !frames.iter().any(own);
    let (mut shown, mut index) = (0, 0);
    while let Some(frame) = frames.get(index) {
        if shown == FRAMES_MAX {
            let more = frames.len() - index;
            text.add(Role::Aside, 2, format!("and {more} more frames"));
            return;
        }
        shown += 1;
        let rest = frames.get(index..).unwrap_or_default();
        let library = rest.iter().take_while(|frame| !own(frame)).count();
        if library == 0 || none {
            one_frame(text, frame, source);
            index += 1;
            continue;
        }
        let run = rest.get(..library).unwrap_or_default();
        text.add(Role::Aside, 2, passage(run, index == 0));
        index += library;
    }
}

fn one_frame(text: &mut Text, frame: &Frame, source: Source<'_>) {
    let Some(place) = in_place(&frame.place()) else {
        return;
    };
    text.add(Role::Place, 2, place);
    if frame.line > 0
        && !frame.native
        && let Some(line) = source(&frame.file, frame.line)
    {
        text.add(Role::Source, 6, line.trim());
    }
}

/// Frames that are not the program's own: where the innermost is, and how many files they are of.
fn passage(frames: &[Frame], innermost: bool) -> String {
    let place = frames.first().and_then(|frame| in_place(&frame.place()));
    let place = place.unwrap_or_default();
    if innermost {
        return format!("(innermost: {place})");
    }
    let mut files: Vec<&str> = frames
        .iter()
        .map(|frame| frame.file.rsplit('/').next().unwrap_or_default())
        .collect();
    files.dedup();
    match frames.len() {
        1 => format!("({place})"),
        count => format!("({count} frames in {})", files.join(", ")),
    }
}
