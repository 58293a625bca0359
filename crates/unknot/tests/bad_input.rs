//! What the command says of targets that it cannot read: what failed, why, what to do; never a panic or a hang.

mod common;

use common::{assert_told, command, run, unknot};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Program, Scratch, Target};

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["why"][..],
        &["why", "nosuchthing"],
        &["why", "nosuch.py"],
        &["why", "--nosuch", "1"],
        &["why", "0"],
        &["why", "99999999999999999999"],
        &["why", "1", "2"],
        &["dump", "--", "true"],
        &["why", "--after", "-3", "1"],
        &["why", "--after", "nan", "1"],
        &["nosuch"],
        &[],
    ] {
        let run = unknot(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{args:?}");
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}

#[test]
fn help_has_an_example_for_every_command() {
    for args in [
        &["--help"][..],
        &["why", "--help"],
        &["dump", "--help"],
        &["ps", "--help"],
    ] {
        let run = unknot(args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.contains("Example"), "{}", run.stdout);
    }
}

#[test]
fn a_pid_that_is_not_there() {
    // The largest PID that Linux gives is 2^22.
    for verb in ["why", "dump"] {
        assert_told(
            &unknot(&[verb, "4194999"]),
            3,
            &["there is no process 4194999", "unknot ps"],
        );
    }
}

#[test]
fn a_process_that_is_not_python() {
    let mut child = Command::new("sleep")
        .arg("1000")
        .process_group(0)
        .spawn()
        .expect("sleep runs");
    let pid = child.id().to_string();
    let told = unknot(&["dump", &pid]);
    let _ = child.kill();
    let _ = child.wait();
    assert_told(&told, 3, &[&pid, "Python"]);
}

#[test]
fn a_zombie() {
    // The child ends soon; what the shell has become by then waits for nobody.
    let mut shell = Command::new("sh")
        .args(["-c", "sleep 0.3 & echo $!; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let mut line = String::new();
    let stdout = shell.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let pid = line.trim().to_owned();
    let stat = format!("/proc/{pid}/stat");
    while !std::fs::read_to_string(&stat)
        .unwrap_or_default()
        .contains(") Z")
    {
        std::thread::yield_now();
    }
    let told = unknot(&["why", &pid]);
    let _ = shell.kill();
    let _ = shell.wait();
    assert_told(&told, 3, &["zombie"]);
}

#[test]
fn a_python_that_is_too_old() {
    let home = std::env::var("HOME").unwrap_or_default();
    for version in ["2.7.18", "3.6.15", "3.7.16"] {
        let path = format!("{home}/.pyenv/versions/{version}/bin/python");
        if !std::path::Path::new(&path).exists() {
            eprintln!("skipped: no Python {version} here");
            continue;
        }
        let mut child = Command::new(&path)
            .args([
                "-c",
                "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut [0])
            .expect("it is ready");
        let told = unknot(&["dump", &child.id().to_string()]);
        let _ = child.kill();
        let _ = child.wait();
        let short = &version[..3];
        assert_told(&told, 3, &[&format!("Python {short}"), "3.8 is the oldest"]);
    }
}

#[test]
fn cores_that_are_none() {
    let scratch = Scratch::new().expect("a directory");
    let own = std::fs::read(env!("CARGO_BIN_EXE_unknot")).expect("our own binary");
    let mut truncated = own.clone();
    truncated.truncate(5000);
    let mut core_header = own[..64].to_vec();
    core_header[16] = 4; // ET_CORE, with the program headers of nothing
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", b"this is no core"),
        ("elf", &own),
        ("truncated", &truncated),
        ("header", &core_header),
    ] {
        let path = scratch.path().join(name);
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(content))
            .expect("a file");
        let path = path.to_string_lossy().into_owned();
        assert_told(&unknot(&["why", &path]), 3, &["core file"]);
    }
}

#[test]
fn a_command_that_cannot_be_started() {
    assert_told(
        &unknot(&["why", "--", "/nonexistent/program"]),
        3,
        &["could not be started"],
    );
}

#[test]
fn a_command_keeps_its_exit_code() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let run = unknot(&["why", "--", "sh", "-c", script]);
        assert_eq!(run.code, code, "{}", run.stderr);
    }
}

#[test]
fn options_may_follow_a_pid_but_not_a_script() {
    let interpreter = testkit::matrix()[0];
    let mut target = Target::spawn(interpreter, Program::Source("import testkit_ready, sys\ntestkit_ready.ready()\nimport time\nwhile True: time.sleep(100)\n"), &[])
        .expect("a target");
    target
        .wait_ready(Duration::from_secs(20))
        .expect("it is ready");
    let run = unknot(&["dump", &target.pid().to_string(), "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.json()["schema"], 1);
    let scratch = Scratch::new().expect("a directory");
    let script = scratch
        .write("own.py", "import sys\nprint(sys.argv[1:])\n")
        .expect("a script");
    let own = unknot(&[
        "why",
        "--python",
        &interpreter.path.to_string_lossy(),
        &script.to_string_lossy(),
        "--json",
        "-x",
    ]);
    assert_eq!(own.stdout.trim(), "['--json', '-x']", "{}", own.stderr);
}

#[test]
fn a_closed_standard_output_is_no_failure_of_ours() {
    let mut head = command()
        .args(["ps"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(head.stdout.take());
    let output = head.wait_with_output().expect("it ends");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    let version = run(command().arg("--version"));
    assert_eq!(version.code, 0);
}
