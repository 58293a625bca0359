//! Commands that let the program run, or end.

use super::console::{At, Console, Flow};
use super::parse::{int, repr, shell_words};
use session::protocol::{Answer, Ask, Reason, Resume};

impl Console {
    /// One of the commands after which the program may run.
    pub fn running_command(&mut self, name: &str, argument: &str) -> Flow {
        let how = match name {
            "step" => Resume::Step,
            "next" => Resume::Next,
            "return" => Resume::Return,
            "continue" => Resume::Continue,
            "until" => return self.until(argument),
            "jump" => return self.jump(argument),
            "run" => return self.run_again(argument),
            "detach" => return Flow::Detach,
            "debug" => return self.debug(argument),
            "EOF" => {
                if self.settings.prompt.is_some() || self.lines.is_terminal() {
                    self.screen.message("");
                }
                return self.quit();
            }
            _ => return self.quit(),
        };
        if !argument.is_empty() {
            self.invalid(name, argument);
            return Flow::Stay;
        }
        self.resume(how)
    }

    fn until(&mut self, argument: &str) -> Flow {
        if argument.is_empty() {
            return self.resume(Resume::Until(0));
        }
        let current = self
            .at
            .as_ref()
            .and_then(At::frame)
            .map_or(0, |frame| frame.line);
        match int(argument) {
            None => self
                .screen
                .error(&format!("Error in argument: {}", repr(argument))),
            Some(line) if line <= i64::from(current) => self
                .screen
                .error("\"until\" line number is smaller than current line number"),
            Some(line) => {
                return self.resume(Resume::Until(u32::try_from(line).unwrap_or(u32::MAX)));
            }
        }
        Flow::Stay
    }

    fn jump(&mut self, argument: &str) -> Flow {
        if argument.is_empty() {
            self.invalid("jump", argument);
            return Flow::Stay;
        }
        let Some(at) = &self.at else {
            return Flow::Stay;
        };
        if at.index + 1 != at.stack.len() {
            self.screen
                .error("You can only jump within the bottom frame");
            return Flow::Stay;
        }
        let Some(line) = int(argument).and_then(|line| u32::try_from(line).ok()) else {
            self.screen
                .error("The 'jump' command requires a line number");
            return Flow::Stay;
        };
        match self.ask(&Ask::Jump { line }) {
            Ok(Answer::Stack { frames, index }) => {
                if let Some(at) = &mut self.at {
                    (at.stack, at.index) = (frames, index);
                }
                self.show_frame(index);
            }
            Ok(_) => {}
            Err(error) => self.screen.error(&error),
        }
        Flow::Stay
    }

    fn run_again(&mut self, argument: &str) -> Flow {
        if self.program.attached {
            self.screen
                .error("unknot has not started this program, so it cannot begin it anew");
            return Flow::Stay;
        }
        if !argument.is_empty() {
            match shell_words(argument) {
                Ok(words) => self.program.arguments = words.into_iter().map(Into::into).collect(),
                Err(error) => {
                    self.screen
                        .error(&format!("Cannot run {argument}: {error}"));
                    return Flow::Stay;
                }
            }
        }
        let arguments: Vec<_> = self
            .program
            .arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let text = format!(
            "Restarting {} with arguments:\n\t{}",
            self.program.target,
            arguments.join(" ")
        );
        self.screen.message(&text);
        Flow::Restart
    }

    fn debug(&mut self, argument: &str) -> Flow {
        if argument.is_empty() {
            self.invalid("debug", argument);
            return Flow::Stay;
        }
        let Some((thread, frame)) = self.at.as_ref().map(|at| (at.thread, at.index)) else {
            return Flow::Stay;
        };
        self.screen.message("ENTERING RECURSIVE DEBUGGER");
        let ask = Ask::Debug {
            frame,
            text: argument.to_owned(),
        };
        match self.ask(&ask) {
            Ok(_) => {
                *self.nested.entry(thread).or_default() += 1;
                self.stepping = Some(thread);
                Flow::Run
            }
            Err(error) => {
                self.screen.error(&error);
                self.screen.message("LEAVING RECURSIVE DEBUGGER");
                Flow::Stay
            }
        }
    }

    fn quit(&mut self) -> Flow {
        if self.program.attached {
            return Flow::Detach;
        }
        let Some(at) = &self.at else {
            return Flow::Quit;
        };
        let nested = self.nested.get(&at.thread).copied().unwrap_or(0);
        if nested > 0 {
            return self.resume(Resume::Quit);
        }
        if at.stop.reason == Reason::PostMortem && !self.settings.pdb {
            // It has ended by this exception.
            self.code = Some(1);
        }
        Flow::Quit
    }
}
