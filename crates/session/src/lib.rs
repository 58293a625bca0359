//! The debugger: processes, threads, breakpoints, stepping, evaluation; one stream of events for every front end.
//!
//! A [`Session`] has a directory of its own with a Unix socket, the agent and its files in it. Every process of the
//! session connects there by itself. What processes say comes out of [`Session::next`] in the order in which they
//! said it; what is asked of them is answered while it is waited for, and events that come meanwhile are kept.
//!
//! Invariants:
//! - No process waits for a front end that is gone: when the connection ends, the agent takes everything of the
//!   debugger's out of its process and lets it run on.
//! - What a process says is bounded (`wire::BODY_MAX`, [`EVENTS_MAX`]) and checked; what makes no sense ends its connection,
//!   not the session.
//!
//! Absent: terminals, JSON for users, any editor's protocol; how an interpreter is entered.

mod connection;
mod directory;
pub mod protocol;

pub use attach::{Door, EnterError, Entered};
use connection::{Connection, Incoming};
use directory::Directory;
use protocol::{Answer, Ask, Control, Happened, Hello, Standing};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Most events that wait for the front end; a process that says more is cut off.
pub const EVENTS_MAX: usize = 100_000;
/// How long a process that was launched may take until its agent speaks.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often the end of a process that was launched is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No directory or socket could be made.
    #[error("cannot prepare a place to meet the program, {}: {error}. Set TMPDIR to a directory that can be written to", .path.display())]
    Directory {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The program could not be started.
    #[error("cannot run {}: {error}", .program.display())]
    Start {
        /// What was to be run.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It ended before its agent spoke.
    #[error("the program ended before it could be debugged (exit code {0})")]
    EndedEarly(i32),
    /// Its agent does not speak.
    #[error("the program runs, but its debugger did not start within {} s", START_LIMIT.as_secs())]
    Silent,
    /// The process has gone.
    #[error("the process has ended")]
    Gone,
    /// It did not answer.
    #[error("process {pid} has not answered within {:.1} s. Its thread may be busy with what it was asked", .waited.as_secs_f64())]
    NoAnswer {
        /// The process.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It could not be entered.
    #[error(transparent)]
    Enter(#[from] Box<EnterError>),
    /// It speaks another language: an agent of another unknot.
    #[error(
        "process {pid} has an agent of another version of unknot in it ({theirs}, not {})",
        wire::VERSION
    )]
    Version {
        /// The process.
        pid: u32,
        /// What it speaks.
        theirs: u32,
    },
}

/// What to run.
#[derive(Debug, Clone)]
pub enum Program {
    /// A file.
    Script(PathBuf),
    /// `-m`: a module.
    Module(String),
    /// `-c`: code.
    Code(String),
}

/// What to launch.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The interpreter.
    pub python: PathBuf,
    /// What it runs.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A process's number in a session: in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey(pub usize);

/// A thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadKey {
    /// Its process.
    pub process: ProcessKey,
    /// `threading.get_ident()`.
    pub ident: u64,
}

/// What a front end is told.
#[derive(Debug, Clone, PartialEq)]
// As for `Happened`, which is most of it.
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A process has come.
    Started(ProcessKey, Hello),
    /// Something happened in one.
    Happened(ProcessKey, Happened),
    /// A process has gone: it ended, or its agent left it.
    Left(ProcessKey),
    /// The program that was launched has ended, with this code: 128 and the signal where one killed it.
    Exited(i32),
}

/// A process of the session.
#[derive(Debug)]
struct Member {
    hello: Hello,
    /// `None` once it has gone.
    connection: Option<Connection>,
}

/// A debugger's session.
#[derive(Debug)]
pub struct Session {
    directory: Directory,
    members: Vec<Member>,
    incoming: Receiver<Incoming>,
    /// Kept, so that the channel never closes.
    _sender: Sender<Incoming>,
    waiting: VecDeque<Event>,
    launched: Option<Child>,
    ended: Option<i32>,
    next_id: u64,
    standing: Standing,
}

impl Session {
    fn new() -> Result<Session, SessionError> {
        let directory = Directory::new()?;
        let (sender, incoming) = channel();
        connection::listen(&directory, sender.clone())?;
        Ok(Session {
            directory,
            members: Vec::new(),
            incoming,
            _sender: sender,
            waiting: VecDeque::new(),
            launched: None,
            ended: None,
            next_id: 1,
            standing: Standing::default(),
        })
    }

    /// Starts a program under the debugger: it stands before its first line and waits for [`Control::Go`].
    ///
    /// # Errors
    /// When it cannot be started, or its debugger does not start.
    pub fn launch(launch: &Launch) -> Result<Session, SessionError> {
        let mut session = Session::new()?;
        let mut command = Command::new(&launch.python);
        command.arg(session.directory.boot());
        match &launch.program {
            Program::Script(path) => command.arg("script").arg(path),
            Program::Module(name) => command.arg("module").arg(name),
            Program::Code(code) => command.arg("code").arg(code),
        };
        command.args(&launch.arguments);
        for (name, value) in session.directory.environment() {
            command.env(name, value);
        }
        process::interrupt::unblocked(&mut command);
        let child = command.spawn().map_err(|error| SessionError::Start {
            program: launch.python.clone(),
            error,
        })?;
        session.launched = Some(child);
        let end = Instant::now() + START_LIMIT;
        while session.members.is_empty() {
            if Instant::now() >= end {
                session.kill();
                return Err(SessionError::Silent);
            }
            session.receive(LOOK);
            if session.members.is_empty()
                && let Some(code) = session.ended
            {
                return Err(SessionError::EndedEarly(code));
            }
        }
        Ok(session)
    }

    /// Enters a process that runs, by the doors of crate `attach`. It goes on running.
    ///
    /// # Errors
    /// When it cannot be entered within `limit`: why, and what to do about it.
    pub fn attach(pid: u32, limit: Duration) -> Result<(Session, Entered), SessionError> {
        let mut session = Session::new()?;
        session.directory.give_to_owner_of(pid)?;
        let script = session.directory.enter();
        let library = session.directory.library();
        let options = attach::Options {
            limit,
            library: Some(&library),
            ..attach::Options::default()
        };
        let mut arrived = || {
            session.receive(Duration::ZERO);
            !session.members.is_empty()
        };
        let entered = attach::enter(pid, &script, &mut arrived, options).map_err(Box::new)?;
        Ok((session, entered))
    }

    /// Whether it was attached to what runs, and did not start it.
    pub fn is_attached(&self) -> bool {
        self.launched.is_none()
    }

    /// The next thing that happened; `None` when the time is over before.
    pub fn next(&mut self, limit: Duration) -> Option<Event> {
        let end = Instant::now() + limit;
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.receive(left.min(LOOK));
        }
    }

    /// The processes that live, and what they said of themselves.
    pub fn processes(&self) -> impl Iterator<Item = (ProcessKey, &Hello)> {
        let members = self.members.iter().enumerate();
        members
            .filter(|(_, member)| member.connection.is_some())
            .map(|(index, member)| (ProcessKey(index), &member.hello))
    }

    /// What a process said of itself, also when it has gone.
    pub fn hello(&self, process: ProcessKey) -> Option<&Hello> {
        self.members.get(process.0).map(|member| &member.hello)
    }

    /// Asks something of a stopped thread, and waits so long for its answer. `again` is asked every now and then whether to
    /// go on waiting.
    ///
    /// # Errors
    /// When the process has gone, or does not answer.
    pub fn ask(
        &mut self,
        thread: ThreadKey,
        ask: &Ask,
        limit: Duration,
        again: &mut dyn FnMut() -> bool,
    ) -> Result<Answer, SessionError> {
        let body = serde_json::to_vec(ask).unwrap_or_default();
        let id = self.send(thread.process, wire::Kind::Ask, thread.ident, &body)?;
        self.answer(thread.process, id, limit, again)
    }

    /// Asks something of a process, and waits so long for its answer.
    ///
    /// # Errors
    /// When the process has gone, or does not answer.
    pub fn control(
        &mut self,
        process: ProcessKey,
        control: &Control,
        limit: Duration,
    ) -> Result<Answer, SessionError> {
        self.remember(control);
        let body = serde_json::to_vec(control).unwrap_or_default();
        let id = self.send(process, wire::Kind::Control, 0, &body)?;
        self.answer(process, id, limit, &mut || true)
    }

    /// Keeps what holds for all processes where those that come later find it before their first line: they wait for
    /// nobody.
    fn remember(&mut self, control: &Control) {
        match control {
            // What is said of one thread or frame means nothing elsewhere.
            Control::SetBreakpoint(breakpoint) if breakpoint.thread.is_none() => {
                let known = self.standing.breakpoints.iter_mut();
                match known.into_iter().find(|known| known.id == breakpoint.id) {
                    Some(known) => *known = breakpoint.clone(),
                    None => self.standing.breakpoints.push(breakpoint.clone()),
                }
            }
            Control::RemoveBreakpoint { id } => {
                self.standing.breakpoints.retain(|known| known.id != *id);
            }
            Control::AllStop { on } => self.standing.all_stop = *on,
            _ => return,
        }
        // A child that does not find it runs without breakpoints, which is what it does without a session too.
        let _ = self.directory.store(&self.standing);
    }

    fn send(
        &mut self,
        process: ProcessKey,
        kind: wire::Kind,
        thread: u64,
        body: &[u8],
    ) -> Result<u64, SessionError> {
        let id = self.next_id;
        self.next_id += 1;
        let member = self.members.get_mut(process.0);
        let connection = member.and_then(|member| member.connection.as_mut());
        let connection = connection.ok_or(SessionError::Gone)?;
        match connection.send(kind, id, thread, body) {
            Ok(()) => Ok(id),
            Err(_) => Err(SessionError::Gone),
        }
    }

    fn answer(
        &mut self,
        process: ProcessKey,
        id: u64,
        limit: Duration,
        again: &mut dyn FnMut() -> bool,
    ) -> Result<Answer, SessionError> {
        let began = Instant::now();
        loop {
            if let Some(answer) = self.receive_answer(LOOK, process, id) {
                return Ok(answer);
            }
            let member = self.members.get(process.0);
            if member.is_none_or(|member| member.connection.is_none()) {
                return Err(SessionError::Gone);
            }
            let waited = began.elapsed();
            if waited >= limit || !again() {
                let pid = self.hello(process).map_or(0, |hello| hello.pid);
                return Err(SessionError::NoAnswer { pid, waited });
            }
        }
    }

    fn receive(&mut self, limit: Duration) {
        // An answer that nobody waits for any more is dropped.
        let _ = self.receive_answer(limit, ProcessKey(usize::MAX), 0);
    }

    /// Takes in one thing that was said; the answer where it is the one with this number.
    fn receive_answer(&mut self, limit: Duration, process: ProcessKey, id: u64) -> Option<Answer> {
        match self.incoming.recv_timeout(limit) {
            Ok(Incoming::New(connection, hello)) => {
                let key = ProcessKey(self.members.len());
                connection.is_called(key);
                self.members.push(Member {
                    hello: hello.clone(),
                    connection: Some(connection),
                });
                self.waiting.push_back(Event::Started(key, hello));
            }
            Ok(Incoming::Event(key, happened)) => {
                if self.waiting.len() >= EVENTS_MAX {
                    self.left(key);
                } else {
                    self.waiting.push_back(Event::Happened(key, happened));
                }
            }
            Ok(Incoming::Answer(key, number, answer)) => {
                if (key, number) == (process, id) {
                    return Some(answer);
                }
            }
            Ok(Incoming::Gone(key)) => self.left(key),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => self.look_for_end(),
        }
        None
    }

    fn left(&mut self, key: ProcessKey) {
        if let Some(member) = self.members.get_mut(key.0)
            && member.connection.take().is_some()
        {
            self.waiting.push_back(Event::Left(key));
        }
    }

    fn look_for_end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Some(child) = &mut self.launched
            && let Ok(Some(status)) = child.try_wait()
        {
            let code = code_of(status);
            self.ended = Some(code);
            self.waiting.push_back(Event::Exited(code));
        }
    }

    /// The exit code of the program that was launched, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.ended
    }

    /// The process number of the program that was launched.
    pub fn launched_pid(&self) -> Option<u32> {
        self.launched.as_ref().map(Child::id)
    }

    /// Kills the program that was launched, and waits for its end.
    pub fn kill(&mut self) {
        if let (Some(child), None) = (&mut self.launched, self.ended) {
            let _ = child.kill();
            if let Ok(status) = child.wait() {
                self.ended = Some(code_of(status));
            }
        }
    }
}

impl Drop for Session {
    /// Connections end, so agents let their processes run on.
    fn drop(&mut self) {
        for member in &mut self.members {
            member.connection = None;
        }
    }
}

fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let by_signal = status.signal().map(|signal| 128 + signal);
    status.code().or(by_signal).unwrap_or(-1)
}
