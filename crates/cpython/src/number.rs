//! Numbers.

use crate::layout::LongForm;
use crate::object::flags;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Bits of one digit of an `int` (64-bit builds).
const DIGIT_BITS: u64 = 30;
/// In `lv_tag`, the bits that are not the number of digits.
const TAG_BITS: u32 = 3;

/// An `int`, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integer {
    /// Read whole.
    Exact {
        /// Below zero.
        negative: bool,
        /// 30 bits each, least significant first.
        digits: Vec<u32>,
    },
    /// Too long to be read.
    Long {
        /// Below zero.
        negative: bool,
        /// How many bits it has.
        bits: u64,
        /// Its first bits, 31 to 60 of them.
        top: u64,
    },
}

impl Integer {
    /// The value, where it fits.
    pub fn to_i64(&self) -> Option<i64> {
        let Integer::Exact { negative, digits } = self else {
            return None;
        };
        let mut value: i128 = 0;
        for digit in digits.iter().rev() {
            value = value
                .checked_mul(1 << DIGIT_BITS)?
                .checked_add(i128::from(*digit))?;
            if value > i128::from(u64::MAX) {
                return None;
            }
        }
        i64::try_from(if *negative { -value } else { value }).ok()
    }

    /// In decimal; `<int of 50001 bits, about 3.16069e15051>` when it was not read whole.
    pub fn to_decimal(&self) -> String {
        let (negative, digits) = match self {
            Integer::Exact { negative, digits } => (*negative, digits),
            Integer::Long {
                negative,
                bits,
                top,
            } => {
                let sign = if *negative { "-" } else { "" };
                let about = in_powers_of_ten(*top, *bits);
                return format!("<int of {bits} bits, about {sign}{about}>");
            }
        };
        const BASE: u64 = 1_000_000_000;
        let mut parts: Vec<u64> = Vec::new();
        for digit in digits.iter().rev() {
            let mut carry = u64::from(*digit);
            for part in &mut parts {
                let value = (*part << DIGIT_BITS) + carry;
                *part = value % BASE;
                carry = value / BASE;
            }
            while carry > 0 {
                parts.push(carry % BASE);
                carry /= BASE;
            }
        }
        let mut text = String::from(if negative { "-" } else { "" });
        match parts.pop() {
            Some(first) => text.push_str(&first.to_string()),
            None => text.push('0'),
        }
        for part in parts.iter().rev() {
            text.push_str(&format!("{part:09}"));
        }
        text
    }
}

/// `3.16069e15051`: a number of so many bits that begins with those of `top`.
fn in_powers_of_ten(top: u64, bits: u64) -> String {
    let below = bits.saturating_sub(u64::from(u64::BITS - top.leading_zeros()));
    let power = (top.max(1) as f64).log10() + below as f64 * std::f64::consts::LOG10_2;
    format!("{:.5}e{}", 10f64.powf(power.fract()), power.trunc())
}

impl Reader<'_> {
    /// The value of an `int` (or `bool`) that fits.
    ///
    /// # Errors
    /// [`ReadError::Nonsense`] when it is no int or does not fit.
    pub fn int(&self, object: Address) -> Result<i64, ReadError> {
        self.integer(object, 64)?
            .to_i64()
            .ok_or(ReadError::Nonsense(object))
    }

    /// An `int` (or `bool`), whole when it has about `bits` bits at most.
    ///
    /// # Errors
    /// When it cannot be read or is no int.
    pub fn integer(&self, object: Address, bits: u64) -> Result<Integer, ReadError> {
        self.class_with(object, flags::LONG)?;
        let (negative, count) = if self.layout.traits.long == LongForm::Tag {
            let tag = self.get(object, self.layout.long.lv_tag)?;
            // The two lowest bits: 0 positive, 1 zero, 2 negative.
            let count = if tag & 3 == 1 { 0 } else { tag >> TAG_BITS };
            (tag & 3 == 2, count)
        } else {
            let size = self.get(object, self.layout.object.ob_size)?;
            (size < 0, size.unsigned_abs())
        };
        let place = self.place(object, self.layout.long.ob_digit)?;
        if count > bits.div_ceil(DIGIT_BITS) {
            let before = count - 1;
            let last = before.saturating_mul(4);
            let first: u32 = self.scalar(place.plus(last))?;
            let second: u32 = self.scalar(place.plus(last.saturating_sub(4)))?;
            let bits = before.saturating_mul(DIGIT_BITS);
            return Ok(Integer::Long {
                negative,
                top: u64::from(first) << DIGIT_BITS | u64::from(second),
                bits: bits.saturating_add(u64::from(u32::BITS - first.leading_zeros())),
            });
        }
        let bytes = self.bytes(place, count * 4, usize::MAX)?;
        let digits = bytes
            .chunks_exact(4)
            .map(|piece| {
                piece
                    .iter()
                    .rev()
                    .fold(0, |value, byte| value << 8 | u32::from(*byte))
            })
            .collect();
        Ok(Integer::Exact { negative, digits })
    }

    /// The value of a `float`.
    ///
    /// # Errors
    /// When it cannot be read or is no float.
    pub fn float(&self, object: Address) -> Result<f64, ReadError> {
        if !self.is_instance(object, "builtins", "float") {
            return Err(ReadError::Nonsense(object));
        }
        Ok(f64::from_bits(self.get(object, self.layout.float.ob_fval)?))
    }

    /// Whether `True`, `False`, `None` or a number counts as true.
    ///
    /// # Errors
    /// [`ReadError::Nonsense`] for other objects.
    pub fn truth(&self, object: Address) -> Result<bool, ReadError> {
        if self.is_none(object) {
            return Ok(false);
        }
        match self.integer(object, 64) {
            Ok(Integer::Exact { digits, .. }) => Ok(digits.iter().any(|digit| *digit != 0)),
            Ok(Integer::Long { .. }) => Ok(true),
            Err(_) => Ok(self.float(object)? != 0.0),
        }
    }
}

/// A float as Python's `repr()` has it: the shortest digits that read back the same.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.into();
    }
    // `1.2345e-7`: digits and exponent of the shortest form.
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_in_python() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (f64::NEG_INFINITY, "-inf"),
            (5e-324, "5e-324"),
        ];
        for (value, text) in cases {
            assert_eq!(float_repr(value), text);
        }
    }

    #[test]
    fn integers_of_any_size() {
        let exact = |negative, digits: &[u32]| Integer::Exact {
            negative,
            digits: digits.to_vec(),
        };
        assert_eq!(exact(false, &[]).to_decimal(), "0");
        assert_eq!(exact(true, &[7]).to_decimal(), "-7");
        assert_eq!(
            exact(false, &[0, 0, 0, 1]).to_decimal(),
            (1u128 << 90).to_string()
        );
        assert_eq!(exact(true, &[0, 0, 8]).to_i64(), Some(i64::MIN));
        assert_eq!(exact(false, &[0, 0, 8]).to_i64(), None);
        assert_eq!(exact(false, &[u32::MAX; 9]).to_i64(), None);
    }
}
