//! Commands about values: expressions, statements, what is displayed.

use super::console::{At, Console, Display, Flow};
use super::lines::Came;
use super::parse;
use session::ThreadKey;
use session::protocol::{Answer, Ask};

/// Most expressions that are displayed in a frame.
const DISPLAYS_MAX: usize = 100;

impl Console {
    fn index(&self) -> usize {
        self.at.as_ref().map_or(0, |at| at.index)
    }

    fn evaluate(&mut self, text: &str, pretty: bool) -> Result<String, String> {
        let ask = Ask::Evaluate {
            frame: self.index(),
            text: text.to_owned(),
            pretty,
        };
        match self.ask(&ask)? {
            Answer::Text { text } => Ok(text.unwrap_or_default()),
            _ => Ok(String::new()),
        }
    }

    fn execute(&mut self, text: &str) -> Result<Option<String>, String> {
        let ask = Ask::Execute {
            frame: self.index(),
            text: text.to_owned(),
        };
        match self.ask(&ask)? {
            Answer::Text { text } => Ok(text),
            _ => Ok(None),
        }
    }

    /// The value of an expression, for other commands.
    ///
    /// # Errors
    /// Says what it raised.
    pub fn value(&mut self, text: &str) -> Result<String, String> {
        self.evaluate(text, false)
    }

    fn show(&mut self, outcome: Result<String, String>) {
        match outcome {
            Ok(text) => self.screen.message(&text),
            Err(error) => self.screen.error(&error),
        }
    }

    /// A statement.
    pub fn statement(&mut self, line: &str) -> Flow {
        let text = line.strip_prefix('!').unwrap_or(line).trim_start();
        let Some(text) = self.whole_statement(text) else {
            return Flow::Stay;
        };
        match self.execute(&text) {
            Ok(Some(text)) => self.screen.message(&text),
            Ok(None) => {}
            Err(error) => self.screen.error(&error),
        }
        Flow::Stay
    }

    /// `p` and `pp`.
    pub fn print(&mut self, argument: &str, pretty: bool) {
        if argument.is_empty() {
            return self.invalid(if pretty { "pp" } else { "p" }, argument);
        }
        let outcome = self.evaluate(argument, pretty);
        self.show(outcome);
    }

    /// `whatis`.
    pub fn whatis(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.invalid("whatis", argument);
        }
        let ask = Ask::WhatIs {
            frame: self.index(),
            text: argument.to_owned(),
        };
        match self.ask(&ask) {
            Ok(Answer::Text { text }) => self.screen.message(&text.unwrap_or_default()),
            Ok(_) => {}
            Err(error) => self.screen.error(&error),
        }
    }

    /// `args`.
    pub fn args(&mut self, argument: &str) {
        if !argument.is_empty() {
            return self.invalid("args", argument);
        }
        let frame = self.index();
        match self.ask(&Ask::Arguments { frame }) {
            Ok(Answer::Variables { variables }) => {
                for variable in variables {
                    self.screen
                        .message(&format!("{} = {}", variable.name, variable.value));
                }
            }
            Ok(_) => {}
            Err(error) => self.screen.error(&error),
        }
    }

    /// `retval`.
    pub fn retval(&mut self, argument: &str) {
        if !argument.is_empty() {
            return self.invalid("retval", argument);
        }
        let frame = self.at.as_ref().and_then(At::frame);
        if frame.is_some_and(|frame| frame.returns.is_none()) {
            return self.screen.error("Not yet returned!");
        }
        let outcome = self.evaluate("__return__", false);
        self.show(outcome);
    }

    fn frame_key(&self) -> Option<(ThreadKey, u64)> {
        let at = self.at.as_ref()?;
        Some((at.thread, at.frame()?.key))
    }

    /// Evaluates an expression into a variable of the debugger's own; its `repr`, or what it raised.
    fn hold(&mut self, variable: &str, text: &str) -> (String, bool) {
        let held = match self.execute(&format!("{variable} = ({text})")) {
            Ok(_) => self.evaluate(variable, false),
            Err(error) => Err(error),
        };
        match held {
            Ok(text) => (text, true),
            Err(error) => {
                // So that no value of before is taken for this one.
                let _ = self.execute(&format!("{variable} = None"));
                (format!("** raised {error} **"), false)
            }
        }
    }

    /// `display`.
    pub fn display(&mut self, argument: &str) {
        let Some(key) = self.frame_key() else {
            return;
        };
        if argument.is_empty() {
            if self.displays.is_empty() {
                return self.screen.message("No expression is being displayed");
            }
            self.screen.message("Currently displaying:");
            for display in self.displays.get(&key).cloned().unwrap_or_default() {
                let value = self.held_now(&display);
                self.screen.message(&format!("{}: {value}", display.text));
            }
            return;
        }
        let compiled = self.ask(&Ask::Compile {
            text: format!("({})\n", parse::without_marks(argument)),
        });
        if let Err(error) = compiled {
            return self
                .screen
                .error(&format!("Unable to display {argument}: {error}"));
        }
        self.displayed += 1;
        let number = self.displayed;
        let (value, _) = self.hold(&variable(number), argument);
        self.screen.message(&format!("display {argument}: {value}"));
        let here = self.displays.entry(key).or_default();
        here.retain(|display| display.text != argument);
        if here.len() < DISPLAYS_MAX {
            here.push(Display {
                text: argument.to_owned(),
                value,
                number,
            });
        }
    }

    /// The `repr` that a held value has now: it may have changed since.
    fn held_now(&mut self, display: &Display) -> String {
        if display.value.starts_with("** raised ") {
            return display.value.clone();
        }
        let now = self.evaluate(&variable(display.number), false);
        now.unwrap_or_else(|_| display.value.clone())
    }

    /// Shows what is displayed in this frame and has changed.
    pub fn show_displays(&mut self) {
        let Some(key) = self.frame_key() else {
            return;
        };
        let Some(displays) = self.displays.get(&key).cloned() else {
            return;
        };
        for mut display in displays {
            let old = variable(display.number);
            let (value, good) = self.hold(NEW, &display.text);
            let was_good = !display.value.starts_with("** raised ");
            let changed = if good && was_good {
                let test = format!("bool({NEW} is not {old} and {NEW} != {old})");
                self.evaluate(&test, false)
                    .map_or(true, |text| text == "True")
            } else {
                value != display.value
            };
            if !changed {
                continue;
            }
            let before = self.held_now(&display);
            self.screen.message(&format!(
                "display {}: {value}  [old: {before}]",
                display.text
            ));
            let _ = self.execute(&format!("{old} = {NEW}"));
            display.value = value;
            if let Some(here) = self.displays.get_mut(&key)
                && let Some(kept) = here.iter_mut().find(|kept| kept.number == display.number)
            {
                *kept = display;
            }
        }
    }

    /// `undisplay`.
    pub fn undisplay(&mut self, argument: &str) {
        let Some(key) = self.frame_key() else {
            return;
        };
        if argument.is_empty() {
            self.displays.remove(&key);
            return;
        }
        let here = self.displays.entry(key).or_default();
        let before = here.len();
        here.retain(|display| display.text != argument);
        let gone = here.len() < before;
        if here.is_empty() {
            self.displays.remove(&key);
        }
        if !gone {
            self.screen.error(&format!("not displaying {argument}"));
        }
    }

    /// `interact`.
    pub fn interact(&mut self) {
        self.screen.message("*pdb interact start*");
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { ">>> " } else { "... " };
            let line = match self.read(prompt, "") {
                Came::Line(line) => line,
                Came::Interrupted => {
                    text.clear();
                    self.screen.message("KeyboardInterrupt");
                    continue;
                }
                Came::End => {
                    if self.lines.is_terminal() || self.settings.prompt.is_some() {
                        self.screen.message("");
                    }
                    break;
                }
            };
            if text.is_empty() && matches!(line.trim(), "exit()" | "quit()" | "exit" | "quit") {
                break;
            }
            text.push_str(&line);
            let ask = Ask::Interact {
                frame: self.index(),
                text: text.clone(),
            };
            match self.ask(&ask) {
                Ok(Answer::Text { text: Some(state) }) if state == "more" => {
                    text.push('\n');
                    continue;
                }
                Ok(Answer::Text { text: Some(shown) }) => self.screen.message(&shown),
                Ok(_) => {}
                Err(error) if error.starts_with("SystemExit") => break,
                Err(error) => self.screen.message(&error),
            }
            text.clear();
        }
        let _ = self.ask(&Ask::Interacted);
        self.screen.message("*exit from pdb interact command*");
    }
}

/// What a display is compared with.
const NEW: &str = "$__unknot_new";

fn variable(number: u32) -> String {
    format!("$__unknot_{number}")
}
