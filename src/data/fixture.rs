//! Small data sets for the tests of this module.

use crate::data::classes::Classes;
use crate::data::export::{encode_png, write_rgb_png};
use crate::testing::TempDir;

/// A `classes.json` with the classes `class0`, `class1`, ...
pub fn classes(dir: &TempDir, num_classes: usize) {
    let list: Vec<String> =
        (0..num_classes).map(|id| format!(r#"{{"id": {id}, "name": "class{id}"}}"#)).collect();
    let text = format!(r#"{{"classes": [{}]}}"#, list.join(","));
    Classes::parse(&text).unwrap().write(dir.join("classes.json")).unwrap();
}

/// A PNG image that differs in every pixel and from name to name, with a mask whose labels `label(x, y)` gives.
pub fn pair(
    dir: &TempDir,
    split: &str,
    name: &str,
    width: usize,
    height: usize,
    label: impl Fn(usize, usize) -> u16,
) {
    let tone = name.bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let rgb: Vec<u8> =
        (0..width * height).flat_map(|i| [(i % width * 3) as u8, (i / width * 5) as u8, tone]).collect();
    write_rgb_png(dir.join(&format!("images/{split}/{name}.png")), &rgb, width, height).unwrap();
    mask(dir, split, name, width, height, label);
}

/// The mask alone, grey; with 16 bits where a label needs them.
pub fn mask(
    dir: &TempDir,
    split: &str,
    name: &str,
    width: usize,
    height: usize,
    label: impl Fn(usize, usize) -> u16,
) {
    let labels: Vec<u16> = (0..width * height).map(|i| label(i % width, i / width)).collect();
    let wide = labels.iter().any(|&label| label > 255);
    let depth = if wide { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
    let data: Vec<u8> =
        labels.iter().flat_map(|label| label.to_be_bytes()[usize::from(!wide)..].to_vec()).collect();
    let bytes = encode_png(width as u32, height as u32, png::ColorType::Grayscale, depth, None, &data);
    std::fs::write(dir.join(&format!("masks/{split}/{name}.png")), bytes).unwrap();
}
