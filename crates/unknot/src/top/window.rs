//! What the last stretch of a recording shows: rows for processes, threads and tasks, and the hottest functions and lines.

use profile::{Frame, FrameKind, Profile, State, Total};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// One thread, or the tasks of one name in one thread, in the last stretch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// Its process.
    pub pid: u32,
    /// The thread; of a task, the one that runs its loop.
    pub tid: u32,
    /// Its name.
    pub thread: String,
    /// The tasks' name; `None` for a thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How many tasks of that name there were on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
    /// What it did most of the time: running, native, gil, waiting, suspended, idle.
    pub state: State,
    /// Share of the time that it was on a CPU, from 0 to 1.
    pub cpu: f64,
    /// Share of the time that it ran Python.
    pub python: f64,
    /// Share of the time that it waited for the GIL.
    pub waits_for_gil: f64,
    /// What it waited for most of the time.
    pub waits_for: Option<String>,
    /// The innermost function in which it was most of the time.
    pub function: String,
    /// That function's file, and the line in which it was most.
    pub file: String,
    /// From 1; 0 where unknown.
    pub line: u32,
}

/// A process in the last stretch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProcessRow {
    /// Its PID.
    pub pid: u32,
    /// How it was called, in short.
    pub name: String,
    /// How many CPUs it used, on average.
    pub cpu: f64,
    /// Its threads.
    pub threads: usize,
}

/// Whose functions and lines are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    pub pid: u32,
    /// `None`: the whole process.
    pub tid: Option<u32>,
    /// `None`: the whole thread.
    pub task: Option<String>,
}

/// A function or line, by how much time was spent in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spot {
    /// The function.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line; of a function, its first.
    pub line: u32,
    /// Share of all samples with it as the innermost frame, from 0 to 1.
    pub own: f64,
    /// Share of all samples with it anywhere on the stack.
    pub total: f64,
}

/// What happened since the window before.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Window {
    /// The version of this form.
    pub schema: u32,
    /// Seconds since the recording began.
    pub at_s: f64,
    /// How long the window is.
    pub seconds: f64,
    /// Samples in it.
    pub samples: u64,
    /// Samples that could not be read, since the beginning.
    pub errors: u64,
    /// How many processes live.
    pub processes: usize,
    /// Those with threads of Python.
    pub programs: Vec<ProcessRow>,
    /// Threads.
    pub threads: Vec<Row>,
    /// Tasks, by name and thread.
    pub tasks: Vec<Row>,
    /// Functions, the hottest first.
    pub functions: Vec<Spot>,
    /// Lines, the hottest first.
    pub lines: Vec<Spot>,
}

/// Most spots told of.
const SPOTS_MAX: usize = 200;

/// Suspended tasks are looked at more seldom than threads: without news of them, the last ones hold for so long.
const LINGER_NS: u64 = 2_500_000_000;

/// Makes windows of a recording that goes on.
#[derive(Debug, Default)]
pub struct Windows {
    before: Vec<(u64, u64, u64)>,
    began_ns: u64,
    /// The last row of each task's track, and when it was.
    tasks: BTreeMap<u32, (Row, u64)>,
}

impl Windows {
    /// The window from the last call to `now_ns`. With `only`, functions and lines of that one alone.
    pub fn next(&mut self, profile: &Profile, now_ns: u64, only: Option<&Only>) -> Window {
        let long_ns = now_ns.saturating_sub(self.began_ns).max(1);
        let mut changed: Vec<Total> = Vec::new();
        for (index, total) in profile.totals.iter().enumerate() {
            let (samples, wall_ns, cpu_ns) = self.before.get(index).copied().unwrap_or_default();
            if total.samples > samples {
                changed.push(Total {
                    samples: total.samples - samples,
                    wall_ns: total.wall_ns.saturating_sub(wall_ns),
                    cpu_ns: total.cpu_ns.saturating_sub(cpu_ns),
                    ..*total
                });
            }
        }
        let kept = profile.totals.iter();
        self.before = kept.map(|t| (t.samples, t.wall_ns, t.cpu_ns)).collect();
        self.began_ns = now_ns;
        let busy = |state| !matches!(state, State::Idle | State::Waiting | State::Suspended);
        let shown: Vec<Total> = changed
            .iter()
            .filter(|total| busy(total.state))
            .filter(|total| only.is_none_or(|only| is_of(profile, total, only)))
            .copied()
            .collect();
        let (functions, lines) = spots(profile, &shown);
        let threads = threads(profile, &changed, long_ns);
        let tasks = self.tasks(profile, &changed, long_ns, now_ns);
        Window {
            schema: 1,
            at_s: now_ns as f64 / 1e9,
            seconds: long_ns as f64 / 1e9,
            samples: changed.iter().map(|total| total.samples).sum(),
            errors: 0,
            processes: 0,
            programs: programs(profile, &threads),
            threads,
            tasks,
            functions,
            lines,
        }
    }

    fn tasks(
        &mut self,
        profile: &Profile,
        changed: &[Total],
        long_ns: u64,
        now_ns: u64,
    ) -> Vec<Row> {
        let mut of: BTreeMap<u32, Vec<&Total>> = BTreeMap::new();
        for total in changed {
            of.entry(total.track).or_default().push(total);
        }
        for (track, totals) in of {
            let Some(task) = profile.tracks.get(track as usize).and_then(|t| t.task) else {
                continue;
            };
            let mut row = row(profile, &totals, long_ns);
            let wall_ns: u64 = totals.iter().map(|total| total.wall_ns).sum();
            row.task = Some(profile.text(task).to_owned());
            row.count = Some(wall_ns as f64 / long_ns as f64);
            self.tasks.insert(track, (row, now_ns));
        }
        self.tasks
            .retain(|_, (_, at_ns)| now_ns.saturating_sub(*at_ns) < LINGER_NS);
        self.tasks.values().map(|(row, _)| row.clone()).collect()
    }
}

fn id(profile: &Profile, total: &Total) -> (u32, u32) {
    let track = profile.tracks.get(total.track as usize);
    let pid = track.and_then(|track| profile.processes.get(track.process as usize));
    (pid.map_or(0, |p| p.pid), track.map_or(0, |track| track.tid))
}

fn is_of(profile: &Profile, total: &Total, only: &Only) -> bool {
    let (pid, tid) = id(profile, total);
    let task = profile
        .tracks
        .get(total.track as usize)
        .and_then(|t| t.task);
    let same_task = |name: &String| task.is_some_and(|task| profile.text(task) == name);
    pid == only.pid
        && only.tid.is_none_or(|only| only == tid)
        && only.task.as_ref().is_none_or(same_task)
}

fn programs(profile: &Profile, threads: &[Row]) -> Vec<ProcessRow> {
    let mut found: BTreeMap<u32, ProcessRow> = BTreeMap::new();
    for row in threads {
        let program = found.entry(row.pid).or_default();
        program.cpu += row.cpu;
        program.threads += 1;
    }
    for (pid, program) in &mut found {
        let process = profile.processes.iter().rev().find(|p| p.pid == *pid);
        program.pid = *pid;
        program.name = process.map_or("", |p| profile.text(p.name)).to_owned();
    }
    found.into_values().collect()
}

/// The innermost frame of code, past the frames that say what is waited for.
fn innermost<'p>(profile: &'p Profile, total: &Total) -> Option<&'p Frame> {
    profile.frames_of(total.stack).find(|frame| {
        profile.function_of(frame).is_some_and(|function| {
            !matches!(
                function.kind,
                FrameKind::Wait | FrameKind::Gc | FrameKind::Task
            )
        })
    })
}

/// A row for each thread: what its tasks do in their steps is done by it.
fn threads(profile: &Profile, changed: &[Total], long_ns: u64) -> Vec<Row> {
    let mut of: BTreeMap<(u32, u32), Vec<&Total>> = BTreeMap::new();
    for total in changed.iter().filter(|t| t.state != State::Suspended) {
        of.entry(id(profile, total)).or_default().push(total);
    }
    of.values()
        .map(|totals| row(profile, totals, long_ns))
        .collect()
}

/// What these totals of one thread or task come to.
fn row(profile: &Profile, totals: &[&Total], long_ns: u64) -> Row {
    let share = |of: &dyn Fn(&Total) -> u64| {
        let ns: u64 = totals.iter().map(|total| of(total)).sum();
        ns as f64 / long_ns as f64
    };
    let in_state = |state: State| {
        share(&|total: &Total| {
            if total.state == state {
                total.wall_ns
            } else {
                0
            }
        })
    };
    let heaviest = totals.iter().max_by_key(|total| total.wall_ns);
    let (pid, tid) = heaviest.map_or((0, 0), |total| id(profile, total));
    let track = heaviest.and_then(|total| profile.tracks.get(total.track as usize));
    // What a first look finds stands for no time yet.
    let samples_in = |state: State| -> u64 {
        let of_state = totals.iter().filter(|total| total.state == state);
        of_state.map(|total| total.samples).sum()
    };
    let state = State::ALL.into_iter().max_by(|a, b| {
        let by_time = in_state(*a).total_cmp(&in_state(*b));
        by_time.then_with(|| samples_in(*a).cmp(&samples_in(*b)))
    });
    let frame = heaviest.and_then(|total| innermost(profile, total));
    let function = frame.and_then(|frame| profile.function_of(frame));
    let waits_for = heaviest.and_then(|total| {
        let frame = profile.frames_of(total.stack).next()?;
        let function = profile.function_of(frame)?;
        (function.kind == FrameKind::Wait).then(|| profile.text(function.name).to_owned())
    });
    Row {
        pid,
        tid,
        thread: track
            .map_or("", |track| profile.text(track.thread))
            .to_owned(),
        task: None,
        count: None,
        state: state.unwrap_or_default(),
        cpu: share(&|total: &Total| total.cpu_ns),
        python: in_state(State::Running),
        waits_for_gil: in_state(State::Gil),
        waits_for,
        function: function.map_or("", |f| profile.text(f.name)).to_owned(),
        file: function.map_or("", |f| profile.text(f.file)).to_owned(),
        line: frame.map_or(0, |frame| frame.line),
    }
}

/// The hottest functions, and the hottest lines.
fn spots(profile: &Profile, totals: &[Total]) -> (Vec<Spot>, Vec<Spot>) {
    let all: u64 = totals.iter().map(|total| total.wall_ns).sum();
    // Of a function (line 0) or a line: own time, and time with it anywhere on the stack.
    let mut functions: HashMap<(u32, u32), (u64, u64)> = HashMap::new();
    let mut lines: HashMap<(u32, u32), (u64, u64)> = HashMap::new();
    for total in totals {
        let mut first = true;
        let mut seen: Vec<(u32, u32)> = Vec::new();
        for frame in profile.frames_of(total.stack) {
            let is_wait = |f: &profile::Function| f.kind == FrameKind::Wait;
            if profile.function_of(frame).is_some_and(is_wait) {
                continue;
            }
            for (key, map) in [
                ((frame.function, 0), &mut functions),
                ((frame.function, frame.line), &mut lines),
            ] {
                let entry = map.entry(key).or_default();
                if first {
                    entry.0 += total.wall_ns;
                }
                // Recursion counts once.
                if !seen.contains(&key) {
                    entry.1 += total.wall_ns;
                    seen.push(key);
                }
            }
            first = false;
        }
    }
    (
        told(profile, functions, all.max(1)),
        told(profile, lines, all.max(1)),
    )
}

fn told(profile: &Profile, found: HashMap<(u32, u32), (u64, u64)>, all: u64) -> Vec<Spot> {
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable_by_key(|((function, line), (own, total))| {
        (std::cmp::Reverse((*own, *total)), *function, *line)
    });
    let spot = |((function, line), (own, total)): ((u32, u32), (u64, u64))| {
        let function = profile.functions.get(function as usize);
        Spot {
            function: function.map_or("", |f| profile.text(f.name)).to_owned(),
            file: function.map_or("", |f| profile.text(f.file)).to_owned(),
            line: match line {
                0 => function.map_or(0, |f| f.first_line),
                line => line,
            },
            own: own as f64 / all as f64,
            total: total as f64 / all as f64,
        }
    };
    found.into_iter().take(SPOTS_MAX).map(spot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use profile::{Builder, Frame, Function, Limits, Process, Sample, Track};

    #[test]
    fn a_window_shows_what_is_new() {
        let mut builder = Builder::new(Limits::default());
        let process = builder.process(Process {
            pid: 7,
            ..Process::default()
        });
        let name = builder.string("worker");
        let track = builder.track(Track {
            process,
            tid: 9,
            thread: name,
            ..Track::default()
        });
        let mut frame = |text: &str, line, kind| {
            let name = builder.string(text);
            let function = builder.function(Function {
                name,
                file: 0,
                first_line: 1,
                kind,
            });
            builder.frame(Frame {
                function,
                line,
                instruction: None,
            })
        };
        let outer = frame("main", 3, FrameKind::Python);
        let inner = frame("work", 8, FrameKind::Python);
        let wait = frame("waits for Lock door", 0, FrameKind::Wait);
        let (working, _) = builder.stack_of([outer, inner]);
        let (waiting, _) = builder.stack_of([outer, wait]);
        let running = builder.total(track, working, State::Running);
        let blocked = builder.total(track, waiting, State::Waiting);
        let mut windows = Windows::default();
        let add = |builder: &mut Builder, total, count: u64| {
            for _ in 0..count {
                builder.add(Sample {
                    total,
                    at_ns: 0,
                    wall_ns: 10,
                    cpu_ns: 5,
                });
            }
        };
        add(&mut builder, running, 10);
        let first = windows.next(builder.so_far(), 100, None);
        assert_eq!(first.samples, 10);
        let row = &first.threads[0];
        assert_eq!((row.pid, row.tid, row.thread.as_str()), (7, 9, "worker"));
        assert_eq!(
            (row.state, row.function.as_str(), row.line),
            (State::Running, "work", 8)
        );
        assert!((row.cpu - 0.5).abs() < 1e-9 && (row.python - 1.0).abs() < 1e-9);
        assert_eq!(first.functions[0].function, "work");
        assert!((first.functions[0].own - 1.0).abs() < 1e-9);
        assert!((first.functions[1].total - 1.0).abs() < 1e-9);
        add(&mut builder, blocked, 10);
        let second = windows.next(builder.so_far(), 200, None);
        let row = &second.threads[0];
        assert_eq!(row.state, State::Waiting);
        assert_eq!(row.waits_for.as_deref(), Some("waits for Lock door"));
        assert_eq!(row.function, "main");
        assert!(second.functions.is_empty());
        assert_eq!(windows.next(builder.so_far(), 300, None).samples, 0);
    }
}
