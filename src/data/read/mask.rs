//! Mask files: palette, grey and RGB PNGs as their raw labels.

use std::io::Cursor;
use std::path::Path;

use super::{Mask, check_size, one_line};
use crate::data::raw::{RawMask, RawPixels};
use crate::disk;
use crate::error::{Error, Result};

/// Reads a mask: a grey PNG of up to 16 bits or a palette PNG, whose stored value is the raw label, or an RGB PNG of 8 bits
/// per channel, whose colour is (transparency is dropped). With `by_color`, the colours of a palette PNG count and not its
/// indices.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Data`] where it is no PNG, is damaged, is absurdly large, holds
/// what is no label map, or holds no colours and `by_color` asks for them.
pub fn read_raw_mask(path: impl AsRef<Path>, by_color: bool) -> Result<RawMask> {
    let path = path.as_ref();
    let bytes = disk::read(path).map_err(|e| Error::io("read the mask", path, e))?;
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
    let (color, depth) = (reader.info().color_type, reader.info().bit_depth);
    let wide = depth == png::BitDepth::Sixteen;
    if color == png::ColorType::GrayscaleAlpha || wide && color != png::ColorType::Grayscale {
        return Err(not_a_label_map(path, color, depth));
    }
    if by_color && color == png::ColorType::Grayscale {
        let remedy = "leave data.masks = \"colors\" (--mask-kind colors) out, or save the mask in colours";
        return Err(Error::data(path, "is a grey picture where colours are to be read", remedy));
    }
    let Some(num_bytes) = reader.output_buffer_size() else {
        return Err(Error::data(path, "has rows too long for this machine", "cut the picture into tiles"));
    };
    let palette = reader.info().palette.as_ref().map_or(Vec::new(), |palette| palette.to_vec());
    let mut packed = vec![0; num_bytes];
    let info = reader.next_frame(&mut packed).map_err(damaged)?;
    let (width, height) = (width as usize, height as usize);
    let pixels = match color {
        png::ColorType::Rgb => RawPixels::Colors(packed.as_chunks::<3>().0.to_vec()),
        png::ColorType::Rgba => {
            RawPixels::Colors(packed.as_chunks::<4>().0.iter().map(|&[r, g, b, _]| [r, g, b]).collect())
        }
        _ if wide => {
            RawPixels::Values(packed.as_chunks::<2>().0.iter().map(|&b| u16::from_be_bytes(b)).collect())
        }
        _ => {
            let indices = unpack(packed, width, height, info.line_size, depth as usize);
            if by_color {
                RawPixels::Colors(colors(path, &indices, &palette)?)
            } else {
                RawPixels::Values(indices.into_iter().map(u16::from).collect())
            }
        }
    };
    Ok(RawMask { width, height, pixels })
}

/// Reads a mask of numbers as they are stored, without a label map.
///
/// # Errors
/// As [`read_raw_mask`], and [`Error::Data`] where the file holds colours.
pub fn read_mask(path: impl AsRef<Path>) -> Result<Mask> {
    let path = path.as_ref();
    let RawMask { width, height, pixels } = read_raw_mask(path, false)?;
    let RawPixels::Values(labels) = pixels else {
        return Err(not_a_label_map(path, png::ColorType::Rgb, png::BitDepth::Eight));
    };
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
        "save the mask as a palette or grey PNG of 8 bits, or a grey one of 16, whose value is the class id";
    Error::data(path, format!("is {kind} with {} bits per channel, not a label map", depth as u8), remedy)
}

/// The palette's colours of `indices`.
fn colors(path: &Path, indices: &[u8], palette: &[u8]) -> Result<Vec<[u8; 3]>> {
    let palette = palette.as_chunks::<3>().0;
    let color = |&index: &u8| {
        palette.get(usize::from(index)).copied().ok_or_else(|| {
            let problem = format!("holds the index {index}, which its palette does not have");
            Error::data(path, problem, "save the mask again with a whole palette")
        })
    };
    indices.iter().map(color).collect()
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
