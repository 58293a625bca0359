//! The screen.

use super::{Item, Lower, Sort, View};
use crate::paint::harmless;
use crate::top::window::{Row, Spot, Window};
use profile::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};
use std::path::Path;

impl View {
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

/// What the lower half says when all waited.
const NOTHING_TEXT: &str = "Nothing ran here.";

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
    let items = view.items(window);
    let area = frame.area();
    let lines = u16::try_from(items.len()).unwrap_or(u16::MAX);
    let threads_height = lines.saturating_add(1).clamp(3, (area.height / 2).max(3));
    let [head, threads, gap, lower, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(threads_height),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head_lines(view, window, title), head);
    draw_threads(frame, view, &items, threads);
    frame.render_widget(Paragraph::new(lower_title(view)), gap);
    match view.lower {
        Lower::Functions => draw_spots(frame, view, &window.functions, lower),
        Lower::Lines => draw_spots(frame, view, &window.lines, lower),
        Lower::Source => draw_source(frame, view, window, source, lower),
    }
    frame.render_widget(key_line(view, area.width), keys);
}

fn head_lines<'a>(view: &View, window: &Window, title: &Title<'_>) -> Paragraph<'a> {
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let frozen = if view.frozen { "   FROZEN" } else { "" };
    let cpu: f64 = window.threads.iter().map(|row| row.cpu).sum();
    let count: f64 = window.tasks.iter().filter_map(|row| row.count).sum();
    let tasks = if window.tasks.is_empty() {
        String::new()
    } else {
        format!("{count:.0} tasks   ")
    };
    Paragraph::new(vec![
        Line::styled(harmless(title.target), bold),
        Line::from(format!(
            "{:.0} s   {} processes   {} threads   {}CPU {:.0} %   {:.0} sweeps a second   {} not read{frozen}",
            window.at_s,
            window.processes,
            window.threads.len(),
            tasks,
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

fn draw_threads(frame: &mut Frame<'_>, view: &View, items: &[Item<'_>], area: Rect) {
    let mark = |sort: Sort, text: &str| {
        if view.sort == sort {
            format!("{text}▾")
        } else {
            text.to_owned()
        }
    };
    let header = TableRow::new(vec![
        mark(Sort::Tid, "TID"),
        mark(Sort::Name, "THREAD, TASK"),
        "STATE".to_owned(),
        mark(Sort::Cpu, "CPU"),
        mark(Sort::Gil, "GIL"),
        "WANTS".to_owned(),
        "WHERE, AND FOR WHAT IT WAITS".to_owned(),
    ])
    .style(view.style(Color::DarkGray));
    let body = items.iter().map(|item| match item {
        Item::Process(process) => TableRow::new(vec![
            Cell::from(process.pid.to_string()),
            Cell::from(match process.threads {
                1 => "1 thread".to_owned(),
                count => format!("{count} threads"),
            }),
            Cell::from("process"),
            Cell::from(percent(process.cpu)),
            Cell::from(""),
            Cell::from(""),
            Cell::from(harmless(&process.name)),
        ])
        .style(Style::default().add_modifier(Modifier::BOLD)),
        Item::Row(row) => thread_line(view, row),
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Max(24),
        Constraint::Length(9),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Fill(1),
    ];
    let chosen = if view.below {
        Style::default().add_modifier(Modifier::UNDERLINED)
    } else {
        Style::default().add_modifier(Modifier::REVERSED)
    };
    let table = Table::new(body, widths)
        .header(header)
        .row_highlight_style(chosen);
    let mut state = TableState::default().with_selected(Some(view.selected(items)));
    frame.render_stateful_widget(table, area, &mut state);
}

fn thread_line<'r>(view: &View, row: &Row) -> TableRow<'r> {
    let place = place(&row.function, &row.file, row.line);
    let place = match &row.waits_for {
        Some(wait) if place.is_empty() => harmless(wait),
        Some(wait) => format!("{} · {place}", harmless(wait)),
        None => place,
    };
    let (number, name) = match (&row.task, row.count) {
        (Some(task), Some(count)) if count >= 1.5 => {
            (String::new(), format!("  {} ×{count:.0}", harmless(task)))
        }
        (Some(task), _) => (String::new(), format!("  {}", harmless(task))),
        (None, _) => (row.tid.to_string(), harmless(&row.thread)),
    };
    TableRow::new(vec![
        Cell::from(number),
        Cell::from(name),
        Cell::from(Span::styled(row.state.name(), view.state_style(row.state))),
        Cell::from(percent(row.cpu)),
        Cell::from(percent(row.python)),
        Cell::from(percent(row.waits_for_gil)),
        Cell::from(place),
    ])
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
    let whose = match view
        .only
        .as_ref()
        .map(|only| (only.pid, only.tid, &only.task))
    {
        Some((_, _, Some(task))) => format!(" of task {}", harmless(task)),
        Some((_, Some(tid), None)) => format!(" of thread {tid}"),
        Some((pid, None, None)) => format!(" of process {pid}"),
        None => String::new(),
    };
    let style = Style::default().add_modifier(Modifier::BOLD);
    let style = if view.below {
        style.add_modifier(Modifier::REVERSED)
    } else {
        style
    };
    Line::styled(format!("── {what}{whose} "), style)
}

fn draw_spots(frame: &mut Frame<'_>, view: &View, spots: &[Spot], area: Rect) {
    let fits = |spot: &&Spot| {
        view.filter.is_empty()
            || spot.function.contains(&view.filter)
            || spot.file.contains(&view.filter)
    };
    if spots.is_empty() {
        frame.render_widget(Paragraph::new(NOTHING_TEXT), area);
        return;
    }
    let rows = spots.iter().filter(fits).skip(view.scrolled).map(|spot| {
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
        frame.render_widget(Paragraph::new(NOTHING_TEXT), area);
        return;
    };
    let height = u32::from(area.height);
    let down = u32::try_from(view.scrolled).unwrap_or(u32::MAX);
    let first = hottest.line.saturating_sub(height / 2).max(1);
    let first = first.saturating_add(down);
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

/// Columns that the long line of keys needs.
const LONG_KEYS: u16 = 106;

fn key_line<'a>(view: &View, width: u16) -> Line<'a> {
    let text = if view.typing {
        format!("search: {}▏  Enter keeps it, Esc clears it", view.filter)
    } else {
        let filter = if view.filter.is_empty() {
            String::new()
        } else {
            format!("  [{}]", view.filter)
        };
        let keys = if width < LONG_KEYS {
            "q quit s sort / search ␣ freeze ↑↓⏎ choose f l o Tab below t tasks"
        } else {
            "q quit  s sort  / search  space freeze  ↑↓ Enter choose  f l o functions, lines, source  Tab below  t tasks"
        };
        format!("{keys}{filter}")
    };
    Line::styled(text, Style::default().add_modifier(Modifier::DIM))
}
