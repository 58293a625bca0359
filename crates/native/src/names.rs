//! Symbols as people read them.

use std::fmt::{self, Write};

/// Longest name shown: what is demangled may be far longer than its symbol.
const NAME_BYTES_MAX: usize = 1024;

/// Keeps what fits.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAME_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A symbol as its source has it: demangled, without arguments, and without the suffixes that compilers give to parts and
/// copies of a function (`.cold`, `.constprop.0`, `.lto_priv.3`).
pub(crate) fn shown(symbol: &[u8]) -> String {
    let symbol = String::from_utf8_lossy(symbol);
    let mut out = Bounded(String::new());
    if symbol.starts_with("_Z") || symbol.starts_with("_R") {
        if let Ok(demangled) = rustc_demangle::try_demangle(&symbol)
            && write!(out, "{demangled:#}").is_ok()
        {
            return out.0;
        }
        out.0.clear();
    }
    let plain = plain(&symbol);
    if plain.starts_with("_Z") {
        let options = cpp_demangle::DemangleOptions::new()
            .no_params()
            .no_return_type()
            .recursion_limit(128);
        if let Ok(parsed) = cpp_demangle::Symbol::new(plain)
            && parsed.structured_demangle(&mut out, &options).is_ok()
            && !out.0.is_empty()
        {
            return out.0;
        }
    }
    plain.chars().take(NAME_BYTES_MAX).collect()
}

/// A symbol without its suffixes.
fn plain(symbol: &str) -> &str {
    match symbol.find(['.', '@']) {
        Some(0) | None => symbol,
        Some(at) => symbol.get(..at).unwrap_or(symbol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (symbol, expected) in [
            ("_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            (".text", ".text"),
            ("_ZN3foo3barEi", "foo::bar"),
            ("_ZN3foo3barEi.constprop.0", "foo::bar"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Z", "_Z"),
            ("_start", "_start"),
        ] {
            assert_eq!(shown(symbol.as_bytes()), expected, "{symbol}");
        }
    }

    #[test]
    fn hostile_symbols_are_bounded() {
        // Each S-reference repeats all before it.
        let mut symbol = String::from("_Z1fI1AE");
        for index in 0..200 {
            symbol.push_str(&format!("S{index:X}_S{index:X}_"));
        }
        assert!(shown(symbol.as_bytes()).len() <= 4 * NAME_BYTES_MAX);
        let nested = format!("_Z{}", "N".repeat(8000));
        assert!(shown(nested.as_bytes()).len() <= 4 * NAME_BYTES_MAX);
        assert!(shown(&[0xff; 9000]).len() <= 4 * NAME_BYTES_MAX);
    }
}
