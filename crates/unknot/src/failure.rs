//! What a person is told when something fails: what, why, what to do. And the exit code that goes with it.

use std::fmt;

/// Exit code: wrong usage.
pub const USAGE: u8 = 2;
/// Exit code: the target could not be read or entered.
pub const TARGET: u8 = 3;

/// An expected failure.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What failed, and why.
    what: String,
    /// What to do next; empty when there is nothing to say.
    advice: String,
}

impl Failure {
    /// Wrong usage.
    pub fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Failure {
            code: USAGE,
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// The target could not be read.
    pub fn target(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Failure {
            code: TARGET,
            what: what.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.advice.is_empty() {
            write!(f, "\n\nhint: {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
