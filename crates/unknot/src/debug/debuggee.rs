//! What the console debugs: the session, or in tests something that plays one.

use process::interrupt::Interrupts;
use session::protocol::{Answer, Ask, Control, Hello};
use session::{Event, Launch, ProcessKey, Session, SessionError, ThreadKey};
use std::ffi::OsString;
use std::time::Duration;

/// How long it may take to enter a process.
const ENTER_LIMIT: Duration = Duration::from_secs(15);
/// How long a process may take to answer what its agent's own thread does.
const CONTROL_LIMIT: Duration = Duration::from_secs(10);

/// A program under the debugger.
pub trait Debuggee {
    /// The next thing that happens; `None` when the time is over before.
    fn next(&mut self, limit: Duration) -> Option<Event>;
    /// Asks a stopped thread, for as long as it takes: the user ends it with Ctrl-C.
    fn ask(&mut self, thread: ThreadKey, ask: &Ask) -> Result<Answer, SessionError>;
    /// Asks a process.
    fn control(&mut self, process: ProcessKey, control: &Control) -> Result<Answer, SessionError>;
    /// The processes that live.
    fn processes(&self) -> Vec<(ProcessKey, Hello)>;
    /// The number of the program that was launched.
    fn launched_pid(&self) -> Option<u32>;
    /// Ends the program and launches it once more.
    fn restart(&mut self, arguments: &[OsString]) -> Result<(), SessionError>;
    /// Kills the program that was launched, where it still runs; its exit code.
    fn end(&mut self) -> Option<i32>;
    /// Whether the user has pressed Ctrl-C since this was asked before.
    fn interrupted(&mut self) -> bool;
}

/// A session: with a program that was launched, or with a process that ran already.
pub struct Live {
    session: Session,
    /// How the program is launched again.
    launch: Option<Launch>,
    interrupts: Interrupts,
}

impl Live {
    /// Launches a program.
    ///
    /// # Errors
    /// When it cannot be started, or its debugger does not start.
    pub fn launch(launch: Launch) -> anyhow::Result<Result<Live, SessionError>> {
        // Before the session's threads are there, which would get the signals otherwise.
        let interrupts = Interrupts::ctrl_c()?;
        Ok(Session::launch(&launch).map(|session| Live {
            session,
            launch: Some(launch),
            interrupts,
        }))
    }

    /// Enters a process that runs.
    ///
    /// # Errors
    /// When it cannot be entered.
    pub fn attach(pid: u32) -> anyhow::Result<Result<Live, SessionError>> {
        let interrupts = Interrupts::ctrl_c()?;
        Ok(Session::attach(pid, ENTER_LIMIT).map(|(session, _)| Live {
            session,
            launch: None,
            interrupts,
        }))
    }
}

impl Debuggee for Live {
    fn next(&mut self, limit: Duration) -> Option<Event> {
        self.session.next(limit)
    }

    fn ask(&mut self, thread: ThreadKey, ask: &Ask) -> Result<Answer, SessionError> {
        let interrupts = &mut self.interrupts;
        let forever = Duration::from_secs(u64::from(u32::MAX));
        self.session
            .ask(thread, ask, forever, &mut || !interrupts.any())
    }

    fn control(&mut self, process: ProcessKey, control: &Control) -> Result<Answer, SessionError> {
        self.session.control(process, control, CONTROL_LIMIT)
    }

    fn processes(&self) -> Vec<(ProcessKey, Hello)> {
        let processes = self.session.processes();
        processes.map(|(key, hello)| (key, hello.clone())).collect()
    }

    fn launched_pid(&self) -> Option<u32> {
        self.session.launched_pid()
    }

    fn restart(&mut self, arguments: &[OsString]) -> Result<(), SessionError> {
        let launch = self.launch.as_mut().ok_or(SessionError::Gone)?;
        self.session.kill();
        launch.arguments = arguments.to_vec();
        self.session = Session::launch(launch)?;
        Ok(())
    }

    fn end(&mut self) -> Option<i32> {
        self.session.kill();
        self.session.exit_code()
    }

    fn interrupted(&mut self) -> bool {
        self.interrupts.any()
    }
}
