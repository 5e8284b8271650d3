//! Protobuf's wire format, as far as the messages of TensorBoard and ONNX need it.

/// A protobuf message that is being written.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// The key of a field: its number, and how its value is stored.
    fn key(self, field: u64, wire: u64) -> Self {
        self.varint(field << 3 | wire)
    }

    /// An integer; a negative one as the 64 bits of its complement.
    pub(crate) fn integer(self, field: u64, value: u64) -> Self {
        self.key(field, 0).varint(value)
    }

    /// A `double`.
    pub(crate) fn double(self, field: u64, value: f64) -> Self {
        let mut out = self.key(field, 1);
        out.0.extend(value.to_le_bytes());
        out
    }

    /// A `float`.
    pub(crate) fn float(self, field: u64, value: f32) -> Self {
        let mut out = self.key(field, 5);
        out.0.extend(value.to_le_bytes());
        out
    }

    /// A string or a message.
    pub(crate) fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut out = self.announce(field, value.len());
        out.0.extend(value);
        out
    }

    /// The key and length of a string or message whose bytes the caller appends itself: those of a large tensor are not copied.
    pub(crate) fn announce(self, field: u64, length: usize) -> Self {
        self.key(field, 2).varint(length as u64)
    }

    /// Its bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What a field of a message holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// A whole number.
    Integer(u64),
    /// A number of 4 or 8 bytes, or a string or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message by number, up to the first that cannot be read.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let key = take_varint(&mut rest)?;
        let length = match key & 7 {
            0 => return Some((key >> 3, Field::Integer(take_varint(&mut rest)?))),
            1 => 8,
            2 => usize::try_from(take_varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some((key >> 3, Field::Bytes(value)))
    })
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_back() {
        let message = Message::default().integer(2, 300).double(1, 0.5).float(16, 2.0).bytes(3, b"text");
        let bytes = message.finish();
        assert_eq!(bytes[..3], [0x10, 0xac, 0x02], "field 2, and 300 in groups of seven bits");
        let found: Vec<_> = fields(&bytes).collect();
        let (half, two) = (0.5_f64.to_le_bytes(), 2.0_f32.to_le_bytes());
        let expected = [
            (2, Field::Integer(300)),
            (1, Field::Bytes(&half)),
            (16, Field::Bytes(&two)),
            (3, Field::Bytes(b"text")),
        ];
        assert_eq!(found, expected);
        assert_eq!(fields(&bytes[..bytes.len() - 1]).count(), 3);
    }
}
