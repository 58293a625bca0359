//! Colour, only where a person looks: on a terminal, unless NO_COLOR is set. Text from the target is made
//! harmless first: control characters never reach the terminal.

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
}

/// Knows whether to colour.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// For standard output.
    pub fn stdout() -> Self {
        Paint {
            colour: wanted(std::io::stdout().is_terminal()),
        }
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Paint {
            colour: wanted(std::io::stderr().is_terminal()),
        }
    }

    /// Never in colour.
    pub fn plain() -> Self {
        Paint { colour: false }
    }

    /// `text`, made harmless, in the colour of `role`.
    pub fn text(self, role: Role, text: &str) -> String {
        let text = harmless(text);
        if !self.colour {
            return text;
        }
        let code = match role {
            Role::Strong => "1",
            Role::Bad => "1;31",
            Role::Thing => "33",
            Role::Place => "36",
            Role::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
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
    fn control_characters_are_shown_not_sent() {
        assert_eq!(harmless("a\x1b[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(harmless("grüße 日本"), "grüße 日本");
        assert_eq!(Paint::plain().text(Role::Bad, "x\ty"), "x\\ty");
    }
}
