//! How each CPython lays out its objects, read into a snapshot.

pub mod attributes;
pub mod containers;
pub mod layout;
pub mod number;
pub mod object;
pub mod reader;
pub mod render;
pub mod text;
