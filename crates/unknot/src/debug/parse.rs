//! Lines as pdb reads them: which word is the command, what an alias stands for, where `;;` parts.

use std::collections::BTreeMap;

/// A line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The command's word; `None` where the line is a statement.
    pub command: Option<String>,
    /// What follows it.
    pub argument: String,
    /// The line without the white space around it.
    pub line: String,
}

/// What belongs to a command's word: besides letters what makes `c.a` or `c["a"]` no `c`.
fn of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_=.[](),\"'+-*/%@&|<>~^".contains(letter)
}

/// Takes a line apart, as `cmd.Cmd.parseline` with pdb's letters does.
pub fn parse_line(line: &str) -> Parsed {
    let line = line.trim();
    let line = match line.strip_prefix('?') {
        Some(rest) => format!("help {rest}"),
        None => line.to_owned(),
    };
    if line.is_empty() || line.starts_with('!') {
        return Parsed {
            command: None,
            argument: String::new(),
            line,
        };
    }
    let end = line.find(|c| !of_word(c)).unwrap_or(line.len());
    Parsed {
        command: Some(line[..end].to_owned()),
        argument: line[end..].trim().to_owned(),
        line,
    }
}

/// Most rounds of replacing a line by what its alias stands for: an alias may name itself.
const ALIAS_ROUNDS_MAX: usize = 100;
/// Longest line that aliases may make, in bytes.
const ALIAS_BYTES_MAX: usize = 1 << 16;

/// A line with its aliases replaced.
///
/// # Errors
/// In pdb's words, where an alias is given too few or too many arguments.
pub fn expand(line: &str, aliases: &BTreeMap<String, String>) -> Result<String, String> {
    let mut line = line.to_owned();
    for _ in 0..ALIAS_ROUNDS_MAX {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Some(text) = words.first().and_then(|word| aliases.get(word)) else {
            return Ok(line);
        };
        let name = &words[0];
        let mut text = text.clone();
        for index in 1..10 {
            let mark = format!("%{index}");
            if text.contains(&mark) {
                let Some(word) = words.get(index) else {
                    return Err(format!("Not enough arguments for alias '{name}'"));
                };
                text = text.replace(&mark, word);
            } else if !text.contains("%*") {
                if index < words.len() {
                    return Err(format!("Too many arguments for alias '{name}'"));
                }
                break;
            }
        }
        line = text.replace("%*", &words[1..].join(" "));
        if line.len() > ALIAS_BYTES_MAX {
            break;
        }
    }
    Err("The aliases in this line stand for each other".to_owned())
}

/// The part before the first `;;` and the one behind it.
pub fn first_of(line: &str) -> (String, Option<String>) {
    match line.split_once(";;") {
        Some((first, rest)) => (
            first.trim_end().to_owned(),
            Some(rest.trim_start().to_owned()),
        ),
        None => (line.to_owned(), None),
    }
}

/// A number as Python's `int` reads it.
pub fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__");
    if !well_formed {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// A text as Python's `repr` shows it, for messages that quote what was typed.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Words as a POSIX shell reads them, as `shlex.split` does.
///
/// # Errors
/// In `shlex`'s words, where a quote is not closed.
pub fn shell_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = letters.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                quoted(&mut letters, letter, word)?;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(letters: &mut std::str::Chars, quote: char, word: &mut String) -> Result<(), String> {
    loop {
        match letters.next().ok_or("No closing quotation")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match letters.next().ok_or("No escaped character")? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

/// A text in which the debugger's variables (`$name`) are ordinary names, for a look at its syntax.
pub fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let before_name = letters
            .peek()
            .is_some_and(|next| next.is_alphabetic() || *next == '_');
        out.push(if letter == '$' && before_name {
            '_'
        } else {
            letter
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> (Option<String>, String) {
        let parsed = parse_line(line);
        (parsed.command, parsed.argument)
    }

    #[test]
    fn lines_as_pdb_takes_them_apart() {
        assert_eq!(
            taken("  break 3, x > 1 "),
            (Some("break".into()), "3, x > 1".into())
        );
        assert_eq!(taken("c.a"), (Some("c.a".into()), String::new()));
        assert_eq!(taken("c['a']"), (Some("c['a']".into()), String::new()));
        assert_eq!(taken("n = 1"), (Some("n".into()), "= 1".into()));
        assert_eq!(taken("?where"), (Some("help".into()), "where".into()));
        assert_eq!(taken("! n = 1").0, None);
        assert_eq!(taken("").0, None);
    }

    #[test]
    fn aliases() {
        let mut aliases = BTreeMap::new();
        aliases.insert("pi".to_owned(), "p %1.__dict__".to_owned());
        aliases.insert("ps".to_owned(), "pi self".to_owned());
        aliases.insert("say".to_owned(), "print(%*)".to_owned());
        aliases.insert("again".to_owned(), "again".to_owned());
        let expand = |line| expand(line, &aliases);
        assert_eq!(expand("ps").unwrap(), "p self.__dict__");
        assert_eq!(expand("say 1, 2").unwrap(), "print(1, 2)");
        assert_eq!(
            expand("pi").unwrap_err(),
            "Not enough arguments for alias 'pi'"
        );
        assert_eq!(
            expand("pi a b").unwrap_err(),
            "Too many arguments for alias 'pi'"
        );
        assert!(expand("again").is_err());
        assert_eq!(first_of("b 5 ;; c;;n"), ("b 5".into(), Some("c;;n".into())));
    }

    #[test]
    fn marks() {
        assert_eq!(without_marks("$a + '$' + $_b$1"), "_a + '$' + __b$1");
    }

    #[test]
    fn numbers_texts_and_words() {
        assert_eq!(int(" 1_000 "), Some(1000));
        assert_eq!(int("-3"), Some(-3));
        for bad in ["", "a", "1.5", "_1", "1__0", "+"] {
            assert_eq!(int(bad), None, "{bad}");
        }
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("a\n\\"), "'a\\n\\\\'");
        assert_eq!(
            shell_words("a 'b c' d\\ e \"\"").unwrap(),
            ["a", "b c", "d e", ""]
        );
        assert_eq!(shell_words("\\").unwrap_err(), "No escaped character");
        assert_eq!(shell_words("\"").unwrap_err(), "No closing quotation");
    }
}
