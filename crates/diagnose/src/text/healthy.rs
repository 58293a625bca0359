//! A healthy program: what it waits for.

use super::{Role, Text, in_place};
use crate::report::{Edge, Party, Target};
use crate::words;
use snapshot::{Certainty, Process, Snapshot, Thread, ThreadState, Wait};
use std::collections::HashMap;

/// How many waits of a healthy program are shown.
const WAITS_MAX: usize = 10;

/// Who waits, and how many more wait for the same in the same place.
struct Line {
    who: String,
    more: usize,
    waits: String,
}

pub(super) fn tell(text: &mut Text, snapshot: &Snapshot) {
    text.add(Role::Heading, 0, "ok: all that waits can still go on.");
    let lines = lines(snapshot);
    for line in lines.iter().take(WAITS_MAX) {
        let Line { who, more, waits } = line;
        let words = match more {
            0 => format!("{who} waits {waits}"),
            1 => format!("{who} and one more thread wait {waits}"),
            more => format!("{who} and {more} more threads wait {waits}"),
        };
        text.add(Role::Plain, 2, words);
    }
    let more = lines.iter().skip(WAITS_MAX).map(|line| 1 + line.more);
    match more.sum() {
        0 => {}
        1 => text.add(Role::Plain, 2, "and one more thread waits"),
        more @ 2.. => text.add(Role::Plain, 2, format!("and {more} more threads wait")),
    }
}

fn lines(snapshot: &Snapshot) -> Vec<Line> {
    let several = snapshot.processes.len() > 1;
    let threads = snapshot
        .processes
        .iter()
        .flat_map(|process| process.threads.iter().map(move |thread| (process, thread)));
    let (mut lines, mut index) = (Vec::<Line>::new(), HashMap::new());
    for (process, thread) in threads.filter(|(_, thread)| thread.state != ThreadState::Idle) {
        let Some(wait) = &thread.waits_for else {
            continue;
        };
        let (who, waits) = sentence(process, thread, wait, several);
        // In one process the same words mean the same thing; in several each is told for itself.
        let known = *index
            .entry((process.pid, waits.clone()))
            .or_insert(lines.len());
        match lines.get_mut(known) {
            Some(line) => line.more += 1,
            None => lines.push(Line {
                who,
                more: 0,
                waits,
            }),
        }
    }
    lines
}

/// Who, and what it waits for and where.
fn sentence(process: &Process, thread: &Thread, wait: &Wait, several: bool) -> (String, String) {
    let party = Party {
        pid: Some(process.pid),
        thread: Some(thread.name.clone()),
        ..Party::default()
    };
    let who = words::who(&party, several);
    let edge = Edge {
        waiter: party,
        waits_for: Target {
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
    let at = in_place(&wait.place)
        .map(|place| format!(", {place}"))
        .unwrap_or_default();
    (who, format!("{}{at}", words::thing(&told)))
}
