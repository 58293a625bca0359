//! `unknot diff`: what has changed from one recording to another.

use crate::convert::load;
use crate::failure::Failure;
use crate::output;
use crate::paint::{Paint, Role, harmless};
use clap::Args;
use profile::{Diff, Format, FunctionChange, Side};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What follows the options in `--help`.
pub const HELP: &str = "Shares of all samples are compared, so the recordings may be of different lengths. Functions are matched by name
and file. A and B are in any format that `unknot convert` reads.

Examples:
  unknot diff before.unknot after.unknot                 what takes more now, and what less
  unknot diff before.unknot after.unknot -o change.html  a flame graph in red and blue
  unknot diff --json a.unknot b.unknot | jq '.functions[0]'";

/// `unknot diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier recording
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The later recording
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Write a page (.html), or the table (.txt, .json), into a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
    /// How many functions and stacks to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub top: usize,
}

/// What a file of a comparison holds.
enum Kind {
    Page,
    Json,
    Text,
}

/// Compares.
///
/// # Errors
/// When a recording cannot be read or the result not be written.
pub fn run(args: &DiffArgs) -> anyhow::Result<u8> {
    let kind = match &args.output {
        None => None,
        Some(path) => Some(kind(path, args.json)?),
    };
    let before = load(&args.before)?;
    let after = load(&args.after)?;
    let compared = || profile::diff(&before, &after, args.top);
    match (kind, &args.output) {
        (Some(Kind::Page), Some(path)) => {
            output::write(path, |out| profile::write_diff_page(&before, &after, out))?;
            if args.json {
                crate::print_json(&compared())?;
            }
        }
        (Some(Kind::Json), Some(path)) => {
            let diff = compared();
            output::write(path, |out| {
                serde_json::to_writer(&mut *out, &diff)?;
                out.write_all(b"\n")
            })?;
        }
        (Some(Kind::Text), Some(path)) => {
            let text = text(&compared(), Paint::plain());
            output::write(path, |out| out.write_all(text.as_bytes()))?;
        }
        _ if args.json => crate::print_json(&compared())?,
        _ => crate::print(&text(&compared(), Paint::stdout()))?,
    }
    Ok(0)
}

fn kind(path: &std::path::Path, json: bool) -> Result<Kind, Failure> {
    let ending = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    match (ending.as_str(), Format::from_path(path)) {
        (_, Some(Format::Html)) => Ok(Kind::Page),
        ("json", _) => Ok(Kind::Json),
        ("txt", _) => Ok(Kind::Text),
        _ if output::is_standard(path) => Ok(if json { Kind::Json } else { Kind::Text }),
        _ => Err(Failure::usage(
            format!("a comparison cannot be written as {}", path.display()),
            "end the file's name in .html, .json or .txt",
        )),
    }
}

/// The tables for people.
fn text(diff: &Diff, paint: Paint) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "before  {}", side(&diff.before));
    let _ = writeln!(out, "after   {}\n", side(&diff.after));
    // What moved by less than would show.
    let moved = |change: f64| change.abs() >= 0.0005;
    let functions: Vec<&FunctionChange> = diff
        .functions
        .iter()
        .filter(|f| moved(f.own_change) || moved(f.total_change))
        .collect();
    if functions.is_empty() && !diff.stacks.iter().any(|stack| moved(stack.change)) {
        out.push_str("No function's share has changed by 0.1 % or more.\n");
        return out;
    }
    let head = "functions    itself  before   after    with calls  before   after";
    let _ = writeln!(out, "{}", paint.text(Role::Strong, head));
    for f in functions {
        let _ = writeln!(
            out,
            "           {} {} {}      {} {} {}  {} {}",
            change(f.own_change, paint),
            share(f.own_before.share),
            share(f.own_after.share),
            change(f.total_change, paint),
            share(f.total_before.share),
            share(f.total_after.share),
            harmless(&f.function),
            paint.text(Role::Faint, &f.file),
        );
    }
    let _ = writeln!(
        out,
        "\n{}",
        paint.text(Role::Strong, "stacks      change  before   after")
    );
    for stack in diff.stacks.iter().filter(|stack| moved(stack.change)) {
        let _ = writeln!(
            out,
            "           {} {} {}  {}",
            change(stack.change, paint),
            share(stack.before.share),
            share(stack.after.share),
            shortened(&stack.frames),
        );
    }
    out
}

fn side(side: &Side) -> String {
    let mut text = harmless(&side.command.join(" "));
    if !text.is_empty() {
        text.push_str(" · ");
    }
    let _ = write!(
        text,
        "{} samples, {:.1} s in all threads",
        side.samples, side.seconds
    );
    text
}

fn change(change: f64, paint: Paint) -> String {
    let text = format!("{:>+7.1}", change * 100.0);
    if change > 0.0 {
        paint.text(Role::Bad, &text)
    } else {
        text
    }
}

fn share(share: f64) -> String {
    format!("{:>5.1} %", share * 100.0)
}

/// The outermost and the innermost frames, without their files.
fn shortened(frames: &[String]) -> String {
    let name = |frame: &String| {
        let short = frame
            .rsplit_once(" (")
            .map_or(frame.as_str(), |(name, _)| name);
        harmless(short)
    };
    if frames.is_empty() {
        return "(no frame known)".to_owned();
    }
    let names: Vec<String> = frames.iter().map(name).collect();
    if names.len() <= 5 {
        return names.join(" > ");
    }
    format!(
        "{} > … > {}",
        names[0],
        names[names.len() - 4..].join(" > ")
    )
}
