//! Colour, only where a person looks: on a terminal, unless NO_COLOR is set; and lines no longer than the terminal is wide.
//! Text from the target is made harmless first: control characters never reach the terminal.

use std::io::IsTerminal;

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A heading, a name to be seen at once.
    Strong,
    /// Something is wrong here.
    Bad,
    /// A thing that is waited for or held.
    Thing,
    /// A place in a file.
    Place,
    /// Of lesser weight.
    Faint,
    /// Ordinary text.
    Plain,
}

/// Narrower terminals get what this one would.
const COLUMNS_MIN: usize = 40;

/// Knows whether to colour, and how wide a line may be.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    colour: bool,
    columns: Option<usize>,
}

impl Paint {
    /// For standard output.
    pub fn stdout() -> Self {
        Paint {
            colour: wanted(std::io::stdout().is_terminal()),
            columns: process::terminal::columns(std::io::stdout()),
        }
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Paint {
            colour: wanted(std::io::stderr().is_terminal()),
            columns: process::terminal::columns(std::io::stderr()),
        }
    }

    /// Never in colour.
    pub fn plain() -> Self {
        Paint {
            colour: false,
            columns: None,
        }
    }

    /// Never in colour, on a terminal of this width.
    #[cfg(test)]
    pub fn narrow(columns: usize) -> Self {
        Paint {
            colour: false,
            columns: Some(columns),
        }
    }

    /// `text`, made harmless, in lines that fit the terminal, set in by `indent` spaces and those after the first by four more;
    /// each ended by a line break.
    pub fn lines(self, role: Role, indent: usize, text: &str) -> String {
        let text = harmless(text);
        let mut rest = text.as_str();
        let mut set_in = indent;
        let mut all = String::new();
        loop {
            let room = self.columns.map_or(usize::MAX, |columns| {
                columns.saturating_sub(set_in).max(COLUMNS_MIN / 2)
            });
            let (line, more) = split(rest, room);
            all.push_str(&" ".repeat(set_in));
            all.push_str(&self.text(role, line));
            all.push('\n');
            if more.is_empty() {
                return all;
            }
            (rest, set_in) = (more, indent + 4);
        }
    }

    /// `text` as far as it fits the terminal behind `used` columns, with a mark where it is cut.
    pub fn cut(self, used: usize, text: &str) -> String {
        let room = self.columns.unwrap_or(usize::MAX).saturating_sub(used);
        if text.chars().count() <= room {
            return text.to_owned();
        }
        let room = room.max(COLUMNS_MIN / 2) - 1;
        text.chars().take(room).chain(['…']).collect()
    }

    /// `text`, made harmless, in the colour of `role`.
    pub fn text(self, role: Role, text: &str) -> String {
        let text = harmless(text);
        if !self.colour || role == Role::Plain {
            return text;
        }
        let code = match role {
            Role::Plain => "0",
            Role::Strong => "1",
            Role::Bad => "1;31",
            Role::Thing => "33",
            Role::Place => "36",
            Role::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A line of at most `room` characters, broken between words where there is a place for it, and what is left.
fn split(text: &str, room: usize) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(room) else {
        return (text, "");
    };
    // Where a word would take more than half a line, it is broken itself.
    let (line, rest) = text.split_at(end);
    let place = if rest.starts_with(' ') {
        Some(end)
    } else {
        line.rfind(' ')
    }
    .filter(|place| text[..*place].chars().count() > room / 2);
    let (line, rest) = text.split_at(place.unwrap_or(end));
    (line.trim_end(), rest.trim_start())
}

fn wanted(terminal: bool) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    terminal && !no_color && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Control characters (escape sequences, newlines, bidirectional overrides) as visible escapes.
pub fn harmless(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.chars().any(hostile) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            if hostile(c) {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        let paint = Paint::narrow(40);
        let told = paint.lines(
            Role::Strong,
            2,
            "Thread-1 (withdraw) waits for accounts_lock, which Thread-2 holds",
        );
        assert_eq!(
            told,
            "  Thread-1 (withdraw) waits for\n      accounts_lock, which Thread-2\n      holds\n"
        );
        let word = "x".repeat(50);
        let told = paint.lines(Role::Place, 0, &format!("in {word}"));
        assert_eq!(
            told,
            format!("in {}\n    {}\n", "x".repeat(37), "x".repeat(13))
        );
        assert_eq!(
            Paint::plain().lines(Role::Place, 1, &word),
            format!(" {word}\n")
        );
        assert_eq!(paint.lines(Role::Faint, 0, ""), "\n");
        let wide = "日本".repeat(30);
        assert_eq!(paint.lines(Role::Faint, 0, &wide).lines().count(), 2);
    }

    #[test]
    fn what_is_too_long_for_a_table_is_cut() {
        assert_eq!(Paint::narrow(50).cut(30, &"x".repeat(20)), "x".repeat(20));
        assert_eq!(
            Paint::narrow(50).cut(30, &"x".repeat(21)),
            format!("{}…", "x".repeat(19))
        );
        assert_eq!(Paint::plain().cut(30, &"x".repeat(500)).len(), 500);
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(harmless("a\x1b[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(harmless("grüße 日本"), "grüße 日本");
        assert_eq!(Paint::plain().text(Role::Bad, "x\ty"), "x\\ty");
    }
}
