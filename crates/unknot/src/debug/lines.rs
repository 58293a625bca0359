//! Where the console's lines come from: a pipe, read only as far as a command goes, or a terminal.

use super::editor::Shared;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

/// How often Ctrl-C is looked for while a line is waited for, in milliseconds.
const LOOK_MS: u16 = 100;
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A line, without its end.
    Line(String),
    /// There are no more.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// What can be completed at a prompt.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The thread and the frame that are looked at.
    pub at: Option<(session::ThreadKey, usize)>,
    /// The aliases' names.
    pub aliases: Vec<String>,
    /// The breakpoints' numbers.
    pub points: Vec<String>,
    /// What is displayed in the frame.
    pub displays: Vec<String>,
}

/// Lines of commands.
pub trait Lines {
    /// The next line. `prompt` is shown by a terminal's own editing alone; `start` stands in the line already.
    fn read(&mut self, prompt: &str, start: &str) -> Came;
    /// Whether a person types them.
    fn is_terminal(&self) -> bool;
    /// Whether it is known that there are no more.
    fn is_at_end(&mut self) -> bool;
    /// What completion knows.
    fn look_at(&mut self, view: View);
}

/// Standard input that is no terminal. It is read byte by byte: what stands behind the lines that were asked for belongs to the
/// program's own `input()`.
pub struct Pipe {
    file: Option<File>,
    /// Who knows of Ctrl-C.
    debuggee: Option<Shared>,
    /// A byte that was read to find out whether there are more.
    kept: Option<u8>,
    ended: bool,
}

impl Pipe {
    /// Standard input.
    pub fn stdin(debuggee: Shared) -> Pipe {
        let file = io::stdin().as_fd().try_clone_to_owned().ok();
        Pipe {
            debuggee: Some(debuggee),
            ..Pipe::new(file.map(File::from))
        }
    }

    fn new(file: Option<File>) -> Pipe {
        Pipe {
            ended: file.is_none(),
            file,
            debuggee: None,
            kept: None,
        }
    }

    /// Waits for a line to begin; whether Ctrl-C came instead.
    fn is_interrupted(&self) -> bool {
        let (Some(file), Some(debuggee)) = (&self.file, &self.debuggee) else {
            return false;
        };
        if self.kept.is_some() || self.ended {
            return false;
        }
        while !process::terminal::is_readable(file, LOOK_MS) {
            if debuggee.borrow_mut().interrupted() {
                return true;
            }
        }
        false
    }

    fn byte(&mut self) -> Option<u8> {
        if let Some(byte) = self.kept.take() {
            return Some(byte);
        }
        let file = self.file.as_mut().filter(|_| !self.ended)?;
        let mut byte = [0];
        loop {
            match file.read(&mut byte) {
                Ok(1) => return Some(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }
}

impl Lines for Pipe {
    fn read(&mut self, _prompt: &str, _start: &str) -> Came {
        if self.is_interrupted() {
            return Came::Interrupted;
        }
        let mut line = Vec::new();
        loop {
            match self.byte() {
                Some(b'\n') => break,
                Some(byte) if line.len() < LINE_BYTES_MAX => line.push(byte),
                Some(_) => {}
                None if line.is_empty() => return Came::End,
                None => break,
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Came::Line(String::from_utf8_lossy(&line).into_owned())
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_at_end(&mut self) -> bool {
        if self.kept.is_none()
            && self
                .file
                .as_ref()
                .is_some_and(|file| process::terminal::is_readable(file, 0))
        {
            self.kept = self.byte();
        }
        self.ended && self.kept.is_none()
    }

    fn look_at(&mut self, _view: View) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn no_more_is_read_than_a_line() {
        let (ours, mut theirs) = io::pipe().unwrap();
        theirs.write_all(b"one\r\ntwo\nrest").unwrap();
        let mut pipe = Pipe::new(Some(File::from(std::os::fd::OwnedFd::from(
            ours.try_clone().unwrap(),
        ))));
        assert_eq!(pipe.read("", ""), Came::Line("one".into()));
        assert!(!pipe.is_at_end());
        assert_eq!(pipe.read("", ""), Came::Line("two".into()));
        drop(theirs);
        let mut rest = String::new();
        (&ours).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
        assert!(pipe.is_at_end());
        assert_eq!(pipe.read("", ""), Came::End);
    }
}
