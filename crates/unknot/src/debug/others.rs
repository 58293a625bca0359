//! What pdb lacks: other threads, processes and tasks, and what they wait for.

use super::console::{Console, Flow, Scheduler};
use super::look::place;
use super::parse::int;
use crate::paint::Paint;
use crate::why;
use look::{Eye, Options, Source};
use session::protocol::{Answer, Control, Hello, Reason, Stop, ThreadInfo};
use session::{ProcessKey, ThreadKey};
use snapshot::{Snapshot, TaskState, Wait};
use std::time::Duration;

/// Most characters of a process's command in a list.
const COMMAND_MAX: usize = 60;
/// How long other threads' stops are waited for before a prompt.
const MOMENT: Duration = Duration::from_millis(1);

impl Console {
    /// The threads of a process, as it says.
    fn threads_of(&mut self, process: ProcessKey) -> Vec<ThreadInfo> {
        match self.control(process, &Control::Threads) {
            Ok(Answer::Threads { threads }) => threads,
            _ => Vec::new(),
        }
    }

    /// `threads`.
    pub fn threads(&mut self) {
        let processes = self.debuggee.borrow().processes();
        let several = processes.len() > 1;
        for (process, hello) in processes {
            if several {
                self.screen.message(&format!("process {}:", hello.pid));
            }
            for info in self.threads_of(process) {
                let thread = ThreadKey {
                    process,
                    ident: info.ident,
                };
                let row = self.thread_row(thread, &info);
                self.screen.message(&row);
            }
        }
    }

    fn thread_row(&mut self, thread: ThreadKey, info: &ThreadInfo) -> String {
        let chosen = self.at.as_ref().is_some_and(|at| at.thread == thread);
        let stop = self.stops.iter().find(|(known, _)| *known == thread);
        let state = match stop.map(|(_, stop)| stop.reason) {
            None if info.stopped => "stands",
            None => "runs",
            Some(Reason::Parked) => "held",
            Some(Reason::Breakpoint) => "breakpoint",
            Some(Reason::PostMortem) => "ended",
            Some(_) => "stands",
        };
        let frame = stop
            .map(|(_, stop)| stop.frame.clone())
            .or_else(|| info.frame.clone());
        let frame = frame.map(|frame| place(&frame)).unwrap_or_default();
        let mark = if chosen { '*' } else { ' ' };
        let number = self.number(thread);
        // Where `threading` is not imported, nothing has a name.
        let name = match &*info.name {
            "" if info.tid == 0 || info.tid == self.pid(thread.process) => "MainThread",
            name => name,
        };
        format!("{mark} {number:>2}  {name:<20} {state:<10} {frame}")
    }

    /// Tells in a line each what other threads have stopped for since.
    pub fn tell_other_stops(&mut self) {
        // Nothing is waited for where there is only one thread.
        let limit = if self.numbers.len() > 1 {
            MOMENT
        } else {
            Duration::ZERO
        };
        loop {
            let event = self.debuggee.borrow_mut().next(limit);
            match event {
                Some(event) => {
                    self.take(event);
                }
                None => break,
            }
        }
        let unseen: Vec<(ThreadKey, Stop)> = {
            let unseen = |thread: &ThreadKey| {
                self.unseen.contains(thread) && !self.mentioned.contains(thread)
            };
            let stops = self.stops.iter().filter(|(thread, _)| unseen(thread));
            stops.cloned().collect()
        };
        for (thread, stop) in unseen {
            self.mentioned.insert(thread);
            let called = self.called(thread, &stop);
            let text = format!("[{called}, has stopped at {}]", place(&stop.frame));
            self.screen.message(&text);
        }
    }

    /// `thread`.
    pub fn thread(&mut self, argument: &str) -> Flow {
        let (word, command) = match argument.split_once(char::is_whitespace) {
            Some((word, command)) => (word, command.trim()),
            None => (argument, ""),
        };
        if word.is_empty() {
            let at = self.at.clone();
            if let Some(at) = at {
                let called = self.called(at.thread, &at.stop);
                self.screen.message(&called);
            }
            return Flow::Stay;
        }
        let known = |number: i64| {
            usize::try_from(number)
                .ok()
                .and_then(|number| number.checked_sub(1))
        };
        let thread = int(word)
            .and_then(known)
            .and_then(|index| self.numbers.get(index))
            .copied();
        let Some(thread) = thread else {
            self.screen
                .error(&format!("There is no thread {word}; `threads` lists them"));
            return Flow::Stay;
        };
        let before = self.at.clone();
        if !self.look_at(thread) {
            self.show_from_outside(thread, command);
            return Flow::Stay;
        }
        if command.is_empty() {
            self.unseen.retain(|unseen| *unseen != thread);
            self.show_status();
            return Flow::Stay;
        }
        let flow = self.one_command(command);
        if flow == Flow::Stay {
            self.at = before;
        }
        flow
    }

    /// The stack of a thread that does not stand, read without its help.
    fn show_from_outside(&mut self, thread: ThreadKey, command: &str) {
        if !matches!(command, "" | "where" | "w" | "bt") {
            return self.screen.error(
                "This thread does not stand, so only its stack can be seen: `thread N where`",
            );
        }
        let infos = self.threads_of(thread.process);
        let Some(info) = infos.iter().find(|info| info.ident == thread.ident) else {
            return self.screen.error("This thread has ended");
        };
        let name = info.name.clone();
        let pid = self.pid(thread.process);
        let Some(snapshot) = self.seen(pid) else {
            return;
        };
        let threads = snapshot
            .processes
            .iter()
            .flat_map(|process| &process.threads);
        let mut found = threads.filter(|seen| seen.ident == Some(thread.ident));
        let Some(seen) = found.next() else {
            return self.screen.error("This thread cannot be seen from outside");
        };
        self.screen
            .message(&format!("{name} does not stand; this is where it is:"));
        for frame in seen.frames.iter().rev() {
            let text = format!("  {}({}){}()", frame.file, frame.line, frame.function);
            self.screen.message(&text);
        }
        if let Some(wait) = &seen.waits_for {
            let text = format!("  waits for {}", waited(wait));
            self.screen.message(&text);
        }
    }

    /// A look at a process from outside; why not is told.
    fn seen(&mut self, pid: u32) -> Option<Snapshot> {
        let options = Options {
            pause: false,
            locals: false,
            children: true,
            reach: false,
            native: false,
        };
        let looked = Eye::open(Source::Pid(pid), options).and_then(|mut eye| eye.look());
        match looked {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                self.screen.error(&format!("{error}. {}", error.advice()));
                None
            }
        }
    }

    fn chosen_pid(&self) -> Option<u32> {
        self.process()
            .map(|process| self.pid(process))
            .filter(|pid| *pid > 0)
    }

    /// `processes`.
    pub fn processes(&mut self) {
        let chosen = self.process();
        let processes = self.debuggee.borrow().processes();
        for (process, hello) in processes {
            let mark = if chosen == Some(process) { '*' } else { ' ' };
            let number = process.0 + 1;
            let command: String = command_of(&hello).chars().take(COMMAND_MAX).collect();
            let stands = self
                .stops
                .iter()
                .filter(|(thread, _)| thread.process == process)
                .count();
            let state = if stands > 0 { "stands" } else { "runs" };
            let text = format!(
                "{mark} {number:>2}  PID {:<8} {state:<7} {command}",
                hello.pid
            );
            self.screen.message(&text);
        }
    }

    /// `process`.
    pub fn process_command(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.processes();
        }
        let processes = self.debuggee.borrow().processes();
        let wanted = int(argument).and_then(|number| usize::try_from(number).ok());
        let found = processes.iter().find(|(process, hello)| {
            wanted == Some(process.0 + 1) || wanted == Some(hello.pid as usize)
        });
        let Some((process, hello)) = found else {
            let text = format!("There is no process {argument}; `processes` lists them");
            return self.screen.error(&text);
        };
        let stands = self
            .stops
            .iter()
            .find(|(thread, _)| thread.process == *process);
        match stands.map(|(thread, _)| *thread) {
            Some(thread) => {
                self.look_at(thread);
                self.show_status();
            }
            None => self.screen.error(&format!(
                "Process {} runs. A breakpoint in its code makes it stop",
                hello.pid
            )),
        }
    }

    /// `tasks`.
    pub fn tasks(&mut self) {
        let Some(snapshot) = self.chosen_pid().and_then(|pid| self.seen(pid)) else {
            return;
        };
        let mut any = false;
        for task in snapshot.processes.iter().flat_map(|process| &process.tasks) {
            any = true;
            let state = state_word(&task.state);
            let at = task.frames.first();
            let at = at
                .map(|frame| format!("{}({})", frame.file, frame.line))
                .unwrap_or_default();
            let text = format!("  {:<12} {:<20} {state:<9} {at}", task.name, task.coroutine);
            self.screen.message(&text);
        }
        if !any {
            self.screen.message("There are no tasks.");
        }
    }

    /// `task`.
    pub fn task(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.tasks();
        }
        let Some(snapshot) = self.chosen_pid().and_then(|pid| self.seen(pid)) else {
            return;
        };
        let mut tasks = snapshot.processes.iter().flat_map(|process| &process.tasks);
        let numbered = format!("Task-{argument}");
        let Some(task) = tasks.find(|task| task.name == argument || task.name == numbered) else {
            let text = format!("There is no task {argument}; `tasks` lists them");
            return self.screen.error(&text);
        };
        let text = format!(
            "{} runs {}, {}",
            task.name,
            task.coroutine,
            state_word(&task.state)
        );
        self.screen.message(&text);
        for frame in task.frames.iter().rev() {
            let text = format!("  {}({}){}()", frame.file, frame.line, frame.function);
            self.screen.message(&text);
        }
        if let Some(wait) = &task.waits_for {
            self.screen
                .message(&format!("  waits for {}", waited(wait)));
        }
        if !task.awaited_by.is_empty() {
            self.screen
                .message(&format!("  awaited by {}", task.awaited_by.join(", ")));
        }
    }

    /// `why`.
    pub fn why(&mut self) {
        let launched = self.debuggee.borrow().launched_pid();
        let Some(pid) = launched.or_else(|| self.chosen_pid()) else {
            return self
                .screen
                .error("No process lives that could be explained");
        };
        let options = Options {
            pause: true,
            locals: false,
            children: true,
            reach: true,
            native: false,
        };
        let judged = Eye::open(Source::Pid(pid), options).and_then(|mut eye| why::judge(&mut eye));
        match judged {
            Ok((snapshot, report)) => {
                let paint = if self.screen.is_coloured() {
                    Paint::stdout()
                } else {
                    Paint::plain()
                };
                let text = why::text(&snapshot, &report, true, paint);
                self.screen.painted(text.trim_end());
            }
            Err(error) => self.screen.error(&format!("{error}. {}", error.advice())),
        }
        if !self.stops.is_empty() {
            let names: Vec<String> = self
                .stops
                .iter()
                .map(|(_, stop)| stop.name.clone())
                .collect();
            let text = format!("(The debugger itself holds {}.)", names.join(", "));
            self.screen.message(&text);
        }
    }

    /// `waiting-on`.
    pub fn waiting_on(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.invalid("waiting-on", argument);
        }
        let address = match self.value(&format!("id({argument})")) {
            Ok(text) => text.parse::<u64>().unwrap_or(0),
            Err(error) => return self.screen.error(&error),
        };
        let Some(snapshot) = self.chosen_pid().and_then(|pid| self.seen(pid)) else {
            return;
        };
        let mut any = false;
        for line in concerned(&snapshot, address) {
            any = true;
            self.screen.message(&line);
        }
        if !any {
            self.screen
                .message("Nobody waits for it, and nobody is seen to hold it.");
        }
    }

    /// `set`.
    pub fn set(&mut self, argument: &str) {
        match argument.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] => {
                let on = if self.settings.all_stop { "on" } else { "off" };
                let scheduler = match self.settings.scheduler {
                    Scheduler::Run => "run",
                    Scheduler::Step => "step",
                    Scheduler::Alone => "alone",
                };
                self.screen
                    .message(&format!("all-stop {on}\nscheduler {scheduler}"));
            }
            ["all-stop", word @ ("on" | "off")] => {
                let on = *word == "on";
                self.settings.all_stop = on;
                let processes = self.debuggee.borrow().processes();
                for (process, _) in processes {
                    if let Err(error) = self.control(process, &Control::AllStop { on }) {
                        self.screen.error(&error);
                    }
                }
            }
            ["scheduler", "run"] => self.settings.scheduler = Scheduler::Run,
            ["scheduler", "step"] => self.settings.scheduler = Scheduler::Step,
            ["scheduler", "alone"] => self.settings.scheduler = Scheduler::Alone,
            _ => self.invalid("set", argument),
        }
    }
}

/// A process's command as the user would type it: without what starts our agent.
pub fn command_of(hello: &Hello) -> String {
    let is_ours = |word: &String| word.contains("/unknot-") && word.ends_with("/boot.py");
    let mut words = hello.command.clone();
    if let Some(place) = words.iter().position(is_ours) {
        words.remove(place);
        match words.get(place).map(String::as_str) {
            Some("module") => words[place] = "-m".to_owned(),
            Some("code") => words[place] = "-c".to_owned(),
            Some("script") => drop(words.remove(place)),
            _ => {}
        }
    }
    words.join(" ")
}

fn state_word(state: &TaskState) -> String {
    format!("{state:?}").to_lowercase()
}

fn waited(wait: &Wait) -> String {
    let mut text = format!("{:?}", wait.kind);
    if let Some(name) = &wait.name {
        text.push_str(&format!(" `{name}`"));
    }
    if wait.place.line > 0 {
        text.push_str(&format!(" at {}:{}", wait.place.file, wait.place.line));
    }
    text
}

/// Who waits for an object, and who holds it.
fn concerned(snapshot: &Snapshot, address: u64) -> Vec<String> {
    let is_it = |other: Option<snapshot::Address>| other.is_some_and(|other| other.0 == address);
    let waits = |wait: &Option<Wait>| {
        let wait = wait.as_ref();
        wait.is_some_and(|wait| is_it(wait.address) || is_it(wait.inner_address))
    };
    let mut lines = Vec::new();
    for process in &snapshot.processes {
        let threads = process.threads.iter();
        let threads = threads.map(|thread| (&thread.name, &thread.holds, &thread.waits_for));
        let tasks = process.tasks.iter();
        let tasks = tasks.map(|task| (&task.name, &task.holds, &task.waits_for));
        for (name, holds, wait) in threads.chain(tasks) {
            for hold in holds.iter().filter(|hold| is_it(Some(hold.address))) {
                let place = &hold.place;
                lines.push(format!(
                    "held by {name}, taken at {}:{}",
                    place.file, place.line
                ));
            }
            if waits(wait) {
                let at = wait.as_ref().map(waited).unwrap_or_default();
                lines.push(format!("{name} waits for it: {at}"));
            }
        }
    }
    lines
}
