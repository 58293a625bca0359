//! The table of `unknot ps`.

use super::words;
use crate::paint::{Paint, Role};
use look::Listing;
use std::fmt::Write;

/// The listing as an aligned table.
pub fn text(listing: &Listing, paint: Paint) -> String {
    let mut out = String::new();
    if listing.processes.is_empty() {
        out.push_str("No Python process was found.\n");
    } else {
        let head = format!(
            "{:>7}  {:<10}  {:>7}  {:>9}  {}",
            "PID", "PYTHON", "THREADS", "CPU", "COMMAND"
        );
        let _ = writeln!(out, "{}", paint.text(Role::Strong, &head));
    }
    for entry in &listing.processes {
        let version = entry.python.as_deref().unwrap_or("?");
        let version = if entry.free_threaded {
            format!("{version} t")
        } else {
            version.to_owned()
        };
        let line = format!(
            "{:>7}  {:<10}  {:>7}  {:>9}  ",
            entry.pid,
            version,
            entry.threads,
            cpu(entry.cpu_us)
        );
        let command = crate::paint::harmless(&words::command(&entry.command));
        let _ = writeln!(out, "{line}{}", paint.cut(line.len(), &command));
    }
    if listing.hidden > 0 {
        let note = format!(
            "{} of other users could not be looked into (try sudo)",
            words::count(listing.hidden, "process").replace("processs", "processes")
        );
        let _ = writeln!(out, "{}", paint.text(Role::Faint, &note));
    }
    out
}

/// `0.42s`, `3m12s`, `5h03m`.
fn cpu(us: u64) -> String {
    let seconds = us / 1_000_000;
    match seconds {
        0..60 => format!("{}.{:02}s", seconds, us % 1_000_000 / 10_000),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_times() {
        assert_eq!(super::cpu(420_000), "0.42s");
        assert_eq!(super::cpu(192_000_000), "3m12s");
        assert_eq!(super::cpu(18_180_000_000), "5h03m");
    }
}
