//! `unknot convert` and `unknot diff`: every format, what they say of what they cannot read or write, and that nothing
//! is lost when they fail.

mod common;

use common::{assert_told, run, unknot};
use profile::{Format, synthetic};
use std::path::PathBuf;
use std::process::Command;
use testkit::Scratch;

/// A recording on disk.
fn recording(scratch: &Scratch, name: &str, profile: &profile::Profile) -> String {
    let format = Format::from_path(&PathBuf::from(name)).expect("a known ending");
    let mut bytes = Vec::new();
    profile::write(profile, format, &mut bytes).expect("memory");
    let path = scratch.path().join(name);
    std::fs::write(&path, bytes).expect("the scratch directory is writable");
    path.display().to_string()
}

#[test]
fn every_format_is_written_by_its_ending_and_by_its_name() {
    let scratch = Scratch::new().expect("a directory");
    let from = recording(&scratch, "run.unknot", &synthetic::server());
    for format in Format::all() {
        let by_ending = scratch.path().join(format!("a{}", format.ending()));
        let by_name = scratch.path().join(format!("b-{format}"));
        let (ending, name) = (
            by_ending.display().to_string(),
            by_name.display().to_string(),
        );
        for args in [
            &["convert", &from, "-o", &ending][..],
            &["convert", "--format", format.name(), "-o", &name, &from],
        ] {
            let run = unknot(args);
            assert_eq!(
                (run.code, run.stdout.as_str(), run.stderr.as_str()),
                (0, "", ""),
                "{args:?}"
            );
        }
        let bytes = std::fs::read(&by_ending).expect("it was written");
        assert!(!bytes.is_empty(), "{format}");
        assert_eq!(bytes, std::fs::read(&by_name).expect("it was written"));
        let again = unknot(&["convert", "-f", "unknot", "-o", "/dev/null", &ending]);
        if format.is_readable() {
            assert_eq!(again.code, 0, "{format}: {}", again.stderr);
        } else {
            assert_eq!(again.code, 3, "{format}: {}", again.stderr);
        }
    }
}

#[test]
fn what_was_converted_is_told_as_json() {
    let scratch = Scratch::new().expect("a directory");
    let from = recording(&scratch, "run.unknot", &synthetic::server());
    let to = scratch.path().join("run.svg").display().to_string();
    let told = unknot(&["convert", "--json", &from, "-o", &to]).json();
    assert_eq!(told["format"], "flamegraph");
    assert_eq!(told["samples"], 9500);
    assert_eq!(told["processes"], 2);
    assert_eq!(told["tasks"], 3);
}

#[test]
fn standard_input_and_output_are_dashes() {
    let scratch = Scratch::new().expect("a directory");
    let from = recording(&scratch, "run.collapsed", &synthetic::server());
    let mut shell = Command::new("sh");
    let line = r#"exec "$0" convert -f collapsed - -o - < "$1""#;
    let piped = run(shell.args(["-c", line, env!("CARGO_BIN_EXE_unknot"), &from]));
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    assert_eq!(piped.stdout, std::fs::read_to_string(&from).expect("text"));
}

#[test]
fn what_cannot_be_read_or_written_is_told() {
    let scratch = Scratch::new().expect("a directory");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let good = recording(&scratch, "run.unknot", &synthetic::server());
    let svg = recording(&scratch, "picture.svg", &synthetic::server());
    std::fs::write(path("noise"), [0x7f, 0x45, 0x00, 0xff]).expect("writable");
    std::fs::write(path("empty"), []).expect("writable");
    let bytes = std::fs::read(&good).expect("it is there");
    std::fs::write(path("cut.unknot"), &bytes[..bytes.len() / 2]).expect("writable");
    std::fs::write(
        path("newer.unknot"),
        br#"{"format":"unknot-profile","schema":99}"#,
    )
    .expect("writable");
    let out = path("out.svg");
    for (from, words) in [
        (
            path("nosuch"),
            &["nosuch", "no such file", "unknot record"][..],
        ),
        (path(""), &["directory"]),
        (path("noise"), &["none of the forms"]),
        (path("empty"), &["none of the forms"]),
        (path("cut.unknot"), &["gzip"]),
        (path("newer.unknot"), &["version 99", "newer"]),
        (
            svg,
            &[
                "`flamegraph`",
                "convert the recording that it was made from",
            ],
        ),
    ] {
        assert_told(&unknot(&["convert", &from, "-o", &out]), 3, words);
    }
    assert!(!scratch.path().join("out.svg").exists());
    for (to, words) in [
        (
            path("nodir/x.svg"),
            &["cannot write", "no such file", "directory"][..],
        ),
        ("/proc/x.svg".to_owned(), &["cannot write /proc/x.svg"]),
        (
            "/dev/full".to_owned(),
            &["cannot write /dev/full", "no space"],
        ),
    ] {
        assert_told(
            &unknot(&["convert", &good, "-f", "flamegraph", "-o", &to]),
            3,
            words,
        );
    }
    for (args, words) in [
        (
            &["convert", &good, "-o", &path("x.tar")][..],
            &["stands for no format", ".svg"][..],
        ),
        (&["convert", &good, "-o", "-"], &["standard output", "-f"]),
        (
            &["convert", &good, "--json", "-f", "pprof", "-o", "-"],
            &["--json"],
        ),
        (
            &["convert", &good, "-f", "png", "-o", &out],
            &["the formats are", "flamegraph"],
        ),
        (&["convert", &good], &["--output"]),
        (&["diff", &good], &["<B>"]),
        (
            &["diff", &good, &good, "-o", &path("x.svg")],
            &[".html, .json or .txt"],
        ),
    ] {
        assert_told(&unknot(args), 2, words);
    }
}

#[test]
fn a_file_that_was_there_stays_when_the_new_one_fails() {
    let scratch = Scratch::new().expect("a directory");
    let noise = scratch.path().join("noise").display().to_string();
    std::fs::write(&noise, b"\x00noise").expect("writable");
    let out = scratch.path().join("out.svg");
    std::fs::write(&out, "what was there").expect("writable");
    let told = unknot(&["convert", &noise, "-o", &out.display().to_string()]);
    assert_eq!(told.code, 3);
    assert_eq!(
        std::fs::read_to_string(&out).expect("text"),
        "what was there"
    );
    let good = recording(&scratch, "run.unknot", &synthetic::server());
    let told = unknot(&["convert", &good, "-o", &out.display().to_string()]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let names: Vec<String> = std::fs::read_dir(scratch.path())
        .expect("readable")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(
        names.iter().all(|name| !name.contains("partial")),
        "{names:?}"
    );
}

/// The server, whose `interest` has become slower.
fn slower() -> profile::Profile {
    let mut profile = synthetic::server();
    for index in 0..profile.totals.len() {
        let total = profile.totals[index];
        let innermost = profile
            .frames_of(total.stack)
            .next()
            .and_then(|frame| profile.function_of(frame));
        if innermost.is_some_and(|f| profile.text(f.name) == "interest") {
            profile.totals[index].samples *= 3;
            profile.totals[index].wall_ns *= 3;
        }
    }
    profile
}

#[test]
fn a_comparison_tells_what_grew_as_text_json_and_page() {
    let scratch = Scratch::new().expect("a directory");
    let before = recording(&scratch, "before.unknot", &synthetic::server());
    let after = recording(&scratch, "after.html", &slower());
    let text = unknot(&["diff", &before, &after]);
    assert_eq!(text.code, 0, "{}", text.stderr);
    let first = text
        .stdout
        .lines()
        .find(|line| line.contains(".py"))
        .expect("a change");
    assert!(first.contains("interest"), "{}", text.stdout);
    assert!(first.trim_start().starts_with('+'), "{first}");

    let json = unknot(&["diff", "--json", "-n", "5", &before, &after]).json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["functions"][0]["function"], "interest");
    assert_eq!(json["functions"].as_array().map(Vec::len), Some(5));
    assert!(
        json["functions"][0]["own_change"]
            .as_f64()
            .is_some_and(|change| change > 0.05)
    );

    let page = scratch.path().join("change.html").display().to_string();
    let made = unknot(&["diff", &before, &after, "-o", &page]);
    assert_eq!(
        (made.code, made.stdout.as_str()),
        (0, ""),
        "{}",
        made.stderr
    );
    let read = profile::read(&std::fs::read(&page).expect("it was written")).expect("our own");
    assert_eq!(read, slower());

    let same = unknot(&["diff", &before, &before]);
    assert!(
        same.stdout.contains("No function's share has changed"),
        "{}",
        same.stdout
    );
}

#[test]
fn help_has_examples() {
    for verb in ["convert", "diff"] {
        let run = unknot(&[verb, "--help"]);
        assert_eq!(run.code, 0);
        assert!(run.stdout.contains("Examples:"), "{}", run.stdout);
    }
}
