//! One image file to RGB bytes, one mask file to labels.

mod jpeg;
mod mask;

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::disk;
use crate::error::{Error, Result};

pub use mask::{read_mask, read_raw_mask};

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

impl RgbImage {
    /// The image at `[height, width]`, every pixel the mean of those it covers, or interpolated where it grows.
    ///
    /// # Panics
    /// If there are not as many bytes as pixels.
    #[must_use]
    pub fn resized(&self, [height, width]: [usize; 2]) -> Self {
        use image::imageops::{FilterType, resize};
        let view = image::ImageBuffer::<image::Rgb<u8>, &[u8]>::from_raw(
            self.width as u32,
            self.height as u32,
            &self.rgb,
        );
        let view = view.expect("three bytes per pixel");
        let rgb = resize(&view, width as u32, height as u32, FilterType::Triangle).into_raw();
        Self { width, height, rgb }
    }
}

/// A label map: one number per pixel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` labels. In a [`Sample`](super::Sample) they are class ids and the ignore index, whatever the file's raw
    /// labels are; [`read_mask`] alone gives them as stored.
    pub labels: Vec<u16>,
}

/// Reads a JPEG or PNG image; grey, palette and 16-bit pictures become 8-bit RGB, transparency is dropped. The pixels are
/// where they are stored, because a mask is drawn over them.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Data`] where it is no image, is damaged or cut off, or is
/// absurdly large.
pub fn read_image(path: impl AsRef<Path>) -> Result<RgbImage> {
    Ok(rgb(decode(path.as_ref())?.0))
}

/// Reads an image as [`read_image`], turned and mirrored as the file asks for (EXIF): cameras that are held upright store
/// pictures that lie on their side.
///
/// # Errors
/// As [`read_image`].
pub fn read_upright(path: impl AsRef<Path>) -> Result<RgbImage> {
    let path = path.as_ref();
    decode_upright(path, &bytes(path)?)
}

/// Decodes the bytes of an image as [`read_upright`] does; `path` is the name used in messages.
///
/// # Errors
/// [`Error::Data`] where they are no image, are damaged or cut off, or the image is absurdly large.
pub fn decode_upright(path: impl AsRef<Path>, bytes: &[u8]) -> Result<RgbImage> {
    let (mut picture, orientation) = decode_bytes(path.as_ref(), bytes)?;
    picture.apply_orientation(orientation);
    Ok(rgb(picture))
}

fn rgb(picture: DynamicImage) -> RgbImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    RgbImage { width, height, rgb: picture.into_rgb8().into_raw() }
}

/// The picture as it is stored, and what is to be done to show it upright.
pub(super) fn decode(path: &Path) -> Result<(DynamicImage, Orientation)> {
    decode_bytes(path, &bytes(path)?)
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    disk::read(path).map_err(|e| Error::io("read the image", path, e))
}

fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, Orientation)> {
    let damaged = |e: image::ImageError| {
        let reason = one_line(&e.to_string());
        Error::data(
            path,
            format!("is not a whole JPEG or PNG image ({reason})"),
            "replace the file or remove it",
        )
    };
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|e| Error::io("read the image", path, e))?;
    if reader.format() == Some(image::ImageFormat::Jpeg) {
        return jpeg::decode(path, bytes);
    }
    // The default would refuse pictures well below our own limit, which counts pixels; 8 bytes is RGBA of 16 bits.
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(path, width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(damaged)?, orientation))
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

#[cfg(test)]
pub(super) mod tests;
