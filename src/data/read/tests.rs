//! Good and bad images and masks.

use super::*;
use crate::data::export::{encode_png, write_rgb_png};
use crate::data::raw::RawPixels;
use crate::testing::{TempDir, shared};

fn gradient(width: usize, height: usize) -> Vec<u8> {
    (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, (i * 7) as u8]).collect()
}

pub fn jpeg(width: usize, height: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    let rgb = gradient(width, height);
    encoder.encode(&rgb, width as u32, height as u32, image::ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// The JPEG `whole` with one more segment in front.
pub fn with_segment(whole: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, 0xD8, 0xFF, marker][..], &length, content, &whole[2..]].concat()
}

/// `whole` with an EXIF tag that asks for orientation number `number`.
pub fn with_orientation(whole: &[u8], number: u8) -> Vec<u8> {
    // Big-endian TIFF with a directory of one entry: tag 0x112, type SHORT, one value.
    let directory = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, number, 0, 0, 0, 0, 0, 0];
    with_segment(whole, 0xE1, &[&b"Exif\0\0MM\0\x2A\0\0\0\x08"[..], &directory].concat())
}

fn png(color: png::ColorType, depth: png::BitDepth, width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let palette = (color == png::ColorType::Indexed).then(|| vec![9; 48]);
    encode_png(width, height, color, depth, palette, data)
}

#[test]
fn png_image_is_exact_and_jpeg_is_near() {
    let dir = TempDir::new("read");
    let rgb = gradient(31, 17);
    write_rgb_png(dir.join("a.png"), &rgb, 31, 17).unwrap();
    assert_eq!(read_image(dir.join("a.png")).unwrap(), RgbImage { width: 31, height: 17, rgb });
    // A JPEG under a PNG's name is read for what it is.
    std::fs::write(dir.join("b.png"), jpeg(64, 48)).unwrap();
    let image = read_image(dir.join("b.png")).unwrap();
    assert_eq!((image.width, image.height, image.rgb.len()), (64, 48, 64 * 48 * 3));
}

#[test]
fn a_jpeg_cut_off_anywhere_is_an_error() {
    let dir = TempDir::new("read");
    let path = dir.join("cut.jpg");
    let whole = jpeg(160, 120);
    for share in [0.0, 0.01, 0.05, 0.3, 0.6, 0.9, 0.999] {
        std::fs::write(&path, &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let message = read_image(&path).unwrap_err().to_string();
        assert!(message.contains("cut.jpg") && !message.contains('\n'), "{share}: {message}");
    }
    std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
    assert!(read_image(&path).unwrap_err().to_string().contains("cut off before its end"));
}

#[test]
fn other_bad_images_are_answered_in_words() {
    let dir = TempDir::new("read");
    let message = read_image(dir.join("none.jpg")).unwrap_err().to_string();
    assert!(message.contains("cannot read the image") && message.contains("none.jpg"), "{message}");
    std::fs::write(dir.join("text.jpg"), "not an image").unwrap();
    assert!(read_image(dir.join("text.jpg")).unwrap_err().to_string().contains("not a whole JPEG or PNG"));
    write_rgb_png(dir.join("a.png"), &gradient(50, 50), 50, 50).unwrap();
    let whole = std::fs::read(dir.join("a.png")).unwrap();
    std::fs::write(dir.join("a.png"), &whole[..whole.len() / 2]).unwrap();
    assert!(read_image(dir.join("a.png")).unwrap_err().to_string().contains("not a whole JPEG or PNG"));
}

#[test]
fn smallest_and_large_pictures_are_read_and_absurd_ones_refused() {
    let dir = TempDir::new("read");
    write_rgb_png(dir.join("one.png"), &[1, 2, 3], 1, 1).unwrap();
    assert_eq!(read_image(dir.join("one.png")).unwrap().rgb, [1, 2, 3]);
    std::fs::write(dir.join("large.jpg"), jpeg(6000, 4000)).unwrap();
    let image = read_image(dir.join("large.jpg")).unwrap();
    assert_eq!((image.width, image.height, image.rgb.len()), (6000, 4000, 72_000_000));
    let mask = png(png::ColorType::Grayscale, png::BitDepth::Eight, 6000, 4000, &vec![3; 24_000_000]);
    std::fs::write(dir.join("large.png"), mask).unwrap();
    assert_eq!(read_mask(dir.join("large.png")).unwrap().labels, vec![3; 24_000_000]);
    // Only the header claims the size: nothing of it may be allocated.
    let mut absurd = png(png::ColorType::Grayscale, png::BitDepth::Eight, 1, 1, &[0]);
    absurd[16..20].copy_from_slice(&1_000_000u32.to_be_bytes());
    absurd[20..24].copy_from_slice(&1_000_000u32.to_be_bytes());
    let checksum = crc32(&absurd[12..29]);
    absurd[29..33].copy_from_slice(&checksum.to_be_bytes());
    std::fs::write(dir.join("absurd.png"), absurd).unwrap();
    for message in [
        read_image(dir.join("absurd.png")).unwrap_err().to_string(),
        read_mask(dir.join("absurd.png")).unwrap_err().to_string(),
    ] {
        assert!(message.contains("claims 1000000 x 1000000 pixels"), "{message}");
    }
}

/// The checksum of a PNG chunk, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ if c & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

#[test]
fn masks_keep_their_stored_values() {
    let dir = TempDir::new("read");
    let path = dir.join("mask.png");
    let check = |color, depth, width, height, data: &[u8], labels: &[u16]| {
        std::fs::write(&path, png(color, depth, width, height, data)).unwrap();
        let mask = read_mask(&path).unwrap();
        assert_eq!((mask.width, mask.height), (width as usize, height as usize));
        assert_eq!(mask.labels, labels);
    };
    use png::BitDepth::{Eight, Four, One, Two};
    use png::ColorType::{Grayscale, Indexed};
    check(Indexed, Eight, 3, 2, &[0, 1, 2, 10, 11, 255], &[0, 1, 2, 10, 11, 255]);
    check(Grayscale, Eight, 3, 1, &[0, 7, 255], &[0, 7, 255]);
    check(Indexed, Four, 3, 2, &[0x12, 0x30, 0xF0, 0xA0], &[1, 2, 3, 15, 0, 10]);
    check(Indexed, Two, 5, 1, &[0b0001_1011, 0b0100_0000], &[0, 1, 2, 3, 1]);
    check(Indexed, One, 9, 1, &[0b1010_0001, 0b1000_0000], &[1, 0, 1, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn raw_masks_hold_wide_values_and_colours() {
    let dir = TempDir::new("read");
    let path = dir.join("mask.png");
    let read = |bytes: &[u8], by_color| {
        std::fs::write(&path, bytes).unwrap();
        read_raw_mask(&path, by_color)
    };
    use png::BitDepth::{Eight, Sixteen};
    use png::ColorType::{Grayscale, Indexed, Rgb, Rgba};
    let wide = png(Grayscale, Sixteen, 2, 1, &[1, 2, 0, 3]);
    assert_eq!(read(&wide, false).unwrap().pixels, RawPixels::Values(vec![258, 3]));
    let colors = RawPixels::Colors(vec![[1, 2, 3], [4, 5, 6]]);
    assert_eq!(read(&png(Rgb, Eight, 2, 1, &[1, 2, 3, 4, 5, 6]), false).unwrap().pixels, colors);
    assert_eq!(read(&png(Rgba, Eight, 2, 1, &[1, 2, 3, 0, 4, 5, 6, 255]), true).unwrap().pixels, colors);
    let palette = Some(vec![4, 5, 6, 1, 2, 3]);
    let indexed = crate::data::export::encode_png(2, 1, Indexed, Eight, palette, &[1, 0]);
    assert_eq!(read(&indexed, true).unwrap().pixels, colors);
    assert_eq!(read(&indexed, false).unwrap().pixels, RawPixels::Values(vec![1, 0]));
    let outside = crate::data::export::encode_png(1, 1, Indexed, Eight, Some(vec![0; 3]), &[1]);
    assert!(
        read(&outside, true).unwrap_err().to_string().contains("index 1, which its palette does not have")
    );
    assert!(
        read(&wide, true).unwrap_err().to_string().contains("a grey picture where colours are to be read")
    );
}

#[test]
fn pictures_in_place_of_masks_are_refused_in_words() {
    let dir = TempDir::new("read");
    let path = dir.join("mask.png");
    let message = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read_mask(&path).unwrap_err().to_string()
    };
    use png::BitDepth::{Eight, Sixteen};
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
    let rgb = message(&png(Rgb, Eight, 1, 1, &[1, 2, 3]));
    assert!(rgb.contains("an RGB picture with 8 bits") && rgb.contains("value is the class id"), "{rgb}");
    assert!(message(&png(Rgba, Eight, 1, 1, &[1, 2, 3, 4])).contains("an RGB picture"));
    assert!(message(&png(Rgb, Sixteen, 1, 1, &[0, 1, 0, 2, 0, 3])).contains("an RGB picture with 16 bits"));
    assert!(message(&png(GrayscaleAlpha, Eight, 1, 1, &[0, 3])).contains("with transparency"));
    assert!(message(&jpeg(8, 8)).contains("is not a whole PNG"));
    let labels: Vec<u8> = (0..10_000u32).map(|i| (i * i % 11) as u8).collect();
    let whole = png(Grayscale, Eight, 100, 100, &labels);
    assert!(message(&whole[..whole.len() / 2]).contains("is not a whole PNG"));
    assert!(read_mask(dir.join("none.png")).unwrap_err().to_string().contains("cannot read the mask"));
}

#[test]
fn real_photographs_are_whole() {
    for relative in ["data/camvid/images/val", "data/comma10k-sample/images/train"] {
        let Some(folder) = shared(relative) else { return };
        for entry in std::fs::read_dir(folder).unwrap().take(8) {
            let image = read_image(entry.unwrap().path()).unwrap();
            assert_eq!((image.width, image.height), (480, 360));
        }
    }
}

#[test]
fn an_orientation_turns_a_photograph_and_not_an_image_with_a_mask() {
    let dir = TempDir::new("read");
    let path = dir.join("a.jpg");
    let whole = jpeg(40, 24);
    std::fs::write(&path, &whole).unwrap();
    let stored = read_image(&path).unwrap();
    assert_eq!(read_upright(&path).unwrap(), stored);
    let pixel = |image: &RgbImage, x: usize, y: usize| image.rgb[3 * (y * image.width + x)..][..3].to_vec();
    // The first row of what the camera saw is the last column of what it stored.
    std::fs::write(&path, with_orientation(&whole, 8)).unwrap();
    assert_eq!(read_image(&path).unwrap(), stored);
    let upright = read_upright(&path).unwrap();
    assert_eq!((upright.width, upright.height), (24, 40));
    assert!((0..24).all(|i| pixel(&upright, i, 0) == pixel(&stored, 39, i)));
    // Number 99 means nothing.
    std::fs::write(&path, with_orientation(&whole, 99)).unwrap();
    assert_eq!(read_upright(&path).unwrap(), stored);
}
