//! The tools that are measured: unknot as just built, its peers from PyPI in an environment of their own, gdb.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::{Interpreter, Scratch, run_limited};

/// The peers, in the versions that were compared. Newer builds of austin want a newer C library than many machines have.
const PEERS: [&str; 3] = ["py-spy==0.4.3", "pystack==1.7.2", "austin-dist==3.7.0"];
/// No tool is waited for longer.
const LIMIT: Duration = Duration::from_secs(120);

/// One way to ask one tool for all stacks of a process.
#[derive(Debug, Clone)]
pub struct Tool {
    /// As the table names it.
    pub name: String,
    program: PathBuf,
    /// The process's number goes where a word is `PID`.
    arguments: Vec<String>,
    /// A run finds an empty cache directory.
    forgetful: bool,
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From start to end.
    pub latency: Duration,
    /// Greatest resident memory.
    pub memory_kib: u64,
    /// Of the tool.
    pub cpu: Duration,
}

impl Tool {
    /// A tool called with these words, which hold no spaces.
    pub fn new(name: &str, program: PathBuf, arguments: &str) -> Self {
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        Self {
            name: name.to_owned(),
            program,
            arguments,
            forgetful: false,
        }
    }

    /// Runs it once on a process. `once` is this package's program of that name.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub fn run(&self, once: &Path, pid: u32) -> Result<Cost> {
        let scratch = Scratch::new()?;
        let pid = pid.to_string();
        let words = self.arguments.iter();
        let mut command = Command::new(once);
        command
            .arg(&self.program)
            .args(words.map(|word| if word == "PID" { &pid } else { word }));
        if self.forgetful {
            command.env("XDG_CACHE_HOME", scratch.path());
        }
        let output = run_limited(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let mut numbers = lines.next().unwrap_or_default().split(' ');
        let mut next = || Some(numbers.next()?.parse::<i64>().unwrap_or(-1));
        let cost = next().zip(next()).zip(next()).zip(next()).zip(next());
        let Some(((((nanoseconds, memory), cpu), code), printed)) = cost else {
            bail!("{} cannot be started", self.name);
        };
        // `unknot why` says with 1 that it found something.
        let said =
            code == 0 || (self.arguments.first().is_some_and(|word| word == "why") && code == 1);
        ensure!(
            said && printed > 0,
            "fails: {}",
            lines.next().unwrap_or_default()
        );
        Ok(Cost {
            latency: Duration::from_nanos(nanoseconds.unsigned_abs()),
            memory_kib: memory.unsigned_abs(),
            cpu: Duration::from_micros(cpu.unsigned_abs()),
        })
    }

    /// What it says to `--version`.
    pub fn version(&self) -> Option<String> {
        let output = run_limited(Command::new(&self.program).arg("--version"), LIMIT).ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.to_owned())
    }
}

/// All tools that are here or can be brought, for processes of this interpreter; unknot first.
///
/// # Errors
/// When unknot cannot be built.
pub fn dumpers(python: &Interpreter, unknot: &Path, peers: &Path) -> Vec<Tool> {
    let peer = |name: &str| peers.join(name);
    let own = |name: &str, arguments: &str| Tool::new(name, unknot.to_owned(), arguments);
    let mut first = own("unknot dump, nothing cached", "dump PID");
    first.forgetful = true;
    let mut gdb = Tool::new(
        "gdb, native stacks alone",
        PathBuf::from("gdb"),
        "-q -batch -p PID -ex",
    );
    gdb.arguments.push("thread apply all backtrace".to_owned());
    let mut tools = vec![
        own("unknot dump", "dump PID"),
        first,
        own("unknot dump --locals", "dump --locals PID"),
        own("unknot why", "why PID"),
        Tool::new("austin --where", peer("austin"), "--where PID"),
        Tool::new("py-spy dump", peer("py-spy"), "dump --pid PID"),
        Tool::new(
            "py-spy dump --locals",
            peer("py-spy"),
            "dump --locals --pid PID",
        ),
        Tool::new("pystack remote", peer("pystack"), "remote PID"),
        Tool::new(
            "pystack remote --locals",
            peer("pystack"),
            "remote --locals PID",
        ),
        gdb,
    ];
    if python.at_least(15) {
        tools.push(Tool::new(
            "profiling.sampling dump",
            python.path.clone(),
            "-m profiling.sampling dump PID",
        ));
    }
    tools
}

/// Builds unknot: where it is.
///
/// # Errors
/// When it does not build.
pub fn build_unknot() -> Result<PathBuf> {
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

/// A virtual environment with the peers, in the cache directory: where their programs are.
///
/// # Errors
/// When they cannot be installed.
pub fn environment() -> Result<PathBuf> {
    let cache = testkit::pythons_dir()
        .context("no cache directory: neither XDG_CACHE_HOME nor HOME is set")?;
    let place = cache.with_file_name("peers");
    let done = place.join("requirements.txt");
    let wanted = PEERS.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return Ok(place.join("bin"));
    }
    let python = python("3.11")?;
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
    Ok(place.join("bin"))
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

/// The interpreter with this tag.
///
/// # Errors
/// When it is not on this machine.
pub fn python(tag: &str) -> Result<&'static Interpreter> {
    testkit::interpreters()
        .iter()
        .find(|interpreter| interpreter.tag == tag)
        .with_context(|| {
            format!("no CPython {tag} here; `cargo xtask pythons` brings what can be brought")
        })
}
