//! Pictures and label maps to PNG files.

use std::path::Path;

use crate::data::classes::Classes;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

/// Writes a label map (class ids; every other label counts as ignored) as a PNG whose values are those that stand for the
/// classes in the data set's own masks: indexed, with the classes' colours as palette and black for every other value, or
/// grey with 16 bits where one of these values is above 255.
///
/// # Errors
/// [`Error::Shape`] where `labels` is not `width * height` long; [`Error::Io`] where the file cannot be written.
pub fn write_mask_png(
    path: impl AsRef<Path>,
    labels: &[u16],
    width: usize,
    height: usize,
    classes: &Classes,
) -> Result<()> {
    let (png_width, png_height) = check(labels.len(), width, height, 1)?;
    let own = &classes.labels.own;
    let ignored = classes.labels.ignored_value().unwrap_or(classes.ignore_index);
    let values = labels.iter().map(|&label| own.get(usize::from(label)).copied().unwrap_or(ignored));
    if own.iter().chain([&ignored]).any(|&value| value > 255) {
        let bytes: Vec<u8> = values.flat_map(u16::to_be_bytes).collect();
        let (color, depth) = (png::ColorType::Grayscale, png::BitDepth::Sixteen);
        return write_atomic(path, &encode_png(png_width, png_height, color, depth, None, &bytes));
    }
    let mut palette = vec![0; 256 * 3];
    for class in &classes.classes {
        palette[usize::from(own[usize::from(class.id)]) * 3..][..3].copy_from_slice(&class.color);
    }
    let values: Vec<u8> = values.map(|value| value as u8).collect();
    let (color, depth) = (png::ColorType::Indexed, png::BitDepth::Eight);
    write_atomic(path, &encode_png(png_width, png_height, color, depth, Some(palette), &values))
}

/// Writes `height * width * 3` RGB bytes as a PNG.
///
/// # Errors
/// [`Error::Shape`] where `rgb` is not `width * height * 3` long; [`Error::Io`] where the file cannot be written.
pub fn write_rgb_png(path: impl AsRef<Path>, rgb: &[u8], width: usize, height: usize) -> Result<()> {
    let (png_width, png_height) = check(rgb.len(), width, height, 3)?;
    write_atomic(
        path,
        &encode_png(png_width, png_height, png::ColorType::Rgb, png::BitDepth::Eight, None, rgb),
    )
}

/// The size as a PNG header holds it, where it fits `num_bytes`.
fn check(num_bytes: usize, width: usize, height: usize, channels: usize) -> Result<(u32, u32)> {
    let fits = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels)) == Some(num_bytes);
    // A PNG stores sizes in 31 bits.
    match (i32::try_from(width), i32::try_from(height)) {
        (Ok(1..), Ok(1..)) if fits => Ok((width as u32, height as u32)),
        _ => Err(Error::shape(
            "write_png",
            format!(
                "{num_bytes} bytes are not a picture of {width} x {height} with {channels} bytes per pixel"
            ),
        )),
    }
}

/// A PNG of `data`, whose length the caller has checked.
pub(crate) fn encode_png(
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
    palette: Option<Vec<u8>>,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(data)?;
        writer.finish()
    });
    written.expect("a checked picture always encodes into memory");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::read::{read_image, read_mask};
    use crate::testing::TempDir;

    #[test]
    fn a_mask_comes_back_as_labels_and_shows_as_colours() {
        let text = r#"{"classes": [{"id": 0, "name": "a", "color": [1, 2, 3]}, {"id": 1, "name": "b", "color": [4, 5, 6]}]}"#;
        let classes = Classes::parse(text).unwrap();
        let dir = TempDir::new("export");
        let path = dir.join("mask.png");
        write_mask_png(&path, &[0, 1, 255, 1, 1, 0], 3, 2, &classes).unwrap();
        assert_eq!(read_mask(&path).unwrap().labels, [0, 1, 255, 1, 1, 0]);
        let colours = read_image(&path).unwrap();
        assert_eq!(colours.rgb, [1, 2, 3, 4, 5, 6, 0, 0, 0, 4, 5, 6, 4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn more_classes_than_bytes_are_written_with_16_bits() {
        let class = |id: u16| format!(r#"{{"id": {id}, "name": "{id}"}}"#);
        let dir = TempDir::new("export");
        for (count, wide) in [(255, false), (256, true), (847, true)] {
            let list: Vec<_> = (0..count).map(class).collect();
            let classes = Classes::parse(&format!(r#"{{"classes": [{}]}}"#, list.join(","))).unwrap();
            let path = dir.join("mask.png");
            let labels = [0, 1, count - 1, classes.ignore_index, 7, 200];
            write_mask_png(&path, &labels, 3, 2, &classes).unwrap();
            assert_eq!(read_mask(&path).unwrap().labels, labels);
            // Bit depth of the header.
            assert_eq!(std::fs::read(&path).unwrap()[24], if wide { 16 } else { 8 });
        }
    }

    #[test]
    fn a_wrong_size_or_folder_is_an_error() {
        let dir = TempDir::new("export");
        let message = write_rgb_png(dir.join("a.png"), &[0; 10], 2, 2).unwrap_err().to_string();
        assert!(message.contains("10 bytes are not a picture of 2 x 2"), "{message}");
        write_rgb_png(dir.join("a.png"), &[], 0, 5).unwrap_err();
        let message = write_rgb_png(dir.path().join("none/a.png"), &[0; 12], 2, 2).unwrap_err().to_string();
        assert!(message.contains("cannot write the file"), "{message}");
    }
}
