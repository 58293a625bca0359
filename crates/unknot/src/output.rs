//! Files that the command reads and writes.

use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What a file may have that is read whole, in bytes.
const READ_MAX: u64 = 1 << 31;

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a file; `-` is standard input.
///
/// # Errors
/// Says why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |error: &io::Error, advice: &str| {
        let what = format!("cannot read {}: {}", path.display(), plain(error));
        Failure::target(what, advice)
    };
    let mut bytes = Vec::new();
    let outcome = if is_standard(path) {
        io::stdin()
            .lock()
            .take(READ_MAX + 1)
            .read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(READ_MAX + 1).read_to_end(&mut bytes))
    };
    match outcome {
        Ok(_) if bytes.len() as u64 > READ_MAX => Err(Failure::target(
            format!(
                "{} is larger than 2 GiB, which is more than is read",
                path.display()
            ),
            "",
        )),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(cannot(
            &error,
            "check the path; `unknot record -o FILE PID` makes a recording",
        )),
        Err(error) => Err(cannot(&error, "")),
    }
}

/// Writes a file through `fill`; `-` is standard output. A regular file is replaced only once all of it has been written:
/// a full disk leaves the one that was there.
///
/// # Errors
/// Says why it cannot be written.
pub fn write(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    if is_standard(path) {
        let mut out = BufWriter::new(io::stdout().lock());
        fill(&mut out)?;
        out.flush()?;
        return Ok(());
    }
    let outcome = match fs::metadata(path) {
        // A terminal, a pipe: there is nothing to keep, and nothing to put in its place.
        Ok(there) if !there.is_file() => File::options()
            .write(true)
            .open(path)
            .and_then(|file| fill_file(file, fill)),
        _ => replace(path, fill),
    };
    outcome.map_err(|error| cannot_write(path, &error).into())
}

/// Whether a file could be written there, found out before the work that is to end in it. What is there stays.
///
/// # Errors
/// Says why not.
pub fn check(path: &Path) -> Result<(), Failure> {
    if is_standard(path) {
        return Ok(());
    }
    let outcome = match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if !there.is_file() => File::options().write(true).open(path).map(drop),
        _ => {
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let partial = partial(&path);
            File::create(&partial).and_then(|_| fs::remove_file(&partial))
        }
    };
    outcome.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "the directory must be there",
        io::ErrorKind::IsADirectory => "give the name of a file in it",
        io::ErrorKind::PermissionDenied => "choose another path with -o",
        io::ErrorKind::StorageFull => "make room, or choose a path on another disk with -o",
        _ => "",
    };
    let what = format!("cannot write {}: {}", path.display(), plain(error));
    Failure::target(what, advice)
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // Through a link, so that what it points to is replaced and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let partial = partial(&path);
    let outcome = File::create(&partial)
        .and_then(|file| fill_file(file, fill))
        .and_then(|()| {
            if let Ok(there) = fs::metadata(&path) {
                fs::set_permissions(&partial, there.permissions())?;
            }
            fs::rename(&partial, &path)
        });
    if outcome.is_err() {
        let _ = fs::remove_file(&partial);
    }
    outcome
}

/// Beside the file, so that it can be renamed.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

fn fill_file(file: File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

/// An error of the system in words, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
