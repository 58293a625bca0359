//! `unknot debug`: pdb's console over a session, with what pdb lacks. It knows commands, lines and prompts; how a
//! program is entered, stopped and asked is `session`'s.

mod breaks;
mod console;
mod debuggee;
mod editor;
mod events;
mod go;
mod help;
mod highlight;
mod lines;
mod look;
mod others;
mod parse;
mod points;
mod resume;
mod screen;
#[cfg(test)]
mod tests;
mod turn;
mod values;

use crate::failure::Failure;
use crate::target;
use clap::Args;
use console::{Console, Debugged, Scheduler, Settings};
use debuggee::Live;
use editor::{Shared, Terminal};
use lines::{Lines, Pipe};
use screen::Screen;
use session::{Launch, Program};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What `--help` ends with.
pub const HELP: &str = "The commands are pdb's: `help` lists them, `help COMMAND` tells about one. Beyond pdb: threads, thread N,
processes, tasks, why, waiting-on, log, catch, set.

-c gives a command as it would be typed. Where no other target follows, the last -c is the program itself: its code.
Fed from a pipe it shows no prompts and ends with the program's exit code.

Examples:
  unknot debug app.py --verbose               stops before app.py's first line
  unknot debug -b app.py:31 -c continue app.py
  unknot debug -b 'pay, amount > 100' -m shop.worker
  echo 'b 12;; c;; pp vars();; c' | unknot debug app.py
  unknot debug -c 'import json; json.loads(\"{\")'";

/// `unknot debug`.
#[derive(Debug, Args)]
pub struct DebugArgs {
    /// Set a breakpoint before the program begins: FILE:LINE or FUNCTION, then an optional `, CONDITION`
    #[arg(short = 'b', long = "break", value_name = "PLACE")]
    pub breakpoints: Vec<String>,
    /// Run a command at the first prompt, after those of .pdbrc
    #[arg(
        short = 'c',
        long = "command",
        value_name = "COMMAND",
        allow_hyphen_values = true
    )]
    pub commands: Vec<OsString>,
    /// Show this prompt, also where commands come from a pipe [default: $UNKNOT_PROMPT, else none from a pipe]
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Behave as `python -m pdb`: its prompt, its exit codes, no word that it would not say
    #[arg(long)]
    pub pdb: bool,
    /// Print events and texts as JSON lines
    #[arg(long)]
    pub json: bool,
    /// Do not read .pdbrc
    #[arg(long)]
    pub no_rc: bool,
    /// Python to run the program with [default: the virtual environment's, else python3]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// PID | SCRIPT.py… | -m MODULE… | -c CODE
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "TARGET"
    )]
    pub target: Vec<OsString>,
}

/// Debugs a program.
///
/// # Errors
/// Wrong usage; a program that cannot be started.
pub fn run(args: &DebugArgs) -> anyhow::Result<u8> {
    let (wanted, commands) = match understood(args) {
        Ok(understood) => understood,
        Err(refused) if args.pdb && refused.1.is_some() => {
            // pdb says so on standard output.
            crate::print(&format!("{}\n", refused.1.unwrap_or_default()))?;
            return Ok(1);
        }
        Err(refused) => return Err(refused.0.into()),
    };
    let program = debugged(&wanted);
    let live = match wanted {
        Wanted::Launch(launch) => {
            let python = launch.python.clone();
            match Live::launch(launch)? {
                Ok(live) => live,
                Err(session::SessionError::EndedEarly(code)) => {
                    return Ok(u8::try_from(code).unwrap_or(1));
                }
                Err(error) => return Err(not_started(&python, &error).into()),
            }
        }
        Wanted::Attach(pid) => match Live::attach(pid)? {
            Ok(live) => live,
            Err(error) => return Err(Failure::target(error.to_string(), "").into()),
        },
    };
    let debuggee: Shared = Rc::new(RefCell::new(Box::new(live)));
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !args.json;
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines: Box<dyn Lines> = if terminal {
        Box::new(Terminal::new(debuggee.clone(), colour)?)
    } else {
        Box::new(Pipe::stdin(debuggee.clone()))
    };
    let screen = Screen::new(
        Box::new(std::io::stdout()),
        args.json,
        std::io::stdout().is_terminal(),
        colour,
    );
    let mut console = Console::new(debuggee, screen, lines, settings(args), program);
    if !args.no_rc {
        console.first_lines = rc_lines();
    }
    console.first_lines.extend(commands);
    begin(&mut console, &args.breakpoints)?;
    let code = console.run()?;
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}

/// Sets the breakpoints of the command line, before the program's first line.
fn begin(console: &mut Console, breakpoints: &[String]) -> anyhow::Result<()> {
    for place in breakpoints {
        if let Err(error) = console.break_early(place) {
            console.end();
            let what = format!("the breakpoint `{place}` cannot be set: {error}");
            return Err(Failure::usage(
                what,
                "give FILE:LINE or FUNCTION, and a condition after a comma",
            )
            .into());
        }
    }
    Ok(())
}

fn settings(args: &DebugArgs) -> Settings {
    let wanted = || std::env::var("UNKNOT_PROMPT").ok();
    let pdbs = || args.pdb.then(|| "(Pdb) ".to_owned());
    Settings {
        prompt: args.prompt.clone().or_else(pdbs).or_else(wanted),
        pdb: args.pdb,
        all_stop: true,
        scheduler: Scheduler::Run,
    }
}

/// What the console is told of the program.
fn debugged(wanted: &Wanted) -> Debugged {
    let absolute = |path: &Path| {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        path.to_string_lossy().into_owned()
    };
    let launch = match wanted {
        Wanted::Launch(launch) => launch,
        Wanted::Attach(pid) => {
            return Debugged {
                target: format!("process {pid}"),
                attached: true,
                ..Debugged::default()
            };
        }
    };
    let (target, script) = match &launch.program {
        Program::Script(path) => (absolute(path), Some(absolute(path))),
        Program::Module(name) => (name.clone(), None),
        Program::Code(_) => ("-c".to_owned(), None),
    };
    Debugged {
        target,
        arguments: launch.arguments.clone(),
        script,
        attached: false,
    }
}

/// The lines of `.pdbrc` in the home directory, then of that in the current one.
fn rc_lines() -> Vec<String> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pdbrc"));
    let local = std::path::absolute(".pdbrc")
        .ok()
        .filter(|path| Some(path) != home.as_ref());
    let mut lines = Vec::new();
    for path in [home, local].into_iter().flatten() {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let wanted = text.lines().filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        lines.extend(wanted.map(str::to_owned));
    }
    lines
}

fn not_started(python: &Path, error: &session::SessionError) -> Failure {
    let advice = format!(
        "check that `{}` runs; `--python PATH` names another Python",
        python.display()
    );
    Failure::target(format!("the program could not be started: {error}"), advice)
}

/// Why the command line cannot be understood, and what pdb says to that.
type Refused = (Failure, Option<String>);

/// What is to be debugged.
#[derive(Debug)]
enum Wanted {
    /// A program, started for it.
    Launch(Launch),
    /// A process that runs.
    Attach(u32),
}

/// What is to be debugged, and the commands for the first prompt.
fn understood(args: &DebugArgs) -> Result<(Wanted, Vec<String>), Refused> {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let mut commands = args.commands.clone();
    let first = args.target.first().map(text).unwrap_or_default();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    let wanted = if is_number && !Path::new(&first).exists() {
        let words = &args.target;
        match target::understand(words, false, None) {
            Ok(target::Target::Pid(pid)) => Wanted::Attach(pid),
            Ok(_) => {
                return Err((
                    Failure::usage(format!("{first} is no process number"), ""),
                    None,
                ));
            }
            Err(failure) => return Err((failure, None)),
        }
    } else {
        let (program, arguments) = program(&args.target, &mut commands)?;
        Wanted::Launch(Launch {
            python: target::python(args.python.as_deref()),
            program,
            arguments,
        })
    };
    Ok((wanted, commands.iter().map(text).collect()))
}

fn program(
    words: &[OsString],
    commands: &mut Vec<OsString>,
) -> Result<(Program, Vec<OsString>), Refused> {
    let refused = |what: &str, advice: &str| (Failure::usage(what, advice), None);
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let first = words.first();
    if let Some(first) = first {
        let path = Path::new(first);
        if first == "-m" {
            let name = words.get(1);
            let name =
                name.ok_or_else(|| refused("`-m` needs a value", "for instance `-m http.server`"))?;
            return Ok((Program::Module(text(name)), words[2..].to_vec()));
        }
        if is_script(path) {
            return Ok((Program::Script(path.to_owned()), words[1..].to_vec()));
        }
    }
    if let Some(code) = commands.pop() {
        return Ok((Program::Code(text(&code)), words.to_vec()));
    }
    let Some(first) = first else {
        return Err(refused(
            "no target was given",
            "name a PID, a script, `-m MODULE` or `-c CODE`",
        ));
    };
    let shown = text(first);
    let path = Path::new(first);
    if path.is_dir() {
        let failure = Failure::usage(
            format!("{shown} is a directory without a __main__.py"),
            "name a script in it",
        );
        return Err((failure, Some(format!("Error: {shown} is a directory"))));
    }
    if shown.starts_with('-') && shown.len() > 1 {
        let what = format!("there is no option `{shown}` here");
        return Err(refused(&what, "see `unknot debug --help`"));
    }
    let failure = Failure::usage(format!("there is no file {shown}"), "check the path");
    Err((failure, Some(format!("Error: {shown} does not exist"))))
}

/// A file, or a directory that can be run.
fn is_script(path: &Path) -> bool {
    path.is_file() || path.join("__main__.py").is_file() || (path.exists() && !path.is_dir())
}
