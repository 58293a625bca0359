//! How each CPython lays out its objects, read into a snapshot.

pub mod attributes;
pub mod bytecode;
pub mod caches;
pub mod code;
pub mod containers;
pub mod frame;
pub mod generator;
pub mod gil;
pub mod greenlets;
pub mod interpreter;
pub mod layout;
pub mod number;
pub mod object;
pub mod raw;
pub mod reach;
pub mod read;
pub mod reader;
pub mod refined;
pub mod render;
pub mod runtime;
pub mod signals;
pub mod sync;
pub mod tasks;
pub mod text;
pub mod threads;
pub mod traceback;
