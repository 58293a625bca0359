//! Lines and columns of instructions: `co_lnotab` (3.8, 3.9) and `co_linetable` (3.10; 3.11 and later).

use super::Dialect;

/// Where an instruction comes from in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// First column, from 0, in UTF-8 bytes (3.11+).
    pub column: Option<u32>,
    /// Column after the last, from 0, in UTF-8 bytes (3.11+).
    pub end_column: Option<u32>,
}

/// A code object's line table.
#[derive(Debug, Clone, Copy)]
pub struct LineTable<'a> {
    minor: u32,
    bytes: &'a [u8],
    first: i64,
}

/// A stretch of code from one place; offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: u64,
    end: u64,
    position: Option<Position>,
}

impl<'a> LineTable<'a> {
    /// `bytes` is `co_lnotab` (3.8, 3.9) or `co_linetable` (3.10+), `first` is `co_firstlineno`.
    pub fn new(dialect: &Dialect, bytes: &'a [u8], first: i32) -> LineTable<'a> {
        LineTable {
            minor: dialect.minor(),
            bytes,
            first: i64::from(first),
        }
    }

    /// The line of the instruction at `offset` (bytes), from 1; `None` for an artificial one or past the table's end.
    pub fn line_at(&self, offset: u32) -> Option<u32> {
        self.position_at(offset).map(|position| position.line)
    }

    /// The position of the instruction at `offset` (bytes).
    pub fn position_at(&self, offset: u32) -> Option<Position> {
        let offset = u64::from(offset);
        let mut walk = Walk {
            bytes: self.bytes.iter(),
            line: self.first,
            at: 0,
        };
        loop {
            let stretch = match self.minor {
                ..=9 => walk.increment(),
                10 => walk.delta(),
                _ => walk.location(),
            }?;
            if (stretch.start..stretch.end).contains(&offset) {
                return stretch.position;
            }
        }
    }
}

/// A walk along a table: each step consumes at least one byte, or is the last.
struct Walk<'a> {
    bytes: std::slice::Iter<'a, u8>,
    line: i64,
    at: u64,
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.bytes.next().copied()
    }

    fn stretch(&mut self, length: u64, position: Option<Position>) -> Stretch {
        let start = self.at;
        self.at = self.at.saturating_add(length);
        Stretch {
            start,
            end: self.at,
            position,
        }
    }

    /// The line as it is now, without columns.
    fn whole_line(&self) -> Option<Position> {
        let line = u32::try_from(self.line).ok()?;
        Some(Position {
            line,
            end_line: line,
            column: None,
            end_column: None,
        })
    }

    /// `co_lnotab`: bytes forward, then lines forward (signed); the last line has no end.
    fn increment(&mut self) -> Option<Stretch> {
        if self.at == u64::MAX {
            return None;
        }
        let position = self.whole_line();
        let Some(length) = self.byte() else {
            return Some(self.stretch(u64::MAX, position));
        };
        let lines = i64::from(self.byte().unwrap_or(0) as i8);
        self.line = self.line.saturating_add(lines);
        Some(self.stretch(u64::from(length), position))
    }

    /// `co_linetable` of 3.10: length in bytes, then lines forward (signed); -128 says that there is no line.
    fn delta(&mut self) -> Option<Stretch> {
        let length = u64::from(self.byte()?);
        let lines = self.byte()? as i8;
        let position = if lines == i8::MIN {
            None
        } else {
            self.line = self.line.saturating_add(i64::from(lines));
            self.whole_line()
        };
        Some(self.stretch(length, position))
    }

    /// `co_linetable` of 3.11+ (`Objects/locations.md` of CPython): code and length, then what the code asks for.
    fn location(&mut self) -> Option<Stretch> {
        let head = self.byte()?;
        let length = 2 * (u64::from(head & 7) + 1);
        let code = u32::from(head >> 3) & 15;
        let position = match code {
            0..=9 => {
                let columns = u32::from(self.byte()?);
                let column = (code << 3) | ((columns >> 4) & 7);
                self.columns(Some(column), Some(column + (columns & 15)))
            }
            10..=12 => {
                self.line = self.line.saturating_add(i64::from(code) - 10);
                let column = u32::from(self.byte()?);
                let end_column = u32::from(self.byte()?);
                self.columns(Some(column), Some(end_column))
            }
            13 => {
                let lines = self.signed()?;
                self.line = self.line.saturating_add(lines);
                self.whole_line()
            }
            14 => {
                let lines = self.signed()?;
                self.line = self.line.saturating_add(lines);
                let more_lines = u32::try_from(self.unsigned()?).ok()?;
                let column = u32::try_from(self.unsigned()?).ok()?.checked_sub(1);
                let end_column = u32::try_from(self.unsigned()?).ok()?.checked_sub(1);
                let position = self.columns(column, end_column);
                position.map(|position| Position {
                    end_line: position.line.saturating_add(more_lines),
                    ..position
                })
            }
            _ => None,
        };
        Some(self.stretch(length, position))
    }

    fn columns(&self, column: Option<u32>, end_column: Option<u32>) -> Option<Position> {
        self.whole_line().map(|position| Position {
            column,
            end_column,
            ..position
        })
    }

    /// Six bits a byte, least significant first; bit 6 says that more follow.
    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..60).step_by(6) {
            let byte = u64::from(self.byte()?);
            value |= (byte & 63) << shift;
            if byte & 64 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The same with the sign in the lowest bit.
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        let magnitude = i64::try_from(value >> 1).ok()?;
        Some(if value & 1 == 0 {
            magnitude
        } else {
            -magnitude
        })
    }
}
