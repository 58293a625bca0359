//! `unknot top`: a live view of where a program's threads are and what they wait for.

mod view;
mod window;

use crate::cli::TargetArgs;
use crate::failure::Failure;
use crate::record::{Rate, Session};
use crate::target::{Target, understand};
use crate::why::Sources;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use view::{Key, Title, View, Wish};
use window::{Only, Window, Windows};

/// What follows the options in `--help`.
pub const HELP: &str = "Keys: q quit, s sort, / search, space freeze, arrows and Enter choose a thread, task or process, t hides tasks;
below: f functions, l lines, o source, Tab moves there and back.
Away from a terminal, and with --json, it prints a line of JSON for each interval.

Examples:
  unknot top 4242                     a running process
  unknot top --children -- pytest     a command and its children
  unknot top --json -n 1 4242 | jq '.threads[] | {thread, state, waits_for}'";

/// `unknot top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Seconds between two views
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = crate::cli::seconds)]
    pub every: f64,
    /// Samples a second
    #[arg(short, long, value_name = "HZ", default_value = "100", value_parser = crate::record::rate)]
    pub rate: Rate,
    /// End after so many views
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Look at child processes too
    #[arg(long)]
    pub children: bool,
    /// Never stop a thread
    #[arg(long)]
    pub no_pause: bool,
    /// Print one JSON document a line for each view
    #[arg(long)]
    pub json: bool,
    /// What to look at.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Shows the target until it ends or the user has seen enough.
///
/// # Errors
/// Wrong usage; a target that cannot be read or started.
pub fn run(args: &TopArgs, escaped: bool) -> anyhow::Result<u8> {
    let target = understand(&args.target.target, escaped, args.target.python.as_deref())?;
    let options = sample::Options {
        interval: args.rate.interval(),
        idle: true,
        children: args.children,
        pause_max: if args.no_pause {
            Duration::ZERO
        } else {
            sample::Options::default().pause_max
        },
        ..sample::Options::default()
    };
    let (session, title) = match target {
        Target::Pid(pid) => {
            let command = process::proc::command_line(pid).unwrap_or_default();
            let words: Vec<String> = command
                .iter()
                .map(|w| w.to_string_lossy().into_owned())
                .collect();
            let title = format!("{pid}: {}", crate::view::words::command(&words));
            (Session::of_process(pid, options)?, title)
        }
        Target::Command(words) => {
            let shown: Vec<String> = words
                .iter()
                .map(|w| w.to_string_lossy().into_owned())
                .collect();
            let title = crate::view::words::command(&shown);
            (Session::of_command(&words, options)?, title)
        }
        Target::Core(_) => {
            let advice = "look at it with `unknot dump`";
            return Err(Failure::usage("a core file does not run", advice).into());
        }
    };
    let mut top = Top {
        session,
        title,
        windows: Windows::default(),
        window: Window::default(),
        processes: 0,
    };
    if args.json || !std::io::stdout().is_terminal() {
        top.print(args)?;
    } else {
        let mut terminal = ratatui::init();
        let outcome = top.show(args, &mut terminal);
        ratatui::restore();
        outcome?;
    }
    top.session.end()
}

struct Top {
    session: Session,
    title: String,
    windows: Windows,
    window: Window,
    processes: usize,
}

impl Top {
    /// Sweeps until then, or until a key comes or the target ends; whether it has ended.
    fn sweep_until(&mut self, end: Instant, keys: bool) -> anyhow::Result<bool> {
        let mut aside = Instant::now();
        loop {
            let at = self.session.schedule.next_sweep();
            if self.session.wait_until(at, &mut aside)? {
                return Ok(true);
            }
            let swept = self.session.recorder.sweep();
            self.processes = swept.processes;
            if swept.processes == 0 {
                return Ok(true);
            }
            if Instant::now() >= end || (keys && event::poll(Duration::ZERO)?) {
                return Ok(false);
            }
        }
    }

    fn renew(&mut self, only: Option<&Only>) {
        let now_ns = u64::try_from(self.session.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let profile = self.session.recorder.so_far();
        self.window = self.windows.next(profile, now_ns, only);
        self.window.errors = self.session.recorder.counts().errors;
        self.window.processes = self.processes;
    }

    /// A line of JSON for each view.
    fn print(&mut self, args: &TopArgs) -> anyhow::Result<()> {
        for _ in 0..args.count.unwrap_or(u64::MAX) {
            let end = Instant::now() + Duration::from_secs_f64(args.every);
            let over = self.sweep_until(end, false)?;
            self.renew(None);
            crate::print_json(&self.window)?;
            if over {
                break;
            }
        }
        Ok(())
    }

    /// The full-screen view.
    fn show(&mut self, args: &TopArgs, terminal: &mut DefaultTerminal) -> anyhow::Result<()> {
        let sources = Sources::default();
        let mut view = View::new(std::env::var_os("NO_COLOR").is_none());
        let every = Duration::from_secs_f64(args.every);
        // The first view comes soon.
        let mut next = Instant::now() + every.min(Duration::from_millis(300));
        let mut left = args.count.unwrap_or(u64::MAX);
        while left > 0 {
            let over = self.sweep_until(next, true)?;
            if Instant::now() >= next || over {
                next = Instant::now() + every;
                left -= 1;
                if !view.frozen {
                    self.renew(view.only.as_ref());
                }
            }
            while event::poll(Duration::ZERO)? {
                if let Some(key) = key(&event::read()?)
                    && view.key(key, &self.window) == Wish::Quit
                {
                    return Ok(());
                }
            }
            let elapsed_s = self.session.began.elapsed().as_secs_f64();
            let title = Title {
                target: &self.title,
                rate_hz: self.session.recorder.sweeps() as f64 / elapsed_s.max(1e-9),
            };
            terminal.draw(|frame| {
                view::draw(frame, &view, &self.window, &title, &|file, line| {
                    sources.whole_line(file, line)
                });
            })?;
            if over {
                break;
            }
        }
        Ok(())
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else {
        return None;
    };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Char('q'),
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Tab => Key::Tab,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}
