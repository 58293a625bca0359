//! `cargo xtask opcodes`: the opcode tables of `cpython::bytecode`, asked of real interpreters.
//!
//! Each interpreter runs a short script over its own `opcode` and `dis`; one table is written per minor
//! version. Free-threaded builds share their version's table: the script's output is compared.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints `version MINOR`, then one line per opcode: number, name, base opcode's name, inline cache entries;
/// then the constants of `LOAD_COMMON_CONSTANT` and the methods of `LOAD_SPECIAL`, in order.
const SCRIPT: &str = r#"
import dis, opcode, sys
numbers = {n: o for n, o in getattr(dis, '_all_opmap', opcode.opmap).items() if o < 256}
family = {m: base for base, members in getattr(opcode, '_specializations', {}).items() for m in members}
caches = getattr(opcode, '_inline_cache_entries', {})
def base_of(name):
    if name in family:
        return family[name]
    if name.startswith('INSTRUMENTED_') and name[13:] in numbers:
        return name[13:]
    return name.split('__')[0] if '__' in name else name
def caches_of(name):
    if isinstance(caches, list):
        return caches[numbers[name]] if numbers[name] < len(caches) else 0
    return caches.get(name, 0)
print('version', sys.version_info[1])
for name, number in sorted(numbers.items(), key=lambda item: item[1]):
    print(number, name, base_of(name), caches_of(base_of(name)))
for constant in getattr(opcode, '_common_constants', ()):
    print('common', getattr(constant, '__name__', None) or repr(constant))
for name in getattr(opcode, '_special_method_names', ()):
    print('special', name)
"#;

/// Where the tables live, from the repository's root.
const FOLDER: &str = "crates/cpython/src/bytecode/tables";

/// The minor version and the table's text, as `python` tells them.
fn ask(python: &Path) -> Result<(u32, String)> {
    let output = Command::new(python)
        .args(["-I", "-S", "-c", SCRIPT])
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        python.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let minor: u32 = lines
        .next()
        .and_then(|line| line.strip_prefix("version "))
        .context("no version line")?
        .parse()?;
    Ok((minor, table(minor, lines)?))
}

/// The Rust source of one table.
fn table<'a>(minor: u32, lines: impl Iterator<Item = &'a str>) -> Result<String> {
    let (mut rows, mut common, mut special) = (String::new(), String::new(), String::new());
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            ["common", constant] => writeln!(common, "    {constant:?},")?,
            ["special", name] => writeln!(special, "    {name:?},")?,
            [number, name, base, caches] => {
                writeln!(rows, "    row({number}, \"{name}\", \"{base}\", {caches}),")?;
            }
            _ => bail!("unexpected line {line:?}"),
        }
    }
    let list = |name: &str, kind: &str, rows: &str| {
        let open = if rows.is_empty() { "" } else { "\n" };
        format!("\n#[rustfmt::skip]\npub(super) static {name}: &[{kind}] = &[{open}{rows}];\n")
    };
    Ok(format!(
        "//! Opcodes of CPython 3.{minor}. Written by `cargo xtask opcodes`; do not edit.\n\n\
         use super::{{Row, row}};\n{}{}{}",
        list("ROWS", "Row", &rows),
        list("COMMON", "&str", &common),
        list("SPECIAL", "&str", &special)
    ))
}

/// Every minor version's table, from the interpreters given; an error when two disagree.
fn tables(pythons: &[PathBuf]) -> Result<BTreeMap<u32, String>> {
    let mut found: BTreeMap<u32, (PathBuf, String)> = BTreeMap::new();
    for python in pythons {
        let (minor, text) = ask(python)?;
        if let Some((other, known)) = found.get(&minor) {
            ensure!(
                *known == text,
                "{} and {} have different opcodes",
                other.display(),
                python.display()
            );
            continue;
        }
        found.insert(minor, (python.clone(), text));
    }
    Ok(found
        .into_iter()
        .map(|(minor, (_, text))| (minor, text))
        .collect())
}

/// Options of `cargo xtask opcodes`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail where a table is not what its interpreter says
    #[arg(long)]
    check: bool,
}

/// Writes the tables of the interpreters that are here, or compares them with what is committed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pythons: Vec<PathBuf> = testkit::matrix()
        .iter()
        .map(|python| python.path.clone())
        .collect();
    for (minor, text) in tables(&pythons)? {
        let path = root.join(FOLDER).join(format!("v3_{minor}.rs"));
        if arguments.check {
            let committed = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(
                committed == text,
                "{} is not what the interpreter says; run `cargo xtask opcodes`",
                path.display()
            );
        } else {
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Arguments, run};

    #[test]
    fn tables_are_what_the_interpreters_say() {
        run(&Arguments { check: true }).unwrap();
    }
}
