//! Formats opened by the readers that they are meant for: `pstats.Stats` of every Python here, and `callgrind_annotate`.

use profile::{Format, Profile, synthetic};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use testkit::Scratch;

fn written(scratch: &Scratch, profile: &Profile, format: Format) -> PathBuf {
    let path = scratch.path().join(format!("run{}", format.ending()));
    let mut bytes = Vec::new();
    profile::write(profile, format, &mut bytes).expect("memory");
    std::fs::write(&path, bytes).expect("the scratch directory is writable");
    path
}

fn output(command: &mut Command) -> String {
    let output = testkit::run_limited(command, Duration::from_secs(60)).expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A function's own and total samples and seconds, by its name.
fn expected(profile: &Profile, name: &str) -> (u64, f64, f64) {
    let is_it = |frame: &profile::Frame| {
        profile
            .function_of(frame)
            .is_some_and(|function| profile.text(function.name) == name)
    };
    let (mut samples, mut own_ns, mut total_ns) = (0, 0, 0);
    for total in &profile.totals {
        let mut frames = profile.frames_of(total.stack).peekable();
        if frames.peek().is_some_and(|frame| is_it(frame)) {
            own_ns += total.wall_ns;
        }
        if frames.any(is_it) {
            samples += total.samples;
            total_ns += total.wall_ns;
        }
    }
    (samples, own_ns as f64 / 1e9, total_ns as f64 / 1e9)
}

/// Prints what pstats made of a file, one function a line.
const PRINT: &str = r#"
import pstats, sys
stats = pstats.Stats(sys.argv[1])
stats.sort_stats("cumulative").print_stats(5)
stats.print_callers("interest")
stats.calc_callees()
print("total", stats.total_tt)
for (file, line, name), (cc, nc, tt, ct, callers) in stats.stats.items():
    print("FUNCTION", name, nc, tt, ct, len(callers), sep="\t")
"#;

#[test]
fn every_python_opens_pstats() {
    let scratch = Scratch::new().expect("a directory");
    let profile = synthetic::server();
    let path = written(&scratch, &profile, Format::Pstats);
    let hostile = Scratch::new().expect("a directory");
    let hostile_path = written(&hostile, &synthetic::hostile(), Format::Pstats);
    for python in testkit::matrix() {
        let run = |path: &PathBuf| output(Command::new(&python.path).args(["-c", PRINT]).arg(path));
        let text = run(&path);
        for name in ["interest", "report", "c_make_encoder"] {
            let (samples, own_s, total_s) = expected(&profile, name);
            let mut found = (0, 0.0, 0.0);
            for line in text
                .lines()
                .filter_map(|line| line.strip_prefix("FUNCTION\t"))
            {
                let fields: Vec<&str> = line.split('\t').collect();
                if fields[0] == name {
                    let number = |index: usize| fields[index].parse::<f64>().expect("a number");
                    // Of a function with several definitions, the sum; its total time may then count twice.
                    found = (
                        found.0 + number(1) as u64,
                        found.1 + number(2),
                        found.2 + number(3),
                    );
                }
            }
            assert_eq!(found.0, samples, "{}: {name}", python.tag);
            assert!(
                (found.1 - own_s).abs() < 1e-6,
                "{}: {name}: {found:?}",
                python.tag
            );
            assert!(
                (found.2 - total_s).abs() < 1e-6,
                "{}: {name}: {found:?}",
                python.tag
            );
        }
        assert!(run(&hostile_path).contains("</script>"));
    }
}

/// Whether callgrind_annotate is there, which it must be where all is required.
fn has_annotate() -> bool {
    let there = Command::new("callgrind_annotate")
        .arg("--version")
        .output()
        .is_ok();
    if !there {
        let required = std::env::var_os("UNKNOT_REQUIRE_ALL").is_some_and(|all| all == "1");
        assert!(
            !required,
            "callgrind_annotate is absent; it comes with valgrind"
        );
        eprintln!("skipped: callgrind_annotate is absent");
    }
    there
}

/// Source files that are there are shown with their lines, also those whose functions only call others.
#[test]
fn callgrind_annotate_shows_sources() {
    if !has_annotate() {
        return;
    }
    let scratch = Scratch::new().expect("a directory");
    let files = ["caller.py", "callee.py"].map(|name| {
        let path = scratch.path().join(name);
        std::fs::write(&path, "def one():\n    two()\n").expect("it is writable");
        path.to_string_lossy().into_owned()
    });
    let mut builder = profile::Builder::new(profile::Limits::default());
    let process = builder.process(profile::Process::default());
    let track = builder.track(profile::Track {
        process,
        ..profile::Track::default()
    });
    let mut stack = None;
    for (file, name) in files.iter().zip(["one", "two"]) {
        let (name, file) = (builder.string(name), builder.string(file));
        let function = builder.function(profile::Function {
            name,
            file,
            first_line: 1,
            kind: profile::FrameKind::Python,
        });
        let frame = builder.frame(profile::Frame {
            function,
            line: 2,
            instruction: None,
        });
        stack = builder.stack(stack, frame);
    }
    let total = builder.total(track, stack, profile::State::Running);
    builder.add_sum(total, 7, 7000, 7000);
    let path = written(&scratch, &builder.finish(), Format::Callgrind);
    let mut annotate = Command::new("callgrind_annotate");
    annotate.args(["--threshold=100", "--auto=yes"]).arg(&path);
    annotate.env("LC_ALL", "C");
    let output = testkit::run_limited(&mut annotate, Duration::from_secs(60)).expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("    two()"), "{text}");
}

#[test]
fn callgrind_annotate_reads_callgrind() {
    if !has_annotate() {
        return;
    }
    let scratch = Scratch::new().expect("a directory");
    let profile = synthetic::server();
    let path = written(&scratch, &profile, Format::Callgrind);
    let annotate = |inclusive: &str| {
        let mut command = Command::new("callgrind_annotate");
        command
            .args(["--threshold=100", "--tree=both", inclusive])
            .arg(&path);
        output(command.env("LC_ALL", "C"))
    };
    let number = |ns: f64| {
        let text = format!("{:.0}", ns * 1e9);
        let mut out = String::new();
        for (index, digit) in text.chars().enumerate() {
            if index > 0 && (text.len() - index) % 3 == 0 {
                out.push(',');
            }
            out.push(digit);
        }
        out
    };
    let all: f64 = profile
        .totals
        .iter()
        .map(|total| total.wall_ns as f64 / 1e9)
        .sum();
    let (_, own_s, total_s) = expected(&profile, "c_make_encoder");
    for (mode, seconds) in [("--inclusive=no", own_s), ("--inclusive=yes", total_s)] {
        let text = annotate(mode);
        assert!(text.contains(&number(all)), "{text}");
        let line = text
            .lines()
            .find(|line| line.contains("* ") && line.contains("c_make_encoder"))
            .expect("it is in the list");
        assert!(
            line.contains(&number(seconds)),
            "{line}: {}",
            number(seconds)
        );
    }
}
