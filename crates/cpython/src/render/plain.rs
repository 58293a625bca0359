//! Numbers, strings, bytes.

use super::{Failed, Renderer};
use crate::number::float_repr;
use crate::object::TypeInfo;
use snapshot::Address;
use std::fmt::Write;

/// Bits that a decimal digit takes, at most.
const BITS_OF_DIGIT: u64 = 4;
/// Longer ints are not put into decimal, for which the time grows with the square of the length. Python itself
/// refuses from 4,300 digits on, about 14,300 bits.
const LONG_INT_BITS: u64 = 16384;

impl Renderer<'_> {
    pub(super) fn int(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let limit = (self.limits.characters as u64)
            .max(20)
            .saturating_mul(BITS_OF_DIGIT);
        let digits_max = (limit / BITS_OF_DIGIT) as usize;
        let text = self.reader.integer(object, LONG_INT_BITS)?.to_decimal();
        let count = text.trim_start_matches('-').len();
        match text.get(..digits_max + text.len() - count) {
            Some(start)
                if count > digits_max / 5 * 6 && text.ends_with(|c: char| c.is_ascii_digit()) =>
            {
                self.write(format_args!("{start}... ({count} digits)"))
            }
            _ => {
                self.push(&text);
                Ok(())
            }
        }
    }

    pub(super) fn bool(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let text = match self.reader.int(object)? {
            0 => "False",
            _ => "True",
        };
        self.push(text);
        Ok(())
    }

    pub(super) fn float(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let text = float_repr(self.reader.float(object)?);
        match class.is("numpy", "float64") {
            true => self.push(&format!("np.float64({text})")),
            false => self.push(&text),
        }
        Ok(())
    }

    pub(super) fn complex(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.complex;
        let real = f64::from_bits(self.reader.get(object, layout.real)?);
        let imag = f64::from_bits(self.reader.get(object, layout.imag)?);
        self.push(&complex_repr(real, imag));
        Ok(())
    }

    pub(super) fn str(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let text = self.reader.text(object, self.limits.characters)?;
        let shown = text_repr(&text.characters);
        self.push(&shown);
        if text.length > text.characters.len() as u64 {
            self.push("...");
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let bytes = self.reader.bytes_object(object, self.limits.characters)?;
        self.push(&bytes_repr(&bytes));
        if self.reader.size_of_var(object)? > bytes.len() as u64 {
            self.push("...");
        }
        Ok(())
    }

    pub(super) fn bytearray(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let size = self.reader.size_of_var(object)?;
        let limit = self.limits.characters;
        let bytes = match size {
            0 => Vec::new(),
            _ => {
                let start = self
                    .reader
                    .get(object, self.reader.layout.bytearray.ob_start)?;
                self.reader.bytes(start, size.min(limit as u64), limit)?
            }
        };
        let cut = if size > bytes.len() as u64 { "..." } else { "" };
        self.write(format_args!("{}({}{cut})", class.name, bytes_repr(&bytes)))
    }
}

/// A complex number as Python's `repr()` has it.
pub(super) fn complex_repr(real: f64, imag: f64) -> String {
    let part = |value: f64| {
        let text = float_repr(value);
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    let imaginary = part(imag);
    if real == 0.0 && real.is_sign_positive() {
        return format!("{imaginary}j");
    }
    let sign = if imaginary.starts_with('-') { "" } else { "+" };
    format!("({}{sign}{imaginary}j)", part(real))
}

/// A string as Python's `repr()` has it; code points of which no character is known are printable in one
/// version of Unicode and not in another.
pub fn text_repr(characters: &[u32]) -> String {
    let has = |wanted: char| characters.contains(&u32::from(wanted));
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for code in characters {
        match char::from_u32(*code) {
            Some(c) if c == quote || c == '\\' => {
                text.push('\\');
                text.push(c);
            }
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(c) if is_printable(c) => text.push(c),
            _ => {
                // Writing to a string does not fail.
                let _ = match code {
                    0..=0xff => write!(text, "\\x{code:02x}"),
                    0x100..=0xffff => write!(text, "\\u{code:04x}"),
                    _ => write!(text, "\\U{code:08x}"),
                };
            }
        }
    }
    text.push(quote);
    text
}

/// As `str.isprintable` has it: Rust escapes the same categories of characters in its debug form, but for
/// combining ones at the start of a string.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut buffer = [b'a'; 5];
    let length = c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..=length])
        .is_ok_and(|text| !text.escape_debug().any(|c| c == '\\'))
}

/// A bytes object as Python's `repr()` has it.
pub fn bytes_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    let mut text = format!("b{}", char::from(quote));
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            byte if *byte == quote || *byte == b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push(char::from(quote));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        text_repr(&text.chars().map(u32::from).collect::<Vec<_>>())
    }

    #[test]
    fn strings_read_as_in_python() {
        assert_eq!(of("it's"), "\"it's\"");
        assert_eq!(of("it's \"so\""), "'it\\'s \"so\"'");
        assert_eq!(
            of("a\\b\n\u{0}\u{7f}\u{a0}é\u{301}"),
            "'a\\\\b\\n\\x00\\x7f\\xa0é\u{301}'"
        );
        assert_eq!(
            of("\u{200b}\u{1f600}\u{10ffff}"),
            "'\\u200b\u{1f600}\\U0010ffff'"
        );
        assert_eq!(text_repr(&[0xd800]), "'\\ud800'");
        assert_eq!(bytes_repr(b"a'\x00\xff"), "b\"a'\\x00\\xff\"");
    }

    #[test]
    fn complex_numbers_read_as_in_python() {
        assert_eq!(complex_repr(0.0, 2.0), "2j");
        assert_eq!(complex_repr(1.0, -2.5), "(1-2.5j)");
        assert_eq!(complex_repr(-0.0, f64::NAN), "(-0+nanj)");
    }
}
