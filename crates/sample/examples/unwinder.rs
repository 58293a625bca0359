//! One sweep after another, each one's stacks told at once: for the suites of others that want to see every single
//! stack (`docs/suites.md`). `unknot record` itself only adds them up.
//!
//! `cargo run --release -p sample --example unwinder -- [--no-pause] PID` reads a letter a line: `s` sweeps, `p` stops the
//! process, `r` lets it run again. Each is answered with a line. That of a sweep is JSON: `errors`, how many stacks could
//! not be read; `samples`, a number for each stack that was; `new`, what numbers seen for the first time stand for.

use process::Hold;
use profile::{FrameKind, Profile, State, Total};
use sample::{Options, Recorder};
use serde_json::{Value, json};
use std::io::{self, BufRead, Write};
use std::time::Duration;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pid = words.last().and_then(|word| word.parse().ok());
    let pid: u32 = pid.ok_or_else(|| io::Error::other("give a PID"))?;
    let mut options = Options {
        interval: Duration::ZERO,
        idle: true,
        ..Options::default()
    };
    if words.iter().any(|word| word == "--no-pause") {
        options.pause_max = Duration::ZERO;
    }
    let mut recorder = Recorder::new(pid, options);
    recorder.open().map_err(io::Error::other)?;
    let mut before: Vec<u64> = Vec::new();
    let mut held = None;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "p" => held = Some(Hold::take(pid).map_err(io::Error::other)?),
            "r" => held = None,
            _ => {
                serde_json::to_writer(&mut out, &sweep(&mut recorder, &mut before))?;
            }
        }
        out.write_all(b"\n")?;
        out.flush()?;
    }
    drop(held);
    Ok(())
}

/// Sweeps, and tells what was added by that.
fn sweep(recorder: &mut Recorder, before: &mut Vec<u64>) -> Value {
    let errors = recorder.counts().errors;
    recorder.sweep();
    let profile = recorder.so_far();
    let mut samples = Vec::new();
    let mut fresh = serde_json::Map::new();
    for (number, total) in profile.totals.iter().enumerate() {
        if number == before.len() {
            before.push(0);
            fresh.insert(number.to_string(), told(profile, total));
        }
        if total.samples > before[number] {
            before[number] = total.samples;
            samples.push(number);
        }
    }
    json!({"samples": samples, "errors": recorder.counts().errors - errors, "new": fresh})
}

/// A stack, its frames from the innermost outwards: function, file, line.
fn told(profile: &Profile, total: &Total) -> Value {
    let track = &profile.tracks[total.track as usize];
    let mut frames = Vec::new();
    for frame in profile.frames_of(total.stack) {
        let Some(function) = profile.function_of(frame) else {
            continue;
        };
        let name = match function.kind {
            FrameKind::Python => profile.text(function.name),
            FrameKind::Gc => "<GC>",
            FrameKind::Native | FrameKind::Wait | FrameKind::Task => continue,
        };
        frames.push(json!([name, profile.text(function.file), frame.line]));
    }
    json!({
        "tid": track.tid,
        "task": track.task.map(|task| profile.text(task)),
        "runs": matches!(total.state, State::Running | State::Native | State::Gil),
        "frames": frames,
    })
}
