//! `unknot why -- COMMAND`: the command runs as if nobody watched it, and its hang is explained.

mod common;

use common::{Run, command, run};
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::{Interpreter, Scratch};

const LIMIT: Duration = Duration::from_secs(120);

fn python() -> &'static Interpreter {
    testkit::matrix()
        .into_iter()
        .next_back()
        .expect("there is an interpreter")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name)
}

/// A directory with this program: on the command line its words would be shown with it.
fn program(code: &str) -> (Scratch, PathBuf) {
    let scratch = Scratch::new().expect("a directory");
    let path = scratch.write("program.py", code).expect("a program");
    (scratch, path)
}

/// `unknot why OPTIONS… -- python PROGRAM`, to its end.
fn watched(options: &[&str], code: &str) -> Run {
    let (_scratch, program) = program(code);
    run(command()
        .arg("why")
        .args(options)
        .arg("--")
        .arg(&python().path)
        .arg(program))
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// unknot with a command, both running; killed with their process group at the end.
struct Watching {
    child: Child,
    scratch: Scratch,
}

impl Watching {
    fn begin(options: &[&str], code: &str) -> Self {
        let (scratch, program) = program(code);
        let file = |name: &str| File::create(scratch.path().join(name)).expect("a file");
        let child = command()
            .arg("why")
            .args(options)
            .arg("--")
            .arg(&python().path)
            .arg("-u")
            .arg(program)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0)
            .spawn()
            .expect("unknot runs");
        Watching { child, scratch }
    }

    fn said(&self, stream: &str) -> String {
        let bytes = std::fs::read(self.scratch.path().join(stream)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the stream has these words this often.
    fn wait(&mut self, stream: &str, words: &str, times: usize) {
        let begin = Instant::now();
        while self.said(stream).matches(words).count() < times {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(
                ended.is_none() && begin.elapsed() < LIMIT,
                "{words:?} is not there {times} times, {ended:?}\n{}\n{}",
                self.said("stdout"),
                self.said("stderr")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends unknot a signal, as another process does it.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// The exit code, as a shell shows it.
    fn end(&mut self) -> i32 {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                let signal = || 128 + status.signal().unwrap_or_default();
                return status.code().unwrap_or_else(signal);
            }
            assert!(begin.elapsed() < LIMIT, "no end\n{}", self.said("stderr"));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// What a user sees who waits for words and types keys; `steps` are both by turns.
fn at_terminal(steps: &[&str], options: &[&str], code: &str) -> String {
    let (_scratch, program) = program(code);
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/terminal.py");
    let run = run(Command::new(&python().path)
        .arg(driver)
        .args(steps)
        .args(["--", env!("CARGO_BIN_EXE_unknot"), "why"])
        .args(options)
        .arg("--")
        .arg(&python().path)
        .arg("-u")
        .arg(program)
        .env("NO_COLOR", "1"));
    assert!(
        run.code == 0 && !run.stdout.contains("never shown"),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    run.stdout
}

/// Waits for a lock that it holds itself, twice, each time until Ctrl-C.
const TWO_KNOTS: &str = "
import threading
first, second = threading.Lock(), threading.Lock()
for lock in first, second:
    try:
        with lock:
            lock.acquire()
    except KeyboardInterrupt:
        print('interrupted')
raise SystemExit(4)
";

#[test]
fn streams_and_exit_code_are_the_commands_own() {
    let scratch = Scratch::new().expect("a directory");
    let input = scratch.write("input", "one\ntwo\n").expect("a file");
    let output = command()
        .args(["why", "--", "sh", "-c", "cat; echo beside >&2; exit 9"])
        .stdin(File::open(input).expect("the file"))
        .output()
        .expect("unknot runs");
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "beside\n");
}

#[test]
fn a_command_killed_by_a_signal() {
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("INT", 2)] {
        let run = run(command().args(["why", "--", "sh", "-c", &format!("kill -{name} $$")]));
        assert_eq!(run.code, 128 + number, "{}", run.stderr);
    }
}

#[test]
fn its_signals_are_as_without_unknot() {
    let status = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    let alone = run(Command::new(status[0]).args(&status[1..])).stdout;
    let watched = run(command().args(["why", "--"]).args(status)).stdout;
    let number = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let hex = line.and_then(|line| line.split_whitespace().nth(1));
        u64::from_str_radix(hex.unwrap_or_default(), 16).expect("a mask")
    };
    assert_eq!(number(&watched, "SigBlk"), number(&alone, "SigBlk"));
    // SIGQUIT, the third: Ctrl-\ is a question to unknot.
    let expected = number(&alone, "SigIgn") | 1 << 2;
    assert_eq!(number(&watched, "SigIgn") & expected, expected);
    assert_eq!(
        number(&watched, "SigIgn") & 0b1010_1000_0000_0011,
        0,
        "{watched}"
    );
}

#[test]
fn once_ends_all_of_a_command_that_hangs() {
    let code = "
import os, subprocess, sys, threading
stubborn = 'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()'
child = subprocess.Popen([sys.executable, '-c', stubborn], stdout=subprocess.PIPE)
child.stdout.read(1)
print(os.getpid(), child.pid, flush=True)
lock = threading.Lock()
with lock:
    lock.acquire()
";
    let run = watched(&["--once", "--after", "0.3"], code);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("self-deadlock"), "{}", run.stderr);
    assert!(!run.stderr.contains('\x1b'), "{}", run.stderr);
    let pids: Vec<&str> = run.stdout.split_whitespace().collect();
    assert_eq!(pids.len(), 2, "{}", run.stdout);
    // What was killed goes when it gets a CPU.
    let end = Instant::now() + Duration::from_secs(30);
    while pids.iter().any(|pid| is_alive(pid)) {
        assert!(Instant::now() < end, "{pids:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn once_as_json() {
    let code = "import threading\nlock = threading.Lock()\nprint('said', flush=True)\nwith lock:\n    lock.acquire()";
    let run = watched(&["--once", "--json", "--after", "0.3"], code);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let (own, document) = run.stdout.split_once('\n').expect("two lines");
    assert_eq!(own, "said");
    let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(document["verdict"], "self-deadlock");
    assert_eq!(run.stderr, "");
}

#[test]
fn without_once_it_goes_on_watching() {
    let mut watching = Watching::begin(&["--after", "0.3"], TWO_KNOTS);
    watching.wait("stderr", "self-deadlock:", 1);
    // From elsewhere than the terminal: passed on.
    watching.signal("INT");
    watching.wait("stderr", "self-deadlock:", 2);
    watching.signal("INT");
    assert_eq!(watching.end(), 4);
    assert_eq!(watching.said("stdout"), "interrupted\ninterrupted\n");
}

#[test]
fn signals_go_through() {
    for (name, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        // Python's own answer to SIGINT is an exception: without it, all three end it.
        let mut watching = Watching::begin(
            &[],
            "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nprint(os.getpid())\nsignal.pause()",
        );
        watching.wait("stdout", "\n", 1);
        let pid = watching.said("stdout").trim().to_owned();
        watching.signal(name);
        assert_eq!(watching.end(), code, "{name}: {}", watching.said("stderr"));
        assert!(!is_alive(&pid));
    }
}

#[test]
fn quit_explains_at_a_terminal_and_the_command_goes_on() {
    let code = "print('its answer:', input('its question? '))\nraise SystemExit(7)";
    let steps = ["its question?", "^\\", "ok: ", "yes\n"];
    let shown = at_terminal(&steps, &["--after", "1000"], code);
    assert!(shown.contains("its answer: yes"), "{shown}");
    assert!(shown.ends_with("exit code: 7\n"), "{shown}");
    let steps = [
        "begun",
        "^\\",
        "self-deadlock: ",
        "^C",
        "interrupted",
        "^\\",
        "self-deadlock: ",
        "^C",
    ];
    let shown = at_terminal(
        &steps,
        &["--after", "1000"],
        &format!("print('begun'){TWO_KNOTS}"),
    );
    assert!(shown.ends_with("exit code: 4\n"), "{shown}");
    assert_eq!(shown.matches("interrupted").count(), 2, "{shown}");
}

#[test]
fn quit_with_once_ends_a_command_with_a_finding() {
    let steps = ["begun", "^\\"];
    let code = format!("print('begun'){TWO_KNOTS}");
    let shown = at_terminal(&steps, &["--once", "--after", "1000"], &code);
    assert!(shown.ends_with("exit code: 1\n"), "{shown}");
    assert!(!shown.contains("interrupted"), "{shown}");
}

#[test]
fn an_interrupt_at_the_terminal_comes_once() {
    let code = "
import signal
def count(*_):
    print('counted', flush=True)
signal.signal(signal.SIGINT, count)
print('begun', flush=True)
print(input())
";
    let shown = at_terminal(
        &["begun", "^C", "counted", "over\n"],
        &["--after", "1000"],
        code,
    );
    assert_eq!(shown.matches("counted").count(), 1, "{shown}");
    assert!(shown.ends_with("exit code: 0\n"), "{shown}");
}

#[test]
fn quit_asks_about_a_command_that_computes() {
    let code = "
import sys, threading
stop = False
def wait_for_user():
    global stop
    input()
    stop = True
threading.Thread(target=wait_for_user).start()
print('begun', flush=True)
while not stop:
    pass
";
    let steps = ["begun", "^\\", "busy", "\n"];
    let shown = at_terminal(&steps, &["--once", "--after", "1000"], code);
    assert!(shown.ends_with("exit code: 0\n"), "{shown}");
}

#[test]
fn what_gets_on_is_left_alone() {
    let programs = [
        // Computes.
        "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass",
        // Uses little CPU time.
        "import time\nfor _ in range(30): time.sleep(0.05)",
        // Waits for a timer.
        "import time\ntime.sleep(1.5)",
        // Is a child's parent.
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(1.5)'])",
        // Ends at once.
        "pass",
    ];
    for code in programs {
        let run = watched(&["--once", "--after", "0.2"], code);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{code}");
    }
    for words in [
        &["sleep", "1"][..],
        &["true"],
        &["sh", "-c", "sleep 1; true"],
    ] {
        let run = run(command()
            .args(["why", "--once", "--after", "0.2", "--"])
            .args(words));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn a_python_below_another_program_is_found() {
    let script = format!(
        "'{}' '{}'; true",
        python().path.display(),
        example("knots/bank.py").display()
    );
    let run = run(command().args(["why", "--once", "--after", "0.5", "--", "sh", "-c", &script]));
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("deadlock: "), "{}", run.stderr);
}

#[test]
fn a_script_runs_with_the_python_that_is_asked_for() {
    let scratch = Scratch::new().expect("a directory");
    let script = scratch
        .write(
            "own.py",
            "import sys\nprint(sys.executable, sys.argv[1:])\n",
        )
        .expect("a script");
    let module = scratch.write("own_module.py", "import sys\nprint(sys.argv[1:])\n");
    module.expect("a module");
    let fake = scratch.path().join("venv/bin/python");
    std::fs::create_dir_all(fake.parent().expect("it has one")).expect("a directory");
    std::os::unix::fs::symlink(&python().path, &fake).expect("a link");
    let real = python().path.to_string_lossy().into_owned();
    let unknot = |words: &[&str]| {
        run(command()
            .arg("why")
            .args(words)
            .env("PYTHONPATH", scratch.path())
            .env_remove("VIRTUAL_ENV")
            .env_remove("CONDA_PREFIX"))
    };
    let path = script.to_string_lossy().into_owned();
    let named = unknot(&["--python", &real, &path, "--once", "-x"]);
    assert_eq!(
        named.stdout,
        format!("{real} ['--once', '-x']\n"),
        "{}",
        named.stderr
    );
    let module = unknot(&["--python", &real, "-m", "own_module", "--json", "-c"]);
    assert_eq!(module.stdout, "['--json', '-c']\n", "{}", module.stderr);
    let code = unknot(&[
        "--python",
        &real,
        "-c",
        "import sys; print(sys.argv); sys.exit(3)",
        "--after",
    ]);
    assert_eq!(
        (code.code, code.stdout.as_str()),
        (3, "['-c', '--after']\n"),
        "{}",
        code.stderr
    );
    let active = run(command()
        .args(["why", &path])
        .env("VIRTUAL_ENV", scratch.path().join("venv")));
    assert_eq!(
        active.stdout,
        format!("{} []\n", fake.display()),
        "{}",
        active.stderr
    );
}

#[test]
fn what_cannot_be_started() {
    let scratch = Scratch::new().expect("a directory");
    let plain = scratch.write("plain", "text").expect("a file");
    let orphan = scratch
        .write("orphan", "#!/nonexistent/interpreter\n")
        .expect("a file");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&orphan, executable).expect("it may be executed");
    for (words, why) in [
        (
            vec!["--", "/nonexistent/program"],
            "there is no such program",
        ),
        (
            vec!["--", "nonexistent-program"],
            "there is no such program",
        ),
        (
            vec!["--python", "/nonexistent/python", "-c", "1"],
            "there is no such program",
        ),
        (vec!["--", &plain.to_string_lossy()], "may not be executed"),
        (vec!["--", &orphan.to_string_lossy()], "the interpreter"),
    ] {
        let run = run(command().arg("why").args(&words));
        common::assert_told(&run, 3, &["could not be started", why, "hint: "]);
    }
}

#[test]
fn nobody_listens_to_what_is_told() {
    let (_scratch, program) = program(TWO_KNOTS);
    let mut child = command()
        .args(["why", "--after", "0.2", "--"])
        .arg(&python().path)
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unknot runs");
    drop(child.stderr.take());
    let begin = Instant::now();
    // Interrupted until it has come to its end: how far it is cannot be seen from here.
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        assert!(begin.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(700));
        let pid = child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
    };
    assert_eq!(status.code(), Some(4));
}
