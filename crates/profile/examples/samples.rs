//! Writes made-up recordings in every format into a directory: for looking at them, and for the tests in browsers.
//!
//! `cargo run -p profile --features synthetic --example samples -- DIRECTORY`

use profile::{Format, Profile, synthetic, write, write_diff_page};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("give a directory"));
    };
    std::fs::create_dir_all(&directory)?;
    let create = |name: String| File::create(directory.join(name)).map(BufWriter::new);
    for (name, profile) in [
        ("empty", synthetic::empty()),
        ("server", synthetic::server()),
        ("wide", synthetic::wide(6)),
        ("hostile", synthetic::hostile()),
    ] {
        for format in Format::all() {
            let mut out = create(format!("{name}{}", format.ending()))?;
            write(&profile, format, &mut out)?;
            out.flush()?;
        }
    }
    let mut out = create("diff.html".to_owned())?;
    write_diff_page(&synthetic::server(), &slower(), &mut out)?;
    out.flush()
}

/// The server with a function that has become slower, and one that has become faster.
fn slower() -> Profile {
    let mut profile = synthetic::server();
    for index in 0..profile.totals.len() {
        let total = profile.totals[index];
        let innermost = profile
            .frames_of(total.stack)
            .next()
            .and_then(|frame| profile.function_of(frame))
            .map_or("", |function| profile.text(function.name));
        let (times, parts) = match innermost {
            "interest" => (3, 1),
            "dumps" => (1, 4),
            _ => (1, 1),
        };
        let total = &mut profile.totals[index];
        total.samples = total.samples * times / parts;
        total.wall_ns = total.wall_ns * times / parts;
        total.cpu_ns = total.cpu_ns * times / parts;
    }
    profile
}
