//! Images and labels in the form that the network takes.

use serde::{Deserialize, Serialize};

use crate::data::augment::Crop;
use crate::data::classes::Classes;
use crate::data::dataset::Dataset;
use crate::data::read::RgbImage;
use crate::error::{Error, Result};

/// What turns a colour byte into a network input: `(byte / 255 - mean) / std`, per channel in the order R, G, B.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The mean of each channel, as a fraction of white.
    pub mean: [f32; 3],
    /// The standard deviation of each channel, as a fraction of white.
    pub std: [f32; 3],
}

impl Default for Normalisation {
    /// The statistics of ImageNet, with which torchvision's and timm's weights were trained.
    fn default() -> Self {
        Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

impl Normalisation {
    /// Checks that every number can be used.
    ///
    /// # Errors
    /// [`Error::Config`] where a mean is not finite or a deviation is not above 0.
    pub fn validate(&self) -> Result<()> {
        if self.mean.iter().all(|mean| mean.is_finite())
            && self.std.iter().all(|std| std.is_normal() && *std > 0.0)
        {
            return Ok(());
        }
        let problem = format!("the normalisation has mean {:?} and std {:?}", self.mean, self.std);
        Err(Error::config(problem, "give three finite means and three positive deviations"))
    }

    /// The colour, 0 to 255, whose network input is 0.
    #[must_use]
    pub fn neutral_rgb(&self) -> [f32; 3] {
        self.mean.map(|mean| mean * 255.0)
    }

    /// A whole image as network input: `[height, width, 4]` with R, G, B and a fourth channel of zeros.
    #[must_use]
    pub fn image(&self, image: &RgbImage) -> Vec<f32> {
        let mut input = Vec::with_capacity(image.width * image.height * 4);
        input.extend(image.rgb.as_chunks::<3>().0.iter().flat_map(|rgb| self.pixel(rgb.map(f32::from))));
        input
    }

    fn pixel(&self, rgb: [f32; 3]) -> [f32; 4] {
        let channel = |i: usize| (rgb[i] / 255.0 - self.mean[i]) / self.std[i];
        [channel(0), channel(1), channel(2), 0.0]
    }
}

/// Network input and target of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The training step, from 0; the image's number for [`eval_batch`].
    pub step: u64,
    /// `[batch, height, width, 4]`: R, G, B, normalised, and zeros.
    pub images: Vec<f32>,
    /// `[batch, height, width]`: class ids, -1 for pixels that are ignored.
    pub labels: Vec<i32>,
    /// The number of images.
    pub batch: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
}

impl Batch {
    /// No image yet, with room for `batch` of them.
    pub(crate) fn with_room(step: u64, batch: usize, height: usize, width: usize) -> Self {
        let pixels = batch * height * width;
        let (images, labels) = (Vec::with_capacity(pixels * 4), Vec::with_capacity(pixels));
        Self { step, images, labels, batch, height, width }
    }

    /// Appends one crop of the batch's size.
    pub(crate) fn push(&mut self, crop: &Crop, normalisation: &Normalisation, classes: &Classes) {
        debug_assert_eq!((crop.height, crop.width), (self.height, self.width));
        self.images.extend(crop.rgb.as_chunks::<3>().0.iter().flat_map(|&rgb| normalisation.pixel(rgb)));
        self.labels.extend(crop.labels.iter().map(|&value| classes.training_label(value)));
    }
}

/// Image and labels number `index` of `dataset`, whole and as they are. `index` must be below [`Dataset::len`].
///
/// # Errors
/// As [`Dataset::load`].
pub fn eval_batch(dataset: &Dataset, index: usize, normalisation: &Normalisation) -> Result<Batch> {
    let sample = dataset.load(index)?;
    let classes = dataset.classes();
    let labels = sample.mask.labels.iter().map(|&value| classes.training_label(value)).collect();
    let images = normalisation.image(&sample.image);
    let (height, width) = (sample.image.height, sample.image.width);
    Ok(Batch { step: index as u64, images, labels, batch: 1, height, width })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fixture;
    use crate::testing::TempDir;

    #[test]
    fn a_whole_image_is_normalised_and_ignored_pixels_are_minus_one() {
        let dir = TempDir::new("batch");
        fixture::classes(&dir, 3);
        fixture::pair(&dir, "val", "a", 3, 2, |x, y| [0, 2, 255, 255, 1, 0][y * 3 + x]);
        let data = Dataset::open(dir.path(), "val").unwrap();
        let batch = eval_batch(&data, 0, &Normalisation::default()).unwrap();
        assert_eq!((batch.step, batch.batch, batch.height, batch.width), (0, 1, 2, 3));
        assert_eq!(batch.labels, [0, 2, -1, -1, 1, 0]);
        let rgb = data.load(0).unwrap().image.rgb;
        for (pixel, input) in rgb.as_chunks::<3>().0.iter().zip(batch.images.as_chunks::<4>().0) {
            assert_eq!(input[0], (f32::from(pixel[0]) / 255.0 - 0.485) / 0.229);
            assert_eq!(input[2], (f32::from(pixel[2]) / 255.0 - 0.406) / 0.225);
            assert_eq!(input[3], 0.0);
        }
    }

    #[test]
    fn the_neutral_colour_is_zero_and_useless_numbers_are_refused() {
        let normalisation = Normalisation::default();
        let zeros = normalisation.pixel(normalisation.neutral_rgb());
        assert!(zeros.iter().all(|value| value.abs() < 1e-6), "{zeros:?}");
        normalisation.validate().unwrap();
        let message =
            Normalisation { std: [0.2, 0.0, 0.2], ..normalisation }.validate().unwrap_err().to_string();
        assert!(message.contains("std [0.2, 0.0, 0.2]"), "{message}");
        Normalisation { mean: [f32::NAN; 3], ..normalisation }.validate().unwrap_err();
    }
}
