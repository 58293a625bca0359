//! Source files for the views that show lines.

use profile::{FrameKind, Profile, Source};
use std::collections::BTreeMap;

/// Files larger than this are left out, and no more than so many bytes altogether are taken.
const FILE_BYTES_MAX: u64 = 1 << 20;
const BYTES_MAX: usize = 16 << 20;

/// Puts the text of the recorded functions' files into the profile, the heaviest first, as far as they can be read here.
pub fn add(profile: &mut Profile) {
    let mut heat: BTreeMap<u32, u64> = BTreeMap::new();
    for total in &profile.totals {
        let innermost = profile.frames_of(total.stack).find_map(|frame| {
            let function = profile.functions.get(frame.function as usize)?;
            (function.kind == FrameKind::Python).then_some(function.file)
        });
        if let Some(file) = innermost {
            *heat.entry(file).or_default() += profile.weight_ns(total).max(1);
        }
    }
    for function in &profile.functions {
        if function.kind == FrameKind::Python {
            heat.entry(function.file).or_default();
        }
    }
    let mut files: Vec<(u64, u32)> = heat.into_iter().map(|(file, ns)| (ns, file)).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let mut left = BYTES_MAX;
    for (_, file) in files {
        let Some(text) = read(profile.text(file)) else {
            continue;
        };
        let Some(rest) = left.checked_sub(text.len()) else {
            break;
        };
        left = rest;
        profile.sources.push(Source { file, text });
    }
}

fn read(path: &str) -> Option<String> {
    let facts = std::fs::metadata(path).ok()?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
