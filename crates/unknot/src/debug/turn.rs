//! From a prompt to the next: reading lines, and doing what they say.

use super::console::{Console, Flow, Queued, Turn};
use super::help;
use super::lines::{Came, View};
use super::parse::{self, Parsed};

/// Our prompt on a terminal.
const PROMPT: &str = "(unknot) ";
/// What is told where no thread comes to stand.
const NOBODY: &str = "[no thread has come to Python code that it could stand at; `why` explains what they wait for, \
`threads` shows where they are, `c` waits for one]";
/// The prompt of a statement's further lines.
const FURTHER: &str = "...   ";

impl Console {
    /// Runs the program under the user's commands, to the end of both; the exit code.
    ///
    /// # Errors
    /// When the program cannot be started anew.
    pub fn run(&mut self) -> anyhow::Result<i32> {
        loop {
            let flow = match self.wait() {
                Turn::Stopped => {
                    if let Some(error) = self.unfound() {
                        self.screen.message(&error);
                        self.end();
                        return Ok(1);
                    }
                    self.commanded()
                }
                Turn::Nobody => {
                    self.screen.message(NOBODY);
                    self.queue_first_lines();
                    self.prompt_loop()
                }
                Turn::Ended { finished, .. } if finished && self.begun => self.ended(),
                Turn::Ended { .. } => Flow::Quit,
            };
            match flow {
                Flow::Quit => break,
                Flow::Detach => return Ok(self.detach()),
                Flow::Restart => {
                    self.note_hits();
                    self.restart()?;
                }
                Flow::Run | Flow::Stay => {}
            }
            if self.screen.is_gone() {
                break;
            }
        }
        self.end();
        // pdb ends well, however the program did.
        let code = self.code.filter(|_| !self.settings.pdb);
        Ok(code.unwrap_or(0))
    }

    fn commanded(&mut self) -> Flow {
        let post_mortem = self.in_post_mortem();
        let flow = self.prompt_loop();
        if post_mortem && flow == Flow::Run {
            let text = format!(
                "Post mortem debugger finished. The {} will be restarted",
                self.program.target
            );
            self.screen.message(&text);
        }
        flow
    }

    /// Why a module could not be begun with, if that is so.
    pub fn unfound(&self) -> Option<String> {
        if self.begun || self.program.script.is_some() || !self.in_post_mortem() {
            return None;
        }
        let error = self.at.as_ref()?.stop.value.clone()?;
        let is_import =
            error.starts_with("ImportError: ") || error.starts_with("ModuleNotFoundError: ");
        is_import.then_some(error)
    }

    fn in_post_mortem(&self) -> bool {
        let stop = self.at.as_ref().map(|at| at.stop.reason);
        stop == Some(session::protocol::Reason::PostMortem)
    }

    fn ended(&mut self) -> Flow {
        let no_more = self.lines.is_at_end() && self.first_lines.is_empty();
        let queued = self
            .queue
            .iter()
            .any(|queued| matches!(queued, Queued::Line(_)));
        if no_more && !queued && !self.settings.pdb {
            // It would stand before its first line, and be ended there.
            return Flow::Quit;
        }
        self.screen
            .message("The program finished and will be restarted");
        Flow::Restart
    }

    /// Does what commands say until the program runs again.
    pub fn prompt_loop(&mut self) -> Flow {
        let mut interrupted = false;
        let flow = loop {
            let flow = match self.queue.pop_front() {
                Some(Queued::Line(line)) => self.line(&line),
                Some(Queued::Status) => {
                    self.show_status();
                    Flow::Stay
                }
                Some(Queued::Silence) => {
                    if self.queue.back() == Some(&Queued::Status) {
                        self.queue.pop_back();
                    }
                    Flow::Stay
                }
                Some(Queued::Repeats(line)) => {
                    self.last = line;
                    Flow::Stay
                }
                None => {
                    self.tell_other_stops();
                    let prompt = self.prompt();
                    match self.read(&prompt, "") {
                        Came::Line(line) => {
                            interrupted = false;
                            self.line(&line)
                        }
                        Came::End => self.line("EOF"),
                        Came::Interrupted if interrupted => Flow::Quit,
                        Came::Interrupted => {
                            interrupted = true;
                            self.screen
                                .message("--KeyboardInterrupt-- (once more leaves)");
                            Flow::Stay
                        }
                    }
                }
            };
            if flow != Flow::Stay || self.screen.is_gone() {
                break flow;
            }
        };
        if self.queue.back() == Some(&Queued::Status) {
            self.queue.pop_back();
        }
        flow
    }

    /// Reads a line, with a prompt where prompts are shown.
    pub fn read(&mut self, prompt: &str, start: &str) -> Came {
        if !self.lines.is_terminal() {
            if self.settings.prompt.is_some() {
                self.screen.prompt(prompt);
            }
            return self.lines.read("", start);
        }
        let frame = self
            .at
            .as_ref()
            .and_then(|at| at.frame().map(|frame| (at.thread, frame.key)));
        let displays = frame.and_then(|frame| self.displays.get(&frame));
        let view = View {
            at: self.at.as_ref().map(|at| (at.thread, at.index)),
            aliases: self.aliases.keys().cloned().collect(),
            points: self
                .points
                .numbers()
                .map(|number| number.to_string())
                .collect(),
            displays: displays
                .map(|all| all.iter().map(|display| display.text.clone()).collect())
                .unwrap_or_default(),
        };
        self.lines.look_at(view);
        self.lines.read(prompt, start)
    }

    /// The prompt as it is now.
    pub fn prompt(&mut self) -> String {
        let mut prompt = self
            .settings
            .prompt
            .clone()
            .unwrap_or_else(|| PROMPT.to_owned());
        let Some(at) = self.at.clone() else {
            return prompt;
        };
        if self.settings.prompt.is_none() && self.numbers.len() > 1 {
            prompt = format!("(unknot {}) ", self.called(at.thread, &at.stop));
        }
        for _ in 0..self.nested.get(&at.thread).copied().unwrap_or(0) {
            prompt = format!("({}) ", prompt.trim());
        }
        prompt
    }

    /// A line as it was typed: aliases, `;;`, then the command or statement.
    pub fn line(&mut self, line: &str) -> Flow {
        let mut line = line.to_owned();
        if !line.trim().is_empty() {
            line = match parse::expand(&line, &self.aliases) {
                Ok(line) => line,
                Err(error) => {
                    self.screen.error(&error);
                    return Flow::Stay;
                }
            };
            if line.split_whitespace().next() != Some("alias") {
                let (first, rest) = parse::first_of(&line);
                line = first;
                if let Some(rest) = rest {
                    self.queue.push_front(Queued::Line(rest));
                }
            }
        }
        self.one_command(&line)
    }

    /// A line that is one command or statement.
    pub fn one_command(&mut self, line: &str) -> Flow {
        let parsed = parse::parse_line(line);
        if parsed.line.is_empty() {
            let last = self.last.clone();
            return if last.is_empty() {
                Flow::Stay
            } else {
                self.one_command(&last)
            };
        }
        let Some(command) = &parsed.command else {
            return self.statement(&parsed.line);
        };
        self.last = if parsed.line == "EOF" {
            String::new()
        } else {
            parsed.line.clone()
        };
        let known = help::find(command);
        match known {
            None => self.statement(&parsed.line),
            Some(topic) => self.command(topic.names[0], &parsed),
        }
    }

    fn command(&mut self, name: &str, parsed: &Parsed) -> Flow {
        let argument = parsed.argument.as_str();
        match name {
            "help" => self.help(argument),
            "where" => self.where_(argument),
            "up" => self.up(argument),
            "down" => self.down(argument),
            "list" => self.list(argument),
            "longlist" => self.longlist(argument),
            "source" => self.source(argument),
            "exceptions" => self.chain(argument),
            "break" => self.break_(argument, false),
            "tbreak" => self.break_(argument, true),
            "log" => self.log(argument),
            "clear" => self.clear(argument),
            "enable" => self.enable(argument, true),
            "disable" => self.enable(argument, false),
            "condition" => self.condition(argument),
            "ignore" => self.ignore(argument),
            "commands" => self.commands(argument),
            "catch" => self.catch(argument),
            "p" => self.print(argument, false),
            "pp" => self.print(argument, true),
            "whatis" => self.whatis(argument),
            "args" => self.args(argument),
            "retval" => self.retval(argument),
            "display" => self.display(argument),
            "undisplay" => self.undisplay(argument),
            "interact" => self.interact(),
            "alias" => self.alias(argument),
            "unalias" => self.unalias(argument),
            "threads" => self.threads(),
            "processes" => self.processes(),
            "process" => self.process_command(argument),
            "tasks" => self.tasks(),
            "task" => self.task(argument),
            "why" => self.why(),
            "waiting-on" => self.waiting_on(argument),
            "set" => self.set(argument),
            "thread" => return self.thread(argument),
            _ => return self.running_command(name, argument),
        }
        Flow::Stay
    }

    /// An argument that a command cannot use.
    pub fn invalid(&mut self, name: &str, argument: &str) {
        if argument.is_empty() {
            self.screen.error("Argument is required for this command");
        } else {
            self.screen.error(&format!("Invalid argument: {argument}"));
        }
        if let Some(topic) = help::find(name) {
            let indent = self.prompt().chars().count();
            self.screen.message(&help::told(topic, indent, true));
        }
    }

    fn help(&mut self, argument: &str) {
        match argument {
            "" | "pdb" => self.screen.message(&help::overview()),
            "exec" => self.screen.message(help::EXEC),
            name => match help::find(name) {
                Some(topic) => {
                    let indent = self.prompt().chars().count();
                    self.screen.message(&help::told(topic, indent, false));
                }
                None => self
                    .screen
                    .error(&format!("No help for {}", parse::repr(name))),
            },
        }
    }

    fn alias(&mut self, argument: &str) {
        let words: Vec<&str> = argument.split_whitespace().collect();
        match words.as_slice() {
            [] => {
                for (name, text) in self.aliases.clone() {
                    self.screen.message(&format!("{name} = {text}"));
                }
            }
            [name] => match self.aliases.get(*name) {
                Some(text) => {
                    let text = format!("{name} = {text}");
                    self.screen.message(&text);
                }
                None => self.screen.error(&format!("Unknown alias '{name}'")),
            },
            [name, text @ ..] => {
                let text = text.join(" ");
                let has = |index: usize| text.contains(&format!("%{index}"));
                let gap = (1..10).find(|index| !has(*index)).unwrap_or(10);
                if !text.contains("%*") && (gap..10).any(has) {
                    self.screen
                        .error("Replaceable parameters must be consecutive");
                    return;
                }
                self.aliases.insert((*name).to_owned(), text);
            }
        }
    }

    fn unalias(&mut self, argument: &str) {
        match argument.split_whitespace().next() {
            Some(name) => {
                self.aliases.remove(name);
            }
            None => self.invalid("unalias", argument),
        }
    }

    /// The whole of a statement of which `first` may be only the beginning; nothing where the input ends within it.
    pub fn whole_statement(&mut self, first: &str) -> Option<String> {
        use session::protocol::{Answer, Ask};
        let mut text = first.to_owned();
        loop {
            // A compound statement that fits a line is whole without an empty line behind it.
            let end = if text.contains('\n') { "" } else { "\n" };
            let checked = format!("{}{end}", parse::without_marks(&text));
            match self.ask(&Ask::Compile { text: checked }) {
                Ok(Answer::Text { text: Some(state) }) if state == "more" => {}
                Ok(_) => return Some(text),
                Err(error) => {
                    self.screen.error(&error);
                    return None;
                }
            }
            let indent = indent_after(&text);
            match self.read(FURTHER, &indent) {
                Came::Line(line) => {
                    text.push('\n');
                    // White space that the editing has put there ends a statement as an empty line does.
                    let empty = self.lines.is_terminal() && line.trim().is_empty();
                    text.push_str(if empty { "" } else { &line });
                    if text.len() > TEXT_BYTES_MAX {
                        self.screen.error("This statement is too long");
                        return None;
                    }
                }
                Came::End | Came::Interrupted => {
                    self.last.clear();
                    self.screen.message("\n");
                    return None;
                }
            }
        }
    }
}

/// Longest statement, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The white space that the line after these is likely to begin with.
fn indent_after(text: &str) -> String {
    let last = text.lines().next_back().unwrap_or_default().trim_end();
    if last.is_empty() {
        return String::new();
    }
    let mut indent: String = last.chars().take_while(|c| c.is_whitespace()).collect();
    if last.ends_with(':') {
        indent.push_str("    ");
    }
    indent
}
