//! `unknot dump`: every process, thread and task, as text or JSON.

use crate::cli::DumpArgs;
use crate::failure::Failure;
use crate::paint::Paint;
use crate::target::{Target, understand};
use crate::view;
use look::{Eye, Options, Source};

/// Looks once and prints what was found.
///
/// # Errors
/// Wrong usage; a target that cannot be read.
pub fn run(args: &DumpArgs, escaped: bool) -> anyhow::Result<u8> {
    let source = source(understand(
        &args.target.target,
        escaped,
        args.target.python.as_deref(),
    )?)?;
    let options = Options {
        pause: !args.look.no_pause,
        locals: args.locals,
        children: args.children,
        reach: false,
        native: args.native,
    };
    let snapshot = Eye::open(source, options)
        .and_then(|mut eye| eye.look())
        .map_err(told)?;
    if args.look.json {
        crate::print_json(&snapshot)?;
    } else {
        let show = view::dump::Show {
            locals: args.locals,
            native: args.native,
        };
        crate::print(&view::dump::text(&snapshot, show, Paint::stdout()))?;
    }
    Ok(0)
}

fn source(target: Target) -> Result<Source, Failure> {
    match target {
        Target::Pid(pid) => Ok(Source::Pid(pid)),
        Target::Core(path) => Ok(Source::Core(path)),
        Target::Command(_) => Err(Failure::usage(
            "dump looks at a process that runs",
            "give its PID, or use `unknot why -- COMMAND`",
        )),
    }
}

/// A look's failure as a person is told it.
pub fn told(error: look::LookError) -> Failure {
    let advice = error.advice();
    Failure::target(error.to_string(), advice)
}
