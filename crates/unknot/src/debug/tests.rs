//! The console over something that plays a session: a program of ten lines in which nothing is run.

use super::console::{Console, Debugged, Scheduler, Settings};
use super::debuggee::Debuggee;
use super::editor::Shared;
use super::lines::{Came, Lines, View};
use super::screen::Screen;
use session::protocol::{
    Answer, Ask, Breakpoint, Control, Frame, Happened, Hello, Place, Reason, Resolved, Resume, Stop,
};
use session::{Event, ProcessKey, SessionError, ThreadKey};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

const PROCESS: ProcessKey = ProcessKey(0);
const LAST_LINE: u32 = 10;

/// A program that goes from line to line.
struct Player {
    events: VecDeque<Event>,
    line: u32,
    points: BTreeMap<u32, Breakpoint>,
    threads: Vec<u64>,
    asked: Rc<RefCell<Vec<String>>>,
}

fn frame(line: u32) -> Frame {
    Frame {
        file: "/p.py".into(),
        line,
        function: "f".into(),
        source: format!("line {line}"),
        key: 7,
        ..Frame::default()
    }
}

fn stop(ident: u64, reason: Reason, line: u32, breakpoints: Vec<u32>) -> Stop {
    Stop {
        ident,
        tid: u32::try_from(ident).unwrap(),
        name: format!("T{ident}"),
        task: None,
        reason,
        breakpoints,
        value: None,
        traceback: None,
        frame: frame(line),
        index: 0,
    }
}

impl Player {
    fn new(threads: &[u64]) -> Player {
        let hello = Hello {
            pid: 1,
            ..Hello::default()
        };
        Player {
            events: VecDeque::from([Event::Started(PROCESS, hello)]),
            line: 1,
            points: BTreeMap::new(),
            threads: threads.to_vec(),
            asked: Rc::default(),
        }
    }

    fn go(&mut self, ident: u64, how: Resume) {
        self.events
            .push_back(Event::Happened(PROCESS, Happened::Resumed { ident }));
        if how == Resume::Quit {
            self.line = LAST_LINE;
        }
        let first = self.line + 1;
        for line in first..=LAST_LINE {
            let here = |point: &&Breakpoint| place_line(&point.place) == line && point.enabled;
            let hit: Vec<u32> = self
                .points
                .values()
                .filter(here)
                .map(|point| point.id)
                .collect();
            if how != Resume::Continue || !hit.is_empty() {
                self.line = line;
                let reason = if hit.is_empty() {
                    Reason::Step
                } else {
                    Reason::Breakpoint
                };
                // All threads come to a breakpoint together.
                let threads = if hit.is_empty() {
                    vec![ident]
                } else {
                    self.threads.clone()
                };
                for thread in threads {
                    let stop = stop(thread, reason, line, hit.clone());
                    self.events
                        .push_back(Event::Happened(PROCESS, Happened::Stopped(stop)));
                }
                return;
            }
        }
        let finished = Happened::Finished {
            code: 3,
            exit: None,
        };
        self.events.push_back(Event::Happened(PROCESS, finished));
        self.events.push_back(Event::Exited(3));
    }
}

fn place_line(place: &Place) -> u32 {
    match place {
        Place::Line(_, line) | Place::Here(_, _, line) => *line,
        Place::Function(_) => 4,
    }
}

impl Debuggee for Player {
    fn next(&mut self, _limit: Duration) -> Option<Event> {
        self.events.pop_front()
    }

    fn ask(&mut self, thread: ThreadKey, ask: &Ask) -> Result<Answer, SessionError> {
        let shown = match ask {
            Ask::Stack | Ask::Compile { .. } => None,
            Ask::Resume { how, others, .. } => Some(format!("T{} {how:?} {others}", thread.ident)),
            Ask::Execute { text, .. } | Ask::Evaluate { text, .. } => Some(text.clone()),
            other => Some(format!("{other:?}")),
        };
        self.asked.borrow_mut().extend(shown);
        Ok(match ask {
            Ask::Stack => Answer::Stack {
                frames: vec![frame(self.line)],
                index: 0,
            },
            Ask::Compile { text } if text.trim_end_matches('\n').ends_with(':') => Answer::Text {
                text: Some("more".into()),
            },
            Ask::Compile { text } if text.ends_with("    body") => Answer::Text {
                text: Some("more".into()),
            },
            Ask::Compile { text } if text.contains('!') => Answer::Failed {
                text: "SyntaxError: invalid syntax".into(),
            },
            Ask::Resume { how, .. } => {
                self.go(thread.ident, *how);
                Answer::Done
            }
            Ask::Evaluate { text, .. } if text == "bad" => Answer::Failed {
                text: "NameError: name 'bad' is not defined".into(),
            },
            Ask::Evaluate { text, .. } => Answer::Text {
                text: Some(format!("<{text}>")),
            },
            _ => Answer::Text { text: None },
        })
    }

    fn control(&mut self, _process: ProcessKey, control: &Control) -> Result<Answer, SessionError> {
        Ok(match control {
            Control::SetBreakpoint(point) => {
                let line = place_line(&point.place);
                self.points.insert(point.id, point.clone());
                Answer::Resolved(Resolved {
                    id: point.id,
                    file: Some("/p.py".into()),
                    line,
                    function: None,
                    error: (line > LAST_LINE).then(|| "End of file".into()),
                })
            }
            Control::RemoveBreakpoint { id } => {
                self.points.remove(id);
                Answer::Done
            }
            Control::Go => {
                let entry = stop(1, Reason::Entry, 1, Vec::new());
                self.events
                    .push_back(Event::Happened(PROCESS, Happened::Stopped(entry)));
                Answer::Done
            }
            Control::Hits => Answer::Hits { hits: vec![(1, 2)] },
            _ => Answer::Done,
        })
    }

    fn processes(&self) -> Vec<(ProcessKey, Hello)> {
        let hello = Hello {
            pid: 1,
            ..Hello::default()
        };
        vec![(PROCESS, hello)]
    }

    fn launched_pid(&self) -> Option<u32> {
        Some(1)
    }

    fn restart(&mut self, _arguments: &[OsString]) -> Result<(), SessionError> {
        let again = Player::new(&self.threads);
        (self.events, self.line, self.points) = (again.events, 1, BTreeMap::new());
        Ok(())
    }

    fn end(&mut self) -> Option<i32> {
        None
    }

    fn interrupted(&mut self) -> bool {
        false
    }
}

/// Lines that were typed before.
struct Typed(VecDeque<String>);

impl Lines for Typed {
    fn read(&mut self, _prompt: &str, _start: &str) -> Came {
        self.0.pop_front().map_or(Came::End, Came::Line)
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_at_end(&mut self) -> bool {
        self.0.is_empty()
    }

    fn look_at(&mut self, _view: View) {}
}

#[derive(Clone, Default)]
struct Out(Rc<RefCell<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Ran {
    out: String,
    asked: Vec<String>,
    code: i32,
}

fn ran(threads: &[u64], prompt: Option<&str>, pdb: bool, lines: &[&str]) -> Ran {
    let player = Player::new(threads);
    let asked = player.asked.clone();
    let out = Out::default();
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let settings = Settings {
        prompt: prompt.map(str::to_owned),
        pdb,
        all_stop: true,
        scheduler: Scheduler::Run,
    };
    let program = Debugged {
        target: "/p.py".into(),
        script: Some("/p.py".into()),
        ..Debugged::default()
    };
    let screen = Screen::new(Box::new(out.clone()), false, false, false);
    let debuggee: Shared = Rc::new(RefCell::new(Box::new(player)));
    let mut console = Console::new(debuggee, screen, Box::new(Typed(lines)), settings, program);
    let code = console.run().unwrap();
    let out = String::from_utf8(out.0.borrow().clone()).unwrap();
    let asked = asked.borrow().clone();
    Ran { out, asked, code }
}

fn at(line: u32) -> String {
    format!("> /p.py({line})f()\n-> line {line}\n")
}

#[test]
fn from_a_pipe_there_are_no_prompts_and_the_code_is_the_programs() {
    let ran = ran(&[1], None, false, &["n", "", "p x", "bad", "p bad", "c"]);
    let body = format!(
        "{}{}{}<x>\n*** NameError: name 'bad' is not defined\n",
        at(1),
        at(2),
        at(3)
    );
    assert_eq!(ran.out, body);
    assert_eq!(ran.code, 3);
}

#[test]
fn as_pdb_it_prompts_and_begins_anew() {
    let ran = ran(&[1], Some("(Pdb) "), true, &["p x", "c", "p bad"]);
    let body = format!(
        "{0}(Pdb) <x>\n(Pdb) The program finished and will be restarted\n{0}(Pdb) *** NameError: name 'bad' is not defined\n(Pdb) \n",
        at(1)
    );
    assert_eq!(ran.out, body);
    assert_eq!(ran.code, 0);
}

#[test]
fn breakpoints_are_told_and_listed_as_in_pdb() {
    let lines = [
        "b 3",
        "tbreak 5, x > 1",
        "b 99",
        "b x:y:z",
        "b",
        "condition 1 y",
        "ignore 1 2",
        "disable 2 7 a",
        "b",
        "clear 2",
        "enable 2",
        "commands 9",
        "cl p.py:3",
        "q",
    ];
    let ran = ran(&[1], None, true, &lines);
    let expected = "Breakpoint 1 at /p.py:3
Breakpoint 2 at /p.py:5
End of file
*** Bad lineno: z
Num Type         Disp Enb   Where
1   breakpoint   keep yes   at /p.py:3
	breakpoint already hit 2 times
2   breakpoint   del  yes   at /p.py:5
	stop only if x > 1
New condition set for breakpoint 1.
Will ignore next 2 crossings of breakpoint 1.
Disabled breakpoint 2 at /p.py:5
*** Breakpoint number 7 out of range
*** Non-numeric breakpoint number a
Num Type         Disp Enb   Where
1   breakpoint   keep yes   at /p.py:3
	stop only if y
	ignore next 2 hits
	breakpoint already hit 2 times
2   breakpoint   del  no    at /p.py:5
	stop only if x > 1
Deleted breakpoint 2 at /p.py:5
*** Breakpoint 2 already deleted
*** cannot set commands: Breakpoint number 9 out of range
";
    let rest = ran.out.strip_prefix(&at(1)).unwrap();
    assert!(rest.starts_with(expected), "{rest}");
    assert!(rest.contains("*** There are no breakpoints in "), "{rest}");
}

#[test]
fn commands_of_a_breakpoint_run_where_it_is_reached() {
    let lines = [
        "b 3",
        "commands",
        "silent",
        "p 'hello'",
        "end",
        "b 5",
        "commands 2",
        "p 'there'",
        "c",
        "c",
        "",
    ];
    let ran = ran(&[1], None, false, &lines);
    let expected = format!(
        "{}Breakpoint 1 at /p.py:3\nBreakpoint 2 at /p.py:5\n<'hello'>\n<'there'>\n",
        at(1)
    );
    assert_eq!(ran.out, expected);
}

#[test]
fn a_temporary_breakpoint_goes_when_it_is_reached() {
    let ran = ran(&[1], None, false, &["tbreak 4", "c", "b", "c"]);
    let expected = format!(
        "{}Breakpoint 1 at /p.py:4\nDeleted breakpoint 1 at /p.py:4\n{}",
        at(1),
        at(4)
    );
    assert_eq!(ran.out, expected);
}

#[test]
fn each_thread_at_a_line_is_shown_before_any_goes_on() {
    let ran = ran(
        &[1, 2, 3],
        None,
        false,
        &["b 4", "c", "c", "c", "cl 1", "c"],
    );
    assert!(
        ran.out
            .contains("[thread 2, T2, has stopped at /p.py(4)f()]"),
        "{}",
        ran.out
    );
    assert_eq!(ran.out.matches(&at(4)).count(), 3, "{}", ran.out);
    let resumed: Vec<&str> = ran
        .asked
        .iter()
        .filter(|a| a.contains("Continue"))
        .map(String::as_str)
        .collect();
    // The first goes to the breakpoint; then all stand until the third stop was shown.
    assert_eq!(resumed[0], "T1 Continue true");
    assert_eq!(
        resumed[1..4],
        ["T1 Continue false", "T2 Continue false", "T3 Continue true"]
    );
}

#[test]
fn statements_over_lines_aliases_and_words_of_pdb() {
    let lines = [
        "for i in x:",
        "    body",
        "",
        "if y!",
        "alias say p %1",
        "say 5",
        "say",
        "alias",
        "n = 1",
        "up",
        "l a",
        "unt 1",
        "h nothing",
        "args 1",
        "undisplay z",
        "j",
        "q",
    ];
    let ran = ran(&[1], Some("(Pdb) "), true, &lines);
    assert_eq!(ran.asked[0], "for i in x:\n    body\n");
    for text in [
        "(Pdb) ...   ...   (Pdb) *** SyntaxError: invalid syntax\n",
        "(Pdb) <5>\n(Pdb) *** Not enough arguments for alias 'say'\n",
        "say = p %1\n",
        "*** Invalid argument: = 1\n      Usage: n(ext)\n",
        "*** Oldest frame\n",
        "*** Error in argument: 'a'\n",
        "*** \"until\" line number is smaller than current line number\n",
        "*** No help for 'nothing'\n",
        "*** Invalid argument: 1\n      Usage: a(rgs)\n",
        "*** not displaying z\n",
        "*** Argument is required for this command\n      Usage: j(ump) lineno\n",
    ] {
        assert!(ran.out.contains(text), "{text}\n--- in\n{}", ran.out);
    }
}
