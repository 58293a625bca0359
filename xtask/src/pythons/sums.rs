//! SHA-256 sums of what was fetched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::run::{command, output};

/// The file's SHA-256, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let line = output(command("sha256sum").arg(path))?;
    // A name with a backslash or a line feed in it makes the tool put a backslash in front.
    let sum = line
        .split_whitespace()
        .next()
        .map(|sum| sum.trim_start_matches('\\'));
    sum.map(str::to_owned).context("sha256sum printed nothing")
}

/// The list `SHA256SUMS` beside the fetched files, in the format of `sha256sum`.
pub struct Sums {
    directory: PathBuf,
    known: BTreeMap<String, String>,
}

impl Sums {
    /// Reads the list of this directory, or begins one.
    pub fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let text = std::fs::read_to_string(directory.join("SHA256SUMS")).unwrap_or_default();
        let known = text
            .lines()
            .filter_map(|line| line.split_once("  "))
            .map(|(sum, name)| (name.to_owned(), sum.to_owned()));
        Ok(Self {
            directory: directory.to_owned(),
            known: known.collect(),
        })
    }

    /// The file of this name, when it was fetched before and is still what it was then.
    /// One that has changed since is removed, to be fetched anew.
    pub fn kept(&self, name: &str) -> Option<PathBuf> {
        let path = self.directory.join(name);
        let expected = self.known.get(name)?;
        if sha256(&path).is_ok_and(|sum| sum == *expected) {
            return Some(path);
        }
        let _ = std::fs::remove_file(&path);
        None
    }

    /// Takes a fetched file into the list. Where its sum is known from a trusted place, it must be that.
    pub fn record(&mut self, name: &str, expected: Option<&str>) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let sum = sha256(&path).with_context(|| format!("{name} was not fetched"))?;
        if let Some(expected) = expected
            && sum != expected
        {
            let _ = std::fs::remove_file(&path);
            anyhow::bail!("{name} has the SHA-256 {sum}, not {expected}; it was removed");
        }
        self.known.insert(name.to_owned(), sum);
        let text: String = self
            .known
            .iter()
            .map(|(name, sum)| format!("{sum}  {name}\n"))
            .collect();
        std::fs::write(self.directory.join("SHA256SUMS"), text)
            .context("cannot write SHA256SUMS")?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_not_kept() {
        let scratch = testkit::Scratch::new().unwrap();
        let path = scratch.write("a.deb", "abc").unwrap();
        let mut sums = Sums::open(scratch.path()).unwrap();
        assert_eq!(sums.kept("a.deb"), None);
        sums.record(
            "a.deb",
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        )
        .unwrap();
        let sums = Sums::open(scratch.path()).unwrap();
        assert_eq!(sums.kept("a.deb"), Some(path.clone()));
        std::fs::write(&path, "abd").unwrap();
        assert_eq!(sums.kept("a.deb"), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_with_another_sum_than_expected_is_removed() {
        let scratch = testkit::Scratch::new().unwrap();
        let path = scratch.write("a.deb", "abc").unwrap();
        let error = Sums::open(scratch.path())
            .unwrap()
            .record("a.deb", Some("00"))
            .unwrap_err();
        assert!(error.to_string().contains("not 00") && !path.exists());
    }
}
