//! What the agent and the session say to each other: the bodies of `wire`'s frames.
//!
//! The agent's side of each is in `agent/inject/support.py`. Texts are what a person reads, as pdb words them where
//! pdb has words for it; the front end adds `*** ` before errors.

use serde::{Deserialize, Serialize};

/// The first thing that an agent says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// [`wire::VERSION`] of the agent.
    pub wire: u32,
    /// The process, as it numbers itself.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// `sys.version_info`, as `3.13.0`.
    pub python: String,
    /// `sys.orig_argv`, or what is known of it.
    pub command: Vec<String>,
    /// What is missing on this version, or kept from us by another debugger, in words.
    pub notes: Vec<String>,
}

/// Something happened in the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
// A stop is what most events are, and few of them are kept at a time.
#[allow(clippy::large_enum_variant)]
pub enum Happened {
    /// A thread has stopped; it waits for an [`Ask::Resume`].
    Stopped(Stop),
    /// A thread that was stopped goes on (also when it was let go by another's resume).
    Resumed {
        /// Its `threading.get_ident()`.
        ident: u64,
    },
    /// A breakpoint got its place: its module was imported, or its line was moved to one with code.
    Resolved(Resolved),
    /// A log message of a breakpoint.
    Log {
        /// The breakpoint.
        breakpoint: u32,
        /// The text.
        text: String,
    },
    /// The script that was launched has ended, by itself or by an exception that nobody caught. The process lives
    /// until it is told [`Control::Leave`] (a process that was attached to does not say this).
    Finished {
        /// What it ends with, as `sys.exit` has it.
        code: i32,
        /// `SystemExit`'s text where it was raised: `The program exited via sys.exit(). Exit status: 3`.
        exit: Option<String>,
    },
    /// Something to tell the user.
    Note {
        /// The text.
        text: String,
    },
}

/// Why a thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Before the program's first line.
    Entry,
    /// At a line, by a step.
    Step,
    /// At the beginning of a function, by a step into it.
    Call,
    /// Where a function returns, by a step.
    Return,
    /// An exception was raised, and a step goes on in this frame; or exceptions are stopped at.
    Exception,
    /// At a breakpoint.
    Breakpoint,
    /// In `breakpoint()`.
    Trace,
    /// The user asked for it.
    Pause,
    /// Another thread has stopped, and all are to.
    Parked,
    /// An exception has ended the program; the frames are those of its traceback.
    PostMortem,
    /// The code that [`Ask::Debug`] ran has ended, and the thread stands where it stood; [`Stop::value`] is the exception that
    /// ended it, if one did.
    Back,
}

/// A thread has stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// `threading.get_ident()`.
    pub ident: u64,
    /// The kernel's thread id, as the process numbers it.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// The task that it runs a step of.
    #[serde(default)]
    pub task: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The breakpoints that were hit, by number.
    #[serde(default)]
    pub breakpoints: Vec<u32>,
    /// `Return`: the value's `repr`. `Exception`, `PostMortem`: `ValueError: no such thing`.
    #[serde(default)]
    pub value: Option<String>,
    /// `PostMortem`: the traceback as Python prints it.
    #[serde(default)]
    pub traceback: Option<String>,
    /// The frame that is looked at first.
    pub frame: Frame,
    /// Its index in [`Answer::Stack`].
    pub index: usize,
}

/// A frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// `co_filename`, made absolute as pdb's `canonic` does; `<string>` and its like as they are.
    pub file: String,
    /// The current line, from 1.
    pub line: u32,
    /// `co_name`; `<lambda>` where it has none.
    pub function: String,
    /// `co_qualname`, where the version has it.
    pub qualname: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// The current line's text, without the white space around it; empty where there is no source.
    pub source: String,
    /// `__return__` where the frame has returned, as `reprlib.repr` shortens it.
    pub returns: Option<String>,
    /// A number that is this frame's alone while it lives (`id`).
    pub key: u64,
    /// Of library code, or marked `__tracebackhide__`.
    pub hidden: bool,
    /// The line that raised, in a frame of a traceback, where that is not the current one.
    pub raised_line: Option<u32>,
}

/// Where a breakpoint is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A line of a file. A relative file is looked for as pdb does: as it is, then along `sys.path`, with and without `.py`.
    Line(String, u32),
    /// A function, as an expression or dotted name, `module:function` where the module is not imported yet.
    Function(String),
    /// A line of the file of the frame that is looked at in the given stopped thread.
    Here(u64, usize, u32),
}

/// A breakpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakpoint {
    /// Its number, given by the session.
    pub id: u32,
    /// Where.
    pub place: Place,
    /// Stops only where this expression is true.
    #[serde(default)]
    pub condition: Option<String>,
    /// So many hits are passed over.
    #[serde(default)]
    pub ignore: u32,
    /// Whether it goes away at its first stop.
    #[serde(default)]
    pub temporary: bool,
    /// Whether it stops at all.
    pub enabled: bool,
    /// Only in this thread, by `get_ident()`.
    #[serde(default)]
    pub thread: Option<u64>,
    /// Does not stop: tells this text, in which `{expression}` is evaluated.
    #[serde(default)]
    pub log: Option<String>,
}

/// A breakpoint's place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resolved {
    /// The breakpoint.
    pub id: u32,
    /// The file, as in [`Frame::file`]; `None`: not found yet, it is looked for in what is imported later.
    pub file: Option<String>,
    /// The line: the next one that has code.
    pub line: u32,
    /// The function that was named.
    pub function: Option<String>,
    /// Why it cannot be there, in pdb's words: `Blank or comment`, `End of file`.
    pub error: Option<String>,
}

/// What is asked of a stopped thread. `frame` is an index into its stack, 0 the outermost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Ask {
    /// Its frames: [`Answer::Stack`].
    Stack,
    /// Goes on: [`Answer::Done`], then the thread runs.
    Resume {
        /// How far.
        how: Resume,
        /// The frame that the step is of.
        frame: usize,
        /// Whether other stopped threads go on too.
        others: bool,
    },
    /// Sets the next line of the innermost frame: [`Answer::Stack`] or an error.
    Jump {
        /// The line.
        line: u32,
    },
    /// A statement or expression, as pdb's `default` does it: what it prints is printed by the program itself; a value is told
    /// as `sys.displayhook` would print it. [`Answer::Text`].
    Execute {
        /// The frame.
        frame: usize,
        /// The text; several lines for a compound statement.
        text: String,
    },
    /// The value of an expression: [`Answer::Text`] of its `repr`.
    Evaluate {
        /// The frame.
        frame: usize,
        /// The expression; with `await` where the thread runs a loop.
        text: String,
        /// As `pprint` lays it out.
        pretty: bool,
    },
    /// Whether a text is a whole statement: [`Answer::Text`] of `whole`, `more` or an error's text as failure.
    Compile {
        /// The text.
        text: String,
    },
    /// The type of an expression's value in pdb's words (`Function f`, `Class m.C`, `<class 'int'>`): [`Answer::Text`].
    WhatIs {
        /// The frame.
        frame: usize,
        /// The expression.
        text: String,
    },
    /// The arguments of the frame's function: [`Answer::Variables`].
    Arguments {
        /// The frame.
        frame: usize,
    },
    /// Variables of a frame: [`Answer::Variables`].
    Variables {
        /// The frame.
        frame: usize,
        /// Those of its module instead of its own.
        globals: bool,
    },
    /// The source of a frame's file, or of an object: [`Answer::Source`].
    Source {
        /// The frame.
        frame: usize,
        /// An expression whose object's source is wanted; a frame's whole file without one.
        object: Option<String>,
        /// Only the frame's function (`longlist`).
        function: bool,
    },
    /// How a text can be completed: [`Answer::Names`].
    Complete {
        /// The frame.
        frame: usize,
        /// The text before the cursor.
        text: String,
    },
    /// The chain of exceptions that is looked at: [`Answer::Chain`].
    Exceptions,
    /// Looks at another exception of the chain: [`Answer::Stack`].
    Exception {
        /// Its index.
        index: usize,
    },
    /// A line typed in `interact`, in a namespace of its own that begins with the frame's: [`Answer::Text`] of `more` or
    /// nothing. The namespace is kept until [`Ask::Interacted`].
    Interact {
        /// The frame.
        frame: usize,
        /// The lines typed so far of this statement.
        text: String,
    },
    /// `interact` is over: [`Answer::Done`].
    Interacted,
    /// Runs code under the debugger, on top of the stop (pdb's `debug`): [`Answer::Done`] at once; its stops are events, and
    /// its end is a further [`Happened::Stopped`] of the thread where it was.
    Debug {
        /// The frame.
        frame: usize,
        /// The code.
        text: String,
    },
}

/// How far a thread goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// Until something stops it.
    Continue,
    /// To the next line, call or return, whatever frame that is in.
    Step,
    /// To the next line of this frame or of one outside it.
    Next,
    /// Until this frame returns.
    Return,
    /// To a line of this frame greater than this one or, where 0, than the current one.
    Until(u32),
    /// No further: the code of the innermost [`Ask::Debug`], or else the program, is ended by an exception at this place, so
    /// that its `finally` blocks run. The program's end is told by [`Happened::Finished`], without a post-mortem.
    Quit,
}

/// What is asked of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Control {
    /// Sets or changes a breakpoint: [`Answer::Resolved`].
    SetBreakpoint(Breakpoint),
    /// Takes one away: [`Answer::Done`].
    RemoveBreakpoint {
        /// Which.
        id: u32,
    },
    /// How often each was hit: [`Answer::Hits`].
    Hits,
    /// At which exceptions to stop: [`Answer::Done`].
    Exceptions {
        /// Whenever one is raised.
        raised: bool,
        /// When nobody will catch it.
        uncaught: bool,
        /// Only of these types, by name; all where empty.
        types: Vec<String>,
    },
    /// Stops threads at their next line: [`Answer::Done`].
    Pause {
        /// By `get_ident()`; all without.
        thread: Option<u64>,
    },
    /// Whether a stop parks all other threads: [`Answer::Done`].
    AllStop {
        /// Whether.
        on: bool,
    },
    /// The Python threads: [`Answer::Threads`].
    Threads,
    /// Begins with the script that was launched, whose thread waits for this: [`Answer::Done`].
    Go,
    /// Lets the process that was launched end: [`Answer::Done`].
    Leave,
    /// Takes everything of the debugger out of the process, and lets all threads go: [`Answer::Done`].
    Detach,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// It could not be done: `NameError: name 'x' is not defined`.
    Failed {
        /// The text.
        text: String,
    },
    /// A text to show; nothing where there is none.
    Text {
        /// The text.
        text: Option<String>,
    },
    /// Frames, the outermost first.
    Stack {
        /// All of them.
        frames: Vec<Frame>,
        /// The one to look at.
        index: usize,
    },
    /// Names and the `repr` of their values, or why there is none.
    Variables {
        /// In the order of the code.
        variables: Vec<Variable>,
    },
    /// Lines of source.
    Source {
        /// The file, as in [`Frame::file`].
        file: String,
        /// The number of the first of these lines.
        first: u32,
        /// Without their ends.
        lines: Vec<String>,
        /// Of a frame: the line to show as current, and the one that raised.
        current: Option<u32>,
        /// See [`Frame::raised_line`].
        raised: Option<u32>,
    },
    /// Names.
    Names {
        /// In their order.
        names: Vec<String>,
    },
    /// Of [`Ask::Exceptions`]: the one that ended the program is the last.
    Chain {
        /// Each one's `repr`, and whether it has a traceback that can be looked at.
        exceptions: Vec<(String, bool)>,
        /// The one that is looked at.
        index: usize,
    },
    /// Of [`Control::SetBreakpoint`].
    Resolved(Resolved),
    /// Of [`Control::Hits`].
    Hits {
        /// Breakpoint, and how often it was reached with its condition true.
        hits: Vec<(u32, u32)>,
    },
    /// Of [`Control::Threads`].
    Threads {
        /// All of them, the main one first.
        threads: Vec<ThreadInfo>,
    },
}

/// A variable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its value's `repr`, bounded.
    pub value: String,
}

/// A Python thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadInfo {
    /// `threading.get_ident()`.
    pub ident: u64,
    /// The kernel's id, as the process numbers it.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// Whether it is stopped by the debugger.
    pub stopped: bool,
    /// Its innermost frame.
    pub frame: Option<Frame>,
}

/// What holds for every process of the session, in a file of its directory that new ones read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Standing {
    /// The breakpoints.
    pub breakpoints: Vec<Breakpoint>,
    /// See [`Control::AllStop`].
    pub all_stop: bool,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing {
            breakpoints: Vec::new(),
            all_stop: true,
        }
    }
}
