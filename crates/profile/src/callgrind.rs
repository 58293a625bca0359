//! `callgrind`: the text of valgrind's profiler of that name, for KCachegrind, after chapter "Callgrind Format
//! Specification" of valgrind's manual. All processes and threads are added up: the form knows functions and calls alone.

use crate::text::one_line;
use crate::tree::{Cost, Sums};
use crate::{Metric, Profile};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

/// Names that are written out once and then stand as numbers.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn short(&mut self, name: &str) -> String {
        let next = self.0.len() + 1;
        match self.0.get(name) {
            Some(number) => format!("({number})"),
            None => {
                self.0.insert(name.to_owned(), next);
                format!("({next}) {name}")
            }
        }
    }
}

/// Writes callgrind's text, with time in nanoseconds and samples as costs.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let sums = Sums::of(profile);
    writeln!(out, "# callgrind format\nversion: 1")?;
    writeln!(out, "creator: {}", one_line(&profile.about.recorder))?;
    if let Some(process) = profile.processes.first() {
        writeln!(out, "pid: {}", process.pid)?;
    }
    writeln!(out, "cmd: {}", one_line(&profile.about.command.join(" ")))?;
    writeln!(out, "positions: line")?;
    let time = match profile.about.metric {
        Metric::Wall => "Wall time (ns)",
        Metric::Cpu => "CPU time (ns)",
        Metric::Gil => "Time with the GIL (ns)",
    };
    writeln!(out, "event: Time_ns : {time}\nevent: Samples : Samples")?;
    writeln!(out, "events: Time_ns Samples")?;
    writeln!(out, "summary: {} {}\n", sums.all.ns, sums.all.samples)?;
    let (files, functions) = names(profile);
    let (mut short_files, mut short_names) = (Names::default(), Names::default());
    let mut calls: BTreeMap<u32, Vec<(u32, u32, Cost)>> = BTreeMap::new();
    for ((caller, line, callee), cost) in &sums.calls {
        calls
            .entry(*caller)
            .or_default()
            .push((*line, *callee, *cost));
    }
    for id in sums.inclusive.keys() {
        let index = *id as usize;
        let (Some(file), Some(name)) = (files.get(index), functions.get(index)) else {
            continue;
        };
        writeln!(
            out,
            "fl={}\nfn={}",
            short_files.short(file),
            short_names.short(name)
        )?;
        let mut own = sums.own.range((*id, 0)..=(*id, u32::MAX)).peekable();
        if own.peek().is_none() {
            // `callgrind_annotate` complains of a source file without any line.
            let first = profile.functions.get(index).map_or(0, |f| f.first_line);
            writeln!(out, "{first} 0 0")?;
        }
        for ((_, line), cost) in own {
            writeln!(out, "{line} {} {}", cost.ns, cost.samples)?;
        }
        for (line, callee, cost) in calls.get(id).into_iter().flatten() {
            let index = *callee as usize;
            let (Some(file), Some(name)) = (files.get(index), functions.get(index)) else {
                continue;
            };
            let first = profile.functions.get(index).map_or(0, |f| f.first_line);
            writeln!(
                out,
                "cfi={}\ncfn={}",
                short_files.short(file),
                short_names.short(name)
            )?;
            writeln!(out, "calls={} {first}", cost.samples.max(1))?;
            writeln!(out, "{line} {} {}", cost.ns, cost.samples)?;
        }
        writeln!(out)?;
    }
    if !sums.outside.is_zero() {
        let cost = sums.outside;
        writeln!(out, "fl={}", short_files.short("???"))?;
        writeln!(out, "fn={}", short_names.short("(no frame known)"))?;
        writeln!(out, "0 {} {}\n", cost.ns, cost.samples)?;
    }
    writeln!(out, "totals: {} {}", sums.all.ns, sums.all.samples)
}

/// Each function's file and name. Functions of one file with the same name, such as lambdas, are told apart by their line.
fn names(profile: &Profile) -> (Vec<String>, Vec<String>) {
    let mut seen: HashMap<(u32, u32), usize> = HashMap::new();
    for function in &profile.functions {
        *seen.entry((function.file, function.name)).or_default() += 1;
    }
    profile
        .functions
        .iter()
        .map(|function| {
            let file = match profile.text(function.file) {
                "" => "???".to_owned(),
                file => part(file),
            };
            let mut name = part(profile.text(function.name));
            if seen
                .get(&(function.file, function.name))
                .is_some_and(|count| *count > 1)
            {
                name = format!("{name}:{}", function.first_line);
            }
            if name.is_empty() {
                name.push('?');
            }
            (file, name)
        })
        .unzip()
}

/// A name that cannot be taken for a number in brackets.
fn part(name: &str) -> String {
    let name = one_line(name).trim().to_owned();
    if name.starts_with('(') {
        format!("_{name}")
    } else {
        name
    }
}
