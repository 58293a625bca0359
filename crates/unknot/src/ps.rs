//! `unknot ps`: the Python processes here.

use crate::cli::PsArgs;
use crate::paint::Paint;
use crate::view;

/// Lists them, as text or JSON.
///
/// # Errors
/// When the process list cannot be read or standard output is gone.
pub fn run(args: &PsArgs) -> anyhow::Result<u8> {
    let listing = look::listing().map_err(crate::dump::told)?;
    if args.json {
        crate::print_json(&listing)?;
    } else {
        crate::print(&view::ps::text(&listing, Paint::stdout()))?;
    }
    Ok(0)
}
