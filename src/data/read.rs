//! One image file to RGB bytes, one mask file to label bytes.
//!
//! Orientation tags of photographs are not applied: a mask is drawn over the stored pixels.

use std::io::Cursor;
use std::path::Path;

use image::{ImageDecoder, ImageReader};

use crate::error::{Error, Result};

/// The largest picture that is decoded, in pixels (a 16,384 x 16,384 square); a file's header can claim any size.
pub const MAX_PIXELS: u64 = 1 << 28;

/// A picture: three bytes per pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width * 3` bytes in the order R, G, B.
    pub rgb: Vec<u8>,
}

/// A label map: one byte per pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` labels, as stored: class ids and the ignore index.
    pub labels: Vec<u8>,
}

/// Reads a JPEG or PNG image; grey, palette and 16-bit pictures become 8-bit RGB, transparency is dropped.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Data`] where it is no image, is damaged or cut off, or is
/// absurdly large.
pub fn read_image(path: impl AsRef<Path>) -> Result<RgbImage> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io("read the image", path, e))?;
    let damaged = |e: image::ImageError| {
        let reason = one_line(&e.to_string());
        Error::data(
            path,
            format!("is not a whole JPEG or PNG image ({reason})"),
            "replace the file or remove it",
        )
    };
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let mut reader = reader.map_err(|e| Error::io("read the image", path, e))?;
    // The default would refuse pictures well below our own limit, which counts pixels; 8 bytes is RGBA of 16 bits.
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let is_jpeg = reader.format() == Some(image::ImageFormat::Jpeg);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(path, width, height)?;
    // The decoder answers a cut-off JPEG with a picture that is grey from there on.
    if is_jpeg && !has_end_of_jpeg(&bytes) {
        let problem = "is a JPEG that is cut off before its end";
        return Err(Error::data(path, problem, "copy or download the file again, or remove it"));
    }
    let picture = image::DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(RgbImage { width: width as usize, height: height as usize, rgb: picture.into_rgb8().into_raw() })
}

/// Reads a mask: an 8-bit (or smaller) palette or grey PNG whose stored value, not its colour, is the label.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Data`] where it is no PNG, is damaged, is absurdly large, or
/// holds colours instead of labels.
pub fn read_mask(path: impl AsRef<Path>) -> Result<Mask> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io("read the mask", path, e))?;
    let damaged = |e: png::DecodingError| {
        let reason = one_line(&e.to_string());
        Error::data(
            path,
            format!("is not a whole PNG ({reason})"),
            "replace the mask or remove it with its image",
        )
    };
    let mut decoder = png::Decoder::new(Cursor::new(&bytes));
    // IDENTITY keeps the palette's indices and small bit depths as they are stored.
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    check_size(path, width, height)?;
    let bits = match (reader.info().color_type, reader.info().bit_depth) {
        (png::ColorType::Indexed | png::ColorType::Grayscale, depth) if depth != png::BitDepth::Sixteen => {
            depth
        }
        (color, depth) => return Err(not_a_label_map(path, color, depth)),
    };
    let Some(num_bytes) = reader.output_buffer_size() else {
        return Err(Error::data(path, "has rows too long for this machine", "cut the picture into tiles"));
    };
    let mut packed = vec![0; num_bytes];
    let info = reader.next_frame(&mut packed).map_err(damaged)?;
    let (width, height) = (width as usize, height as usize);
    let labels = unpack(packed, width, height, info.line_size, bits as usize);
    Ok(Mask { width, height, labels })
}

fn not_a_label_map(path: &Path, color: png::ColorType, depth: png::BitDepth) -> Error {
    let kind = match color {
        png::ColorType::Rgb => "an RGB picture",
        png::ColorType::Rgba => "an RGBA picture",
        png::ColorType::GrayscaleAlpha => "a grey picture with transparency",
        png::ColorType::Grayscale | png::ColorType::Indexed => "a grey picture",
    };
    let remedy =
        "save the mask as a palette or grey PNG of 8 bits whose value is the class id (255 = ignore)";
    Error::data(path, format!("is {kind} with {} bits per channel, not a label map", depth as u8), remedy)
}

/// One byte per pixel from rows of `line_bytes` bytes that hold `bits` bits per pixel, most significant first.
fn unpack(packed: Vec<u8>, width: usize, height: usize, line_bytes: usize, bits: usize) -> Vec<u8> {
    if bits == 8 {
        return packed;
    }
    let per_byte = 8 / bits;
    let keep = (1u8 << bits) - 1;
    let mut labels = Vec::with_capacity(width * height);
    for row in packed.chunks_exact(line_bytes) {
        labels.extend((0..width).map(|x| (row[x / per_byte] >> (8 - bits * (x % per_byte + 1))) & keep));
    }
    labels
}

fn check_size(path: &Path, width: u32, height: u32) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Error::data(
            path,
            format!("has no pixel ({width} x {height})"),
            "replace the file or remove it",
        ));
    }
    if pixels > MAX_PIXELS {
        let problem = format!("claims {width} x {height} pixels, more than the {MAX_PIXELS} that are read");
        return Err(Error::data(path, problem, "reduce the picture or cut it into tiles"));
    }
    Ok(())
}

/// A decoder's message without the line breaks that some hold: ours are one sentence.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a JPEG's end marker comes after its picture data. Segments are walked, because the thumbnail inside a header
/// has an end marker too.
fn has_end_of_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    let mut seen_picture = false;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            // 0 follows a data byte 0xFF, 0xD0..=0xD7 are restart marks inside the data, 0xFF is a fill byte.
            (0xFF, 0x00 | 0xD0..=0xD7) => at += 2,
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0xD9) => return seen_picture,
            (0xFF, _) => {
                seen_picture |= marker == 0xDA;
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::export::{encode_png, write_rgb_png};
    use crate::testing::{TempDir, shared};

    fn gradient(width: usize, height: usize) -> Vec<u8> {
        (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, (i * 7) as u8]).collect()
    }

    fn jpeg(width: usize, height: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
        let rgb = gradient(width, height);
        encoder.encode(&rgb, width as u32, height as u32, image::ExtendedColorType::Rgb8).unwrap();
        bytes
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
        // The end marker of a thumbnail inside a header segment is not that of the picture.
        let mut with_thumbnail = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 0, 0];
        with_thumbnail.extend(&whole[2..whole.len() - 2]);
        std::fs::write(&path, &with_thumbnail).unwrap();
        read_image(&path).unwrap_err();
        with_thumbnail.extend([0xFF, 0xD9]);
        std::fs::write(&path, &with_thumbnail).unwrap();
        read_image(&path).unwrap();
    }

    #[test]
    fn other_bad_images_are_answered_in_words() {
        let dir = TempDir::new("read");
        let message = read_image(dir.join("none.jpg")).unwrap_err().to_string();
        assert!(message.contains("cannot read the image") && message.contains("none.jpg"), "{message}");
        std::fs::write(dir.join("text.jpg"), "not an image").unwrap();
        assert!(
            read_image(dir.join("text.jpg")).unwrap_err().to_string().contains("not a whole JPEG or PNG")
        );
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
        let labels = vec![3; 24_000_000];
        let mask = png(png::ColorType::Grayscale, png::BitDepth::Eight, 6000, 4000, &labels);
        std::fs::write(dir.join("large.png"), mask).unwrap();
        assert_eq!(read_mask(dir.join("large.png")).unwrap().labels, labels);
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
        let check = |color, depth, width, height, data: &[u8], labels: &[u8]| {
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
        assert!(message(&png(Rgba, Eight, 1, 1, &[1, 2, 3, 4])).contains("an RGBA picture"));
        assert!(message(&png(Grayscale, Sixteen, 1, 1, &[0, 3])).contains("a grey picture with 16 bits"));
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
}
