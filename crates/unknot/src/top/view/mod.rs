//! What `top` shows and how it answers to keys; the screen's content as text, apart from the terminal.

mod draw;

pub use draw::{Title, draw};

use super::window::{Only, ProcessRow, Row, Window};

/// By what threads are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Cpu,
    Gil,
    Name,
    Tid,
}

/// What the lower half shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lower {
    Functions,
    Lines,
    Source,
}

/// A line of the upper half.
#[derive(Debug, Clone, Copy)]
pub enum Item<'w> {
    Process(&'w ProcessRow),
    /// A thread, or tasks below their thread.
    Row(&'w Row),
}

impl Item<'_> {
    /// Who it is.
    pub fn who(&self) -> Only {
        match self {
            Item::Process(process) => Only {
                pid: process.pid,
                tid: None,
                task: None,
            },
            Item::Row(row) => Only {
                pid: row.pid,
                tid: Some(row.tid),
                task: row.task.clone(),
            },
        }
    }
}

/// What the user has chosen.
#[derive(Debug)]
pub struct View {
    pub sort: Sort,
    pub lower: Lower,
    pub frozen: bool,
    /// Whether tasks are shown below their threads.
    pub tasks: bool,
    /// The text that threads, tasks and functions must have in them.
    pub filter: String,
    /// Whether keys go into the filter.
    pub typing: bool,
    /// Of this one alone, in the lower half.
    pub only: Option<Only>,
    /// The line of the upper half that keys act on; the first one until a key has moved it.
    pub chosen: Option<Only>,
    /// Whether arrows move the lower half.
    pub below: bool,
    /// First line shown in the lower half; of the source, lines down from where the hottest one would be in the middle.
    pub scrolled: usize,
    pub colour: bool,
}

/// What a key asks the caller to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    Quit,
}

/// A key, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    Enter,
    Escape,
    Backspace,
}

/// Lines that Page Up and Page Down move by.
const PAGE: usize = 10;

impl View {
    /// As it is at first.
    pub fn new(colour: bool) -> View {
        View {
            sort: Sort::Cpu,
            lower: Lower::Functions,
            frozen: false,
            tasks: true,
            filter: String::new(),
            typing: false,
            only: None,
            chosen: None,
            below: false,
            scrolled: 0,
            colour,
        }
    }

    /// Answers to a key.
    pub fn key(&mut self, key: Key, window: &Window) -> Wish {
        if self.typing {
            self.type_key(key);
            return Wish::Nothing;
        }
        match key {
            Key::Char('q') => return Wish::Quit,
            Key::Char('s') => {
                self.sort = match self.sort {
                    Sort::Cpu => Sort::Gil,
                    Sort::Gil => Sort::Name,
                    Sort::Name => Sort::Tid,
                    Sort::Tid => Sort::Cpu,
                };
            }
            Key::Char(' ') => self.frozen = !self.frozen,
            Key::Char('t') => self.tasks = !self.tasks,
            Key::Char('f') => self.show_below(Lower::Functions),
            Key::Char('l') => self.show_below(Lower::Lines),
            Key::Char('o') => self.show_below(Lower::Source),
            Key::Char('/') => self.typing = true,
            Key::Tab => self.below = !self.below,
            Key::Up | Key::Char('k') => self.go(window, |at, _| at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(window, |at, _| at + 1),
            Key::PageUp => self.go(window, |at, _| at.saturating_sub(PAGE)),
            Key::PageDown => self.go(window, |at, _| at + PAGE),
            Key::Home => self.go(window, |_, _| 0),
            Key::End => self.go(window, |_, last| last),
            Key::Enter => {
                let items = self.items(window);
                let who = items.get(self.selected(&items)).map(Item::who);
                self.only = if self.only == who { None } else { who };
                self.scrolled = 0;
            }
            Key::Escape => {
                self.only = None;
                self.filter.clear();
                self.below = false;
            }
            Key::Char(_) | Key::Backspace => {}
        }
        Wish::Nothing
    }

    fn type_key(&mut self, key: Key) {
        match key {
            Key::Char(letter) => self.filter.push(letter),
            Key::Backspace => drop(self.filter.pop()),
            Key::Escape => {
                self.filter.clear();
                self.typing = false;
            }
            Key::Enter => self.typing = false,
            _ => {}
        }
    }

    fn show_below(&mut self, lower: Lower) {
        self.lower = lower;
        self.scrolled = 0;
    }

    /// Moves in the half that arrows move: `to` gives the new line by the old one and the last one.
    fn go(&mut self, window: &Window, to: impl Fn(usize, usize) -> usize) {
        if self.below {
            let last = match self.lower {
                Lower::Functions => window.functions.len(),
                Lower::Lines => window.lines.len(),
                Lower::Source => usize::from(u16::MAX),
            };
            let last = last.saturating_sub(1);
            self.scrolled = to(self.scrolled, last).min(last);
            return;
        }
        let items = self.items(window);
        let last = items.len().saturating_sub(1);
        let at = to(self.selected(&items), last).min(last);
        self.chosen = items.get(at).map(Item::who);
    }

    /// Which of these lines is chosen.
    pub fn selected(&self, items: &[Item<'_>]) -> usize {
        let is_chosen = |item: &Item<'_>| Some(item.who()) == self.chosen;
        items.iter().position(is_chosen).unwrap_or(0)
    }

    /// The lines of the upper half in their order: threads with their tasks, below their process where there are several.
    pub fn items<'w>(&self, window: &'w Window) -> Vec<Item<'w>> {
        let rows = self.rows(&window.threads);
        let tasks = if self.tasks { &window.tasks[..] } else { &[] };
        let tasks = self.rows(tasks);
        let several = window.programs.len() > 1;
        let mut items = Vec::new();
        for process in &window.programs {
            let mine: Vec<Item<'_>> = self
                .threads_of(process.pid, &window.threads, &rows, &tasks)
                .collect();
            if several && !mine.is_empty() {
                items.push(Item::Process(process));
            }
            items.extend(mine);
        }
        items
    }

    /// A process's threads, each followed by its tasks. One that does not fit the filter itself stays for its tasks' sake.
    fn threads_of<'w>(
        &self,
        pid: u32,
        all: &'w [Row],
        fitting: &[&'w Row],
        tasks: &[&'w Row],
    ) -> impl Iterator<Item = Item<'w>> {
        let is_of = |task: &Row, thread: &Row| task.pid == thread.pid && task.tid == thread.tid;
        let mut threads: Vec<&Row> = all
            .iter()
            .filter(|thread| thread.pid == pid)
            .filter(|thread| {
                fitting.iter().any(|fits| std::ptr::eq(*fits, *thread))
                    || tasks.iter().any(|task| is_of(task, thread))
            })
            .collect();
        self.sort(&mut threads);
        let mut items = Vec::new();
        for thread in threads {
            items.push(Item::Row(thread));
            let mine = tasks.iter().filter(|task| is_of(task, thread));
            items.extend(mine.map(|task| Item::Row(task)));
        }
        items.into_iter()
    }

    /// Those that fit the filter, in their order.
    fn rows<'w>(&self, rows: &'w [Row]) -> Vec<&'w Row> {
        let fits = |row: &&Row| {
            let texts = [&row.thread, &row.function, &row.file];
            let more = row.waits_for.iter().chain(&row.task);
            let wanted = |text: &String| text.contains(&self.filter);
            self.filter.is_empty() || texts.into_iter().chain(more).any(wanted)
        };
        let mut rows: Vec<&Row> = rows.iter().filter(fits).collect();
        self.sort(&mut rows);
        rows
    }

    fn sort(&self, rows: &mut [&Row]) {
        rows.sort_by(|a, b| match self.sort {
            Sort::Cpu => b.cpu.total_cmp(&a.cpu),
            Sort::Gil => (b.python + b.waits_for_gil).total_cmp(&(a.python + a.waits_for_gil)),
            Sort::Name => (&a.thread, &a.task).cmp(&(&b.thread, &b.task)),
            Sort::Tid => (a.pid, a.tid).cmp(&(b.pid, b.tid)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tid: u32, thread: &str, task: Option<&str>, cpu: f64) -> Row {
        Row {
            pid: 7,
            tid,
            thread: thread.to_owned(),
            task: task.map(str::to_owned),
            cpu,
            ..Row::default()
        }
    }

    fn window() -> Window {
        Window {
            programs: vec![ProcessRow {
                pid: 7,
                ..ProcessRow::default()
            }],
            threads: vec![row(1, "MainThread", None, 0.1), row(2, "worker", None, 0.9)],
            tasks: vec![
                row(1, "MainThread", Some("fetch"), 0.05),
                row(1, "MainThread", Some("main"), 0.01),
            ],
            ..Window::default()
        }
    }

    fn names(view: &View, window: &Window) -> Vec<String> {
        let items = view.items(window);
        let name = |item: &Item<'_>| match item {
            Item::Process(process) => process.pid.to_string(),
            Item::Row(row) => row.task.clone().unwrap_or_else(|| row.thread.clone()),
        };
        items.iter().map(name).collect()
    }

    #[test]
    fn tasks_stand_below_their_threads() {
        let mut window = window();
        let mut view = View::new(false);
        assert_eq!(
            names(&view, &window),
            ["worker", "MainThread", "fetch", "main"]
        );
        view.key(Key::Char('t'), &window);
        assert_eq!(names(&view, &window), ["worker", "MainThread"]);
        view.key(Key::Char('t'), &window);
        view.filter = "fetch".to_owned();
        assert_eq!(names(&view, &window), ["MainThread", "fetch"]);
        view.filter.clear();
        window.programs.push(ProcessRow {
            pid: 8,
            ..ProcessRow::default()
        });
        window.threads.push(Row {
            pid: 8,
            ..row(8, "child", None, 0.5)
        });
        let expected = ["7", "worker", "MainThread", "fetch", "main", "8", "child"];
        assert_eq!(names(&view, &window), expected);
    }

    #[test]
    fn what_is_chosen_stays_chosen_in_another_order() {
        let window = window();
        let mut view = View::new(false);
        view.key(Key::Down, &window);
        view.key(Key::Down, &window);
        let chosen = |view: &View| {
            let items = view.items(&window);
            items[view.selected(&items)].who()
        };
        assert_eq!(chosen(&view).task.as_deref(), Some("fetch"));
        for _ in 0..3 {
            view.key(Key::Char('s'), &window);
            assert_eq!(chosen(&view).task.as_deref(), Some("fetch"));
        }
        view.key(Key::Enter, &window);
        assert_eq!(view.only, Some(chosen(&view)));
        view.key(Key::Enter, &window);
        assert_eq!(view.only, None);
        view.key(Key::End, &window);
        view.key(Key::PageDown, &window);
        view.key(Key::Home, &window);
        assert_eq!(chosen(&view).tid, Some(1));
    }
}
