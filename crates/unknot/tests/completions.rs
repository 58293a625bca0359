//! `unknot completions`: scripts that shells take.

mod common;

use common::unknot;
use std::process::Command;
use std::time::Duration;
use testkit::Scratch;

#[test]
fn bash_completes_commands_and_options() {
    let run = unknot(&["completions", "bash"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let scratch = Scratch::new().expect("a directory");
    let script = scratch.path().join("unknot.bash");
    std::fs::write(&script, &run.stdout).expect("it is writable");
    let ask = "source \"$1\"; COMP_WORDS=(unknot record --mo); COMP_CWORD=2; _unknot unknot --mo record; echo \"${COMPREPLY[*]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", ask, "bash"]).arg(&script);
    let output = testkit::run_limited(&mut bash, Duration::from_secs(30)).expect("it ends");
    let reply = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        reply.trim(),
        "--mode",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_unknown_shell_is_wrong_usage() {
    let run = unknot(&["completions", "csh"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("bash"), "{}", run.stderr);
}
