//! Lines from a terminal: editing, history, completion.

use super::debuggee::Debuggee;
use super::help;
use super::highlight;
use super::lines::{Came, Lines, View};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use session::protocol::{Answer, Ask};
use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// Most lines of history that are kept.
const HISTORY_MAX: usize = 2000;
/// Most names that are offered.
const OFFERS_MAX: usize = 500;
/// What parts words for completion, as in pdb.
const PARTS: &str = " \t\n`@#%^&*()=+[{]}\\|;:'\",<>?";

/// The debuggee, shared with the completion.
pub type Shared = Rc<RefCell<Box<dyn Debuggee>>>;

/// A terminal's lines.
pub struct Terminal {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
}

impl Terminal {
    /// The terminal of standard input.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn new(debuggee: Shared, colour: bool) -> anyhow::Result<Terminal> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)?
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant {
            debuggee,
            view: View::default(),
            colour,
        }));
        let history = history_file();
        if let Some(path) = &history {
            let _ = editor.load_history(path);
        }
        Ok(Terminal { editor, history })
    }
}

fn history_file() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = base.filter(|path| path.is_absolute()).or_else(home)?;
    Some(base.join("unknot/debug-history"))
}

impl Lines for Terminal {
    fn read(&mut self, prompt: &str, start: &str) -> Came {
        let line = if start.is_empty() {
            self.editor.readline(prompt)
        } else {
            self.editor.readline_with_initial(prompt, (start, ""))
        };
        match line {
            Ok(line) => {
                let _ = self.editor.add_history_entry(&line);
                Came::Line(line)
            }
            Err(ReadlineError::Interrupted) => Came::Interrupted,
            Err(_) => Came::End,
        }
    }

    fn is_terminal(&self) -> bool {
        true
    }

    fn is_at_end(&mut self) -> bool {
        false
    }

    fn look_at(&mut self, view: View) {
        if let Some(assistant) = self.editor.helper_mut() {
            assistant.view = view;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(path) = &self.history {
            if let Some(directory) = path.parent() {
                let _ = std::fs::create_dir_all(directory);
            }
            let _ = self.editor.save_history(path);
        }
    }
}

/// Completes and colours what is typed.
struct Assistant {
    debuggee: Shared,
    view: View,
    colour: bool,
}

impl Assistant {
    fn names(&self, text: &str) -> Vec<String> {
        let Some((thread, frame)) = self.view.at else {
            return Vec::new();
        };
        let ask = Ask::Complete {
            frame,
            text: text.to_owned(),
        };
        match self.debuggee.borrow_mut().ask(thread, &ask) {
            Ok(Answer::Names { names }) => names,
            _ => Vec::new(),
        }
    }

    fn offers(&self, line: &str, start: usize) -> Vec<String> {
        let word = &line[start..];
        let before = line[..start].trim();
        let fits = |all: &[String]| -> Vec<String> {
            let all = all.iter().filter(|name| name.starts_with(word));
            all.cloned().collect()
        };
        if before.is_empty() {
            if word.is_empty() {
                return if line.is_empty() {
                    Vec::new()
                } else {
                    vec!["    ".into()]
                };
            }
            let mut commands: Vec<String> = help::names()
                .filter(|name| name.starts_with(word))
                .map(str::to_owned)
                .collect();
            commands.extend(fits(&self.view.aliases));
            return if commands.is_empty() {
                self.names(word)
            } else {
                commands
            };
        }
        match before.split_whitespace().next().unwrap_or_default() {
            "enable" | "disable" | "condition" | "ignore" | "commands" => fits(&self.view.points),
            "unalias" | "alias" => fits(&self.view.aliases),
            "undisplay" => fits(&self.view.displays),
            "help" | "h" => help::names()
                .filter(|name| name.starts_with(word))
                .map(str::to_owned)
                .collect(),
            "break" | "b" | "tbreak" | "clear" | "cl" => {
                let mut found = self.names(word);
                found.extend(files(word));
                found
            }
            _ => self.names(word),
        }
    }
}

/// Files of Python's and directories that begin so.
fn files(word: &str) -> Vec<String> {
    let (directory, begin) = match word.rsplit_once('/') {
        Some((directory, begin)) => (format!("{directory}/"), begin),
        None => (String::new(), word),
    };
    let place = if directory.is_empty() {
        "."
    } else {
        &directory
    };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            if !name.starts_with(begin) || (name.starts_with('.') && begin.is_empty()) {
                return None;
            }
            let is_directory = entry.file_type().ok()?.is_dir();
            let is_python = name.ends_with(".py") || name.ends_with(".pyw");
            match (is_directory, is_python) {
                (true, _) => Some(format!("{directory}{name}/")),
                (false, true) => Some(format!("{directory}{name}:")),
                _ => None,
            }
        })
        .take(OFFERS_MAX)
        .collect();
    found.sort();
    found
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = &line[..at];
        let start = line.rfind(|c| PARTS.contains(c)).map_or(0, |i| i + 1);
        let mut offers = self.offers(line, start);
        offers.truncate(OFFERS_MAX);
        let pair = |name: String| Pair {
            display: name.clone(),
            replacement: name,
        };
        Ok((start, offers.into_iter().map(pair).collect()))
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _at: usize) -> Cow<'l, str> {
        if self.colour {
            Cow::Owned(highlight::painted(line))
        } else {
            Cow::Borrowed(line)
        }
    }

    fn highlight_char(&self, _line: &str, _at: usize, _kind: CmdKind) -> bool {
        self.colour
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        if self.colour {
            Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {}

impl Helper for Assistant {}
