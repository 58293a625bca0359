//! Runs one command and says what it cost: `once COMMAND…` prints nanoseconds from its start to its end, its greatest resident
//! memory in KiB, its CPU time in microseconds, its exit code and how many bytes it printed, then the first line of its errors.
//!
//! A process of its own, because the kernel tells what ended children have used only as one sum, and because a large parent would
//! show in the memory of its child.

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        return ExitCode::from(2);
    };
    let (begin, mut printed) = (Instant::now(), Vec::new());
    let child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return ExitCode::from(127);
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        // What came before an error is all there is to tell.
        let _ = err.map(|mut err| err.read_to_end(&mut text));
        text
    });
    let _ = out.map(|mut out| out.read_to_end(&mut printed));
    let Ok(status) = child.wait() else {
        return ExitCode::from(127);
    };
    let took = begin.elapsed();
    let errors = errors.join().unwrap_or_default();
    let errors = String::from_utf8_lossy(&errors);
    let first = errors.lines().map(str::trim).find(|line| !line.is_empty());
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return ExitCode::from(127);
    };
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    println!(
        "{} {} {} {} {}\n{}",
        took.as_nanos(),
        usage.max_rss(),
        micros(usage.user_time()) + micros(usage.system_time()),
        status.code().unwrap_or(-1),
        printed.len(),
        first.unwrap_or_default()
    );
    ExitCode::SUCCESS
}
