//! Random scale, aspect, crop, flip, rotation, blur and photometric jitter of one labelled image.
//!
//! Scale and crop are one step: only the crop's pixels are computed. The image is resampled with a triangle filter
//! (bilinear when enlarging, as wide as the source pixels it stands for when reducing, so that nothing aliases), the
//! labels take the nearest source pixel. Both use pixel centres, so they stay aligned at every scale.
//! A rotation turns a larger crop around the middle, so that the image shows wherever it reaches.

mod blur;
mod jitter;
mod resample;
mod rotate;

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
    /// Width and height are stretched against each other by a ratio from `1 / aspect` to `aspect`, log-uniform; 1 for never.
    pub aspect: f32,
    /// Rows of the crop, in pixels.
    pub crop_height: usize,
    /// Columns of the crop, in pixels.
    pub crop_width: usize,
    /// Largest share of a crop's labelled pixels that one class may have: up to ten places are tried, and the one where it is
    /// smallest is taken if none keeps to it; 1 for no limit, 0.75 is usual.
    pub max_class_share: f32,
    /// Images are turned by up to so many degrees, either way.
    pub rotate: f32,
    /// Probability of a Gaussian blur.
    pub blur: f32,
    /// Its largest standard deviation, in pixels of the crop; it is uniform from 0.
    pub blur_sigma: f32,
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
            aspect: 1.0,
            crop_height: 360,
            crop_width: 480,
            max_class_share: 1.0,
            rotate: 0.0,
            blur: 0.0,
            blur_sigma: 2.0,
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
            ..Self::default()
        }
    }

    /// The same for images that are enlarged by `scale` first.
    #[must_use]
    pub fn enlarged(&self, scale: f32) -> Self {
        Self { scale_min: scale * self.scale_min, scale_max: scale * self.scale_max, ..self.clone() }
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
        within("aspect", self.aspect, 1.0, 4.0)?;
        within("max_class_share", self.max_class_share, 0.01, 1.0)?;
        within("rotate", self.rotate, 0.0, 180.0)?;
        within("blur", self.blur, 0.0, 1.0)?;
        within("blur_sigma", self.blur_sigma, 0.0, 50.0)?;
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
    pub label: u16,
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
    pub labels: Vec<u16>,
}

/// Places that are tried for a crop within [`AugmentSettings::max_class_share`].
const NUM_PLACES: usize = 10;

/// What was drawn for one image.
struct Draw {
    /// Of rows and columns.
    scale: [f32; 2],
    /// In `[0, 1)`, of rows and columns.
    places: [[f32; 2]; NUM_PLACES],
    flip: bool,
    jitter: jitter::Jitter,
    /// Radians.
    angle: f32,
    /// Standard deviation in pixels; 0 for no blur.
    blur: f32,
}

impl Draw {
    /// The same numbers in the same order whatever the settings are; what came to be later is drawn later.
    fn new(settings: &AugmentSettings, rng: &mut Rng) -> Self {
        let scale = rng.range(settings.scale_min, settings.scale_max);
        let mut places = [[0.0; 2]; NUM_PLACES];
        places[0] = [rng.uniform(), rng.uniform()];
        let flip = rng.chance(settings.flip);
        let jitter = jitter::Jitter::draw(settings, rng);
        let stretch = settings.aspect.powf(0.5 * rng.range(-1.0, 1.0));
        let angle = (settings.rotate * rng.range(-1.0, 1.0)).to_radians();
        let (blurs, blur) = (rng.chance(settings.blur), settings.blur_sigma * rng.uniform());
        for place in &mut places[1..] {
            *place = [rng.uniform(), rng.uniform()];
        }
        let scale = [scale / stretch, scale * stretch];
        Self { scale, places, flip, jitter, angle, blur: if blurs { blur } else { 0.0 } }
    }
}

/// Draws one variation of `sample`. The same numbers are drawn from `rng` in the same order whatever the settings are, so
/// changing one setting does not shuffle the others.
#[must_use]
pub fn augment(sample: &Sample, settings: &AugmentSettings, padding: Padding, rng: &mut Rng) -> Crop {
    let draw = Draw::new(settings, rng);
    let (height, width) = (settings.crop_height, settings.crop_width);
    let turn = (draw.angle != 0.0).then(|| rotate::Turn::new(draw.angle, height, width));
    let margins = turn.as_ref().map_or([0; 2], rotate::Turn::margins);
    let axes = |[row, column]: [f32; 2]| {
        let [rows, columns] = draw.scale;
        let rows = resample::Axis::new(sample.image.height, rows, height, row, false, margins[0]);
        (rows, resample::Axis::new(sample.image.width, columns, width, column, draw.flip, margins[1]))
    };
    let labels = |(rows, columns): &(resample::Axis, resample::Axis)| {
        let labels = resample::labels(&sample.mask, rows, columns, padding.label);
        turn.as_ref().map_or_else(|| labels.clone(), |turn| turn.labels(&labels, padding.label))
    };
    let mut place = axes(draw.places[0]);
    let mut found = labels(&place);
    if settings.max_class_share < 1.0 {
        let mut share = largest_share(&found, padding.label);
        for &other in &draw.places[1..] {
            if share <= settings.max_class_share {
                break;
            }
            let other = axes(other);
            let others = labels(&other);
            let others_share = largest_share(&others, padding.label);
            if others_share < share {
                (place, found, share) = (other, others, others_share);
            }
        }
    }
    let (rows, columns) = place;
    let mut rgb = resample::image(&sample.image, &rows, &columns, padding.rgb);
    let inside = (rows.inside(), columns.inside());
    if draw.blur > 0.0 {
        blur::apply(&mut rgb, columns.len(), inside.clone(), draw.blur);
    }
    // Padding keeps its colour: it must be zero after normalisation whatever the jitter.
    draw.jitter.apply(&mut rgb, columns.len(), inside.0.clone(), inside.1.clone());
    if let Some(turn) = &turn {
        rgb = turn.image(&rgb, inside, padding.rgb);
    }
    Crop { height, width, rgb, labels: found }
}

/// The share of the most frequent class among the labelled pixels; 1 where none is labelled.
fn largest_share(labels: &[u16], ignored: u16) -> f32 {
    let highest = labels.iter().filter(|&&label| label != ignored).max();
    let mut counts = vec![0_u32; highest.map_or(0, |&label| usize::from(label) + 1)];
    labels.iter().filter(|&&label| label != ignored).for_each(|&label| counts[usize::from(label)] += 1);
    let labelled: u32 = counts.iter().sum();
    let most = counts.iter().max().copied().unwrap_or(0);
    if labelled == 0 { 1.0 } else { most as f32 / labelled as f32 }
}

#[cfg(test)]
mod tests;
