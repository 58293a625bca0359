//! Commands about breakpoints.

use super::console::{Console, Queued};
use super::help;
use super::lines::Came;
use super::parse::{first_of, int, parse_line};
use super::points::{Point, Refused};
use session::protocol::{Control, Place};
use std::path::Path;

/// A file name that stands for code that is in no file of its own.
const NO_FILE: &str = "<string>";

impl Console {
    /// `break` and `tbreak`.
    pub fn break_(&mut self, argument: &str, temporary: bool) {
        if argument.is_empty() {
            return self.list_points();
        }
        let (place, condition) = condition_of(argument);
        let place = match self.place(place) {
            Ok(place) => place,
            Err(error) => return self.screen.error(&error),
        };
        match self.set_point(point(place, condition, temporary)) {
            Ok((number, _)) => self.tell_point(number),
            Err(refused) if refused.error == "End of file" => self.screen.message("End of file"),
            Err(refused) => self.screen.error(&refused.error),
        }
    }

    /// A breakpoint of the command line: where there is no code, the next line that has some is taken.
    pub fn break_early(&mut self, argument: &str) -> Result<(), String> {
        let (place, condition) = condition_of(argument);
        let place = self.place(place)?;
        let number = match self.set_point(point(place, condition.clone(), false)) {
            Ok((number, _)) => number,
            Err(Refused {
                instead: Some((file, line)),
                error,
            }) if error == "Blank or comment" => {
                let place = Place::Line(file, line);
                let set = self.set_point(point(place, condition, false));
                set.map_err(|_| error)?.0
            }
            Err(refused) => return Err(refused.error),
        };
        self.tell_point(number);
        Ok(())
    }

    fn tell_point(&mut self, number: u32) {
        let Some(point) = self.points.by_number(number) else {
            return;
        };
        let mut text = point.shown();
        text.replace_range(..1, "B");
        self.screen.message(&text);
    }

    /// Where a breakpoint is wanted.
    fn place(&self, text: &str) -> Result<Place, String> {
        if let Some((file, rest)) = text.rsplit_once(':') {
            let (file, rest) = (file.trim_end(), rest.trim_start());
            return match int(rest) {
                Some(line) => Ok(Place::Line(file.to_owned(), line_number(line))),
                None if is_dotted(rest) && is_dotted(file) && !is_python(file) => {
                    Ok(Place::Function(format!("{file}:{rest}")))
                }
                None => Err(format!("Bad lineno: {rest}")),
            };
        }
        let Some(line) = int(text) else {
            return Ok(Place::Function(text.to_owned()));
        };
        let line = line_number(line);
        match &self.at {
            Some(at) if at.frame().is_some_and(|frame| frame.file != NO_FILE) => {
                Ok(Place::Here(at.thread.ident, at.index, line))
            }
            _ => match &self.program.script {
                Some(script) => Ok(Place::Line(script.clone(), line)),
                None => Ok(Place::Line(NO_FILE.to_owned(), line)),
            },
        }
    }

    fn list_points(&mut self) {
        self.count_hits();
        let rows: Vec<String> = self.points.iter().map(row).collect();
        if !rows.is_empty() {
            self.screen.message("Num Type         Disp Enb   Where");
        }
        for row in rows {
            self.screen.message(&row);
        }
    }

    /// `log`: a breakpoint that prints and does not stop.
    pub fn log(&mut self, argument: &str) {
        let Some((place, text)) = argument.split_once(',') else {
            return self.invalid("log", argument);
        };
        let place = match self.place(place.trim()) {
            Ok(place) => place,
            Err(error) => return self.screen.error(&error),
        };
        let mut point = point(place, None, false);
        point.log = Some(text.trim().to_owned());
        match self.set_point(point) {
            Ok((number, _)) => self.tell_point(number),
            Err(refused) => self.screen.error(&refused.error),
        }
    }

    /// `enable` and `disable`.
    pub fn enable(&mut self, argument: &str, on: bool) {
        if argument.is_empty() {
            return self.invalid(if on { "enable" } else { "disable" }, argument);
        }
        for word in argument.split_whitespace() {
            let number = match self.points.typed(word) {
                Ok(number) => number,
                Err(error) => {
                    self.screen.error(&error);
                    continue;
                }
            };
            self.count_hits();
            if let Some(point) = self.points.by_number(number) {
                point.enabled = on;
                let text = format!(
                    "{} {}",
                    if on { "Enabled" } else { "Disabled" },
                    point.shown()
                );
                self.screen.message(&text);
            }
            self.renew_point(number);
        }
    }

    /// `condition`.
    pub fn condition(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.invalid("condition", argument);
        }
        let (word, condition) = match argument.split_once(' ') {
            Some((word, condition)) => (word, Some(condition.to_owned())),
            None => (argument, None),
        };
        let number = match self.points.typed(word.trim()) {
            Ok(number) => number,
            Err(error) => return self.screen.error(&error),
        };
        self.count_hits();
        let Some(point) = self.points.by_number(number) else {
            return;
        };
        let before = std::mem::replace(&mut point.condition, condition.clone());
        if let Err(error) = self.try_point(number) {
            if let Some(point) = self.points.by_number(number) {
                point.condition = before;
            }
            self.renew_point(number);
            return self.screen.error(&error);
        }
        let text = match condition.filter(|text| !text.is_empty()) {
            None => format!("Breakpoint {number} is now unconditional."),
            Some(_) => format!("New condition set for breakpoint {number}."),
        };
        self.screen.message(&text);
    }

    /// Tells a changed breakpoint to the process that is looked at, which may refuse it, then to all.
    fn try_point(&mut self, number: u32) -> Result<(), String> {
        let Some(process) = self.process() else {
            return Ok(());
        };
        let told = self.points.by_number(number).map(|point| point.told());
        if let Some(told) = told {
            self.control(process, &Control::SetBreakpoint(told))?;
        }
        if self.debuggee.borrow().processes().len() > 1 {
            self.renew_point(number);
        }
        Ok(())
    }

    /// `ignore`.
    pub fn ignore(&mut self, argument: &str) {
        let words: Vec<&str> = argument.split_whitespace().collect();
        let (word, count) = match words.as_slice() {
            [word] => (*word, Some(0)),
            [word, count] => (*word, int(count)),
            _ => return self.invalid("ignore", argument),
        };
        let Some(count) = count else {
            return self.invalid("ignore", argument);
        };
        let number = match self.points.typed(word) {
            Ok(number) => number,
            Err(error) => return self.screen.error(&error),
        };
        self.count_hits();
        if let Some(point) = self.points.by_number(number) {
            point.ignore = u32::try_from(count.max(0)).unwrap_or(u32::MAX);
            point.ignore_from = point.hits;
        }
        self.renew_point(number);
        let text = match count {
            1 => format!("Will ignore next 1 crossing of breakpoint {number}."),
            2.. => format!("Will ignore next {count} crossings of breakpoint {number}."),
            _ => format!("Will stop next time breakpoint {number} is reached."),
        };
        self.screen.message(&text);
    }

    /// `clear`.
    pub fn clear(&mut self, argument: &str) {
        if argument.is_empty() {
            return self.clear_all();
        }
        if let Some((file, line)) = argument.rsplit_once(':') {
            return self.clear_at(file, line);
        }
        for word in argument.split_whitespace() {
            match self.points.typed(word) {
                Ok(number) => self.delete_point(number),
                Err(error) => self.screen.error(&error),
            }
        }
    }

    fn clear_all(&mut self) {
        let reply = match self.read("Clear all breaks? ", "") {
            Came::Line(line) => line.trim().to_lowercase(),
            _ => "no".to_owned(),
        };
        if matches!(&*reply, "y" | "yes") {
            let numbers: Vec<u32> = self.points.numbers().collect();
            for number in numbers {
                self.delete_point(number);
            }
        }
    }

    fn clear_at(&mut self, file: &str, line: &str) {
        let Some(line) = int(line) else {
            return self.screen.error(&format!("Invalid line number ({line})"));
        };
        let file = absolute(file);
        let in_file: Vec<(u32, u32)> = {
            let here = self.points.iter().filter(|point| point.file == file);
            here.map(|point| (point.number, point.line)).collect()
        };
        if in_file.is_empty() {
            return self
                .screen
                .error(&format!("There are no breakpoints in {file}"));
        }
        let here: Vec<u32> = {
            let here = in_file.iter().filter(|(_, at)| i64::from(*at) == line);
            here.map(|(number, _)| *number).collect()
        };
        if here.is_empty() {
            return self
                .screen
                .error(&format!("There is no breakpoint at {file}:{line}"));
        }
        for number in here {
            self.delete_point(number);
        }
    }

    /// `commands`.
    pub fn commands(&mut self, argument: &str) {
        let number = if argument.is_empty() {
            match self.points.numbers().last() {
                Some(number) => number,
                None => {
                    return self
                        .screen
                        .error("cannot set commands: no existing breakpoint");
                }
            }
        } else if int(argument).is_none() {
            return self.invalid("commands", argument);
        } else {
            match self.points.typed(argument) {
                Ok(number) => number,
                Err(error) => return self.screen.error(&format!("cannot set commands: {error}")),
            }
        };
        match self.defined() {
            Some(commands) => {
                if let Some(point) = self.points.by_number(number) {
                    point.commands = commands;
                }
            }
            None => self
                .screen
                .error("command definition aborted, old commands restored"),
        }
    }

    /// The commands that are typed for a breakpoint; nothing where Ctrl-C ends them.
    fn defined(&mut self) -> Option<Vec<String>> {
        let mut commands = Vec::new();
        loop {
            let line = match self.queue.front() {
                Some(Queued::Line(line)) => {
                    let line = line.clone();
                    self.queue.pop_front();
                    line
                }
                _ => match self.read("(com) ", "") {
                    Came::Line(line) => line,
                    Came::End => "EOF".to_owned(),
                    Came::Interrupted => return None,
                },
            };
            let (part, rest) = first_of(&line);
            if let Some(rest) = rest {
                self.queue.push_front(Queued::Line(rest));
            }
            let parsed = parse_line(&part);
            let word = parsed.command.unwrap_or_default();
            match &*word {
                "" if parsed.line.is_empty() => {}
                "end" => return Some(commands),
                "EOF" => {
                    self.screen.message("");
                    return Some(commands);
                }
                _ => commands.push(parsed.line),
            }
            if help::find(&word).is_some_and(|topic| resumes(topic.names[0])) {
                return Some(commands);
            }
        }
    }

    /// `catch`.
    pub fn catch(&mut self, argument: &str) {
        let words: Vec<&str> = argument.split_whitespace().collect();
        let (kind, types) = words.split_first().unwrap_or((&"raised", &[]));
        let (raised, uncaught) = match *kind {
            "raised" => (true, false),
            "uncaught" => (false, true),
            "off" => (false, false),
            _ => return self.invalid("catch", argument),
        };
        let control = Control::Exceptions {
            raised,
            uncaught,
            types: types.iter().map(|word| (*word).to_owned()).collect(),
        };
        let processes = self.debuggee.borrow().processes();
        for (process, _) in processes {
            if let Err(error) = self.control(process, &control) {
                return self.screen.error(&error);
            }
        }
        self.exceptions = Some(control);
    }
}

/// Commands after which no further ones are taken for a breakpoint.
fn resumes(name: &str) -> bool {
    matches!(
        name,
        "continue" | "step" | "next" | "return" | "until" | "quit" | "jump"
    )
}

fn point(place: Place, condition: Option<String>, temporary: bool) -> Point {
    Point {
        number: 0,
        file: String::new(),
        line: 0,
        place,
        function: None,
        condition,
        ignore: 0,
        ignore_from: 0,
        hits_before: 0,
        hits: 0,
        temporary,
        enabled: true,
        log: None,
        commands: Vec::new(),
    }
}

/// The place and, behind the first comma, the condition.
fn condition_of(argument: &str) -> (&str, Option<String>) {
    match argument.split_once(',') {
        Some((place, condition)) if !place.is_empty() => {
            (place.trim_end(), Some(condition.trim_start().to_owned()))
        }
        _ => (argument, None),
    }
}

fn line_number(line: i64) -> u32 {
    u32::try_from(line.max(0)).unwrap_or(u32::MAX)
}

fn is_python(file: &str) -> bool {
    let path = Path::new(file);
    path.extension()
        .is_some_and(|ending| ending == "py" || ending == "pyw")
}

fn is_dotted(text: &str) -> bool {
    let part = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && letters.all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(part)
}

fn absolute(file: &str) -> String {
    match std::path::absolute(file) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => file.to_owned(),
    }
}

/// A breakpoint's rows in the list.
fn row(point: &Point) -> String {
    let disposition = if point.temporary { "del " } else { "keep" };
    let enabled = if point.enabled { "yes" } else { "no " };
    let place = match point.file.is_empty() {
        true => format!("{} (not imported yet)", super::points::wanted(&point.place)),
        false => format!("{}:{}", point.file, point.line),
    };
    let mut text = format!(
        "{:<4}breakpoint   {disposition} {enabled}   at {place}",
        point.number
    );
    if let Some(condition) = &point.condition {
        text.push_str(&format!("\n\tstop only if {condition}"));
    }
    if let Some(log) = &point.log {
        text.push_str(&format!("\n\tprint {log}"));
    }
    let ignores = point.ignores();
    if ignores > 0 {
        text.push_str(&format!("\n\tignore next {ignores} hits"));
    }
    if point.hits > 0 {
        let plural = if point.hits > 1 { "s" } else { "" };
        text.push_str(&format!(
            "\n\tbreakpoint already hit {} time{plural}",
            point.hits
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(condition_of("3 , x > 1, 2"), ("3", Some("x > 1, 2".into())));
        assert_eq!(condition_of("f"), ("f", None));
        assert!(is_dotted("a.b_1.é"));
        assert!(!is_dotted("a..b") && !is_dotted("1a") && !is_dotted("a b"));
        let mut shown = point(Place::Line("a.py".into(), 3), Some("x".into()), true);
        (
            shown.number,
            shown.file,
            shown.line,
            shown.hits,
            shown.ignore,
        ) = (2, "/a.py".into(), 3, 2, 5);
        assert_eq!(
            row(&shown),
            "2   breakpoint   del  yes   at /a.py:3\n\tstop only if x\n\tignore next 3 hits\n\tbreakpoint already hit 2 times"
        );
    }
}
