//! How each CPython lays out its objects, read into a snapshot.

pub mod layout;
pub mod reader;
