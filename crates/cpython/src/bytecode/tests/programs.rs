//! Small programs: frames at work, and code whose locks are known.

use super::{Code, dialect, parse, run};
use crate::bytecode::*;
use std::collections::BTreeSet;

/// What is found out about a frame, in the words of `programs.py`.
fn describe(analysis: &mut Analysis, code: &Code, offset: u32) -> String {
    let Some(moment) = analysis.at(offset, &[]) else {
        return "nothing known".to_owned();
    };
    let render = |id| analysis.render(id, code).unwrap_or_else(|| "?".to_owned());
    let blocks: Vec<String> = analysis
        .with_blocks(&moment)
        .iter()
        .map(|block| {
            format!(
                "{} {}",
                format!("{:?}", block.phase).to_lowercase(),
                render(block.manager)
            )
        })
        .collect();
    let doing = match analysis.in_flight(&moment) {
        Some(InFlight::Call { callable, .. }) => format!("calls {}", render(callable)),
        Some(InFlight::Enter(block)) => format!("calls {}.__enter__", render(block.manager)),
        Some(InFlight::Exit(block)) => format!("calls {}.__exit__", render(block.manager)),
        Some(InFlight::Await { awaited, .. }) => format!("awaits {}", render(awaited)),
        Some(InFlight::Iterate { iterator, .. }) => format!("iterates {}", render(iterator)),
        Some(InFlight::Attribute { object, name, .. }) => {
            format!(
                "reads {}.{}",
                render(object),
                code.name(name).unwrap_or_default()
            )
        }
        Some(InFlight::Operator { operand, .. }) => format!("operates {}", render(operand)),
        Some(InFlight::Import { name }) => {
            format!("imports {}", code.name(name).unwrap_or_default())
        }
        Some(InFlight::Yield) => "yields".to_owned(),
        None => "does nothing".to_owned(),
    };
    format!("{} | {doing}", blocks.join("; ")).trim().to_owned()
}

#[test]
fn frames_at_work_are_understood() {
    let script = [include_str!("oracle.py"), include_str!("programs.py")].concat();
    let mut wrong = Vec::new();
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let codes = parse(&run(python, &script, &[]));
        let mut seen = 0;
        for code in &codes {
            let mut analysis = Analysis::new(&code.view(dialect));
            for (offset, expected) in &code.seen {
                let found = describe(&mut analysis, code, *offset);
                if found != expected.trim() {
                    wrong.push(format!(
                        "{} {} at {offset}:\n  {found}\n  {expected}",
                        python.tag, code.name
                    ));
                }
                seen += 1;
            }
        }
        assert!(seen > 40, "{}: {seen} frames seen", python.tag);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn acquires_are_followed() {
    let script = format!(
        "{}\ndump(compile({:?}, 'acquires', 'exec'), {{}})\n",
        include_str!("oracle.py"),
        include_str!("acquires.py")
    );
    let mut wrong = Vec::new();
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let codes = parse(&run(python, &script, &[]));
        let mut checked = 0;
        for code in &codes {
            let mut analysis = Analysis::new(&code.view(dialect));
            let offsets: Vec<u32> = code.effects.iter().map(|effect| effect.0).collect();
            for offset in offsets {
                let Some(moment) = analysis.at(offset, &[]) else {
                    continue;
                };
                let Some(expected) = here(&analysis, code, &moment) else {
                    continue;
                };
                let mut found: Vec<String> = analysis
                    .held_by_acquire(&moment, code)
                    .iter()
                    .map(|site| {
                        let Subject::Expression(object) = site.subject else {
                            return "another function's".to_owned();
                        };
                        let lost = if site.path.is_none() { "!" } else { "" };
                        let maybe = if site.on_every_path { "" } else { "?" };
                        format!("{lost}{}{maybe}", analysis.render(object, code).unwrap())
                    })
                    .collect();
                found.sort();
                let found = found.join(", ");
                if found != expected {
                    wrong.push(format!(
                        "{} {} at {offset}: {found:?}, not {expected:?}",
                        python.tag, code.name
                    ));
                }
                checked += 1;
            }
        }
        assert!(checked >= 40, "{}: {checked} places", python.tag);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_is_ahead_is_known() {
    let script = format!(
        "{}\ndump(compile({:?}, 'aheads', 'exec'), {{}})\n",
        include_str!("oracle.py"),
        include_str!("aheads.py")
    );
    let mut wrong = Vec::new();
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let mut checked = 0;
        for code in parse(&run(python, &script, &[])) {
            let mut analysis = Analysis::new(&code.view(dialect));
            for offset in code.effects.iter().map(|effect| effect.0) {
                let Some(moment) = analysis.at(offset, &[]) else {
                    continue;
                };
                let Some(expected) = here(&analysis, &code, &moment) else {
                    continue;
                };
                let Some((locals, names)) = expected.split_once(" | ") else {
                    continue;
                };
                let uses = analysis.uses_from(offset, &[]).unwrap();
                let chosen = |all: &[String], indices: &BTreeSet<u32>| {
                    let mut found: Vec<&str> =
                        indices.iter().map(|at| &*all[*at as usize]).collect();
                    // What a handler catches, and where a cell is: not what is asked here.
                    found.retain(|name| !["KeyError", "cell"].contains(name));
                    found.sort_unstable();
                    found.join(" ")
                };
                let found_locals = chosen(&code.locals, &uses.locals);
                let found_names = chosen(&code.names, &uses.names);
                if (found_locals.as_str(), found_names.as_str()) != (locals.trim(), names) {
                    wrong.push(format!(
                        "{} {} at {offset}: {found_locals} | {found_names}, not {expected}",
                        python.tag, code.name
                    ));
                }
                checked += 1;
            }
        }
        assert!(checked >= 8, "{}: {checked} places", python.tag);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The text of a call of `here`.
fn here(analysis: &Analysis, code: &Code, moment: &Moment) -> Option<String> {
    let Some(InFlight::Call {
        callable,
        arguments: Arguments::Slots { first, .. },
        ..
    }) = analysis.in_flight(moment)
    else {
        return None;
    };
    (analysis.render(callable, code)? == "here").then_some(())?;
    let text = analysis.render(*moment.stack.get(first as usize)?, code)?;
    Some(text.trim_matches('\'').to_owned())
}
