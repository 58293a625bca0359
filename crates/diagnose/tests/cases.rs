//! A page of JSON in, a verdict out: `check(snapshot, excerpt of the report)`.

use diagnose::FindingKind;
use serde_json::Value;
use snapshot::Snapshot;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Whether `actual` has all that `expected` has: fields of objects, the first elements of arrays
/// (an empty array expects an empty one), and equal plain values; `"~text"` expects a text with it inside.
fn matches(expected: &Value, actual: &Value, path: &str) -> Result<(), String> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().try_for_each(|(key, value)| {
                matches(
                    value,
                    found.get(key).unwrap_or(&Value::Null),
                    &format!("{path}.{key}"),
                )
            })
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if found.len() < wanted.len() || (wanted.is_empty() && !found.is_empty()) {
                return Err(format!(
                    "{path}: {} elements wanted, {} found",
                    wanted.len(),
                    found.len()
                ));
            }
            wanted
                .iter()
                .zip(found)
                .enumerate()
                .try_for_each(|(i, (wanted, found))| {
                    matches(wanted, found, &format!("{path}[{i}]"))
                })
        }
        (Value::String(wanted), Value::String(found)) if wanted.starts_with('~') => {
            match found.contains(&wanted[1..]) {
                true => Ok(()),
                false => Err(format!("{path}: {found:?} has no {:?}", &wanted[1..])),
            }
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!("{path}: {expected} wanted, {actual} found")),
    }
}

fn snapshot(value: &Value) -> Result<Option<Snapshot>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Array(_) => {
            let whole = serde_json::json!({ "held_still_us": 500, "processes": value });
            serde_json::from_value(whole)
                .map(Some)
                .map_err(|e| e.to_string())
        }
        _ => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| e.to_string()),
    }
}

fn check(case: &Value) -> Result<(), String> {
    let now = snapshot(&case["now"])?.ok_or("a case needs `now`")?;
    let earlier = snapshot(&case["earlier"])?;
    let earlier = match &case["earlier"] {
        Value::String(_) => None,
        _ => earlier,
    };
    let report = diagnose::diagnose(&now, earlier.as_ref());
    let actual = serde_json::to_value(&report).map_err(|e| e.to_string())?;
    let pretty = serde_json::to_string_pretty(&actual).unwrap_or_default();
    matches(&case["expect"], &actual, "report").map_err(|e| format!("{e}\n{pretty}"))?;
    if case["expect"]["verdict"] == "ok" && !report.findings.is_empty() {
        return Err(format!("findings in a healthy program\n{pretty}"));
    }
    for finding in &report.findings {
        if finding.summary.is_empty() || finding.cause.is_empty() || finding.places.is_empty() {
            return Err(format!(
                "a finding without summary, cause or places\n{pretty}"
            ));
        }
    }
    let again: diagnose::Report = serde_json::from_value(actual).map_err(|e| e.to_string())?;
    (again == report)
        .then_some(())
        .ok_or_else(|| "the report's JSON does not read back".to_owned())
}

/// The files of cases, in the order of their names.
fn files() -> Vec<(PathBuf, Vec<Value>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let parse = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    };
    files
        .into_iter()
        .map(|file| (file.clone(), parse(&file)))
        .collect()
}

#[test]
fn every_kind_has_cases() {
    let mut count: HashMap<String, u32> = HashMap::new();
    for case in files().iter().flat_map(|(_, cases)| cases) {
        let verdict = case["expect"]["verdict"].as_str().unwrap_or_default();
        *count.entry(verdict.to_owned()).or_default() += 1;
    }
    for kind in [
        FindingKind::Deadlock,
        FindingKind::SelfDeadlock,
        FindingKind::OrphanedLock,
        FindingKind::PipeDeadlock,
        FindingKind::PoolStarvation,
        FindingKind::NoWaker,
        FindingKind::GilHeld,
        FindingKind::BlockedEventLoop,
        FindingKind::Stuck,
        FindingKind::Busy,
    ] {
        let cases = count.get(kind.word()).copied().unwrap_or_default();
        assert!(cases >= 2, "{} has {cases} cases", kind.word());
    }
}

#[test]
fn every_case() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, cases) in files() {
        for case in &cases {
            count += 1;
            if let Err(why) = check(case) {
                failures.push(format!("== {}: {}\n{why}", file.display(), case["name"]));
            }
        }
    }
    assert!(count > 0, "no case was found");
    assert!(
        failures.is_empty(),
        "{} of {count} cases fail\n{}",
        failures.len(),
        failures.join("\n")
    );
}
