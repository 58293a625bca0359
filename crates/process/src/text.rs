//! Small parsers for what `/proc` writes: bytes, not `str`, as a target chooses some of them.

/// Splits off the next field; fields are separated by one or more blanks (space or tab).
pub(crate) fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let text = rest.get(start..)?;
    let end = text
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(text.len());
    let (found, behind) = text.split_at_checked(end)?;
    *rest = behind;
    Some(found)
}

/// All fields of a line.
pub(crate) fn fields(mut line: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || field(&mut line))
}

/// Lines without their ends; a last empty one is left out.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// A decimal number without sign.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    number(text, 10)
}

/// A hexadecimal number without `0x`.
pub(crate) fn hexadecimal(text: &[u8]) -> Option<u64> {
    number(text, 16)
}

fn number(text: &[u8], base: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(base)?;
        value
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))
    })
}

/// Splits at the first `separator`.
pub(crate) fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Undoes the kernel's `\012` in a path; only well-formed escapes are replaced.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let code = match (first, behind.get(..3)) {
            (b'\\', Some(digits)) => number(digits, 8).and_then(|code| u8::try_from(code).ok()),
            _ => None,
        };
        match code {
            Some(code) => {
                plain.push(code);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(first);
                rest = behind;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_overflow() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(hexadecimal(b"7fFF"), Some(0x7fff));
        assert_eq!(hexadecimal(b"0x1"), None);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(unescape(b"a\\012b"), b"a\nb");
        assert_eq!(unescape(b"a\\9b\\"), b"a\\9b\\");
        assert_eq!(unescape(b"\\777"), b"\\777");
    }
}
