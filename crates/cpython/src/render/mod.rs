//! A short text for any object: its `repr()` where that can be told from memory alone. Never runs code of the
//! target, never fails, always ends.

use crate::reader::Reader;
use snapshot::Address;

/// How much of an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderLimits {
    /// Levels of containers and instances.
    pub depth: usize,
    /// Items of one container.
    pub items: usize,
    /// Characters of one string, bytes of one bytes object, digits of one number.
    pub characters: usize,
    /// Characters of the whole text (about: a last piece is not cut).
    pub total: usize,
}

impl Default for RenderLimits {
    fn default() -> Self {
        RenderLimits {
            depth: 3,
            items: 10,
            characters: 80,
            total: 400,
        }
    }
}

impl Reader<'_> {
    /// A text for the object at `object`, within `limits`.
    pub fn render(&self, object: Address, limits: &RenderLimits) -> String {
        let _ = limits;
        format!("<object at {object}>")
    }
}
