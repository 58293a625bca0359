//! What TARGET means: a process, a core file, or a command to run.

use crate::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A TARGET, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A running process.
    Pid(u32),
    /// A core file.
    Core(PathBuf),
    /// A command to run: program and arguments.
    Command(Vec<OsString>),
}

/// Whether a word names a process or a core file (so that options may follow it).
pub fn is_pid_or_core(word: &OsStr) -> bool {
    word.to_str()
        .is_some_and(|text| text.parse::<u32>().is_ok())
        || (!is_script(Path::new(word)) && Path::new(word).is_file())
}

fn is_script(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e == "py" || e == "pyw" || e == "pyz")
}

/// Understands the words of a TARGET. `escaped`: they stood behind `--`.
///
/// # Errors
/// Wrong usage: no such process number, file or form.
pub fn understand(
    words: &[OsString],
    escaped: bool,
    python: Option<&Path>,
) -> Result<Target, Failure> {
    let first = words.first().ok_or_else(|| {
        Failure::usage(
            "no target was given",
            "name a PID, a core file, or a command behind `--`",
        )
    })?;
    if escaped {
        return Ok(Target::Command(words.to_vec()));
    }
    let text = first.to_string_lossy();
    if matches!(&*text, "-m" | "-c") {
        if words.len() < 2 {
            return Err(Failure::usage(
                format!("`{text}` needs a value"),
                "for instance `-m http.server`",
            ));
        }
        return Ok(Target::Command(with_python(python, words)));
    }
    if text.starts_with('-') && text.len() > 1 {
        return Err(Failure::usage(
            format!("there is no option `{text}` here"),
            "see `--help`; a command's own options follow `--`",
        ));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse::<u32>() {
            Ok(pid) if pid > 0 && pid <= i32::MAX as u32 => {
                only_one(words).map(|()| Target::Pid(pid))
            }
            _ => Err(Failure::usage(
                format!("{text} is no process number"),
                "`unknot ps` lists the Python processes here",
            )),
        };
    }
    let path = Path::new(first);
    if is_script(path) || (path.is_dir() && path.join("__main__.py").exists()) {
        if !path.exists() {
            return Err(Failure::usage(
                format!("there is no file {}", path.display()),
                "check the path",
            ));
        }
        return Ok(Target::Command(with_python(python, words)));
    }
    if path.is_file() {
        return only_one(words).map(|()| Target::Core(path.to_owned()));
    }
    Err(Failure::usage(
        format!("`{text}` is neither a PID, nor a core file, nor a Python script"),
        "run a command with `-- COMMAND`, for instance `unknot why -- python app.py`",
    ))
}

fn only_one(words: &[OsString]) -> Result<(), Failure> {
    match words.get(1) {
        None => Ok(()),
        Some(extra) => Err(Failure::usage(
            format!("`{}` is too much", extra.to_string_lossy()),
            "give one target",
        )),
    }
}

/// The interpreter to run scripts with, followed by their words.
fn with_python(python: Option<&Path>, words: &[OsString]) -> Vec<OsString> {
    std::iter::once(self::python(python).into_os_string())
        .chain(words.iter().cloned())
        .collect()
}

/// The interpreter to run scripts with: the one that was named, the active environment's, or `python3`.
pub fn python(named: Option<&Path>) -> PathBuf {
    named
        .map(Path::to_owned)
        .or_else(active_environment)
        .unwrap_or_else(|| PathBuf::from("python3"))
}

fn active_environment() -> Option<PathBuf> {
    let base = std::env::var_os("VIRTUAL_ENV").or_else(|| std::env::var_os("CONDA_PREFIX"))?;
    let path = PathBuf::from(base).join("bin/python");
    path.exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn forms() {
        assert_eq!(
            understand(&words("42"), false, None).unwrap(),
            Target::Pid(42)
        );
        assert_eq!(
            understand(&words("42"), true, None).unwrap(),
            Target::Command(words("42"))
        );
        let python = Path::new("/opt/py");
        assert_eq!(
            understand(&words("-m http.server 80"), false, Some(python)).unwrap(),
            Target::Command(words("/opt/py -m http.server 80"))
        );
        for bad in [
            "0",
            "99999999999",
            "nosuch.py",
            "nosuch",
            "-x",
            "42 43",
            "-m",
        ] {
            assert!(understand(&words(bad), false, None).is_err(), "{bad}");
        }
    }
}
