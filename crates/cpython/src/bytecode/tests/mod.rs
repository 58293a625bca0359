//! Compared with what real interpreters say of their own code.

mod garbage;
mod oracle;
mod programs;

use super::*;

/// A code object as its interpreter told it.
#[derive(Debug, Default, Clone)]
pub(super) struct Code {
    pub name: String,
    pub stacksize: u32,
    pub nlocals: u32,
    pub firstline: i32,
    pub bytes: Vec<u8>,
    pub exceptions: Vec<u8>,
    pub linetable: Vec<u8>,
    pub names: Vec<String>,
    pub locals: Vec<String>,
    pub consts: Vec<String>,
    /// Offset and line.
    pub lines: Vec<(u32, u32)>,
    /// Offset; line, last line, column, end column, -1 for none.
    pub positions: Vec<(u32, [i64; 4])>,
    /// Offset, effect of going on, effect of jumping, name.
    pub effects: Vec<(u32, i32, i32, String)>,
    /// Line, last line, column, end column, `with` items around.
    pub calls: Vec<[i64; 5]>,
    /// Offset of a frame's current instruction, and what is expected there.
    pub seen: Vec<(u32, String)>,
}

impl Code {
    pub fn view(&self, dialect: &'static Dialect) -> CodeView<'_> {
        CodeView {
            dialect,
            code: &self.bytes,
            exception_table: &self.exceptions,
            stacksize: self.stacksize,
            nlocals: self.nlocals,
        }
    }
}

impl Names for Code {
    fn name(&self, index: u32) -> Option<String> {
        self.names.get(index as usize).cloned()
    }
    fn local(&self, index: u32) -> Option<String> {
        self.locals.get(index as usize).cloned()
    }
    fn constant(&self, index: u32) -> Option<String> {
        self.consts.get(index as usize).cloned()
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
    text.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

/// Reads what `oracle.py` printed.
pub(super) fn parse(text: &str) -> Vec<Code> {
    let mut codes: Vec<Code> = Vec::new();
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        let list = || rest.split('\t').map(str::to_owned).collect::<Vec<_>>();
        if key == "code" {
            codes.push(Code {
                name: rest.to_owned(),
                ..Code::default()
            });
            continue;
        }
        let code = codes.last_mut().unwrap();
        match key {
            "facts" => {
                let facts: Vec<u32> = numbers(rest);
                (code.stacksize, code.nlocals, code.firstline) =
                    (facts[0], facts[1], facts[2] as i32);
            }
            "bytes" => code.bytes = hex(rest),
            "exceptions" => code.exceptions = hex(rest),
            "lines" => code.linetable = hex(rest),
            "names" => code.names = list(),
            "locals" => code.locals = list(),
            "consts" => code.consts = list(),
            "line" => {
                let facts: Vec<u32> = numbers(rest);
                code.lines.push((facts[0], facts[1]));
            }
            "position" => {
                let facts: Vec<i64> = numbers(rest);
                code.positions
                    .push((facts[0] as u32, [facts[1], facts[2], facts[3], facts[4]]));
            }
            "effect" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let number = |at: usize| words[at].parse::<i32>().unwrap();
                code.effects
                    .push((number(0) as u32, number(1), number(2), words[3].to_owned()));
            }
            "at" => {
                let (offset, expected) = rest.split_once(' ').unwrap();
                code.seen
                    .push((offset.parse().unwrap(), expected.to_owned()));
            }
            "with" => code.calls.push(numbers::<i64>(rest).try_into().unwrap()),
            _ => panic!("unexpected line {line:?}"),
        }
    }
    codes
}

/// Runs a script of this folder under an interpreter.
pub(super) fn run(python: &testkit::Interpreter, script: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(&python.path)
        .args(["-I", "-c", script])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        python.tag,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn dialect(python: &testkit::Interpreter) -> &'static Dialect {
    let (major, minor, micro) = python.version;
    let hex = u32::from(major) << 24 | u32::from(minor) << 16 | u32::from(micro) << 8;
    Dialect::for_version(hex).unwrap()
}
