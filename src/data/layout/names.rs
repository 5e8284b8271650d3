//! From the compact tables of classes to lists of them.

use crate::data::classes::ClassInfo;

/// Names and colours, in the order of the ids.
pub(super) fn class_list<'a>(classes: impl Iterator<Item = (&'a str, [u8; 3])>) -> Vec<ClassInfo> {
    (0u16..).zip(classes).map(|(id, (name, color))| ClassInfo { id, name: name.to_owned(), color }).collect()
}

/// The colour that VOC gives to value `id`: its bits, three at a time, are the highest bits of R, G and B that are left.
/// All 256 differ.
pub(super) fn color(id: u8) -> [u8; 3] {
    let channel = |c: u8| {
        let bit = |level: u8| ((id >> (3 * level + c)) & 1) << (7 - level);
        bit(0) | bit(1) | if c < 2 { bit(2) } else { 0 }
    };
    [0, 1, 2].map(channel)
}

/// `name rrggbb` as name and colour.
pub(super) fn named_color(entry: &str) -> (&str, [u8; 3]) {
    let (name, hex) = entry.rsplit_once(' ').unwrap_or((entry, ""));
    let [_, r, g, b] = u32::from_str_radix(hex, 16).unwrap_or(0).to_be_bytes();
    (name, [r, g, b])
}
