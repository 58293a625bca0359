//! Debian's packages, through an apt that keeps its own state and leaves the system's alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::run::{self, command, output, tell};
use super::sums::Sums;

/// The suite that has every CPython in use.
const SUITE: &str = "sid";
/// Suites whose source packages serve where the first suite's is not on the mirror.
const SOURCE_SUITES: [&str; 2] = [SUITE, "trixie"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt of our own: no package counts as installed, so that a closure is complete on any host.
pub struct Apt {
    /// Its state and configuration.
    root: PathBuf,
    /// Where fetched packages stay.
    fetched: PathBuf,
    mirror: String,
}

/// A binary package that has been fetched.
pub struct Package {
    /// Its name, without version and architecture.
    pub name: String,
    /// The `.deb`.
    path: PathBuf,
}

impl Package {
    /// Unpacks its files below `directory`.
    pub fn unpack(&self, directory: &Path) -> Result<()> {
        run::run(
            command("dpkg-deb")
                .arg("--extract")
                .arg(&self.path)
                .arg(directory),
        )
    }
}

/// One line of `--print-uris`: what apt would fetch.
struct Offer {
    file: String,
    sha256: String,
}

impl Offer {
    /// `'address' file size SHA256:sum`
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let [file, _size, sum] = rest
            .split_whitespace()
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        let sha256 = sum.strip_prefix("SHA256:")?;
        // The name becomes a path.
        (!file.contains('/')).then(|| Self {
            file: file.to_owned(),
            sha256: sha256.to_owned(),
        })
    }
}

impl Apt {
    /// Sets one up below `work` and fetches the list of binary packages.
    pub fn new(work: &Path) -> Result<Self> {
        let mirror = mirror()?;
        ensure!(
            Path::new(KEYRING).is_file(),
            "the keys of Debian's archive are not here; install debian-archive-keyring"
        );
        let apt = Self {
            root: work.join("apt"),
            fetched: work.join("fetched"),
            mirror,
        };
        for directory in [
            "etc/parts",
            "state/lists/partial",
            "cache/archives/partial",
            "none/partial",
        ] {
            std::fs::create_dir_all(apt.root.join(directory))?;
        }
        std::fs::create_dir_all(apt.fetched.join("partial"))?;
        std::fs::write(apt.root.join("state/status"), "")?;
        std::fs::write(apt.root.join("apt.conf"), apt.configuration())?;
        apt.update(&[apt.source_line("deb", SUITE)])?;
        Ok(apt)
    }

    /// Where what was fetched is kept.
    pub fn fetched(&self) -> &Path {
        &self.fetched
    }

    fn configuration(&self) -> String {
        let (root, fetched) = (self.root.display(), self.fetched.display());
        format!(
            r#"Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{fetched}";
Dir::Log "{root}";
Dir::Etc "{root}/etc";
Dir::Etc::sourcelist "{root}/etc/sources.list";
Dir::Etc::sourceparts "{root}/etc/parts";
Dir::Etc::parts "{root}/etc/parts";
Dir::Etc::preferencesparts "{root}/etc/parts";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
// A mirror that lags and a container's clock are no reason to stop: signatures are checked all the same.
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
"#
        )
    }

    fn source_line(&self, kind: &str, suite: &str) -> String {
        format!(
            "{kind} [signed-by={KEYRING}] {} {suite} main\n",
            self.mirror
        )
    }

    fn update(&self, lines: &[String]) -> Result<()> {
        std::fs::write(self.root.join("etc/sources.list"), lines.concat())?;
        tell("fetching Debian's package lists");
        run::run(self.get().arg("update")).context("the package lists cannot be fetched")
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = command(name);
        command
            .env("APT_CONFIG", self.root.join("apt.conf"))
            .arg("-qq")
            .current_dir(&self.fetched);
        command
    }

    fn get(&self) -> Command {
        self.tool("apt-get")
    }

    /// Fetches these packages and all they depend on.
    pub fn closure(&self, names: &[&str]) -> Result<Vec<Package>> {
        // Asked with another, empty directory of archives: apt does not list what it has already.
        let none = format!("Dir::Cache::archives={}", self.root.join("none").display());
        let listed = output(
            self.get()
                .args(["--yes", "--print-uris", "-o", &none, "install"])
                .args(names),
        )?;
        let offers: Vec<Offer> = listed.lines().filter_map(Offer::parse).collect();
        ensure!(!offers.is_empty(), "apt offers no {}", names.join(", "));
        let mut sums = Sums::open(&self.fetched)?;
        if offers
            .iter()
            .filter(|offer| sums.kept(&offer.file).is_none())
            .count()
            > 0
        {
            tell(&format!("fetching Debian's {}", names.join(", ")));
            run::run(
                self.get()
                    .args(["--yes", "--download-only", "install"])
                    .args(names),
            )?;
        }
        offers
            .iter()
            .map(|offer| {
                let path = sums.record(&offer.file, Some(&offer.sha256))?;
                let name = offer.file.split('_').next().unwrap_or_default().to_owned();
                Ok(Package { name, path })
            })
            .collect()
    }

    /// Fetches the upstream archive (`.orig.tar.xz`) of a source package: the newest version that the mirror really has.
    pub fn source_archive(&self, name: &str) -> Result<PathBuf> {
        let mut lines = vec![self.source_line("deb", SUITE)];
        lines.extend(
            SOURCE_SUITES
                .iter()
                .map(|suite| self.source_line("deb-src", suite)),
        );
        self.update(&lines)?;
        let shown = output(self.tool("apt-cache").args(["showsrc", name]))?;
        let mut versions: Vec<&str> = shown
            .lines()
            .filter_map(|line| line.strip_prefix("Version: "))
            .collect();
        versions.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
        versions.dedup();
        let mut last = anyhow::anyhow!("the archive lists no source package {name}");
        for version in versions {
            match self.source_archive_of(&format!("{name}={version}")) {
                Ok(path) => return Ok(path),
                // A list can be newer than what the mirror holds.
                Err(error) => {
                    tell(&format!(
                        "the source of {name} {version} is not to be had, trying an older one"
                    ));
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn source_archive_of(&self, package: &str) -> Result<PathBuf> {
        let source = ["source", "--download-only", package];
        let listed = output(self.get().arg("--print-uris").args(source))?;
        let offer = listed
            .lines()
            .filter_map(Offer::parse)
            .find(|offer| offer.file.ends_with(".orig.tar.xz"));
        let offer = offer.context("no .orig.tar.xz in it")?;
        let mut sums = Sums::open(&self.fetched)?;
        if sums.kept(&offer.file).is_none() {
            run::run(self.get().args(source))?;
        }
        sums.record(&offer.file, Some(&offer.sha256))
    }
}

/// The Debian archive that this host uses itself. Asked of the configuration: a new machine has no lists yet.
fn mirror() -> Result<String> {
    let listed = output(command("apt-get").args(["--print-uris", "update"]))?;
    let found = listed.lines().find_map(archive_of);
    found
        .map(str::to_owned)
        .context("the host's apt knows no Debian archive")
}

/// `…/debian` out of `'…/debian/dists/bookworm/InRelease' …`
fn archive_of(line: &str) -> Option<&str> {
    let (archive, _) = line.strip_prefix('\'')?.split_once("/dists/")?;
    archive.ends_with("/debian").then_some(archive)
}

/// The numbers in a version, for putting versions in order: enough for those of one package.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_has_a_name_and_a_sum() {
        let offer =
            Offer::parse("'http://mirror/pool/z_1%3a1+x.deb' z_1%3a1+x.deb 92424 SHA256:abb0")
                .unwrap();
        assert_eq!(
            (offer.file.as_str(), offer.sha256.as_str()),
            ("z_1%3a1+x.deb", "abb0")
        );
        assert!(Offer::parse("'http://mirror/a' a 1 MD5Sum:abb0").is_none());
        assert!(Offer::parse("'http://mirror/a' ../a 1 SHA256:abb0").is_none());
    }

    #[test]
    fn the_archive_is_that_of_debian_itself() {
        let line = "'http://mirror/debian/dists/bookworm/InRelease' mirror_debian_dists_bookworm_InRelease 0";
        assert_eq!(archive_of(line), Some("http://mirror/debian"));
        assert_eq!(
            archive_of("'http://mirror/debian-security/dists/a/InRelease' a 0"),
            None
        );
    }

    #[test]
    fn versions_in_order() {
        let mut versions = ["3.13.5-2+deb13u5", "3.13.18-1", "3.13.15-1"];
        versions.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
        assert_eq!(versions, ["3.13.18-1", "3.13.15-1", "3.13.5-2+deb13u5"]);
    }
}
