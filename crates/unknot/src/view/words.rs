//! Small phrases that several views share.

use snapshot::{Hold, Kind, Operation, Place, Process, Timeout, Wait};
use std::borrow::Cow;

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `bank.py:12 in withdraw`.
pub fn place(place: &Place) -> String {
    match (place.file.is_empty(), place.function.is_empty()) {
        (true, true) => "an unknown place".to_owned(),
        (true, false) => place.function.clone(),
        (false, true) => format!("{}:{}", base_name(&place.file), place.line),
        (false, false) => format!(
            "{}:{} in {}",
            base_name(&place.file),
            place.line,
            place.function
        ),
    }
}

/// `Lock accounts_lock (0x7f…)`.
pub fn thing(what: Kind, name: Option<&str>, address: Option<snapshot::Address>) -> String {
    let mut text = what.to_string();
    if let Some(name) = name {
        text.push(' ');
        text.push_str(name);
    }
    if let Some(address) = address {
        text.push_str(&format!(" ({address})"));
    }
    text
}

/// What is waited for, as a phrase behind "waits": `for Lock accounts_lock (0x7f…) at bank.py:12 in withdraw`.
pub fn wait(wait: &Wait) -> String {
    let verb = match wait.operation {
        Operation::Acquire | Operation::Wait | Operation::Await => "for",
        Operation::Get => "to get from",
        Operation::Put => "to put into",
        Operation::Join => "for the end of",
        Operation::Result => "for the result of",
        Operation::Import => "to import, for",
        Operation::Read => "to read from",
        Operation::Write => "to write to",
        Operation::Accept => "for a connection on",
        Operation::Connect => "to connect, on",
        Operation::Reap => "for the end of",
        Operation::Select => "for any of its",
        Operation::Sleep => "for a",
        Operation::Open => "to open",
        Operation::Other => "for",
    };
    let mut text = format!(
        "{verb} {}",
        thing(wait.kind, wait.name.as_deref(), wait.address)
    );
    if !wait.fds.is_empty() {
        let list: Vec<String> = wait.fds.iter().take(8).map(i32::to_string).collect();
        let more = if wait.fds.len() > 8 { ", …" } else { "" };
        text.push_str(&format!(" [fd {}{more}]", list.join(", ")));
    }
    if let Some(child) = wait.child.filter(|c| *c > 0) {
        text.push_str(&format!(" [child {child}]"));
    }
    // A timer ends by its nature.
    if wait.timeout == Timeout::Limited && wait.kind != Kind::Timer {
        text.push_str(", for a limited time");
    }
    text.push_str(&format!(", at {}", place(&wait.place)));
    text
}

/// What is held: `Lock accounts_lock (0x7f…), taken at bank.py:21 in deposit`.
pub fn hold(hold: &Hold) -> String {
    let given = if hold.given_up {
        ", given up while it waits"
    } else {
        ""
    };
    format!(
        "{}, taken at {}{given}",
        thing(hold.kind, hold.name.as_deref(), Some(hold.address)),
        place(&hold.place)
    )
}

/// `Python 3.13.0, free-threaded`, or that it is no Python.
pub fn python(process: &Process) -> String {
    match &process.python {
        Some(version) if process.free_threaded => format!("Python {version}, free-threaded"),
        Some(version) => format!("Python {version}"),
        None => "no Python".to_owned(),
    }
}

/// A command line on one line, words with blanks quoted.
pub fn command(words: &[String]) -> String {
    let quoted: Vec<Cow<'_, str>> = words.iter().map(|w| quote(w)).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// `1 thread`, `2 threads`.
pub fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// Milliseconds, from microseconds: `0.64 ms`.
pub fn milliseconds(us: u64) -> String {
    format!("{:.2} ms", us as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_quoted() {
        let words: Vec<String> = ["python", "-c", "import x; x.y()\nz"]
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(command(&words), "python -c 'import x; x.y()\nz'");
    }
}
