//! The frames of TFRecord, in which TensorBoard's files hold their messages.

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
}
