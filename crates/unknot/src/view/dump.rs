//! The text of `unknot dump`: processes, their threads (equal stacks folded together), their tasks.

use super::words;
use crate::paint::{Paint, Role, harmless};
use snapshot::{
    Certainty, Frame, GilState, Hold, Process, Snapshot, Task, TaskState, Thread, ThreadState, Wait,
};
use std::fmt::Write;

/// How many threads are named above a stack that they share.
const NAMES_MAX: usize = 6;

/// What to show.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// Local variables.
    pub locals: bool,
    /// System calls and native frames.
    pub native: bool,
}

/// The whole snapshot as text.
pub fn text(snapshot: &Snapshot, show: Show, paint: Paint) -> String {
    let mut out = String::new();
    for (index, process) in snapshot.processes.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one_process(&mut out, process, snapshot.held_still_us, show, paint);
    }
    for note in &snapshot.notes {
        let _ = writeln!(out, "{}", paint.text(Role::Faint, &format!("note: {note}")));
    }
    out
}

fn one_process(out: &mut String, process: &Process, held_us: u64, show: Show, paint: Paint) {
    let title = format!(
        "Process {}: {}",
        process.pid,
        words::command(&process.command)
    );
    let _ = writeln!(out, "{}", paint.text(Role::Strong, &title));
    let mut facts = vec![words::python(process)];
    if let Some(ns_pid) = process.ns_pid {
        facts.push(format!("PID {ns_pid} in its own namespace"));
    }
    facts.push(words::count(process.threads.len(), "thread"));
    if !process.tasks.is_empty() {
        facts.push(words::count(process.tasks.len(), "task"));
    }
    match process.process_state {
        snapshot::ProcessState::Stopped => facts.push("stopped by a signal".to_owned()),
        snapshot::ProcessState::Core => facts.push("from a core file".to_owned()),
        snapshot::ProcessState::Zombie => facts.push("ended, not yet waited for".to_owned()),
        snapshot::ProcessState::Live if held_us == 1 => {
            facts.push("asleep all the while, so not stopped".to_owned());
        }
        snapshot::ProcessState::Live if held_us > 0 => {
            facts.push(format!("held still for {}", words::milliseconds(held_us)))
        }
        snapshot::ProcessState::Live => facts.push("not held still".to_owned()),
    }
    let _ = writeln!(out, "{}", paint.text(Role::Faint, &facts.join(" · ")));
    for note in &process.notes {
        let _ = writeln!(out, "{}", paint.text(Role::Faint, &format!("note: {note}")));
    }
    for group in folded(&process.threads, show) {
        out.push('\n');
        threads(out, &group, show, paint);
    }
    for task in &process.tasks {
        out.push('\n');
        one_task(out, task, show, paint);
    }
}

/// Threads with the same stack, state and waits, in the order in which each group first appears.
fn folded(threads: &[Thread], show: Show) -> Vec<Vec<&Thread>> {
    let mut groups: Vec<Vec<&Thread>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for thread in threads {
        let group = *index.entry(likeness(thread, show)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(members) => members.push(thread),
            None => groups.push(vec![thread]),
        }
    }
    groups
}

/// What two threads must share to be folded into one entry.
fn likeness(thread: &Thread, show: Show) -> String {
    let mut key = format!(
        "{:?} {:?} {:?}",
        thread.state, thread.gil, thread.interpreter
    );
    if thread.main || thread.frames.is_empty() || (show.locals && !thread.frames.is_empty()) {
        let _ = write!(key, " {}", thread.tid);
    }
    for frame in &thread.frames {
        let _ = write!(key, "|{}:{}:{}", frame.file, frame.line, frame.function);
    }
    if let Some(wait) = &thread.waits_for {
        let _ = write!(key, "|{:?} {:?}", wait.kind, wait.address);
    }
    for hold in &thread.holds {
        let _ = write!(key, "|{:?}", hold.address);
    }
    key
}

fn threads(out: &mut String, group: &[&Thread], show: Show, paint: Paint) {
    let Some(first) = group.first() else { return };
    let mut head = match group.len() {
        1 => format!("Thread {} {}", first.tid, quoted(&first.name)),
        n => format!("{n} threads with the same stack"),
    };
    if first.main {
        head.push_str(" (main)");
    }
    if let Some(id) = first.interpreter.filter(|id| *id != 0) {
        let _ = write!(head, " (interpreter {id})");
    }
    let state = state_word(first);
    let _ = writeln!(
        out,
        "{}: {}",
        paint.text(Role::Strong, &head),
        paint.text(Role::Thing, state)
    );
    if group.len() > 1 {
        let names: Vec<String> = group
            .iter()
            .take(NAMES_MAX)
            .map(|t| format!("{} {}", t.tid, quoted(&t.name)))
            .collect();
        let more = if group.len() > NAMES_MAX {
            format!(" and {} more", group.len() - NAMES_MAX)
        } else {
            String::new()
        };
        let names = format!("{}{more}", names.join(", "));
        out.push_str(&paint.lines(Role::Faint, 2, &names));
    }
    waits_and_holds(out, first.waits_for.as_ref(), &first.holds, paint);
    if show.native {
        native(out, first, paint);
    }
    frames(out, &first.frames, show, paint);
    if first.frames_cut {
        let _ = writeln!(out, "    {}", paint.text(Role::Faint, "… (cut short)"));
    }
}

fn state_word(thread: &Thread) -> &'static str {
    match (thread.state, thread.gil) {
        (ThreadState::Running, GilState::Holds) => "running, holds the GIL",
        (ThreadState::Running, _) => "running",
        (ThreadState::Native, GilState::Holds) => "outside Python, holds the GIL",
        (ThreadState::Native, _) => "outside Python",
        (ThreadState::Waiting, GilState::Holds) => "waiting, holds the GIL",
        (ThreadState::Waiting, _) => "waiting",
        (ThreadState::Gil, _) => "waiting for the GIL",
        (ThreadState::Idle, _) => "idle",
    }
}

fn waits_and_holds(out: &mut String, wait: Option<&Wait>, holds: &[Hold], paint: Paint) {
    if let Some(wait) = wait {
        let _ = writeln!(
            out,
            "  waits {}",
            paint.text(Role::Thing, &words::wait(wait))
        );
    }
    for hold in holds {
        let sure = match hold.certainty {
            Certainty::Certain => "",
            Certainty::Probable => "probably ",
        };
        let _ = writeln!(
            out,
            "  {sure}holds {}",
            paint.text(Role::Thing, &words::hold(hold))
        );
    }
}

fn native(out: &mut String, thread: &Thread, paint: Paint) {
    if let Some(call) = &thread.os.syscall {
        let name = if call.name.is_empty() {
            format!("system call {}", call.number)
        } else {
            call.name.clone()
        };
        let args: Vec<String> = call.args.iter().map(|a| format!("{a:#x}")).collect();
        let _ = writeln!(
            out,
            "    {}",
            paint.text(Role::Faint, &format!("in {name}({})", args.join(", ")))
        );
    }
}

fn frames(out: &mut String, frames: &[Frame], show: Show, paint: Paint) {
    // A deep recursion repeats the same few frames: say how often instead.
    let mut index = 0;
    while index < frames.len() {
        let period = if show.locals {
            None
        } else {
            repeated(&frames[index..])
        };
        let (length, times) = period.unwrap_or((1, 1));
        for frame in frames.iter().skip(index).take(length) {
            one_frame(out, frame, show, paint);
        }
        if times > 1 {
            let what = if length == 1 {
                "the frame above".to_owned()
            } else {
                format!("the {length} frames above")
            };
            let _ = writeln!(
                out,
                "    {}",
                paint.text(Role::Faint, &format!("… {what} {} times more", times - 1))
            );
        }
        index += length * times;
    }
}

/// Whether the frames start with a run of 1 to 4 frames, repeated at least 4 times: its length and the times.
fn repeated(frames: &[Frame]) -> Option<(usize, usize)> {
    let same =
        |a: &Frame, b: &Frame| a.line == b.line && a.function == b.function && a.file == b.file;
    (1..=4.min(frames.len())).find_map(|length| {
        let times = 1
            + (1..frames.len() / length)
                .take_while(|n| (0..length).all(|i| same(&frames[i], &frames[n * length + i])))
                .count();
        (times >= 4).then_some((length, times))
    })
}

fn one_frame(out: &mut String, frame: &Frame, show: Show, paint: Paint) {
    if frame.native {
        let file = match frame.file.is_empty() {
            true => String::new(),
            false => format!(" ({})", harmless(&frame.file)),
        };
        let text = format!("{}{file}", harmless(&frame.function));
        let _ = writeln!(out, "    {}", paint.text(Role::Faint, &text));
        return;
    }
    // With native frames, the functions that are called are among them.
    if let Some(calls) = frame.calls.as_ref().filter(|_| !show.native) {
        let _ = writeln!(
            out,
            "    {}",
            paint.text(Role::Faint, &format!("{calls} (native)"))
        );
    }
    let place = format!("{}:{}", frame.file, frame.line);
    let _ = writeln!(
        out,
        "    {} ({})",
        harmless(&frame.function),
        paint.text(Role::Place, &place)
    );
    if show.locals {
        for local in &frame.locals {
            let _ = writeln!(
                out,
                "        {}: {} = {}",
                harmless(&local.name),
                paint.text(Role::Faint, &local.type_name),
                harmless(&local.value)
            );
        }
    }
}

fn one_task(out: &mut String, task: &Task, show: Show, paint: Paint) {
    let head = format!("Task {} ({})", quoted(&task.name), task.coroutine);
    let state = match task.state {
        TaskState::Pending if task.scheduled => "due to run",
        TaskState::Pending => "pending",
        TaskState::Running => "running",
        TaskState::Finished => "finished",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
    };
    let mut line = format!(
        "{}: {}",
        paint.text(Role::Strong, &head),
        paint.text(Role::Thing, state)
    );
    if let Some(exception) = &task.exception {
        let lost = if task.unretrieved {
            ", which nobody has seen"
        } else {
            ""
        };
        let _ = write!(line, " with {}{lost}", paint.text(Role::Bad, exception));
    }
    if !task.awaited_by.is_empty() {
        let _ = write!(
            line,
            ", awaited by {}",
            harmless(&task.awaited_by.join(", "))
        );
    }
    let _ = writeln!(out, "{line}");
    waits_and_holds(out, task.waits_for.as_ref(), &task.holds, paint);
    frames(out, &task.frames, show, paint);
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: function.into(),
            file: "/app/x.py".into(),
            line,
            ..Frame::default()
        }
    }

    fn thread(tid: u32, frames: Vec<Frame>) -> Thread {
        Thread {
            tid,
            name: format!("T{tid}"),
            frames,
            state: ThreadState::Waiting,
            ..Thread::default()
        }
    }

    #[test]
    fn equal_stacks_are_folded() {
        let threads = (1..=1000)
            .map(|tid| thread(tid, vec![frame("work", if tid == 500 { 9 } else { 3 })]))
            .collect();
        let process = Process {
            pid: 7,
            python: Some("3.13.0".into()),
            threads,
            ..Process::default()
        };
        let snapshot = Snapshot {
            processes: vec![process],
            ..Snapshot::default()
        };
        let text = text(
            &snapshot,
            Show {
                locals: false,
                native: false,
            },
            Paint::plain(),
        );
        assert!(text.contains("999 threads with the same stack"), "{text}");
        assert!(text.contains("Thread 500 \"T500\""), "{text}");
        assert!(text.lines().count() < 20, "{text}");
    }

    #[test]
    fn equal_stacks_of_other_interpreters_stay_apart() {
        let of = |tid: u32| Thread {
            interpreter: Some(i64::from(tid % 2)),
            ..thread(tid, vec![frame("work", 3)])
        };
        let process = Process {
            pid: 7,
            python: Some("3.13.0".into()),
            threads: (1..=6).map(of).collect(),
            ..Process::default()
        };
        let snapshot = Snapshot {
            processes: vec![process],
            ..Snapshot::default()
        };
        let show = Show {
            locals: false,
            native: false,
        };
        let text = text(&snapshot, show, Paint::plain());
        let heads = text.matches("3 threads with the same stack").count();
        assert_eq!(heads, 2, "{text}");
        assert!(text.contains("same stack (interpreter 1)"), "{text}");
    }

    #[test]
    fn recursion_is_folded() {
        let mut frames = vec![frame("leaf", 1)];
        for _ in 0..2500 {
            frames.push(frame("even", 5));
            frames.push(frame("odd", 8));
        }
        frames.push(frame("main", 20));
        let mut out = String::new();
        super::frames(
            &mut out,
            &frames,
            Show {
                locals: false,
                native: false,
            },
            Paint::plain(),
        );
        assert_eq!(out.lines().count(), 5, "{out}");
        assert!(
            out.contains("… the 2 frames above 2499 times more"),
            "{out}"
        );
    }
}
