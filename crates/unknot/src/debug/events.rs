//! What happens in the program: waiting for it, and what is told of it.

use super::console::{Console, Queued, Turn};
use super::others::command_of;
use serde_json::json;
use session::protocol::{Control, Happened, Hello, Reason, Stop};
use session::{Event, ProcessKey, ThreadKey};
use std::time::{Duration, Instant};

/// How often Ctrl-C is looked for while the program runs.
const LOOK: Duration = Duration::from_millis(50);
/// How long threads that are to stand may take to come to Python code before there is a prompt without one.
const PAUSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a step may take before the stop of another thread is shown instead.
const STEP_PATIENCE: Duration = Duration::from_secs(1);

impl Console {
    /// Waits until there is something to say to the user.
    pub fn wait(&mut self) -> Turn {
        let began = Instant::now();
        let mut finished = false;
        loop {
            if let Some(thread) = self.next_to_show(began) {
                self.show_stop(thread);
                return Turn::Stopped;
            }
            let event = self.debuggee.borrow_mut().next(LOOK);
            match event {
                Some(Event::Exited(code)) => {
                    self.code = Some(code);
                    return Turn::Ended { code, finished };
                }
                Some(event) => {
                    let left = matches!(event, Event::Left(_));
                    finished |= self.take(event);
                    if left
                        && self.program.attached
                        && self.debuggee.borrow().processes().is_empty()
                    {
                        self.screen.message("[the process has ended]");
                        return Turn::Ended {
                            code: 0,
                            finished: false,
                        };
                    }
                }
                None => {
                    if self
                        .pausing
                        .is_some_and(|since| since.elapsed() > PAUSE_PATIENCE)
                    {
                        self.pausing = None;
                        self.at = None;
                        return Turn::Nobody;
                    }
                    let interrupted = self.debuggee.borrow_mut().interrupted();
                    if interrupted {
                        self.pause();
                    }
                }
            }
        }
    }

    /// Makes all threads of all processes stand.
    pub fn pause(&mut self) {
        self.pausing = Some(Instant::now());
        let processes = self.debuggee.borrow().processes();
        for (process, _) in processes {
            let _ = self.control(process, &Control::Pause { thread: None });
        }
    }

    /// Which stop is shown now: that of the thread that takes a step, if it comes soon.
    fn next_to_show(&mut self, began: Instant) -> Option<ThreadKey> {
        if let Some(stepping) = self.stepping {
            if let Some(place) = self.unseen.iter().position(|thread| *thread == stepping) {
                return self.unseen.remove(place);
            }
            if began.elapsed() < STEP_PATIENCE && !self.stands(stepping) {
                return None;
            }
        }
        self.unseen.pop_front()
    }

    /// Takes an event in; whether it is the end of the program that was launched.
    pub fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Started(process, hello) => self.started(process, &hello),
            Event::Happened(process, happened) => return self.happened(process, happened),
            Event::Left(process) => {
                self.stops.retain(|(thread, _)| thread.process != process);
                self.unseen.retain(|thread| thread.process != process);
                self.held.retain(|thread| thread.process != process);
            }
            Event::Exited(code) => self.code = Some(code),
        }
        false
    }

    fn started(&mut self, process: ProcessKey, hello: &Hello) {
        for note in &hello.notes {
            self.screen
                .message(&format!("[process {}: {note}]", hello.pid));
        }
        let is_first = self.told.is_empty();
        self.told.insert(process);
        if !is_first && !self.settings.pdb {
            let command = command_of(hello);
            let text = format!("[process {} has come: {command}]", hello.pid);
            self.screen.message(&text);
        }
        if !self.settings.all_stop {
            let _ = self.control(process, &Control::AllStop { on: false });
        }
        if let Some(exceptions) = self.exceptions.clone() {
            let _ = self.control(process, &exceptions);
        }
        self.renew_points(process);
        if is_first && self.program.attached {
            self.pause();
        } else if is_first {
            let _ = self.control(process, &Control::Go);
        }
    }

    fn happened(&mut self, process: ProcessKey, happened: Happened) -> bool {
        match happened {
            Happened::Stopped(stop) => self.stopped(process, stop),
            Happened::Resumed { ident } => {
                let thread = ThreadKey { process, ident };
                self.forget(thread);
            }
            Happened::Resolved(resolved) => self.resolved(&resolved),
            Happened::Log { text, .. } => self.screen.message(&text),
            Happened::Note { text } => self.screen.message(&text),
            Happened::Finished { exit, .. } => {
                if let Some(exit) = exit {
                    self.screen.message(&exit);
                }
                self.note_hits();
                let _ = self.control(process, &Control::Leave);
                return true;
            }
        }
        false
    }

    pub fn forget(&mut self, thread: ThreadKey) {
        self.stops.retain(|(known, _)| *known != thread);
        self.unseen.retain(|known| *known != thread);
        self.mentioned.remove(&thread);
    }

    fn stopped(&mut self, process: ProcessKey, stop: Stop) {
        let thread = ThreadKey {
            process,
            ident: stop.ident,
        };
        self.number(thread);
        if self.screen.is_json() {
            let document = json!({"pid": self.pid(process), "event": "stopped", "stop": stop});
            self.screen.document(&document);
        }
        self.forget(thread);
        if stop.reason != Reason::Parked {
            self.unseen.push_back(thread);
        }
        self.stops.push((thread, stop));
    }

    /// Tells what is to be told of a stop at once, and prepares the prompt.
    fn show_stop(&mut self, thread: ThreadKey) {
        let before = self.at.as_ref().map(|at| at.thread).or(self.stepping);
        self.stepping = None;
        self.pausing = None;
        if !self.look_at(thread) {
            return;
        }
        let Some(stop) = self.at.as_ref().map(|at| at.stop.clone()) else {
            return;
        };
        if before.is_some_and(|before| before != thread) && !self.settings.pdb {
            let text = format!("[now in {}]", self.called(thread, &stop));
            self.screen.message(&text);
        }
        match stop.reason {
            Reason::Call => self.screen.message("--Call--"),
            Reason::Return => self.screen.message("--Return--"),
            Reason::Exception => self
                .screen
                .message(stop.value.as_deref().unwrap_or_default()),
            Reason::Pause if !self.begun && self.program.attached => {}
            Reason::Pause => self
                .screen
                .message("\nProgram interrupted. (Use 'cont' to resume)."),
            Reason::PostMortem if self.unfound().is_some() => return,
            Reason::PostMortem => self.show_post_mortem(&stop),
            Reason::Back => self.come_back(thread, &stop),
            _ => {}
        }
        self.begun = true;
        self.queue_first_lines();
        self.reached(&stop.breakpoints);
        if stop.reason != Reason::Back {
            self.queue.push_back(Queued::Status);
        }
    }

    fn show_post_mortem(&mut self, stop: &Stop) {
        self.screen
            .beside(stop.traceback.as_deref().unwrap_or_default());
        self.screen
            .message("Uncaught exception. Entering post mortem debugging");
        self.screen
            .message("Running 'cont' or 'step' will restart the program");
    }

    fn come_back(&mut self, thread: ThreadKey, stop: &Stop) {
        if let Some(error) = &stop.value {
            self.screen.error(error);
        }
        self.screen.message("LEAVING RECURSIVE DEBUGGER");
        if let Some(depth) = self.nested.get_mut(&thread) {
            *depth = depth.saturating_sub(1);
        }
    }

    /// Queues what is done at the first prompt.
    pub fn queue_first_lines(&mut self) {
        if !self.first_lines.is_empty() {
            let lines = std::mem::take(&mut self.first_lines);
            self.queue = lines.into_iter().map(Queued::Line).collect();
        }
    }
}
