//! Programs that are odd themselves: names and files that are none, state that is garbage, an end that comes early.

mod common;

use common::unknot;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::{Interpreter, Program, Target};

const LIMIT: Duration = Duration::from_secs(30);

fn ready(interpreter: &Interpreter, source: &str, args: &[&str]) -> Target {
    let mut target = Target::spawn(interpreter, Program::Source(source), args).expect("a target");
    target.wait_ready(LIMIT).expect("it is ready");
    target
}

fn threads(pid: u32) -> Vec<Value> {
    let dump = unknot(&["dump", "--json", &pid.to_string()]);
    assert_eq!(dump.code, 0, "{}", dump.stderr);
    let threads = &dump.json()["processes"][0]["threads"];
    threads.as_array().expect("threads").clone()
}

#[test]
fn names_of_threads() {
    let source = r#"
import threading, testkit_ready
stop = threading.Event()
names = ["\u65e5\u672c\u8a9e", "a\nb\x1b[31m", "\udc80x", "x" * 300]
for name in names:
    threading.Thread(target=stop.wait, name=name, daemon=True).start()
renamed = threading.Thread(target=stop.wait, daemon=True)
renamed.start()
renamed.name = "r\u00e9nam\u00e9"
testkit_ready.ready()
stop.wait()
"#;
    for interpreter in testkit::matrix() {
        let target = ready(interpreter, source, &[]);
        let threads = threads(target.pid());
        let mut names: Vec<&str> = threads.iter().filter_map(|t| t["name"].as_str()).collect();
        names.retain(|name| *name != "MainThread");
        for name in ["日本語", "a\nb\u{1b}[31m", "\u{fffd}x", "rénamé"] {
            assert!(
                names.contains(&name),
                "{interpreter}: {name:?} in {names:?}"
            );
        }
        assert!(names.iter().any(|name| name.starts_with("xxxxxxxx")));
        let pid = target.pid().to_string();
        for verb in ["dump", "why"] {
            let text = unknot(&[verb, &pid]).stdout;
            assert!(!text.contains('\u{1b}'), "{interpreter}: {text}");
        }
    }
}

/// A knot in a module that lies in a zip file, called from code that was made from a string.
const NO_FILES: &str = r#"
import os, sys, zipfile
import testkit_ready
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app.pyz")
module = """
import threading
lock = threading.Lock()
def again(ready):
    with lock:
        ready()
        lock.acquire()
"""
with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("zipped.py", module)
sys.path.insert(0, path)
exec(compile("import zipped\ndef made(ready):\n    zipped.again(ready)\n", "<made;\n\x1b[31m>", "exec"))
made(testkit_ready.ready)
"#;

#[test]
fn code_without_a_file_of_its_own() {
    for interpreter in testkit::matrix() {
        let mut target = ready(interpreter, NO_FILES, &[]);
        target.wait_blocked(LIMIT).expect("it hangs");
        let pid = target.pid().to_string();
        let why = unknot(&["why", "--json", &pid]).json();
        assert_eq!(why["verdict"], "self-deadlock", "{interpreter}: {why}");
        let edge = &why["findings"][0]["edges"][0];
        assert_eq!(edge["waits_for"]["line"], 7, "{interpreter}: {edge}");
        assert_eq!(edge["held_by"]["line"], 5, "{interpreter}: {edge}");
        let frames = &threads(target.pid())[0]["frames"];
        let made = frames.as_array().into_iter().flatten();
        let made = made.filter(|frame| frame["file"] == "<made;\n\u{1b}[31m>");
        assert_eq!(made.count(), 1, "{interpreter}: {frames}");
        let text = unknot(&["why", &pid]).stdout;
        assert!(!text.contains('\u{1b}'), "{interpreter}: {text}");
    }
}

/// Scribbles over what its first argument names, while all of it sleeps; the second is the byte.
const SCRIBBLED: &str = r#"
import ctypes, os, sys, threading, time
import testkit_ready
api = ctypes.pythonapi
for get in (api.PyThreadState_Get, getattr(api, "PyInterpreterState_Get", None)):
    if get:
        get.restype = ctypes.c_void_p
def wait():
    time.sleep(1000)
thread = threading.Thread(target=wait)
thread.start()
runtime = ctypes.addressof(ctypes.c_char.in_dll(api, "_PyRuntime"))
size = ctypes.sizeof(ctypes.c_void_p)
places = {"code": (id(wait.__code__) + 2 * size, 150), "type": (id(threading.Thread), 400),
    "thread": (api.PyThreadState_Get(), 300), "runtime": (runtime, 1000), "function": (id(wait), 150)}
if hasattr(api, "PyInterpreterState_Get"):
    places["interpreter"] = (api.PyInterpreterState_Get(), 8000)
what, byte = sys.argv[1], int(sys.argv[2])
address, count = places.get(what, (runtime + 1000, 1000))
parent = os.getpid()
def sleeping(pid):
    tasks = "/proc/%d/task" % pid
    return "".join(open("%s/%s/syscall" % (tasks, tid)).read() for tid in sorted(os.listdir(tasks)))
if os.fork() == 0:
    # Another process does it once all of the target sleeps, so that no code has to run on afterwards.
    try:
        seen = None
        while seen is None or "running" in seen or seen != sleeping(parent):
            seen = sleeping(parent)
            time.sleep(0.05)
        with open("/proc/%d/mem" % parent, "r+b", 0) as memory:
            memory.seek(address)
            memory.write(bytes([byte]) * count)
    finally:
        testkit_ready.ready()
        os._exit(0)
time.sleep(1000)
"#;

#[test]
fn a_target_that_scribbled_over_its_own_state() {
    const PLACES: [&str; 7] = [
        "code",
        "type",
        "thread",
        "interpreter",
        "runtime",
        "function",
        "rest",
    ];
    for (turn, interpreter) in testkit::matrix().into_iter().enumerate() {
        // Every place with one byte, and with another one in the next interpreter.
        for (index, what) in PLACES.into_iter().enumerate() {
            let byte = ["0", "65", "255"][(turn + index) % 3];
            let mut target = ready(interpreter, SCRIBBLED, &[what, byte]);
            let pid = target.pid().to_string();
            for args in [&["why", &pid][..], &["dump", "--locals", &pid]] {
                let run = unknot(args);
                let told = format!("{interpreter}, {what}, {byte}: {}", run.stderr);
                assert!([0, 1, 3].contains(&run.code), "{} {told}", run.code);
                assert!(!run.stderr.contains("panicked"), "{told}");
            }
            assert!(target.is_alive(), "{interpreter}, {what}, {byte}");
        }
    }
}

#[test]
fn processes_that_end_while_they_are_read() {
    for interpreter in testkit::matrix() {
        for turn in 0..12 {
            let mut child = Command::new(&interpreter.path)
                .args(["-S", "-E", "-c", "import threading"])
                .stdout(Stdio::null())
                .spawn()
                .expect("it runs");
            let pid = child.id().to_string();
            loop {
                let run = unknot(&[["why", "dump"][turn % 2], &pid]);
                assert!(
                    [0, 1, 3].contains(&run.code),
                    "{}: {}",
                    run.code,
                    run.stderr
                );
                assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
                if run.code == 3 && run.stderr.contains("zombie") {
                    break;
                }
            }
            child.wait().expect("our own child");
        }
    }
}
