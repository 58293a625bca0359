//! Programs launched under the debugger, on each interpreter.

use session::protocol::{Answer, Ask, Breakpoint, Control, Happened, Place, Reason, Resume, Stop};
use session::{Event, Launch, ProcessKey, Program, Session, ThreadKey};
use std::time::Duration;
use testkit::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// A session with one process, as far as tests need it.
struct Driven {
    session: Session,
    process: ProcessKey,
    thread: u64,
    what: String,
}

impl Driven {
    fn launch(interpreter: &testkit::Interpreter, script: &std::path::Path) -> Driven {
        let launch = Launch {
            python: interpreter.path.clone(),
            program: Program::Script(script.to_owned()),
            arguments: vec!["one".into()],
        };
        let mut session = Session::launch(&launch).unwrap_or_else(|e| panic!("{interpreter}: {e}"));
        let (process, hello) = session.processes().next().expect("a process");
        let (major, minor, micro) = interpreter.version;
        assert_eq!(hello.python, format!("{major}.{minor}.{micro}"));
        let started = session.next(LIMIT);
        assert!(matches!(started, Some(Event::Started(..))), "{started:?}");
        Driven {
            session,
            process,
            thread: 0,
            what: interpreter.to_string(),
        }
    }

    fn control(&mut self, control: &Control) -> Answer {
        self.session
            .control(self.process, control, LIMIT)
            .unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    fn ask(&mut self, ask: &Ask) -> Answer {
        let thread = ThreadKey {
            process: self.process,
            ident: self.thread,
        };
        self.session
            .ask(thread, ask, LIMIT, &mut || true)
            .unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    fn stopped(&mut self) -> Stop {
        loop {
            match self.session.next(LIMIT) {
                Some(Event::Happened(_, Happened::Stopped(stop))) => {
                    self.thread = stop.ident;
                    return stop;
                }
                Some(Event::Happened(_, Happened::Resumed { .. })) => {}
                other => panic!("{}: {other:?}", self.what),
            }
        }
    }

    fn resume(&mut self, how: Resume) {
        let frame = match self.ask(&Ask::Stack) {
            Answer::Stack { index, .. } => index,
            other => panic!("{}: {other:?}", self.what),
        };
        let done = self.ask(&Ask::Resume {
            how,
            frame,
            others: true,
        });
        assert_eq!(done, Answer::Done, "{}", self.what);
    }

    fn value(&mut self, text: &str) -> String {
        let frame = match self.ask(&Ask::Stack) {
            Answer::Stack { index, .. } => index,
            other => panic!("{}: {other:?}", self.what),
        };
        match self.ask(&Ask::Evaluate {
            frame,
            text: text.to_owned(),
            pretty: false,
        }) {
            Answer::Text { text } => text.unwrap_or_default(),
            Answer::Failed { text } => format!("*** {text}"),
            other => panic!("{}: {other:?}", self.what),
        }
    }

    fn at(&self, stop: &Stop) -> (Reason, String, u32) {
        (stop.reason, stop.frame.function.clone(), stop.frame.line)
    }

    fn ended(&mut self) -> i32 {
        loop {
            match self.session.next(LIMIT) {
                Some(Event::Exited(code)) => return code,
                Some(
                    Event::Left(_)
                    | Event::Started(..)
                    | Event::Happened(_, Happened::Resumed { .. }),
                ) => {}
                other => panic!("{}: {other:?}", self.what),
            }
        }
    }
}

fn breakpoint(id: u32, place: Place) -> Breakpoint {
    Breakpoint {
        id,
        place,
        condition: None,
        ignore: 0,
        temporary: false,
        enabled: true,
        thread: None,
        log: None,
    }
}

const PROGRAM: &str = "import sys

def double(number):
    result = number * 2
    return result

total = 0
for number in range(10):
    total += double(number)
sys.exit(total)
";

#[test]
fn a_program_is_stepped_through() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", PROGRAM).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        assert_eq!(it.control(&Control::Go), Answer::Done);
        let stop = it.stopped();
        assert_eq!(
            it.at(&stop),
            (Reason::Entry, "<module>".into(), 1),
            "{interpreter}"
        );
        let absent = it.value("sys");
        assert!(
            absent.starts_with("*** NameError: name 'sys' is not defined"),
            "{absent}"
        );
        it.resume(Resume::Next);
        let stop = it.stopped();
        assert_eq!(
            it.at(&stop),
            (Reason::Step, "<module>".into(), 3),
            "{interpreter}"
        );
        assert_eq!(it.value("sys.argv[1:], __name__"), "(['one'], '__main__')");
        let file = script.to_string_lossy().into_owned();
        let mut conditional = breakpoint(1, Place::Line(file, 4));
        conditional.condition = Some("number == 3".into());
        let answer = it.control(&Control::SetBreakpoint(conditional));
        assert!(
            matches!(&answer, Answer::Resolved(r) if r.line == 4 && r.error.is_none()),
            "{answer:?}"
        );
        it.resume(Resume::Continue);
        let stop = it.stopped();
        assert_eq!(
            it.at(&stop),
            (Reason::Breakpoint, "double".into(), 4),
            "{interpreter}"
        );
        assert_eq!(stop.breakpoints, [1]);
        assert_eq!(it.value("number, total"), "(3, 6)", "{interpreter}");
        it.resume(Resume::Next);
        let stop = it.stopped();
        assert_eq!(
            it.at(&stop),
            (Reason::Step, "double".into(), 5),
            "{interpreter}"
        );
        let changed = it.ask(&Ask::Execute {
            frame: 1,
            text: "result = 106".into(),
        });
        assert_eq!(changed, Answer::Text { text: None }, "{interpreter}");
        it.resume(Resume::Return);
        let stop = it.stopped();
        assert_eq!(
            it.at(&stop),
            (Reason::Return, "double".into(), 5),
            "{interpreter}"
        );
        assert_eq!(stop.value.as_deref(), Some("106"), "{interpreter}");
        it.resume(Resume::Step);
        let stop = it.stopped();
        assert_eq!(stop.frame.function, "<module>", "{interpreter}: {stop:?}");
        it.resume(Resume::Continue);
        loop {
            match it.session.next(LIMIT) {
                Some(Event::Happened(_, Happened::Finished { code, exit })) => {
                    assert_eq!(code, 190, "{interpreter}");
                    assert!(exit.is_some_and(|text| text.ends_with("190")));
                    break;
                }
                Some(Event::Happened(_, Happened::Resumed { .. })) => {}
                other => panic!("{interpreter}: {other:?}"),
            }
        }
        assert_eq!(it.control(&Control::Leave), Answer::Done);
        assert_eq!(it.ended(), 190, "{interpreter}");
    }
}

const THREADS: &str = "import threading

def work(number):
    value = number * 2
    return value

threads = [threading.Thread(target=work, args=(n,), name='worker-%d' % n) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('done')
";

#[test]
fn every_thread_that_reaches_a_breakpoint_stops() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", THREADS).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        it.control(&Control::AllStop { on: false });
        let file = script.to_string_lossy().into_owned();
        it.control(&Control::SetBreakpoint(breakpoint(1, Place::Line(file, 4))));
        it.control(&Control::Go);
        it.stopped();
        it.resume(Resume::Continue);
        let mut seen = std::collections::BTreeMap::new();
        while seen.len() < 8 {
            let stop = it.stopped();
            assert_eq!(
                it.at(&stop),
                (Reason::Breakpoint, "work".into(), 4),
                "{interpreter}"
            );
            let number = it.value("number");
            assert_eq!(stop.name, format!("worker-{number}"), "{interpreter}");
            assert!(
                seen.insert(stop.ident, stop.name).is_none(),
                "{interpreter}: {seen:?}"
            );
        }
        for ident in seen.keys() {
            it.thread = *ident;
            it.resume(Resume::Continue);
        }
        finish(&mut it, 0);
    }
}

/// Lets the program go on to its end.
fn finish(it: &mut Driven, expected: i32) {
    loop {
        match it.session.next(LIMIT) {
            Some(Event::Happened(_, Happened::Finished { code, .. })) => {
                assert_eq!(code, expected, "{}", it.what);
                break;
            }
            Some(
                Event::Happened(_, Happened::Resumed { .. }) | Event::Started(..) | Event::Left(_),
            ) => {}
            other => panic!("{}: {other:?}", it.what),
        }
    }
    it.control(&Control::Leave);
    assert_eq!(it.ended(), expected, "{}", it.what);
}

const PARKED: &str = "import threading, time
count = 0
def spin():
    global count
    while count >= 0:
        count += 1
threading.Thread(target=spin, daemon=True).start()
while count < 1000: time.sleep(0.001)
here = 1
print('done')
";

#[test]
fn a_stop_parks_the_other_threads() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", PARKED).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        let file = script.to_string_lossy().into_owned();
        it.control(&Control::SetBreakpoint(breakpoint(1, Place::Line(file, 9))));
        it.control(&Control::Go);
        it.stopped();
        it.resume(Resume::Continue);
        let first = it.stopped();
        let other = it.stopped();
        let (hit, parked) = match first.reason {
            Reason::Parked => (other, first),
            _ => (first, other),
        };
        assert_eq!(
            (hit.reason, hit.frame.line),
            (Reason::Breakpoint, 9),
            "{interpreter}"
        );
        assert_eq!(
            (parked.reason, parked.frame.function.as_str()),
            (Reason::Parked, "spin"),
            "{interpreter}"
        );
        it.thread = hit.ident;
        let before = it.value("count");
        for _ in 0..20 {
            assert_eq!(it.value("count"), before, "{interpreter}: it stands");
        }
        // A step of one thread with the others held, and one with all of them running.
        let held = it.ask(&Ask::Resume {
            how: Resume::Next,
            frame: 0,
            others: false,
        });
        assert_eq!(held, Answer::Done);
        it.stopped();
        assert_eq!(
            it.value("count"),
            before,
            "{interpreter}: it stood during the step"
        );
        it.control(&Control::RemoveBreakpoint { id: 1 });
        it.resume(Resume::Continue);
        finish(&mut it, 0);
    }
}

const FAMILY: &str = "import os, subprocess, sys, multiprocessing

def work(what):
    mark = what
    return mark

def child(what):
    work(what)

if __name__ == '__main__':
    pid = os.fork()
    if pid == 0:
        work('forked')
        os._exit(0)
    os.waitpid(pid, 0)
    own = os.path.abspath(__file__)
    subprocess.run(['/bin/sh', '-c', 'exec \"$0\" -c \"import sys; sys.path[:0] = [sys.argv[1]]; import program; program.work(1)\" \"$1\"', sys.executable, os.path.dirname(own)], check=True)
    process = multiprocessing.get_context('spawn').Process(target=child, args=('spawned',))
    process.start()
    process.join()
    print(process.exitcode)
";

#[test]
fn children_are_processes_of_the_session() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", FAMILY).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        let parent = it.process;
        let file = script.to_string_lossy().into_owned();
        it.control(&Control::SetBreakpoint(breakpoint(1, Place::Line(file, 4))));
        it.control(&Control::Go);
        it.stopped();
        it.resume(Resume::Continue);
        let mut whats = Vec::new();
        loop {
            match it.session.next(LIMIT) {
                Some(Event::Started(process, hello)) => {
                    assert!(process != parent && hello.pid != 0);
                }
                Some(Event::Happened(process, Happened::Stopped(stop))) => {
                    (it.process, it.thread) = (process, stop.ident);
                    assert_eq!(
                        it.at(&stop),
                        (Reason::Breakpoint, "work".into(), 4),
                        "{interpreter}"
                    );
                    assert_ne!(process, parent);
                    whats.push(it.value("what"));
                    it.resume(Resume::Continue);
                }
                Some(Event::Happened(_, Happened::Finished { code: 0, .. })) => break,
                Some(Event::Happened(_, Happened::Resumed { .. }) | Event::Left(_)) => {}
                other => panic!("{interpreter}: {other:?}, {whats:?}"),
            }
        }
        assert_eq!(whats, ["'forked'", "1", "'spawned'"], "{interpreter}");
        it.process = parent;
        it.control(&Control::Leave);
        assert_eq!(it.ended(), 0, "{interpreter}");
    }
}

const LONG: &str = "import sys, time
def spin():
    count = 0
    while count < 200:
        count += 1
        time.sleep(0.005)
    with open(sys.argv[0] + '.done', 'w') as file:
        file.write(str(count))
spin()
";

#[test]
fn the_program_goes_on_when_the_session_is_gone() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", LONG).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        let file = script.to_string_lossy().into_owned();
        it.control(&Control::SetBreakpoint(breakpoint(1, Place::Line(file, 6))));
        it.control(&Control::Go);
        it.stopped();
        it.resume(Resume::Continue);
        assert_eq!(it.stopped().reason, Reason::Breakpoint);
        // It stands at the breakpoint; nobody will let it go.
        drop(it);
        let done = scratch.path().join("program.py.done");
        let end = std::time::Instant::now() + LIMIT;
        while std::fs::read_to_string(&done).unwrap_or_default() != "200" {
            assert!(
                std::time::Instant::now() < end,
                "{interpreter}: it does not go on"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

const RAISING: &str = "def fail(number):
    if number == 3:
        raise KeyError(number)
    raise ValueError(number)

for number in range(5):
    try:
        fail(number)
    except (KeyError, ValueError):
        pass
";

#[test]
fn exceptions_are_stopped_at_where_they_are_raised() {
    for interpreter in testkit::matrix() {
        let scratch = Scratch::new().expect("a directory");
        let script = scratch.write("program.py", RAISING).expect("a file");
        let mut it = Driven::launch(interpreter, &script);
        it.control(&Control::Go);
        it.stopped();
        let wanted = Control::Exceptions {
            raised: true,
            uncaught: false,
            types: vec!["LookupError".into()],
        };
        assert_eq!(it.control(&wanted), Answer::Done, "{interpreter}");
        it.resume(Resume::Continue);
        let stop = it.stopped();
        let expected = (Reason::Exception, "fail".into(), 3);
        assert_eq!(it.at(&stop), expected, "{interpreter}");
        assert_eq!(stop.value.as_deref(), Some("KeyError: 3"), "{interpreter}");
        it.resume(Resume::Continue);
        finish(&mut it, 0);
    }
}
