//! Python in colour, a line at a time.

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

const KEYWORD: &str = "1;34";
const STRING: &str = "32";
const NUMBER: &str = "33";
const COMMENT: &str = "2";
const NAMED: &str = "1";

/// The line with colours. What spans lines (strings in three quotes) is coloured as far as one line shows it.
pub fn painted(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        let (length, colour) = token(rest, first, before);
        let (text, after) = rest.split_at(length);
        match colour {
            Some(colour) => out.push_str(&format!("\x1b[{colour}m{text}\x1b[0m")),
            None => out.push_str(text),
        }
        if !text.trim().is_empty() {
            before = text;
        }
        rest = after;
    }
    out
}

/// The length of the first token, in bytes, and its colour.
fn token(rest: &str, first: char, before: &str) -> (usize, Option<&'static str>) {
    if first == '#' {
        return (rest.len(), Some(COMMENT));
    }
    if first == '"' || first == '\'' {
        return (string(rest, first), Some(STRING));
    }
    if first.is_ascii_digit() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        return (end.unwrap_or(rest.len()), Some(NUMBER));
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let end = end.unwrap_or(rest.len());
        let word = &rest[..end];
        let prefix = end <= 2 && word.bytes().all(|b| b"rbfutRBFUT".contains(&b));
        return match rest[end..].chars().next() {
            Some(quote @ ('"' | '\'')) if prefix => {
                (end + string(&rest[end..], quote), Some(STRING))
            }
            _ if KEYWORDS.contains(&word) => (end, Some(KEYWORD)),
            _ if before == "def" || before == "class" => (end, Some(NAMED)),
            _ => (end, None),
        };
    }
    (first.len_utf8(), None)
}

fn string(text: &str, quote: char) -> usize {
    let three: String = std::iter::repeat_n(quote, 3).collect();
    if text.starts_with(&three) {
        return text[3..].find(&three).map_or(text.len(), |at| at + 6);
    }
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::painted;

    #[test]
    fn tokens() {
        assert_eq!(
            painted("def f(x): # é"),
            "\x1b[1;34mdef\x1b[0m \x1b[1mf\x1b[0m(x): \x1b[2m# é\x1b[0m"
        );
        assert_eq!(
            painted("rb'\\'é' 'open"),
            "\x1b[32mrb'\\'é'\x1b[0m \x1b[32m'open\x1b[0m"
        );
        assert_eq!(painted("a1 = 1_0.5"), "a1 = \x1b[33m1_0.5\x1b[0m");
        assert_eq!(painted("'''"), "\x1b[32m'''\x1b[0m");
    }
}
