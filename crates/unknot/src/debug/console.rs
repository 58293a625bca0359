//! The console: what it knows of the program, and how it waits for the program's next stop.

use super::editor::Shared;
use super::lines::Lines;
use super::points::Points;
use super::screen::Screen;
use session::protocol::{Answer, Ask, Control, Frame, Stop};
use session::{ProcessKey, SessionError, ThreadKey};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::time::{Instant, SystemTime};

/// Which threads go on together with the chosen one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// All.
    Run,
    /// All, but a step is this thread's alone.
    Step,
    /// None.
    Alone,
}

/// What is set for the session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The prompt; `None`: the console's own on a terminal, and none elsewhere.
    pub prompt: Option<String>,
    /// Only what pdb would say, and its exit codes.
    pub pdb: bool,
    /// A stop makes all threads stand.
    pub all_stop: bool,
    /// Who runs with the chosen thread.
    pub scheduler: Scheduler,
}

/// Where the console looks.
#[derive(Debug, Clone)]
pub struct At {
    /// The thread.
    pub thread: ThreadKey,
    /// Why it stands.
    pub stop: Stop,
    /// Its frames, the outermost first.
    pub stack: Vec<Frame>,
    /// The frame that is looked at.
    pub index: usize,
    /// The last line that was listed.
    pub listed: Option<u32>,
}

impl At {
    /// The frame that is looked at.
    pub fn frame(&self) -> Option<&Frame> {
        self.stack.get(self.index)
    }
}

/// What is done next of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued {
    /// A command.
    Line(String),
    /// Shows where the program stands.
    Status,
    /// The stop is not shown.
    Silence,
    /// What an empty line repeats.
    Repeats(String),
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// The prompt comes again.
    Stay,
    /// The program runs.
    Run,
    /// It begins anew.
    Restart,
    /// The debugger leaves it, and it goes on.
    Detach,
    /// All ends.
    Quit,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// A thread stands, and is looked at.
    Stopped,
    /// Threads were to stand, and none does: all wait for something.
    Nobody,
    /// The program has ended, with this code. `finished`: it said so itself before.
    Ended { code: i32, finished: bool },
}

/// An expression whose changes are shown.
#[derive(Debug, Clone)]
pub struct Display {
    /// The expression.
    pub text: String,
    /// Its value as it was shown.
    pub value: String,
    /// The number of the debugger's variable that holds it.
    pub number: u32,
}

/// What is debugged.
#[derive(Debug, Clone, Default)]
pub struct Debugged {
    /// What the program is called, in messages.
    pub target: String,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The script's path, absolute, where it is one.
    pub script: Option<String>,
    /// Whether it ran before the debugger came; then it goes on when the debugger leaves.
    pub attached: bool,
}

/// The console.
pub struct Console {
    /// What is debugged.
    pub debuggee: Shared,
    /// Where it is shown.
    pub screen: Screen,
    /// Where commands come from.
    pub lines: Box<dyn Lines>,
    /// What is set.
    pub settings: Settings,
    /// Breakpoints.
    pub points: Points,
    /// Aliases.
    pub aliases: BTreeMap<String, String>,
    /// By thread and frame.
    pub displays: HashMap<(ThreadKey, u64), Vec<Display>>,
    /// How many were ever displayed.
    pub displayed: u32,
    /// What is done next.
    pub queue: VecDeque<Queued>,
    /// Lines of `.pdbrc` and `-c`, for the first prompt.
    pub first_lines: Vec<String>,
    /// What an empty line repeats.
    pub last: String,
    /// Where the console looks, while a thread stands.
    pub at: Option<At>,
    /// All threads that stand.
    pub stops: Vec<(ThreadKey, Stop)>,
    /// Those whose stops have not been shown.
    pub unseen: VecDeque<ThreadKey>,
    /// Those of them that were told in a line.
    pub mentioned: HashSet<ThreadKey>,
    /// Those that go on as soon as all do.
    pub held: Vec<ThreadKey>,
    /// The thread that takes a step.
    pub stepping: Option<ThreadKey>,
    /// Threads' numbers, in the order in which they were seen.
    pub numbers: Vec<ThreadKey>,
    /// When the files of frames that were seen were changed last.
    pub edited: HashMap<String, Option<SystemTime>>,
    /// How deep in `debug` each thread is.
    pub nested: HashMap<ThreadKey, usize>,
    /// The processes that have been told all that is set.
    pub told: HashSet<ProcessKey>,
    /// The program.
    pub program: Debugged,
    /// Whether threads are made to stand, since when, and none has come to stand yet.
    pub pausing: Option<Instant>,
    /// Whether it has come to its first line.
    pub begun: bool,
    /// What the program ended with when it last did.
    pub code: Option<i32>,
    /// At which exceptions to stop.
    pub exceptions: Option<Control>,
}

impl Console {
    /// A console that has seen nothing yet.
    pub fn new(
        debuggee: Shared,
        screen: Screen,
        lines: Box<dyn Lines>,
        settings: Settings,
        program: Debugged,
    ) -> Console {
        Console {
            debuggee,
            screen,
            lines,
            settings,
            program,
            points: Points::default(),
            aliases: BTreeMap::new(),
            displays: HashMap::new(),
            displayed: 0,
            queue: VecDeque::new(),
            first_lines: Vec::new(),
            last: String::new(),
            at: None,
            stops: Vec::new(),
            unseen: VecDeque::new(),
            mentioned: HashSet::new(),
            held: Vec::new(),
            stepping: None,
            pausing: None,
            numbers: Vec::new(),
            edited: HashMap::new(),
            nested: HashMap::new(),
            told: HashSet::new(),
            begun: false,
            code: None,
            exceptions: None,
        }
    }

    /// Asks the thread that is looked at.
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer, String> {
        let thread = match &self.at {
            Some(at) => at.thread,
            None => return Err("No thread stands that could be asked".to_owned()),
        };
        self.ask_of(thread, ask)
    }

    /// Asks a thread.
    pub fn ask_of(&mut self, thread: ThreadKey, ask: &Ask) -> Result<Answer, String> {
        told(self.debuggee.borrow_mut().ask(thread, ask))
    }

    /// Asks a process.
    pub fn control(&mut self, process: ProcessKey, control: &Control) -> Result<Answer, String> {
        told(self.debuggee.borrow_mut().control(process, control))
    }

    /// The process that is looked at; the first where none is.
    pub fn process(&self) -> Option<ProcessKey> {
        let first = || {
            self.debuggee
                .borrow()
                .processes()
                .first()
                .map(|(key, _)| *key)
        };
        self.at.as_ref().map(|at| at.thread.process).or_else(first)
    }

    /// A thread's number.
    pub fn number(&mut self, thread: ThreadKey) -> usize {
        if let Some(index) = self.numbers.iter().position(|known| *known == thread) {
            return index + 1;
        }
        self.numbers.push(thread);
        self.numbers.len()
    }

    /// Whether a thread stands.
    pub fn stands(&self, thread: ThreadKey) -> bool {
        self.stops.iter().any(|(known, _)| *known == thread)
    }

    /// A process's number.
    pub fn pid(&self, process: ProcessKey) -> u32 {
        let processes = self.debuggee.borrow().processes();
        let found = processes.iter().find(|(key, _)| *key == process);
        found.map_or(0, |(_, hello)| hello.pid)
    }

    /// Looks at a thread that stands.
    pub fn look_at(&mut self, thread: ThreadKey) -> bool {
        let Some((_, stop)) = self.stops.iter().find(|(known, _)| *known == thread) else {
            return false;
        };
        let stop = stop.clone();
        let (stack, index) = match self.ask_of(thread, &Ask::Stack) {
            Ok(Answer::Stack { frames, index }) => (frames, index),
            _ => (vec![stop.frame.clone()], 0),
        };
        self.note_files(&stack);
        self.at = Some(At {
            thread,
            stop,
            stack,
            index,
            listed: None,
        });
        true
    }

    /// How a thread is called in a line.
    pub fn called(&mut self, thread: ThreadKey, stop: &Stop) -> String {
        let number = self.number(thread);
        let mut text = format!("thread {number}, {}", stop.name);
        if let Some(task) = &stop.task {
            text.push_str(&format!(", {task}"));
        }
        if self.debuggee.borrow().processes().len() > 1 {
            text.push_str(&format!(", process {}", self.pid(thread.process)));
        }
        text
    }

    fn note_files(&mut self, stack: &[Frame]) {
        for frame in stack {
            if !self.edited.contains_key(&frame.file) {
                self.edited.insert(frame.file.clone(), changed(&frame.file));
            }
        }
    }

    /// Tells when the current frame's file has been changed since the program read it.
    pub fn check_file(&mut self) {
        let frame = self.at.as_ref().and_then(At::frame);
        let Some(file) = frame.map(|frame| frame.file.clone()) else {
            return;
        };
        let now = changed(&file);
        if let Some(then) = self.edited.get_mut(&file)
            && now.is_some()
            && *then != now
        {
            *then = now;
            self.screen.message(&format!(
                "*** WARNING: file '{file}' was edited, running stale code until the program is rerun"
            ));
        }
    }
}

fn changed(file: &str) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

/// An answer, or why there is none, in words.
fn told(answer: Result<Answer, SessionError>) -> Result<Answer, String> {
    match answer {
        Ok(Answer::Failed { text }) => Err(text),
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.to_string()),
    }
}
