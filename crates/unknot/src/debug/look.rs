//! Commands that show where the program stands: stack, frames, source.

use super::console::{At, Console};
use super::parse::{int, repr};
use session::protocol::{Answer, Ask, Frame};

/// How many lines `list` shows.
const LISTED: u32 = 11;
/// Longest text of an exception in the list of a chain, in characters.
const CHAINED_MAX: usize = 80;

impl Console {
    /// Shows where the program stands, before a prompt.
    pub fn show_status(&mut self) {
        if let Some(index) = self.at.as_ref().map(|at| at.index) {
            self.show_frame(index);
        }
        self.check_file();
        self.show_displays();
    }

    /// Shows one frame of the stack.
    pub fn show_frame(&mut self, index: usize) {
        let Some(at) = &self.at else {
            return;
        };
        let Some(frame) = at.stack.get(index) else {
            return;
        };
        let mark = if index == at.index { "> " } else { "  " };
        let mut text = format!("{mark}{}", place(frame));
        if !frame.source.is_empty() {
            text.push_str("\n-> ");
            text.push_str(&self.screen.code(&frame.source));
        }
        if self.screen.is_coloured() {
            self.screen.painted(&text);
        } else {
            self.screen.message(&text);
        }
    }

    /// `where`.
    pub fn where_(&mut self, argument: &str) {
        let count = match argument {
            "" => None,
            text => match int(text) {
                Some(count) => Some(count),
                None => {
                    self.screen.error(&format!("Invalid count ({text})"));
                    return;
                }
            },
        };
        let Some((length, index)) = self.at.as_ref().map(|at| (at.stack.len(), at.index)) else {
            return;
        };
        let size = |count: i64| {
            usize::try_from(count.unsigned_abs())
                .unwrap_or(usize::MAX)
                .min(length)
        };
        let range = match count {
            None => 0..length,
            Some(0) => index..index + 1,
            Some(count) if count < 0 => 0..size(count),
            Some(count) => length - size(count)..length,
        };
        for index in range {
            self.show_frame(index);
        }
    }

    /// `up`.
    pub fn up(&mut self, argument: &str) {
        self.move_by(
            argument,
            "Oldest frame",
            |at| at.index == 0,
            |at, count| usize::try_from(count).map_or(0, |count| at.index.saturating_sub(count)),
        );
    }

    /// `down`.
    pub fn down(&mut self, argument: &str) {
        let last = |at: &At| at.stack.len().saturating_sub(1);
        self.move_by(
            argument,
            "Newest frame",
            |at| at.index >= last(at),
            |at, count| {
                usize::try_from(count).map_or(last(at), |count| {
                    at.index.saturating_add(count).min(last(at))
                })
            },
        );
    }

    fn move_by(
        &mut self,
        argument: &str,
        at_end: &str,
        is_end: impl Fn(&At) -> bool,
        target: impl Fn(&At, i64) -> usize,
    ) {
        let Some(at) = &self.at else {
            return;
        };
        if is_end(at) {
            self.screen.error(at_end);
            return;
        }
        let count = if argument.is_empty() {
            Some(1)
        } else {
            int(argument)
        };
        let Some(count) = count else {
            self.screen
                .error(&format!("Invalid frame count ({argument})"));
            return;
        };
        let index = target(at, count);
        self.select(index);
    }

    fn select(&mut self, index: usize) {
        if let Some(at) = &mut self.at {
            at.index = index;
            at.listed = None;
        }
        self.show_frame(index);
    }

    /// `list`.
    pub fn list(&mut self, argument: &str) {
        self.last = "list".to_owned();
        let Some((line, listed)) = self
            .at
            .as_ref()
            .and_then(|at| Some((at.frame()?.line, at.listed)))
        else {
            return;
        };
        let range = match (argument, listed) {
            ("", Some(listed)) => (listed.saturating_add(1), None),
            ("" | ".", _) => (line.saturating_sub(5).max(1), None),
            (text, _) => match range(text) {
                Some(range) => range,
                None => {
                    self.screen
                        .error(&format!("Error in argument: {}", repr(text)));
                    return;
                }
            },
        };
        let (first, last) = range;
        let last = last.unwrap_or(first.saturating_add(LISTED - 1));
        let lines = match self.source_of_frame(false) {
            Ok(source) => {
                let count = source.lines.len();
                let start = (first.max(1) as usize - 1).min(count);
                let end = (last as usize).clamp(start, count);
                let part = Source {
                    lines: source.lines[start..end].to_vec(),
                    first: first.max(1),
                    ..source
                };
                self.show_source(&part, true);
                count
            }
            Err(_) => 0,
        };
        if lines < last as usize {
            self.screen.message("[EOF]");
        }
        if let Some(at) = &mut self.at {
            at.listed = Some(last.min(u32::try_from(lines).unwrap_or(u32::MAX)));
        }
        self.check_file();
    }

    /// `longlist`.
    pub fn longlist(&mut self, argument: &str) {
        if !argument.is_empty() {
            self.invalid("longlist", argument);
            return;
        }
        match self.source_of_frame(true) {
            Ok(source) => self.show_source(&source, true),
            Err(error) => {
                self.screen.error(plain(&error));
                return;
            }
        }
        self.check_file();
    }

    /// `source`.
    pub fn source(&mut self, argument: &str) {
        if argument.is_empty() {
            self.invalid("source", argument);
            return;
        }
        let frame = self.at.as_ref().map_or(0, |at| at.index);
        let ask = Ask::Source {
            frame,
            object: Some(argument.to_owned()),
            function: false,
        };
        match self.ask(&ask).map(Source::of) {
            Ok(Some(source)) => self.show_source(&source, false),
            Ok(None) => {}
            Err(error) => self.screen.error(plain(&error)),
        }
    }

    fn source_of_frame(&mut self, function: bool) -> Result<Source, String> {
        let frame = self.at.as_ref().map_or(0, |at| at.index);
        let ask = Ask::Source {
            frame,
            object: None,
            function,
        };
        Source::of(self.ask(&ask)?).ok_or_else(|| "could not get source code".to_owned())
    }

    fn show_source(&mut self, source: &Source, of_frame: bool) {
        let marked = if of_frame {
            self.points.lines_in(&source.file)
        } else {
            Vec::new()
        };
        let (current, raised) = if of_frame {
            (source.current, source.raised)
        } else {
            (None, None)
        };
        for (number, line) in (source.first..).zip(&source.lines) {
            let mut text = format!("{number:>3}");
            if text.len() < 4 {
                text.push(' ');
            }
            text.push(if marked.contains(&number) { 'B' } else { ' ' });
            if current == Some(number) {
                text.push_str("->");
            } else if raised == Some(number) {
                text.push_str(">>");
            }
            let line = self.screen.code(line.trim_end());
            let text = format!("{text}\t{line}");
            if self.screen.is_coloured() {
                self.screen.painted(&text);
            } else {
                self.screen.message(&text);
            }
        }
    }

    /// `exceptions`.
    pub fn chain(&mut self, argument: &str) {
        let (exceptions, current) = match self.ask(&Ask::Exceptions) {
            Ok(Answer::Chain { exceptions, index }) => (exceptions, index),
            Ok(_) => (Vec::new(), 0),
            Err(error) => return self.screen.error(&error),
        };
        if exceptions.is_empty() {
            let text = "Did not find chained exceptions. They can be looked at after an uncaught exception.";
            return self.screen.message(text);
        }
        if argument.is_empty() {
            for (index, (text, traceback)) in exceptions.iter().enumerate() {
                let mark = if index == current { '>' } else { ' ' };
                let number = if *traceback {
                    format!("{index:>3}")
                } else {
                    "  -".to_owned()
                };
                let text = shortened(text);
                self.screen.message(&format!("{mark} {number} {text}"));
            }
            return;
        }
        let Some(index) = int(argument) else {
            return self.screen.error("Argument must be an integer");
        };
        let chosen = usize::try_from(index)
            .ok()
            .and_then(|index| Some((index, exceptions.get(index)?)));
        match chosen {
            None => self.screen.error("No exception with that number"),
            Some((_, (_, false))) => self
                .screen
                .error("This exception does not have a traceback, cannot jump to it"),
            Some((index, _)) => match self.ask(&Ask::Exception { index }) {
                Ok(Answer::Stack { frames, index }) => {
                    if let Some(at) = &mut self.at {
                        (at.stack, at.index, at.listed) = (frames, index, None);
                    }
                    self.show_frame(index);
                }
                Ok(_) => {}
                Err(error) => self.screen.error(&error),
            },
        }
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= CHAINED_MAX {
        return text.to_owned();
    }
    let begin: String = text.chars().take(CHAINED_MAX - 3).collect();
    format!("{begin}...")
}

/// Where a frame is, in pdb's words.
pub fn place(frame: &Frame) -> String {
    let mut text = format!("{}({}){}()", frame.file, frame.line, frame.function);
    if let Some(value) = &frame.returns {
        text.push_str("->");
        text.push_str(value);
    }
    text
}

/// An `OSError` as its text alone, as pdb tells it.
fn plain(error: &str) -> &str {
    let parts = ["OSError: ", "TypeError: "];
    parts
        .iter()
        .find_map(|part| error.strip_prefix(part))
        .unwrap_or(error)
}

/// The range that `list` is told: its first line, and its last where it is given.
fn range(text: &str) -> Option<(u32, Option<u32>)> {
    let line = |number: i64| u32::try_from(number.clamp(0, i64::from(u32::MAX))).unwrap_or(0);
    match text.split_once(',') {
        Some((first, last)) => {
            let (first, last) = (int(first)?, int(last)?);
            let last = if last < first {
                first.saturating_add(last)
            } else {
                last
            };
            Some((line(first), Some(line(last))))
        }
        None => Some((line(int(text)?.saturating_sub(5).max(1)), None)),
    }
}

/// Lines of source.
#[derive(Debug, Clone)]
struct Source {
    file: String,
    first: u32,
    lines: Vec<String>,
    current: Option<u32>,
    raised: Option<u32>,
}

impl Source {
    fn of(answer: Answer) -> Option<Source> {
        match answer {
            Answer::Source {
                file,
                first,
                lines,
                current,
                raised,
            } => Some(Source {
                file,
                first,
                lines,
                current,
                raised,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_pdb_reads_them() {
        assert_eq!(range("20"), Some((15, None)));
        assert_eq!(range("2"), Some((1, None)));
        assert_eq!(range("5, 9"), Some((5, Some(9))));
        assert_eq!(range("5,2"), Some((5, Some(7))));
        assert_eq!(range("a"), None);
        assert_eq!(range("1,2,3"), None);
    }
}
