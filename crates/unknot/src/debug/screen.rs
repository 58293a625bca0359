//! What the console shows: lines for people, or JSON lines.

use super::highlight;
use serde_json::json;
use std::io::Write;

/// Where the console's output goes.
pub struct Screen {
    out: Box<dyn Write>,
    /// One JSON document a line.
    json: bool,
    /// In colour, and made harmless for a terminal.
    terminal: bool,
    colour: bool,
    /// Standard output is gone: nobody reads any more.
    gone: bool,
}

impl Screen {
    /// A screen.
    pub fn new(out: Box<dyn Write>, json: bool, terminal: bool, colour: bool) -> Screen {
        Screen {
            out,
            json,
            terminal,
            colour,
            gone: false,
        }
    }

    /// Whether nobody reads what is shown.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether code is shown in colour.
    pub fn is_coloured(&self) -> bool {
        self.colour
    }

    /// Whether it shows JSON lines.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A text with a line break behind it.
    pub fn message(&mut self, text: &str) {
        if self.json {
            return self.document(&json!({"event": "text", "text": text}));
        }
        let text = if self.terminal {
            harmless(text)
        } else {
            text.to_owned()
        };
        self.write(&format!("{text}\n"));
    }

    /// An error, as pdb marks them.
    pub fn error(&mut self, text: &str) {
        if self.json {
            return self.document(&json!({"event": "error", "text": text}));
        }
        self.message(&format!("*** {text}"));
    }

    /// A text that already has its colours.
    pub fn painted(&mut self, text: &str) {
        if self.json {
            return self.document(&json!({"event": "text", "text": text}));
        }
        self.write(&format!("{text}\n"));
    }

    /// A prompt, with no line break.
    pub fn prompt(&mut self, text: &str) {
        if !self.json && !text.is_empty() {
            self.write(text);
        }
    }

    /// A JSON line.
    pub fn document(&mut self, value: &serde_json::Value) {
        self.write(&format!("{value}\n"));
    }

    /// A line of Python, in colour where colours are wanted.
    pub fn code(&self, text: &str) -> String {
        let text = if self.terminal {
            harmless(text)
        } else {
            text.to_owned()
        };
        if self.colour && !self.json {
            highlight::painted(&text)
        } else {
            text
        }
    }

    /// For standard error: what the program's own traceback would go to.
    pub fn beside(&mut self, text: &str) {
        if self.json {
            return self.document(&json!({"event": "traceback", "text": text}));
        }
        let text = if self.terminal {
            harmless(text)
        } else {
            text.to_owned()
        };
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        if written.and_then(|()| self.out.flush()).is_err() {
            self.gone = true;
        }
    }
}

/// Control characters but line breaks and tabs as visible escapes.
fn harmless(text: &str) -> String {
    if !text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return text.to_owned();
    }
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c => crate::paint::harmless(&c.to_string()),
    };
    text.chars().map(shown).collect()
}
