//! The table of breakpoints: one for all processes, and what each process is told of it.

use super::console::{Console, Queued};
use super::parse::int;
use session::ProcessKey;
use session::protocol::{Answer, Breakpoint, Control, Place, Resolved};
use std::collections::HashMap;

/// A breakpoint.
#[derive(Debug, Clone)]
pub struct Point {
    /// Its number.
    pub number: u32,
    /// Its file, absolute; empty while its module is not imported.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Where it was wanted, for processes in which it has no line yet.
    pub place: Place,
    /// The function that it is on.
    pub function: Option<String>,
    /// Its condition.
    pub condition: Option<String>,
    /// How many hits it passes over, from `ignore_from` on.
    pub ignore: u32,
    /// How many hits there were when `ignore` was set.
    pub ignore_from: u32,
    /// How often it was hit in programs that have ended.
    pub hits_before: u32,
    /// How often it was hit in all.
    pub hits: u32,
    /// Whether it goes at its first stop.
    pub temporary: bool,
    /// Whether it stops.
    pub enabled: bool,
    /// What it prints instead of stopping.
    pub log: Option<String>,
    /// What is done when it is reached.
    pub commands: Vec<String>,
}

impl Point {
    /// Where it is, in words.
    pub fn shown(&self) -> String {
        if self.file.is_empty() {
            return format!(
                "breakpoint {} at {}, which is not imported yet",
                self.number,
                wanted(&self.place)
            );
        }
        format!("breakpoint {} at {}:{}", self.number, self.file, self.line)
    }

    /// How many hits it still passes over.
    pub fn ignores(&self) -> u32 {
        let passed = self.hits.saturating_sub(self.ignore_from);
        self.ignore.saturating_sub(passed)
    }

    /// What a process is told.
    pub fn told(&self) -> Breakpoint {
        let place = match self.file.is_empty() {
            true => self.place.clone(),
            false => Place::Line(self.file.clone(), self.line),
        };
        // A function's breakpoint is hit in that function alone, so it is named again where it can be.
        let place = match (&self.place, &self.function) {
            (Place::Function(name), Some(_)) if name.contains(':') => Place::Function(name.clone()),
            _ => place,
        };
        Breakpoint {
            id: self.number,
            place,
            condition: self.condition.clone(),
            ignore: self.ignores(),
            temporary: self.temporary,
            enabled: self.enabled,
            thread: None,
            log: self.log.clone(),
        }
    }
}

/// How a place was typed.
pub fn wanted(place: &Place) -> String {
    match place {
        Place::Line(file, line) => format!("{file}:{line}"),
        Place::Function(name) => name.clone(),
        Place::Here(_, _, line) => line.to_string(),
    }
}

/// All breakpoints; the number of each is its index and one, also when others have gone.
#[derive(Debug, Default)]
pub struct Points {
    all: Vec<Option<Point>>,
}

impl Points {
    /// Those that are.
    pub fn iter(&self) -> impl Iterator<Item = &Point> {
        self.all.iter().flatten()
    }

    /// Those that are.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Point> {
        self.all.iter_mut().flatten()
    }

    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.iter().map(|point| point.number)
    }

    /// The number of the next one.
    pub fn next_number(&self) -> u32 {
        u32::try_from(self.all.len() + 1).unwrap_or(u32::MAX)
    }

    /// Adds one, which has the next number.
    pub fn add(&mut self, point: Point) {
        self.all.push(Some(point));
    }

    /// One by its number.
    pub fn by_number(&mut self, number: u32) -> Option<&mut Point> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.all.get_mut(index)?.as_mut()
    }

    /// Takes one away.
    pub fn remove(&mut self, number: u32) -> Option<Point> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.all.get_mut(index)?.take()
    }

    /// The number that was typed, of a breakpoint that is there.
    ///
    /// # Errors
    /// In pdb's words.
    pub fn typed(&self, text: &str) -> Result<u32, String> {
        if text.is_empty() {
            return Err("Breakpoint number expected".to_owned());
        }
        let Some(number) = int(text) else {
            return Err(format!("Non-numeric breakpoint number {text}"));
        };
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        match index.and_then(|index| self.all.get(index)) {
            Some(Some(point)) => Ok(point.number),
            Some(None) => Err(format!("Breakpoint {number} already deleted")),
            None => Err(format!("Breakpoint number {number} out of range")),
        }
    }

    /// The lines of a file with a breakpoint.
    pub fn lines_in(&self, file: &str) -> Vec<u32> {
        let here = self.iter().filter(|point| point.file == file);
        here.map(|point| point.line).collect()
    }
}

impl Console {
    /// Tells a new process all breakpoints.
    pub fn renew_points(&mut self, process: ProcessKey) {
        let all: Vec<Breakpoint> = self.points.iter().map(Point::told).collect();
        for breakpoint in all {
            let _ = self.control(process, &Control::SetBreakpoint(breakpoint));
        }
    }

    /// Tells all processes of a breakpoint that has changed.
    pub fn renew_point(&mut self, number: u32) {
        let Some(told) = self.points.by_number(number).map(|point| point.told()) else {
            return;
        };
        let processes = self.debuggee.borrow().processes();
        for (process, _) in processes {
            let _ = self.control(process, &Control::SetBreakpoint(told.clone()));
        }
    }

    /// Sets a breakpoint: asks the process that is looked at where it is, then tells the others.
    ///
    /// # Errors
    /// Says why it cannot be there. The second text, where there is one: it could be at this line.
    pub fn set_point(&mut self, mut point: Point) -> Result<(u32, Resolved), Refused> {
        let number = self.points.next_number();
        point.number = number;
        let Some(process) = self.process() else {
            return Err(Refused::only("no process lives that could stop there"));
        };
        let breakpoint = Breakpoint {
            place: point.place.clone(),
            ..point.told()
        };
        let resolved = match self.control(process, &Control::SetBreakpoint(breakpoint)) {
            Ok(Answer::Resolved(resolved)) => resolved,
            Ok(_) => {
                return Err(Refused::only(
                    "the program's debugger does not say where it is",
                ));
            }
            Err(error) => return Err(Refused::only(&error)),
        };
        if let Some(error) = &resolved.error {
            let _ = self.control(process, &Control::RemoveBreakpoint { id: number });
            let file = resolved.file.clone();
            return Err(Refused {
                error: error.clone(),
                instead: file.map(|file| (file, resolved.line)),
            });
        }
        point.file = resolved.file.clone().unwrap_or_default();
        point.line = resolved.line;
        point.function = resolved.function.clone();
        self.points.add(point);
        if self.debuggee.borrow().processes().len() > 1 {
            self.renew_point(number);
        }
        Ok((number, resolved))
    }

    /// Takes a breakpoint away, everywhere, and tells it.
    pub fn delete_point(&mut self, number: u32) {
        let Some(point) = self.points.remove(number) else {
            return;
        };
        let processes = self.debuggee.borrow().processes();
        for (process, _) in processes {
            let _ = self.control(process, &Control::RemoveBreakpoint { id: number });
        }
        self.screen.message(&format!("Deleted {}", point.shown()));
    }

    /// A breakpoint got its place.
    pub fn resolved(&mut self, resolved: &Resolved) {
        let Some(point) = self.points.by_number(resolved.id) else {
            return;
        };
        let Some(file) = resolved.file.clone() else {
            return;
        };
        let news = point.file != file || point.line != resolved.line;
        (point.file, point.line) = (file, resolved.line);
        point.function.clone_from(&resolved.function);
        let text = format!(
            "Breakpoint {} at {}:{}",
            point.number, point.file, point.line
        );
        if news {
            self.screen.message(&text);
        }
    }

    /// Asks how often each breakpoint was hit.
    pub fn count_hits(&mut self) {
        let mut sum: HashMap<u32, u32> = HashMap::new();
        let processes = self.debuggee.borrow().processes();
        for (process, _) in processes {
            if let Ok(Answer::Hits { hits }) = self.control(process, &Control::Hits) {
                for (number, count) in hits {
                    let all = sum.entry(number).or_default();
                    *all = all.saturating_add(count);
                }
            }
        }
        for point in self.points.iter_mut() {
            let now = sum.get(&point.number).copied().unwrap_or(0);
            point.hits = point.hits.max(point.hits_before.saturating_add(now));
        }
    }

    /// Keeps how often each was hit, before the program ends.
    pub fn note_hits(&mut self) {
        if self.points.iter().next().is_some() {
            self.count_hits();
        }
        for point in self.points.iter_mut() {
            point.hits_before = point.hits;
        }
    }

    /// Breakpoints were reached: temporary ones go, and commands are to be done.
    pub fn reached(&mut self, numbers: &[u32]) {
        for number in numbers {
            if self
                .points
                .by_number(*number)
                .is_some_and(|point| point.temporary)
            {
                self.delete_point(*number);
            }
        }
        let commands =
            |point: &&Point| numbers.contains(&point.number) && !point.commands.is_empty();
        let Some(commands) = self
            .points
            .iter()
            .find(commands)
            .map(|point| point.commands.clone())
        else {
            return;
        };
        let last = self.last.clone();
        let queued = |line: String| match &*line {
            "silent" => Queued::Silence,
            _ => Queued::Line(line),
        };
        self.queue.extend(commands.into_iter().map(queued));
        self.queue.push_back(Queued::Repeats(last));
    }
}

/// Why a breakpoint cannot be where it was wanted.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Why.
    pub error: String,
    /// The next line that it could be at.
    pub instead: Option<(String, u32)>,
}

impl Refused {
    fn only(error: &str) -> Refused {
        Refused {
            error: error.to_owned(),
            instead: None,
        }
    }
}
