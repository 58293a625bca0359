//! Letting threads go on, and ending the program.

use super::console::{Console, Flow, Scheduler};
use session::protocol::{Answer, Ask, Control, Happened, Reason, Resume, Stop};
use session::{Event, SessionError, ThreadKey};
use std::time::{Duration, Instant};

/// How long a program that unwinds at its end may take before it is killed.
const UNWIND_LIMIT: Duration = Duration::from_secs(2);

impl Console {
    /// Lets the thread that is looked at go on.
    pub fn resume(&mut self, how: Resume) -> Flow {
        let Some(at) = &self.at else {
            if how == Resume::Continue {
                return Flow::Run;
            }
            self.screen
                .error("No thread stands that could go on; `c` waits for one");
            return Flow::Stay;
        };
        let (thread, index) = (at.thread, at.index);
        if how == Resume::Continue && self.settings.all_stop && !self.unseen.is_empty() {
            // All stand for as long as there is a stop that was not shown.
            self.held.push(thread);
            return Flow::Run;
        }
        let others = match self.settings.scheduler {
            Scheduler::Run => true,
            Scheduler::Step => how == Resume::Continue,
            Scheduler::Alone => false,
        };
        if others {
            for held in std::mem::take(&mut self.held) {
                if held != thread {
                    let _ = self.let_go(held, 0, Resume::Continue, false);
                }
            }
        }
        self.held.retain(|held| *held != thread);
        match self.let_go(thread, index, how, others) {
            Ok(_) => {
                self.stepping = (how != Resume::Continue).then_some(thread);
                Flow::Run
            }
            Err(error) => {
                self.screen.error(&error);
                let processes = self.debuggee.borrow().processes();
                let lives = processes.iter().any(|(key, _)| *key == thread.process);
                if lives { Flow::Stay } else { Flow::Run }
            }
        }
    }

    fn let_go(
        &mut self,
        thread: ThreadKey,
        frame: usize,
        how: Resume,
        others: bool,
    ) -> Result<Answer, String> {
        let answer = self.ask_of(thread, &Ask::Resume { how, frame, others })?;
        // What happened meanwhile is kept by the session: its next stop is taken in later.
        self.forget(thread);
        Ok(answer)
    }

    /// Ends the program: lets it unwind where it stands, so that its `finally` blocks run, or else kills it.
    pub fn end(&mut self) {
        if self.unwinds().is_none() {
            self.debuggee.borrow_mut().end();
        }
    }

    /// Takes the debugger out of all processes, and waits for the end of a program that was launched; the exit code.
    pub fn detach(&mut self) -> i32 {
        let processes = self.debuggee.borrow().processes();
        for (process, _) in &processes {
            let _ = self.control(*process, &Control::Detach);
        }
        if self.program.attached {
            for (_, hello) in processes {
                let text = format!("[process {} goes on without the debugger]", hello.pid);
                self.screen.message(&text);
            }
            return 0;
        }
        loop {
            let event = self.debuggee.borrow_mut().next(UNWIND_LIMIT);
            match event {
                Some(Event::Exited(code)) => return code,
                _ if self.debuggee.borrow_mut().interrupted() => return 130,
                _ => {}
            }
        }
    }

    /// Whether it could be asked to unwind, and has ended.
    fn unwinds(&mut self) -> Option<()> {
        let (thread, stop) = self.at.as_ref().map(|at| (at.thread, at.stop.clone()))?;
        let pid = self.pid(thread.process);
        let launched = self.debuggee.borrow().launched_pid();
        // An exception in another thread would end that alone.
        if !self.stands(thread) || launched != Some(pid) || (stop.tid != pid && stop.tid != 0) {
            return None;
        }
        let numbers: Vec<u32> = self.points.numbers().collect();
        for id in numbers {
            let _ = self.control(thread.process, &Control::RemoveBreakpoint { id });
        }
        let how = if stop.reason == Reason::PostMortem {
            Resume::Continue
        } else {
            Resume::Quit
        };
        self.let_go(thread, 0, how, true).ok()?;
        let end = Instant::now() + UNWIND_LIMIT;
        while Instant::now() < end {
            let event = self.debuggee.borrow_mut().next(UNWIND_LIMIT / 10);
            match event {
                Some(Event::Exited(_)) => return Some(()),
                Some(Event::Happened(process, Happened::Finished { .. })) => {
                    let _ = self.control(process, &Control::Leave);
                }
                // Something stops it once more.
                Some(Event::Happened(_, Happened::Stopped(Stop { reason, .. })))
                    if reason != Reason::Parked =>
                {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    /// Begins the program anew.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<(), SessionError> {
        self.at = None;
        self.stops.clear();
        self.unseen.clear();
        self.mentioned.clear();
        self.held.clear();
        self.stepping = None;
        self.numbers.clear();
        self.edited.clear();
        self.nested.clear();
        self.told.clear();
        self.displays.clear();
        self.begun = false;
        let arguments = self.program.arguments.clone();
        self.debuggee.borrow_mut().restart(&arguments)
    }
}
