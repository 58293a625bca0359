//! `unknot debug` fed from a pipe, over each interpreter.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testkit::{Interpreter, Program, Scratch, Target};

const LIMIT: Duration = Duration::from_secs(60);

struct Debugged {
    out: String,
    errors: String,
    code: Option<i32>,
}

/// Runs it in a directory of its own, with these commands on standard input.
fn debug(
    python: Option<&Interpreter>,
    directory: &Path,
    args: &[&str],
    commands: &str,
) -> Debugged {
    std::fs::write(directory.join("commands"), commands).expect("written");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" < commands", "sh"]);
    command.args([env!("CARGO_BIN_EXE_unknot"), "debug"]);
    if let Some(interpreter) = python {
        command.arg("--python").arg(&interpreter.path);
    }
    command
        .args(args)
        .current_dir(directory)
        .env("HOME", directory)
        .env_remove("UNKNOT_PROMPT");
    let output = testkit::run_limited(&mut command, LIMIT).expect("it ends");
    Debugged {
        out: String::from_utf8_lossy(&output.stdout).replace(&shown(directory), "DIR"),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

fn shown(directory: &Path) -> String {
    let directory = std::fs::canonicalize(directory).expect("a directory");
    directory.to_string_lossy().into_owned()
}

const PROGRAM: &str = "import sys

def double(number):
    result = number * 2
    return result

total = 0
for number in range(4):
    total += double(number)
print('total', total)
sys.exit(total)
";

const COMMANDS: &str = "n
n
b 4, number == 2
tbreak double
c
p number
c
w
a
r
retval
l 3, 5
whatis double
p missing
for k in range(2):
    print(k)

k + 1
$mine = 7
p $mine + 1
u
display total
n
n
b
clear 1
c
";

const EXPECTED: &str = "> DIR/program.py(1)<module>()
-> import sys
> DIR/program.py(3)<module>()
-> def double(number):
> DIR/program.py(7)<module>()
-> total = 0
Breakpoint 1 at DIR/program.py:4
Breakpoint 2 at DIR/program.py:4
Deleted breakpoint 2 at DIR/program.py:4
> DIR/program.py(4)double()
-> result = number * 2
0
> DIR/program.py(4)double()
-> result = number * 2
  DIR/program.py(9)<module>()
-> total += double(number)
> DIR/program.py(4)double()
-> result = number * 2
number = 2
--Return--
> DIR/program.py(5)double()->4
-> return result
4
  3  \tdef double(number):
  4 B\t    result = number * 2
  5  ->\t    return result
Function double
*** NameError: name 'missing' is not defined
0
1
2
8
> DIR/program.py(9)<module>()
-> total += double(number)
display total: 2
> DIR/program.py(8)<module>()
-> for number in range(4):
display total: 6  [old: 2]
> DIR/program.py(9)<module>()
-> total += double(number)
Num Type         Disp Enb   Where
1   breakpoint   keep yes   at DIR/program.py:4
\tstop only if number == 2
\tbreakpoint already hit 1 time
Deleted breakpoint 1 at DIR/program.py:4
total 12
The program exited via sys.exit(). Exit status: 12
";

#[test]
fn a_whole_dialogue() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        scratch.write("program.py", PROGRAM).expect("a file");
        let ran = debug(Some(interpreter), scratch.path(), &["program.py"], COMMANDS);
        assert_eq!(ran.out, EXPECTED, "{interpreter}\n{}", ran.errors);
        assert_eq!(ran.code, Some(12), "{interpreter}");
    }
}

#[test]
fn the_exit_code_is_the_programs() {
    let interpreter = *testkit::matrix().last().expect("an interpreter");
    for (text, code) in [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise SystemExit('no')", 1),
        ("import os; os._exit(4)", 4),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("def f: pass", 1),
    ] {
        let scratch = Scratch::new().expect("a directory");
        scratch.write("program.py", text).expect("a file");
        let ran = debug(Some(interpreter), scratch.path(), &["program.py"], "c\n");
        assert_eq!(ran.code, Some(code), "{text}\n{}{}", ran.out, ran.errors);
    }
}

#[test]
fn what_stands_behind_the_commands_is_the_programs_input() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        scratch
            .write("program.py", "name = input()\nprint('hello', name)\n")
            .expect("a file");
        let ran = debug(
            Some(interpreter),
            scratch.path(),
            &["program.py"],
            "c\nworld\n",
        );
        assert!(
            ran.out.contains("hello world\n"),
            "{interpreter}\n{}{}",
            ran.out,
            ran.errors
        );
    }
}

#[test]
fn options_first_lines_and_code_as_the_program() {
    let interpreter = *testkit::matrix().last().expect("an interpreter");
    let scratch = Scratch::new().expect("a directory");
    scratch.write("program.py", PROGRAM).expect("a file");
    scratch
        .write(".pdbrc", "# mine\nalias twice p 2 * %1\n")
        .expect("a file");
    let args = [
        "-b",
        "double, number > 2",
        "-b",
        "program.py:6",
        "-c",
        "c",
        "-c",
        "twice number",
        "program.py",
    ];
    let ran = debug(Some(interpreter), scratch.path(), &args, "");
    let expected = "Breakpoint 1 at DIR/program.py:4\nBreakpoint 2 at DIR/program.py:7\n";
    assert!(ran.out.starts_with(expected), "{}", ran.out);
    let args = [
        "--no-rc",
        "-c",
        "c",
        "-c",
        "import sys; print(sys.argv)",
        "a",
        "b",
    ];
    let ran = debug(Some(interpreter), scratch.path(), &args, "");
    assert_eq!((&*ran.out, ran.code), ("['-c', 'a', 'b']\n", Some(0)));
    let ran = debug(
        Some(interpreter),
        scratch.path(),
        &["-b", "program.py:900", "program.py"],
        "",
    );
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors
            .contains("`program.py:900` cannot be set: End of file"),
        "{}",
        ran.errors
    );
    let ran = debug(Some(interpreter), scratch.path(), &["nosuch.py"], "");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors.contains("there is no file nosuch.py"),
        "{}",
        ran.errors
    );
}

#[test]
fn post_mortem_and_another_run() {
    const FAILS: &str = "import sys
def inner(key):
    return {}[key]
def outer():
    try:
        inner('a')
    except KeyError as error:
        raise ValueError('no') from error
print(sys.argv[1:])
outer()
";
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        scratch.write("program.py", FAILS).expect("a file");
        let commands = "c\nw\np error\nexceptions\nexceptions 0\np key\nrun x 'y z'\nc\nq\n";
        let ran = debug(Some(interpreter), scratch.path(), &["program.py"], commands);
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        for text in [
            "Uncaught exception. Entering post mortem debugging\nRunning 'cont' or 'step' will restart the program\n",
            "> DIR/program.py(8)outer()\n-> raise ValueError('no') from error\n",
            "    0 KeyError('a')\n>   1 ValueError('no')\n> DIR/program.py(3)inner()\n-> return {}[key]\n'a'\n",
            "Restarting DIR/program.py with arguments:\n\tx y z\n",
            "['x', 'y z']\n",
        ] {
            assert!(ran.out.contains(text), "{text}\n{what}");
        }
        assert!(ran.errors.contains("ValueError: no"), "{what}");
        assert_eq!(ran.code, Some(1), "{what}");
    }
}

#[test]
fn quitting_unwinds_the_program() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let text = "try:\n    x = 1\n    y = 2\nfinally:\n    print('unwound')\n";
        scratch.write("program.py", text).expect("a file");
        let ran = debug(
            Some(interpreter),
            scratch.path(),
            &["program.py"],
            "n\nn\nq\n",
        );
        assert!(
            ran.out.ends_with("-> y = 2\nunwound\n"),
            "{interpreter}\n{}",
            ran.out
        );
        assert_eq!(ran.code, Some(0), "{interpreter}");
        assert!(
            !ran.errors.contains("Traceback"),
            "{interpreter}\n{}",
            ran.errors
        );
    }
}

#[test]
fn every_thread_that_comes_to_a_line_is_shown() {
    const THREADS: &str = "import threading
barrier = threading.Barrier(4)
def work(n):
    barrier.wait()
    result = n * 2
    return result
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('all done')
";
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        scratch.write("program.py", THREADS).expect("a file");
        let commands = "b 5\nc\nthreads\np 'n', n\nc\np 'n', n\nc\np 'n', n\nc\np 'n', n\nc\n";
        let ran = debug(Some(interpreter), scratch.path(), &["program.py"], commands);
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        let mut seen: Vec<&str> = ran
            .out
            .lines()
            .filter(|line| line.starts_with("('n', "))
            .collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            ["('n', 0)", "('n', 1)", "('n', 2)", "('n', 3)"],
            "{what}"
        );
        assert!(
            ran.out.contains("breakpoint DIR/program.py(5)work()"),
            "{what}"
        );
        assert!(ran.out.ends_with("all done\n"), "{what}");
    }
}

#[test]
fn a_running_process_is_entered_and_left() {
    const RUNS: &str = "import time
def tick(n):
    time.sleep(0.01)
    return n + 1
n = 0
print('ready', flush=True)
while True:
    n = tick(n)
";
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let mut target = Target::spawn(interpreter, Program::Source(RUNS), &[]).expect("it starts");
        target.wait_line("ready", LIMIT).expect("it runs");
        let pid = target.pid().to_string();
        let commands = "b tick\nc\np n > 0\nrun\nq\n";
        let ran = debug(None, scratch.path(), &[&pid], commands);
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        assert!(
            ran.out.contains("(3)tick()\n-> time.sleep(0.01)\nTrue\n"),
            "{what}"
        );
        assert!(
            ran.out.contains("*** unknot has not started this program"),
            "{what}"
        );
        assert!(
            ran.out
                .ends_with(&format!("[process {pid} goes on without the debugger]\n")),
            "{what}"
        );
        assert_eq!(ran.code, Some(0), "{what}");
        assert!(target.is_alive(), "{what}");
    }
}

#[test]
fn events_as_json_lines() {
    let interpreter = *testkit::matrix().last().expect("an interpreter");
    let scratch = Scratch::new().expect("a directory");
    scratch.write("program.py", PROGRAM).expect("a file");
    let ran = debug(
        Some(interpreter),
        scratch.path(),
        &["--json", "program.py"],
        "b 4\nc\np number\nnope\ncl 1\nc\n",
    );
    let ours = ran.out.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<serde_json::Value> = ours
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let stops: Vec<&serde_json::Value> = lines
        .iter()
        .filter(|line| line["event"] == "stopped")
        .collect();
    assert_eq!(stops[1]["stop"]["reason"], "breakpoint", "{}", ran.out);
    assert_eq!(stops[1]["stop"]["frame"]["line"], 4, "{}", ran.out);
    let has = |event: &str, text: &str| {
        lines
            .iter()
            .any(|line| line["event"] == event && line["text"] == text)
    };
    assert!(has("text", "0"), "{}", ran.out);
    assert!(
        has("error", "NameError: name 'nope' is not defined"),
        "{}",
        ran.out
    );
}

#[test]
fn children_stop_at_the_same_breakpoints() {
    const CHILDREN: &str = "import multiprocessing
def child(queue, n):
    result = n + 1
    queue.put(result)
if __name__ == '__main__':
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    children = [context.Process(target=child, args=(queue, n)) for n in range(2)]
    for process in children: process.start()
    print(sorted(queue.get() for process in children))
    for process in children: process.join()
";
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        scratch.write("program.py", CHILDREN).expect("a file");
        let commands = "b 4\nc\nprocesses\np 'n', n\nc\np 'n', n\ncl 1\nc\n";
        let ran = debug(Some(interpreter), scratch.path(), &["program.py"], commands);
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        for text in ["('n', 0)", "('n', 1)", "[1, 2]", " has come: ", "stands"] {
            assert!(ran.out.contains(text), "{text}\n{what}");
        }
        assert!(!ran.out.contains("boot.py"), "{what}");
        assert_eq!(ran.code, Some(0), "{what}");
    }
}

#[test]
fn a_directory_and_a_module_are_run() {
    const MAIN: &str = "import sys
print(sys.argv[1:], __package__)
";
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        std::fs::create_dir(scratch.path().join("place")).expect("a directory");
        scratch.write("place/__main__.py", MAIN).expect("a file");
        let ran = debug(
            Some(interpreter),
            scratch.path(),
            &["place", "-x"],
            "n\nc\n",
        );
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        assert!(
            ran.out
                .ends_with("-> print(sys.argv[1:], __package__)\n['-x'] \n"),
            "{what}"
        );
        let ran = debug(
            Some(interpreter),
            scratch.path(),
            &["-m", "place", "-x"],
            "n\nc\n",
        );
        let what = format!("{interpreter}\n{}{}", ran.out, ran.errors);
        assert!(ran.out.ends_with("['-x'] place\n"), "{what}");
        let ran = debug(Some(interpreter), scratch.path(), &["-m", "nosuch"], "");
        assert_eq!(
            (&*ran.out, ran.code),
            ("ImportError: No module named nosuch\n", Some(1))
        );
    }
}
