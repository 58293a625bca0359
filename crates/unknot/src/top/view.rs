//! What `top` shows and how it answers to keys; the screen's content as text, apart from the terminal.

use super::window::{Row, Spot, Window};
use crate::paint::harmless;
use profile::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};
use std::path::Path;

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

/// What the user has chosen.
#[derive(Debug)]
pub struct View {
    pub sort: Sort,
    pub lower: Lower,
    pub frozen: bool,
    /// The text that threads and functions must have in them.
    pub filter: String,
    /// Whether keys go into the filter.
    pub typing: bool,
    /// Of one thread alone, in the lower half.
    pub only: Option<(u32, u32)>,
    pub selected: usize,
    pub colour: bool,
}

/// What a key asks the caller to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    Quit,
}

impl View {
    /// As it is at first.
    pub fn new(colour: bool) -> View {
        View {
            sort: Sort::Cpu,
            lower: Lower::Functions,
            frozen: false,
            filter: String::new(),
            typing: false,
            only: None,
            selected: 0,
            colour,
        }
    }

    /// Answers to a key.
    pub fn key(&mut self, key: Key, window: &Window) -> Wish {
        if self.typing {
            match key {
                Key::Char(letter) => self.filter.push(letter),
                Key::Backspace => drop(self.filter.pop()),
                Key::Escape => {
                    self.filter.clear();
                    self.typing = false;
                }
                Key::Enter => self.typing = false,
                Key::Up | Key::Down => {}
            }
            return Wish::Nothing;
        }
        let rows = self.rows(window);
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
            Key::Char('f') => self.lower = Lower::Functions,
            Key::Char('l') => self.lower = Lower::Lines,
            Key::Char('o') => self.lower = Lower::Source,
            Key::Char('/') => self.typing = true,
            Key::Up | Key::Char('k') => self.selected = self.selected.saturating_sub(1),
            Key::Down | Key::Char('j') => self.selected += 1,
            Key::Enter => {
                let row = rows.get(self.selected).map(|row| (row.pid, row.tid));
                self.only = if self.only == row { None } else { row };
            }
            Key::Escape => {
                self.only = None;
                self.filter.clear();
            }
            Key::Char(_) | Key::Backspace => {}
        }
        self.selected = self.selected.min(rows.len().saturating_sub(1));
        Wish::Nothing
    }

    /// The threads to show, in their order.
    pub fn rows<'w>(&self, window: &'w Window) -> Vec<&'w Row> {
        let fits = |row: &&Row| {
            let texts = [&row.thread, &row.function, &row.file];
            let wait = row.waits_for.iter();
            let wanted = |text: &String| text.contains(&self.filter);
            self.filter.is_empty() || texts.into_iter().chain(wait).any(wanted)
        };
        let mut rows: Vec<&Row> = window.threads.iter().filter(fits).collect();
        rows.sort_by(|a, b| match self.sort {
            Sort::Cpu => b.cpu.total_cmp(&a.cpu),
            Sort::Gil => (b.python + b.waits_for_gil).total_cmp(&(a.python + a.waits_for_gil)),
            Sort::Name => a.thread.cmp(&b.thread),
            Sort::Tid => (a.pid, a.tid).cmp(&(b.pid, b.tid)),
        });
        rows
    }

    fn style(&self, colour: Color) -> Style {
        if self.colour {
            Style::default().fg(colour)
        } else {
            Style::default()
        }
    }

    fn state_style(&self, state: State) -> Style {
        self.style(match state {
            State::Running => Color::Green,
            State::Native => Color::Cyan,
            State::Gil => Color::Red,
            State::Waiting | State::Suspended => Color::Yellow,
            State::Idle => Color::DarkGray,
        })
    }
}

/// A key, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Up,
    Down,
    Enter,
    Escape,
    Backspace,
}

/// What stands at the top of the screen.
pub struct Title<'a> {
    pub target: &'a str,
    pub rate_hz: f64,
}

/// Draws the whole screen. `source` gives a line of a file.
pub fn draw(
    frame: &mut Frame<'_>,
    view: &View,
    window: &Window,
    title: &Title<'_>,
    source: &dyn Fn(&str, u32) -> Option<String>,
) {
    let rows = view.rows(window);
    let area = frame.area();
    let threads_height = (rows.len() as u16 + 1).clamp(3, (area.height / 2).max(3));
    let [head, threads, gap, lower, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(threads_height),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head_lines(view, window, title), head);
    draw_threads(frame, view, &rows, window, threads);
    frame.render_widget(Paragraph::new(lower_title(view)), gap);
    match view.lower {
        Lower::Functions => draw_spots(frame, view, &window.functions, lower),
        Lower::Lines => draw_spots(frame, view, &window.lines, lower),
        Lower::Source => draw_source(frame, view, window, source, lower),
    }
    frame.render_widget(key_line(view), keys);
}

fn head_lines<'a>(view: &View, window: &Window, title: &Title<'_>) -> Paragraph<'a> {
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let frozen = if view.frozen { "   FROZEN" } else { "" };
    let cpu: f64 = window.threads.iter().map(|row| row.cpu).sum();
    Paragraph::new(vec![
        Line::styled(harmless(title.target), bold),
        Line::from(format!(
            "{:.0} s   {} processes   {} threads   CPU {:.0} %   {:.0} sweeps a second   {} not read{frozen}",
            window.at_s,
            window.processes,
            window.threads.len(),
            cpu * 100.0,
            title.rate_hz,
            window.errors,
        )),
    ])
}

fn percent(share: f64) -> String {
    if share < 0.0005 {
        "·".to_owned()
    } else {
        format!("{:.0}", (share * 100.0).min(999.0))
    }
}

fn draw_threads(frame: &mut Frame<'_>, view: &View, rows: &[&Row], window: &Window, area: Rect) {
    let several = window.threads.iter().any(|row| {
        let first = window.threads.first();
        first.is_some_and(|first| first.pid != row.pid)
    });
    let mark = |sort: Sort, text: &str| {
        if view.sort == sort {
            format!("{text}▾")
        } else {
            text.to_owned()
        }
    };
    let header = TableRow::new(vec![
        mark(Sort::Tid, if several { "PID/TID" } else { "TID" }),
        mark(Sort::Name, "THREAD"),
        "STATE".to_owned(),
        mark(Sort::Cpu, "CPU"),
        mark(Sort::Gil, "GIL"),
        "WANTS".to_owned(),
        "WHERE, AND FOR WHAT IT WAITS".to_owned(),
    ])
    .style(view.style(Color::DarkGray));
    let body = rows.iter().map(|row| {
        let number = if several {
            format!("{}/{}", row.pid, row.tid)
        } else {
            row.tid.to_string()
        };
        let place = place(&row.function, &row.file, row.line);
        let place = match &row.waits_for {
            Some(wait) => format!("{} · {place}", harmless(wait)),
            None => place,
        };
        TableRow::new(vec![
            Cell::from(number),
            Cell::from(harmless(&row.thread)),
            Cell::from(Span::styled(row.state.name(), view.state_style(row.state))),
            Cell::from(percent(row.cpu)),
            Cell::from(percent(row.python)),
            Cell::from(percent(row.waits_for_gil)),
            Cell::from(place),
        ])
    });
    let widths = [
        Constraint::Length(if several { 15 } else { 8 }),
        Constraint::Max(22),
        Constraint::Length(7),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Fill(1),
    ];
    let chosen = Style::default().add_modifier(Modifier::REVERSED);
    let table = Table::new(body, widths)
        .header(header)
        .row_highlight_style(chosen);
    let mut state = TableState::default().with_selected(Some(view.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn place(function: &str, file: &str, line: u32) -> String {
    let name = Path::new(file).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    match (function.is_empty(), line) {
        (true, _) => String::new(),
        (false, 0) => harmless(function),
        (false, line) => format!("{} {}:{line}", harmless(function), harmless(&name)),
    }
}

fn lower_title<'a>(view: &View) -> Line<'a> {
    let what = match view.lower {
        Lower::Functions => "Hottest functions",
        Lower::Lines => "Hottest lines",
        Lower::Source => "Source of the hottest line",
    };
    let whose = match view.only {
        Some((_, tid)) => format!(" of thread {tid}"),
        None => String::new(),
    };
    Line::styled(
        format!("── {what}{whose} "),
        Style::default().add_modifier(Modifier::BOLD),
    )
}

fn draw_spots(frame: &mut Frame<'_>, view: &View, spots: &[Spot], area: Rect) {
    let fits = |spot: &&Spot| {
        view.filter.is_empty()
            || spot.function.contains(&view.filter)
            || spot.file.contains(&view.filter)
    };
    let rows = spots.iter().filter(fits).map(|spot| {
        TableRow::new(vec![
            Cell::from(format!("{:5.1}", spot.own * 100.0)),
            Cell::from(format!("{:5.1}", spot.total * 100.0)),
            Cell::from(harmless(&spot.function)),
            Cell::from(format!("{}:{}", harmless(&spot.file), spot.line)),
        ])
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Percentage(40),
        Constraint::Fill(1),
    ];
    let header = TableRow::new(vec!["OWN %", "ALL %", "FUNCTION", "PLACE"])
        .style(view.style(Color::DarkGray));
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn draw_source(
    frame: &mut Frame<'_>,
    view: &View,
    window: &Window,
    source: &dyn Fn(&str, u32) -> Option<String>,
    area: Rect,
) {
    let Some(hottest) = window.lines.first() else {
        let text = "No thread was running.";
        frame.render_widget(Paragraph::new(text), area);
        return;
    };
    let height = u32::from(area.height);
    let first = hottest.line.saturating_sub(height / 2).max(1);
    let lines: Vec<Line<'_>> = (first..first + height)
        .map_while(|number| {
            let text = source(&hottest.file, number)?;
            let heat: f64 = window
                .lines
                .iter()
                .filter(|spot| spot.file == hottest.file && spot.line == number)
                .map(|spot| spot.own)
                .sum();
            let share = if heat > 0.0 {
                format!("{:5.1}", heat * 100.0)
            } else {
                "     ".to_owned()
            };
            let style = if heat > 0.2 {
                view.style(Color::Red)
            } else if heat > 0.0 {
                view.style(Color::Yellow)
            } else {
                Style::default()
            };
            let text = format!("{share} {number:5} {}", harmless(&text));
            Some(Line::styled(text, style))
        })
        .collect();
    if lines.is_empty() {
        let text = format!("{} cannot be read here.", harmless(&hottest.file));
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn key_line<'a>(view: &View) -> Line<'a> {
    let text = if view.typing {
        format!("search: {}▏  Enter keeps it, Esc clears it", view.filter)
    } else {
        let filter = if view.filter.is_empty() {
            String::new()
        } else {
            format!("  [{}]", view.filter)
        };
        format!(
            "q quit  s sort  / search  space freeze  ↑↓ Enter thread  f functions  l lines  o source{filter}"
        )
    };
    Line::styled(text, Style::default().add_modifier(Modifier::DIM))
}
