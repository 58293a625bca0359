//! The little of protobuf's wire format that pprof needs: <https://protobuf.dev/programming-guides/encoding/>.

/// A message that is being written.
#[derive(Debug, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number; 0 is left out, as it is what an absent one means.
    pub fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
    }

    /// Bytes, a text, or a message.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message.
    pub fn message(&mut self, field: u32, value: &Message) {
        self.bytes(field, &value.0);
    }

    /// Numbers, packed.
    pub fn packed(&mut self, field: u32, values: impl IntoIterator<Item = u64>) {
        let mut packed = Message::default();
        for value in values {
            packed.varint(value);
        }
        if !packed.0.is_empty() {
            self.message(field, &packed);
        }
    }
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// Bytes, a text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// One of a width of four or eight bytes, which pprof has none of.
    Fixed,
}

impl<'a> Value<'a> {
    /// The number; 0 where it is none.
    pub fn number(self) -> u64 {
        match self {
            Value::Number(number) => number,
            _ => 0,
        }
    }

    /// The bytes; none where it has none.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// Adds the numbers of a repeated field, packed or not. `None` when they are cut off.
    pub fn numbers(self, into: &mut Vec<u64>) -> Option<()> {
        match self {
            Value::Number(number) => into.push(number),
            Value::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    into.push(varint(&mut bytes)?);
                }
            }
            Value::Fixed => return None,
        }
        Some(())
    }
}

/// The fields of a message; after one that is cut off or malformed comes an `Err` and nothing more.
#[derive(Debug, Clone)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Fields(bytes)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = varint(&mut self.0)?;
        let field = u32::try_from(tag >> 3).ok().filter(|field| *field > 0)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => self.skip(4)?,
            _ => return None,
        };
        Some((field, value))
    }

    fn skip(&mut self, bytes: usize) -> Option<Value<'a>> {
        self.0 = self.0.get(bytes..)?;
        Some(Value::Fixed)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or("one of its messages is cut off or malformed"))
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message = Message::default();
        message.number(1, u64::MAX);
        message.number(2, 0);
        message.bytes(3, b"text");
        message.packed(16, [1, 300, 0]);
        let fields: Vec<_> = Fields::of(&message.0)
            .map(|field| field.expect("whole"))
            .collect();
        assert_eq!(fields[0], (1, Value::Number(u64::MAX)));
        assert_eq!(fields[1], (3, Value::Bytes(b"text")));
        let mut numbers = Vec::new();
        fields[2].1.numbers(&mut numbers).expect("whole");
        assert_eq!((fields[2].0, numbers), (16, vec![1, 300, 0]));
        for length in 1..message.0.len() {
            // Cut anywhere: an end or an error, never more.
            let _ = Fields::of(&message.0[..length]).count();
        }
        assert!(
            Fields::of(&[0xff; 12])
                .next()
                .is_some_and(|field| field.is_err())
        );
    }
}
