//! Text views of what was found.

pub mod dump;
pub mod ps;
pub mod words;
