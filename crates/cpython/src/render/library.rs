//! Values of the standard library: Decimal, Fraction, UUID, paths.

use super::{Failed, Renderer, text_repr};
use crate::number::Integer;
use crate::object::TypeInfo;
use snapshot::Address;

/// Decimal digits in a word of libmpdec on 64-bit machines.
const DIGITS_OF_WORD: u64 = 19;
/// Flags of `mpd_t`.
const NEGATIVE: u8 = 1;
const INFINITE: u8 = 2;
const QUIET_NAN: u8 = 4;
const SIGNALLING_NAN: u8 = 8;

impl Renderer<'_> {
    /// `Decimal('1.50')`.
    pub(super) fn decimal(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.decimal;
        let flags = self.reader.get(object, layout.flags)?;
        let length = u64::try_from(self.reader.get(object, layout.len)?).map_err(|_| Failed)?;
        let exponent = self.reader.get(object, layout.exp)?;
        if length.saturating_mul(DIGITS_OF_WORD) > self.limits.characters.max(100) as u64 {
            let digits = self.reader.get(object, layout.digits)?;
            return self.write(format_args!("<{} of {digits} digits>", class.name));
        }
        let data = self.reader.get(object, layout.data)?;
        let bytes = self.reader.bytes(data, length * 8, 1 << 16)?;
        let mut digits = String::new();
        for word in bytes.rchunks_exact(8) {
            let word = word
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
            digits.push_str(&format!("{word:019}"));
        }
        let digits = digits.trim_start_matches('0');
        let sign = if flags & NEGATIVE != 0 { "-" } else { "" };
        let text = match flags {
            flags if flags & INFINITE != 0 => "Infinity".to_owned(),
            flags if flags & QUIET_NAN != 0 => format!("NaN{digits}"),
            flags if flags & SIGNALLING_NAN != 0 => format!("sNaN{digits}"),
            _ => decimal_text(digits, exponent),
        };
        self.write(format_args!("{}('{sign}{text}')", class.name))
    }

    /// `Fraction(1, 3)`.
    pub(super) fn fraction(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let part = |name| self.reader.attribute(object, name);
        let numerator = part("_numerator")?.ok_or(Failed)?;
        let denominator = part("_denominator")?.ok_or(Failed)?;
        self.write(format_args!("{}(", class.name))?;
        self.value(numerator);
        self.push(", ");
        self.value(denominator);
        self.push(")");
        Ok(())
    }

    /// `UUID('12345678-1234-5678-1234-567812345678')`.
    pub(super) fn uuid(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let value = self.reader.attribute(object, "int")?.ok_or(Failed)?;
        let Integer::Exact { digits, .. } = self.reader.integer(value, 128)? else {
            return Err(Failed);
        };
        let value = digits
            .iter()
            .rev()
            .fold(0u128, |value, digit| value << 30 | u128::from(*digit));
        let hex = format!("{value:032x}");
        let mut text = String::new();
        for (index, digit) in hex.chars().enumerate() {
            if matches!(index, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
        }
        self.write(format_args!("{}('{text}')", class.name))
    }

    /// `PosixPath('/etc/hosts')`.
    pub(super) fn path(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let text = match self.path_part(object, "_str") {
            Some(text) => text,
            None => self.path_text(object)?,
        };
        // As its repr has it, with slashes.
        let text = match self.reader.is_subclass(class, "pathlib", "PureWindowsPath")
            || self
                .reader
                .is_subclass(class, "pathlib._local", "PureWindowsPath")
        {
            true => text.replace('\\', "/"),
            false => text,
        };
        let characters: Vec<u32> = text.chars().map(u32::from).collect();
        self.write(format_args!("{}({})", class.name, text_repr(&characters)))
    }

    fn path_part(&self, object: Address, name: &str) -> Option<String> {
        let part = self.reader.attribute(object, name).ok()??;
        self.reader.string(part, 4096).ok()
    }

    fn path_parts(&self, object: Address, name: &str) -> Option<Vec<String>> {
        let parts = self.reader.attribute(object, name).ok()??;
        let parts = self.reader.items(parts, 256).ok()?;
        parts
            .into_iter()
            .map(|part| self.reader.string(part, 4096).ok())
            .collect()
    }

    /// A path whose text has not been made yet: from its parts, as it keeps them.
    fn path_text(&self, object: Address) -> Result<String, Failed> {
        let root = self.path_part(object, "_root");
        let root_of_parts = || root.clone().unwrap_or_default();
        // Up to 3.11 the first of the parts is the root.
        if let Some(parts) = self.path_parts(object, "_parts") {
            let root = root_of_parts();
            let rest = if root.is_empty() {
                &parts
            } else {
                parts.get(1..).unwrap_or_default()
            };
            return Ok(or_dot(root + &rest.join("/")));
        }
        if let Some(tail) = self.path_parts(object, "_tail_cached") {
            return Ok(or_dot(root_of_parts() + &tail.join("/")));
        }
        // Not even taken apart yet: what it was made from. A later absolute part replaces what is before.
        let raw = self.path_parts(object, "_raw_paths").ok_or(Failed)?;
        let start = raw.iter().rposition(|part| part.starts_with('/'));
        let joined = raw.get(start.unwrap_or(0)..).unwrap_or_default().join("/");
        let root = match joined.bytes().take_while(|byte| *byte == b'/').count() {
            0 => "",
            2 => "//",
            _ => "/",
        };
        let parts: Vec<&str> = joined
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        Ok(or_dot(root.to_owned() + &parts.join("/")))
    }
}

fn or_dot(path: String) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else {
        path
    }
}

/// Coefficient and exponent as the decimal arithmetic specification writes them (to-scientific-string).
fn decimal_text(digits: &str, exponent: i64) -> String {
    let digits = if digits.is_empty() { "0" } else { digits };
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = exponent.saturating_add(count - 1);
    if exponent > 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}E{adjusted:+}");
    }
    if exponent == 0 {
        return digits.to_owned();
    }
    // Here the exponent lies between -6 - count and -1.
    let after = usize::try_from(-exponent).unwrap_or(0);
    match digits.len().checked_sub(after) {
        Some(before) if before > 0 => {
            let (whole, fraction) = digits.split_at(before);
            format!("{whole}.{fraction}")
        }
        _ => format!("0.{digits:0>after$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::decimal_text;

    #[test]
    fn decimals_read_as_in_python() {
        let cases = [
            ("150", -2, "1.50"),
            ("", 0, "0"),
            ("", -3, "0.000"),
            ("", -7, "0E-7"),
            ("1", 3, "1E+3"),
            ("12345", -10, "0.0000012345"),
            ("12345", -12, "1.2345E-8"),
            ("5", -1, "0.5"),
        ];
        for (digits, exponent, text) in cases {
            assert_eq!(decimal_text(digits, exponent), text);
        }
    }
}
