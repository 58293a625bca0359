//! Commands that may hang.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Runs a command to its end with nothing on its standard input and returns what it printed.
/// When it takes longer than `timeout`, its whole process group is killed and the error says what it had printed.
pub fn run_limited(command: &mut Command, timeout: Duration) -> Result<Output> {
    let name = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || read_all(out.as_mut()));
        let stderr = scope.spawn(move || read_all(err.as_mut()));
        let (ended, end) = mpsc::channel();
        scope.spawn(move || ended.send(child.wait()));
        let status = end.recv_timeout(timeout).ok();
        // Also after an orderly end: a grandchild may still hold the pipes open.
        let _ = killpg(group, Signal::SIGKILL);
        let join =
            |reader: std::thread::ScopedJoinHandle<'_, Vec<u8>>| reader.join().unwrap_or_default();
        let (stdout, stderr) = (join(stdout), join(stderr));
        match status {
            Some(status) => Ok(Output {
                status: status.with_context(|| format!("cannot wait for {name}"))?,
                stdout,
                stderr,
            }),
            None => bail!(
                "{name} did not end within {timeout:?}\n--- its output\n{}--- its errors\n{}",
                String::from_utf8_lossy(&stdout),
                String::from_utf8_lossy(&stderr)
            ),
        }
    })
}

fn read_all(stream: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is still the best account of what the command said.
        let _ = stream.read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_code() {
        let output = run_limited(
            Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]),
            Duration::from_secs(60),
        )
        .unwrap();
        assert_eq!(
            (output.status.code(), &output.stdout[..], &output.stderr[..]),
            (Some(3), &b"a\n"[..], &b"b\n"[..])
        );
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let error = run_limited(
            Command::new("sh").args(["-c", "echo begun; sleep 1000 & wait"]),
            Duration::from_millis(300),
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("did not end") && text.contains("begun"),
            "{text}"
        );
    }
}
