//! What the comment at the top of an example states, and whether a verdict is so.

use serde_json::Value;

/// When the program is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once it has come to rest.
    AtRest,
    /// Once it has printed the line `ready`.
    Ready,
}

/// A function of the program, and the line of it that bears a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    file: String,
    function: String,
    line: u64,
}

/// Who holds what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    At(Spot),
    Ended,
}

/// An edge that must be there.
#[derive(Debug, Clone)]
struct Edge {
    text: String,
    waiter: Spot,
    kinds: Option<Vec<String>>,
    name: Option<String>,
    holder: Option<Holder>,
}

/// A header, read.
#[derive(Debug, Clone)]
pub struct Header {
    kinds: Vec<String>,
    edges: Vec<Edge>,
    places: Vec<Spot>,
    /// When to look.
    pub when: When,
    /// Not for interpreters without the GIL.
    pub needs_gil: bool,
}

impl Header {
    /// Reads the comment lines at the top of a program; `file` is its path, as the interpreter is given it.
    pub fn parse(file: &str, source: &str) -> Result<Self, String> {
        let mut header = Header {
            kinds: Vec::new(),
            edges: Vec::new(),
            places: Vec::new(),
            when: When::AtRest,
            needs_gil: false,
        };
        let top = source.lines().map_while(|line| line.strip_prefix("# "));
        for line in top {
            // What does not begin with a word in capitals is prose.
            let Some((word, rest)) = line
                .split_once(": ")
                .filter(|(word, _)| word.bytes().all(|byte| byte.is_ascii_uppercase()))
            else {
                continue;
            };
            match (word, rest) {
                ("EXPECT", kinds) => header.kinds = alternatives(kinds),
                ("EDGE", fields) => header.edges.push(Edge::parse(fields, file, source)?),
                ("PLACE", spot) => header.places.push(Spot::parse(spot, file, source)?),
                ("WHEN", "ready") => header.when = When::Ready,
                ("PYTHON", "gil") => header.needs_gil = true,
                _ => return Err(format!("`{line}` is not understood")),
            }
        }
        if header.kinds.is_empty() {
            return Err("no line EXPECT".to_owned());
        }
        Ok(header)
    }

    /// Whether nothing is wrong with the program.
    pub fn healthy(&self) -> bool {
        self.kinds == ["ok"]
    }

    /// All in which the document that `why --json` prints differs from what is stated.
    pub fn faults(&self, document: &Value) -> Vec<String> {
        let verdict = document["verdict"].as_str().unwrap_or_default();
        if !self.kinds.iter().any(|kind| kind == verdict) {
            return vec![format!("`{verdict}` instead of `{}`", self.kinds.join("|"))];
        }
        let findings: Vec<&Value> = list(&document["findings"])
            .filter(|finding| finding["kind"] == verdict)
            .collect();
        let mut faults = Vec::new();
        for edge in &self.edges {
            let found = |finding: &&Value| list(&finding["edges"]).any(|actual| edge.is(actual));
            if !findings.iter().any(found) {
                faults.push(format!("no edge {}", edge.text));
            }
        }
        for spot in &self.places {
            let found = |finding: &&Value| list(&finding["places"]).any(|actual| spot.is(actual));
            if !findings.iter().any(found) {
                faults.push(format!("no place {}, line {}", spot.function, spot.line));
            }
        }
        faults
    }
}

impl Edge {
    fn parse(fields: &str, file: &str, source: &str) -> Result<Self, String> {
        let (mut waiter, mut kinds, mut name, mut holder) = (None, None, None, None);
        for field in fields.split_whitespace() {
            match field.split_once('=') {
                Some(("waiter", spot)) => waiter = Some(Spot::parse(spot, file, source)?),
                Some(("for", text)) => kinds = Some(alternatives(text)),
                Some(("name", text)) => name = Some(text.to_owned()),
                Some(("holder", "ended")) => holder = Some(Holder::Ended),
                Some(("holder", spot)) => {
                    holder = Some(Holder::At(Spot::parse(spot, file, source)?))
                }
                _ => return Err(format!("the field `{field}` is not understood")),
            }
        }
        Ok(Edge {
            text: fields.to_owned(),
            waiter: waiter.ok_or("an edge has no waiter")?,
            kinds,
            name,
            holder,
        })
    }

    fn is(&self, actual: &Value) -> bool {
        let (target, holder) = (&actual["waits_for"], &actual["held_by"]);
        let kind = target["kind"].as_str().unwrap_or_default();
        self.waiter.is(target)
            && self
                .kinds
                .iter()
                .all(|kinds| kinds.iter().any(|expected| expected == kind))
            && self.name.iter().all(|name| target["name"] == **name)
            && self.holder.iter().all(|expected| match expected {
                Holder::At(spot) => spot.is(holder),
                Holder::Ended => holder["ended"] == true,
            })
    }
}

impl Spot {
    /// `FUNCTION@MARK`, where the mark's line ends in `# @MARK`.
    fn parse(text: &str, file: &str, source: &str) -> Result<Self, String> {
        let (function, mark) = text
            .split_once('@')
            .ok_or(format!("`{text}` is no FUNCTION@MARK"))?;
        let comment = format!("# @{mark}");
        let lines: Vec<u64> = (1..)
            .zip(source.lines())
            .filter(|(_, line)| line.ends_with(&comment))
            .map(|(number, _)| number)
            .collect();
        match lines[..] {
            [line] => Ok(Spot {
                file: file.to_owned(),
                function: function.to_owned(),
                line,
            }),
            _ => Err(format!("{} lines end in `{comment}`", lines.len())),
        }
    }

    /// Whether this is the place that these fields name.
    fn is(&self, fields: &Value) -> bool {
        let function = fields["function"].as_str().unwrap_or_default();
        let last = function.rsplit('.').next().unwrap_or_default();
        fields["file"] == *self.file && fields["line"] == self.line && last == self.function
    }
}

fn alternatives(text: &str) -> Vec<String> {
    text.split('|').map(str::to_owned).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
