//! JPEG without leniency: a decoder for viewers paints what it cannot read grey, or answers a cut-off file with the part
//! that it has, and says nothing.

use std::path::Path;

use image::DynamicImage;
use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::check_size;
use crate::error::{Error, Result};

/// Decodes a JPEG as it is stored, with the orientation that its EXIF data ask for.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, Orientation)> {
    let bad = |problem: String| Error::data(path, problem, "copy or download the file again, or remove it");
    let damaged = |e: DecodeErrors| bad(format!("is a damaged JPEG ({})", super::one_line(&e.to_string())));
    // Headers are often a little wrong in files that are whole. Our limit counts pixels, not rows and columns.
    let lenient = DecoderOptions::default().set_strict_mode(false);
    let lenient = lenient.set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), lenient);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = (width as u32, height as u32);
    check_size(path, width, height)?;
    if let Some(flaw) = flaw(bytes) {
        return Err(bad(format!("is a JPEG {flaw}")));
    }
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let colors = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().set_strict_mode(true).jpeg_set_out_colorspace(colors));
    let pixels = decoder.decode().map_err(damaged)?;
    let picture = if is_grey {
        image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let picture = picture.ok_or_else(|| bad("is a damaged JPEG (pixels are missing)".into()))?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok((picture, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// What is wrong with the order of a JPEG's segments and marks: damaged picture data often hold marks by chance, and the
/// decoder takes each at its word. Segments are walked, because the thumbnail inside a header has marks too.
fn flaw(bytes: &[u8]) -> Option<&'static str> {
    const FOREIGN: Option<&str> = Some("whose picture data hold a mark that does not belong there");
    let mut at = 2;
    // Colour channels of a frame that is stored in one go, restart marks allowed, picture data reached and complete.
    let (mut channels, mut restarts, mut in_picture, mut complete) = (None, false, false, false);
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            // A data byte 0xFF is followed by 0; 0xFF before a mark is a fill byte.
            (0xFF, 0x00) => at += 2,
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0xD0..=0xD7) if in_picture && !restarts => return FOREIGN,
            (0xFF, 0xD0..=0xD7) => at += 2,
            (0xFF, 0xD9) if in_picture => return None,
            (0xFF, 0xD9) => break,
            (0xFF, _) if complete => return FOREIGN,
            (0xFF, _) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let segment = bytes.get(at + 4..at + 2 + length).unwrap_or_default();
                match marker {
                    0xC0 | 0xC1 => channels = segment.get(5),
                    0xDA => {
                        in_picture = true;
                        complete = channels.is_some() && segment.first() == channels;
                    }
                    0xDD => restarts = segment != [0, 0],
                    _ => {}
                }
                at += 2 + length;
            }
            _ => at += 1,
        }
    }
    Some("that is cut off before its end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::read::tests::{jpeg, with_segment};
    use crate::testing::shared;

    fn strict(bytes: &[u8]) -> Result<DynamicImage> {
        decode(Path::new("a.jpg"), bytes).map(|(picture, _)| picture)
    }

    fn viewer(bytes: &[u8]) -> DynamicImage {
        image::load_from_memory_with_format(bytes, image::ImageFormat::Jpeg).unwrap()
    }

    #[test]
    fn whole_pictures_are_those_of_the_lenient_decoder() {
        for (width, height) in [(1, 1), (7, 9), (160, 120)] {
            let bytes = jpeg(width, height);
            assert!(strict(&bytes).unwrap() == viewer(&bytes));
        }
        let mut grey = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut grey, 90);
        viewer(&jpeg(50, 30)).to_luma8().write_with_encoder(encoder).unwrap();
        assert_eq!(strict(&grey).unwrap().color(), image::ColorType::L8);
        assert!(strict(&grey).unwrap() == viewer(&grey));
        let Some(folder) = shared("data/camvid/images/val") else { return };
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(strict(&bytes).unwrap() == viewer(&bytes));
        }
    }

    #[test]
    fn damage_that_a_viewer_passes_over_is_refused() {
        let whole = jpeg(160, 120);
        let middle = whole.len() / 2;
        let damage = |bytes: &[u8]| {
            let mut damaged = whole.clone();
            damaged[middle..middle + bytes.len()].copy_from_slice(bytes);
            assert!(viewer(&damaged) != viewer(&whole), "a viewer shows something else");
            strict(&damaged).unwrap_err().to_string()
        };
        // No table has a code of so many ones.
        let code = damage(&[0xFF, 0x00].repeat(12));
        assert!(code.contains("`a.jpg`: is a damaged JPEG (") && code.contains("download"), "{code}");
        // A mark that means nothing, a restart mark where there are none, a comment.
        for mark in [[0xFF, 0x02, 0, 2], [0xFF, 0xD3, 0, 2], [0xFF, 0xFE, 0, 2]] {
            let message = damage(&mark);
            assert!(message.contains("hold a mark that does not belong there"), "{message}");
        }
    }

    #[test]
    fn a_thumbnail_in_a_header_is_not_the_picture() {
        let whole = jpeg(16, 16);
        let mut thumbnail = with_segment(&whole, 0xE1, &[0xFF, 0xD9, 0xFF, 0xDA, 0, 0]);
        strict(&thumbnail).unwrap();
        thumbnail.truncate(thumbnail.len() - 2);
        assert!(strict(&thumbnail).unwrap_err().to_string().contains("cut off before its end"));
    }
}
