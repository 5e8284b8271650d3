//! Numbers and texts of a pickle's stream. Every length is compared with what is left before anything is taken.

use super::{Read, Refusal};

/// Longest line of a text argument, such as a module's name.
const MAX_LINE: usize = 512;

/// A place in the bytes.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it has come.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let left = &self.bytes[self.at..];
        if count > left.len() {
            let left = left.len();
            return Err(Refusal::damaged(format!(
                "its pickle is cut off or damaged: {count} bytes are announced where {left} follow"
            )));
        }
        self.at += count;
        Ok(&left[..count])
    }

    /// The next byte.
    pub fn byte(&mut self) -> Read<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// An unsigned number of `size` bytes, up to 8.
    pub fn unsigned(&mut self, size: usize) -> Read<u64> {
        let bytes = self.take(size)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A length of `size` bytes; what no address holds counts as the largest that one does, and is never there.
    pub fn length(&mut self, size: usize) -> Read<usize> {
        Ok(usize::try_from(self.unsigned(size)?).unwrap_or(usize::MAX))
    }

    /// A signed number in two's complement of `size` bytes, `None` where it needs more than 8.
    pub fn signed(&mut self, size: usize) -> Read<Option<i64>> {
        let bytes = self.take(size)?;
        if size > 8 {
            return Ok(None);
        }
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
        let mut whole = [fill; 8];
        whole[..size].copy_from_slice(bytes);
        Ok(Some(i64::from_le_bytes(whole)))
    }

    /// Text up to the next line break.
    pub fn line(&mut self) -> Read<String> {
        let left = &self.bytes[self.at..];
        let end = left.iter().take(MAX_LINE).position(|&byte| byte == b'\n');
        let Some(end) = end else {
            return Err(Refusal::damaged("its pickle has a name without an end"));
        };
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&left[..end]).into_owned())
    }
}
