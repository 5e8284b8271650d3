//! Random scale, crop, flip and photometric jitter of one labelled image.
//!
//! Scale and crop are one step: only the crop's pixels are computed. The image is resampled with a triangle filter
//! (bilinear when enlarging, as wide as the source pixels it stands for when reducing, so that nothing aliases), the
//! labels take the nearest source pixel. Both use pixel centres, so they stay aligned at every scale.

mod jitter;
mod resample;

use serde::{Deserialize, Serialize};

use crate::data::dataset::Sample;
use crate::error::{Error, Result};
use crate::rng::Rng;

/// The longest side of a crop, in pixels.
pub const MAX_CROP: usize = 16_384;

/// How training images are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Smallest scale of the image.
    pub scale_min: f32,
    /// Largest scale; the scale is uniform between the two.
    pub scale_max: f32,
    /// Rows of the crop, in pixels.
    pub crop_height: usize,
    /// Columns of the crop, in pixels.
    pub crop_width: usize,
    /// Probability of a mirror image.
    pub flip: f32,
    /// Brightness is multiplied by a factor in `1 - brightness ..= 1 + brightness`.
    pub brightness: f32,
    /// The distance from the crop's mean grey is multiplied by a factor in `1 - contrast ..= 1 + contrast`.
    pub contrast: f32,
    /// The distance from the pixel's grey is multiplied by a factor in `1 - saturation ..= 1 + saturation`.
    pub saturation: f32,
    /// Colours are turned around the grey axis by up to this part of a full turn, either way.
    pub hue: f32,
}

impl Default for AugmentSettings {
    fn default() -> Self {
        Self {
            scale_min: 0.5,
            scale_max: 2.0,
            crop_height: 360,
            crop_width: 480,
            flip: 0.5,
            brightness: 0.25,
            contrast: 0.25,
            saturation: 0.25,
            hue: 0.03,
        }
    }
}

impl AugmentSettings {
    /// The image as it is, cut to or padded to `height` x `width`.
    #[must_use]
    pub fn none(height: usize, width: usize) -> Self {
        Self {
            scale_min: 1.0,
            scale_max: 1.0,
            crop_height: height,
            crop_width: width,
            flip: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first key whose value cannot be used.
    pub fn validate(&self) -> Result<()> {
        let within = |key: &str, value: f32, low: f32, high: f32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::config(
                format!("augment.{key} is {value}"),
                format!("choose a number from {low} to {high}"),
            ))
        };
        within("scale_min", self.scale_min, 0.05, 20.0)?;
        within("scale_max", self.scale_max, 0.05, 20.0)?;
        if self.scale_min > self.scale_max {
            let problem =
                format!("augment.scale_min {} is above augment.scale_max {}", self.scale_min, self.scale_max);
            return Err(Error::config(problem, "exchange the two"));
        }
        for (key, value) in [("crop_height", self.crop_height), ("crop_width", self.crop_width)] {
            if !(1..=MAX_CROP).contains(&value) {
                return Err(Error::config(
                    format!("augment.{key} is {value}"),
                    format!("choose a number of pixels from 1 to {MAX_CROP}"),
                ));
            }
        }
        within("flip", self.flip, 0.0, 1.0)?;
        within("brightness", self.brightness, 0.0, 1.0)?;
        within("contrast", self.contrast, 0.0, 1.0)?;
        within("saturation", self.saturation, 0.0, 1.0)?;
        within("hue", self.hue, 0.0, 0.5)
    }
}

/// What stands where the scaled image does not reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Padding {
    /// The colour, 0 to 255; the normalisation's mean, so that the network sees zeros.
    pub rgb: [f32; 3],
    /// The label, the ignore index.
    pub label: u8,
}

/// One augmented sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Crop {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height * width * 3` values from 0 to 255, R, G, B.
    pub rgb: Vec<f32>,
    /// `height * width` labels as stored in the mask, [`Padding::label`] outside the image.
    pub labels: Vec<u8>,
}

/// Draws one variation of `sample`. The same numbers are drawn from `rng` in the same order whatever the settings are, so
/// changing one setting does not shuffle the others.
#[must_use]
pub fn augment(sample: &Sample, settings: &AugmentSettings, padding: Padding, rng: &mut Rng) -> Crop {
    let scale = rng.range(settings.scale_min, settings.scale_max);
    let (row_draw, column_draw) = (rng.uniform(), rng.uniform());
    let flip = rng.chance(settings.flip);
    let jitter = jitter::Jitter::draw(settings, rng);

    let rows = resample::Axis::new(sample.image.height, scale, settings.crop_height, row_draw, false);
    let columns = resample::Axis::new(sample.image.width, scale, settings.crop_width, column_draw, flip);
    let mut rgb = resample::image(&sample.image, &rows, &columns, padding.rgb);
    // Padding keeps its colour: it must be zero after normalisation whatever the jitter.
    jitter.apply(&mut rgb, settings.crop_width, rows.inside(), columns.inside());
    let labels = resample::labels(&sample.mask, &rows, &columns, padding.label);
    Crop { height: settings.crop_height, width: settings.crop_width, rgb, labels }
}

#[cfg(test)]
mod tests;
