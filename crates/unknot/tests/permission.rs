//! Targets that may not be read, and those whose files lie elsewhere: what is said, and what is needed.
//! As root a lesser user, a chroot and namespaces are tried; as somebody else what can be.

mod common;

use common::{Run, assert_told, run, unknot};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

const LIMIT: Duration = Duration::from_secs(30);
const KNOT: &str = r#"
import threading
import testkit_ready
lock = threading.Lock()
def again():
    with lock:
        pass
testkit_ready.ready()
with lock:
    again()
"#;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whether this command works here.
fn works(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// unknot, run by way of `setpriv` with these options; `None` where that cannot be.
fn with_privileges(options: &[&str], args: &[&str]) -> Option<Run> {
    let mut probe = Command::new("setpriv");
    if !is_root() || !works(probe.args(options).arg("true")) {
        return None;
    }
    // Where everybody may execute it.
    let scratch = Scratch::new().ok()?;
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).ok()?;
    let binary = scratch.path().join("unknot");
    std::fs::copy(env!("CARGO_BIN_EXE_unknot"), &binary).ok()?;
    let mut command = Command::new("setpriv");
    command.args(options).arg(binary).args(args);
    Some(run(&mut command))
}

fn knotted(interpreter: &Interpreter) -> Target {
    let mut target = Target::spawn(interpreter, Program::Source(KNOT), &[]).expect("a target");
    target.wait_ready(LIMIT).expect("it is ready");
    target.wait_blocked(LIMIT).expect("it hangs");
    target
}

#[test]
fn another_users_process() {
    let target = knotted(testkit::matrix()[0]);
    let pid = target.pid().to_string();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    for args in [
        &["why", &pid][..],
        &["dump", &pid],
        &["dump", "--no-pause", &pid],
        &[
            "record",
            "-d",
            "1",
            "-o",
            "/dev/null",
            "-f",
            "collapsed",
            &pid,
        ],
    ] {
        let told = match with_privileges(&nobody, args) {
            Some(told) => told,
            None if is_root() => {
                eprintln!("skipped: no setpriv here");
                return;
            }
            // The first process is root's.
            None => unknot(&["why", "1"]),
        };
        assert_told(&told, 3, &["another user", "sudo", "CAP_SYS_PTRACE"]);
    }
    if let Some(listed) = with_privileges(&nobody, &["ps"]) {
        assert_eq!(listed.code, 0);
        let all = listed.stdout + &listed.stderr;
        assert!(all.contains("could not be looked into"), "{all}");
        assert!(!all.contains(&pid), "{all}");
    }
}

#[test]
fn root_without_the_capability() {
    let target = knotted(testkit::matrix()[0]);
    let pid = target.pid().to_string();
    // As in a container, the first with what newer kernels take as leave to see what is mapped (CAP_PERFMON).
    for lost in ["-sys_ptrace", "-sys_ptrace,-perfmon"] {
        let bounding = format!("--bounding-set={lost}");
        let inherited = format!("--inh-caps={lost}");
        let options = [bounding.as_str(), inherited.as_str()];
        for verb in ["why", "dump"] {
            let Some(told) = with_privileges(&options, &[verb, &pid]) else {
                eprintln!("skipped: not root, or no setpriv here");
                return;
            };
            assert_told(&told, 3, &["CAP_SYS_PTRACE", "--cap-add=SYS_PTRACE"]);
        }
        let listed = with_privileges(&options, &["ps"]).expect("as above");
        assert!(!listed.stdout.contains(&pid), "{}", listed.stdout);
        let all = listed.stdout + &listed.stderr;
        assert!(all.contains("could not be looked into"), "{all}");
    }
}

/// A shell script in the interpreter's place.
fn wrapped(interpreter: &Interpreter, directory: &Path, script: &str) -> Interpreter {
    let path = directory.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("our own file");
    Interpreter {
        path,
        ..interpreter.clone()
    }
}

fn python_below(target: &Target) -> u32 {
    *testkit::descendants(target.pid())
        .last()
        .unwrap_or(&target.pid())
}

/// What `why` says of a target whose files cannot be found by their names from here.
fn assert_found(pid: u32, what: &str) {
    let why = unknot(&["why", "--json", &pid.to_string()]);
    assert_eq!(why.code, 1, "{what}: {}{}", why.stdout, why.stderr);
    let report = why.json();
    assert_eq!(report["verdict"], "self-deadlock", "{what}");
    let edge = &report["findings"][0]["edges"][0];
    assert_eq!(edge["waiter"]["function"], "again", "{what}: {edge}");
    // The source is read where the target sees it.
    let text = unknot(&["why", &pid.to_string()]).stdout;
    assert!(text.contains("      with lock:\n"), "{what}: {text}");
}

/// The target's root and mounts are made by `script`, which has `$PYTHON`, `$NEW` (a directory) and the arguments.
fn elsewhere(script: &str) {
    if !works(Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])) {
        eprintln!("skipped: no mount namespace can be made here");
        return;
    }
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let new: PathBuf = scratch.path().join("new");
        std::fs::create_dir(&new).expect("our own directory");
        let script = format!(
            "PYTHON='{}' NEW='{}' exec unshare --mount --kill-child --fork sh -ec '{script}' sh \"$@\"",
            interpreter.path.display(),
            new.display()
        );
        let interpreter = wrapped(interpreter, scratch.path(), &script);
        let mut target = Target::spawn(&interpreter, Program::Source(KNOT), &[]).expect("a target");
        target.wait_ready(LIMIT).expect("it is ready");
        target.wait_blocked(LIMIT).expect("it hangs");
        assert_found(python_below(&target), &interpreter.tag);
    }
}

#[test]
fn a_chroot() {
    // The program lies on a file system that is mounted only there.
    elsewhere(
        r#"mount --bind / "$NEW"; mount --bind /proc "$NEW/proc"; mount -t tmpfs none "$NEW/mnt";
        cp "$1" "$NEW/mnt/chrooted.py"; exec chroot "$NEW" "$PYTHON" /mnt/chrooted.py"#,
    );
}

#[test]
fn a_mount_namespace() {
    // The interpreter's own file and the program are on a file system that only the target sees.
    elsewhere(
        r#"mount -t tmpfs none /mnt; cp "$PYTHON" /mnt/hidden; cp "$1" /mnt/hidden.py;
        PYTHONHOME=$("$PYTHON" -c "import sys; print(sys.base_prefix)"); export PYTHONHOME;
        exec /mnt/hidden /mnt/hidden.py"#,
    );
}
