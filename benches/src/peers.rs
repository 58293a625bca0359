//! The tools that are measured: unknot as just built, its peers from PyPI in an environment of their own, gdb.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::{Interpreter, Scratch, run_limited};

/// The peers, in the versions that were compared. Newer builds of austin want a newer C library than many machines have.
const PEERS: [&str; 3] = ["py-spy==0.4.3", "pystack==1.7.2", "austin-dist==3.7.0"];
/// No tool is waited for longer.
const LIMIT: Duration = Duration::from_secs(120);

/// One way to ask one tool for all stacks of a process.
#[derive(Debug)]
pub struct Tool {
    /// As the table names it.
    pub name: String,
    program: PathBuf,
    /// The process's number goes where a word is `PID`.
    arguments: Vec<String>,
    /// A run finds an empty cache directory.
    forgetful: bool,
}

impl Tool {
    fn new(name: &str, program: PathBuf, arguments: &str) -> Self {
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        Self {
            name: name.to_owned(),
            program,
            arguments,
            forgetful: false,
        }
    }

    /// Runs it once on a process: the time from its start to its end.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn run(&self, pid: u32) -> Result<Duration> {
        let scratch = Scratch::new()?;
        let mut command = Command::new(&self.program);
        for argument in &self.arguments {
            if argument == "PID" {
                command.arg(pid.to_string())
            } else {
                command.arg(argument)
            };
        }
        if self.forgetful {
            command.env("XDG_CACHE_HOME", scratch.path());
        }
        let begin = Instant::now();
        let output = run_limited(&mut command, LIMIT)?;
        let took = begin.elapsed();
        // `unknot why` says with 1 that it found something.
        let said = output.status.success()
            || (self.arguments.first().is_some_and(|word| word == "why")
                && output.status.code() == Some(1));
        ensure!(
            said && !output.stdout.is_empty(),
            "{} failed: {}",
            self.name,
            first_line(&output.stderr)
        );
        Ok(took)
    }

    /// What it says to `--version`.
    pub fn version(&self) -> Option<String> {
        let output = run_limited(Command::new(&self.program).arg("--version"), LIMIT).ok()?;
        Some(first_line(&output.stdout)).filter(|line| !line.is_empty())
    }
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// All tools that are here or can be brought, unknot first.
///
/// # Errors
/// When unknot cannot be built.
pub fn tools() -> Result<Vec<Tool>> {
    let unknot = build_unknot()?;
    let mut first = Tool::new("unknot dump (nothing cached)", unknot.clone(), "dump PID");
    first.forgetful = true;
    let mut tools = vec![
        Tool::new("unknot dump", unknot.clone(), "dump PID"),
        first,
        Tool::new(
            "unknot dump --no-pause",
            unknot.clone(),
            "dump --no-pause PID",
        ),
        Tool::new("unknot why", unknot, "why PID"),
    ];
    let peers = environment()?.join("bin");
    tools.push(Tool::new(
        "py-spy dump",
        peers.join("py-spy"),
        "dump --pid PID",
    ));
    tools.push(Tool::new(
        "py-spy dump --nonblocking",
        peers.join("py-spy"),
        "dump --nonblocking --pid PID",
    ));
    tools.push(Tool::new(
        "pystack remote",
        peers.join("pystack"),
        "remote PID",
    ));
    tools.push(Tool::new(
        "austin --where",
        peers.join("austin"),
        "--where PID",
    ));
    let mut gdb = Tool::new(
        "gdb, native stacks alone",
        PathBuf::from("gdb"),
        "-q -batch -p PID -ex",
    );
    gdb.arguments.push("thread apply all backtrace".to_owned());
    tools.push(gdb);
    Ok(tools)
}

fn build_unknot() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "unknot"])
        .current_dir(&root)
        .status()?;
    ensure!(status.success(), "unknot does not build");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/unknot").canonicalize()?)
}

/// A virtual environment with the peers, in the cache directory.
fn environment() -> Result<PathBuf> {
    let cache = testkit::pythons_dir()
        .context("no cache directory: neither XDG_CACHE_HOME nor HOME is set")?;
    let place = cache.with_file_name("peers");
    let done = place.join("requirements.txt");
    let wanted = PEERS.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return Ok(place);
    }
    let python = subject_python()?;
    must(
        Command::new(&python.path)
            .args(["-m", "venv", "--clear"])
            .arg(&place),
    )?;
    let mut pip = Command::new(place.join("bin/python"));
    must(
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
        ])
        .args(PEERS),
    )?;
    std::fs::write(done, wanted)?;
    Ok(place)
}

fn must(command: &mut Command) -> Result<()> {
    let output = run_limited(command, Duration::from_secs(600))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The interpreter that the programs under measurement run in: one that every peer can read.
///
/// # Errors
/// When it is not on this machine.
pub fn subject_python() -> Result<&'static Interpreter> {
    const TAG: &str = "3.11";
    match testkit::interpreters()
        .iter()
        .find(|interpreter| interpreter.tag == TAG)
    {
        Some(interpreter) => Ok(interpreter),
        None => bail!(
            "the benchmarks want a CPython {TAG}; `cargo xtask pythons --list` shows what is here"
        ),
    }
}
