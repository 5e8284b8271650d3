//! The files that TensorBoard reads: protobuf messages in the frames of TFRecord.

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C (Castagnoli).
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// Bytes around a message: its length and that length's checksum before it, its own checksum behind it.
const HEADER: usize = 12;
const FOOTER: usize = 4;

/// The checksum as it is stored: rotated and shifted, since a checksum of what holds checksums is a weak one.
fn masked_crc(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A message in its frame; all numbers are little-endian.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let [of_length, of_message] = [&length[..], message].map(|bytes| masked_crc(bytes).to_le_bytes());
    [&length[..], &of_length, message, &of_message].concat()
}

/// Every message in `bytes` with the offset behind its frame, up to the first frame that is cut short or damaged.
pub(super) fn messages(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[at..];
        let (length, of_length) = (rest.get(..8)?, rest.get(8..HEADER)?);
        if of_length != masked_crc(length).to_le_bytes() {
            return None;
        }
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        let message = rest.get(HEADER..HEADER.checked_add(length)?)?;
        if rest.get(HEADER + length..HEADER + length + FOOTER)? != masked_crc(message).to_le_bytes() {
            return None;
        }
        at += HEADER + length + FOOTER;
        Some((message, at))
    })
}

/// A protobuf message that is being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

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

    /// An integer that is not negative.
    pub(super) fn integer(self, field: u64, value: u64) -> Self {
        self.key(field, 0).varint(value)
    }

    /// A `double`.
    pub(super) fn double(self, field: u64, value: f64) -> Self {
        let mut out = self.key(field, 1);
        out.0.extend(value.to_le_bytes());
        out
    }

    /// A `float`.
    pub(super) fn float(self, field: u64, value: f32) -> Self {
        let mut out = self.key(field, 5);
        out.0.extend(value.to_le_bytes());
        out
    }

    /// A string or a message.
    pub(super) fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut out = self.key(field, 2).varint(value.len() as u64);
        out.0.extend(value);
        out
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What a field of a message holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Integer(u64),
    /// A number of 4 or 8 bytes, or a string or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message by number, up to the first that cannot be read.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
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
    fn checksums_are_those_of_the_standard() {
        // The check value of CRC-32C, and that of 32 zero bytes in RFC 3720, B.4.
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
        // 0x8a9136aa turned right by 15 is 0x6d551522.
        assert_eq!(masked_crc(&[0; 32]), 0x6d55_1522_u32.wrapping_add(0xa282_ead8));
    }

    #[test]
    fn frames_are_read_back_up_to_the_damaged_one() {
        let file = [frame(b"one"), frame(b""), frame(&[7; 300])].concat();
        let read =
            |file: &[u8]| messages(file).map(|(message, end)| (message.len(), end)).collect::<Vec<_>>();
        assert_eq!(read(&file), [(3, 19), (0, 35), (300, 351)]);
        assert_eq!(read(&file[..350]), [(3, 19), (0, 35)], "cut short");
        for damaged in [20, 30, 40, 100, 349] {
            let mut file = file.clone();
            file[damaged] ^= 1;
            assert_eq!(read(&file).len(), if damaged < 35 { 1 } else { 2 }, "byte {damaged}");
        }
        assert_eq!(read(&frame(b"a")[..4]), []);
    }

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
