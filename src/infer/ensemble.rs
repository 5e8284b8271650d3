//! Several passes over one image (scales, mirror image, sliding windows) whose class probabilities are averaged.

use crate::data::RgbImage;
use crate::error::{Error, Result};
use crate::tape::Store;

use super::predict::Predictor;
use super::window;

/// Which passes are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// Sizes of the image relative to its own.
    pub scales: Vec<f32>,
    /// Whether the mirror image is added for each.
    pub flip: bool,
    /// Height and width of sliding windows; `None` for the whole image.
    pub window: Option<[usize; 2]>,
}

impl Ensemble {
    /// Whether this is more than one plain pass.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.scales == [1.0] && !self.flip && self.window.is_none()
    }

    /// Checks the scales.
    ///
    /// # Errors
    /// [`Error::Config`] for one that is not within 0.1 to 8.
    pub fn check(&self) -> Result<()> {
        match self.scales.iter().find(|s| !(0.1..=8.0).contains(*s)) {
            None if !self.scales.is_empty() => Ok(()),
            None => Err(Error::config("--scales is empty", "give at least one, such as 1.0")),
            Some(s) => Err(Error::config(format!("--scales holds {s}"), "choose numbers from 0.1 to 8")),
        }
    }

    /// The class map of one image `[H * W]`: the arg-max of the summed probabilities, lowest class on ties.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn classes(
        &self,
        predictor: &mut Predictor,
        store: &mut Store,
        image: &RgbImage,
    ) -> Result<Vec<u32>> {
        let num_classes = predictor.spec().num_classes();
        let mut sum = vec![0.0_f32; image.height * image.width * num_classes];
        for &scale in &self.scales {
            let scaled = resize(image, scale);
            for mirrored in [false, true].into_iter().take(1 + usize::from(self.flip)) {
                let pass = if mirrored { mirror(&scaled) } else { scaled.clone() };
                let [tall, wide] = self.window.unwrap_or([pass.height, pass.width]);
                let mut total = vec![0.0_f32; pass.height * pass.width * num_classes];
                for place in window::places(pass.height, pass.width, tall, wide) {
                    let (logits, size) = predictor.logits(store, &place.cut(&pass)).await?;
                    place.add(&logits, size, num_classes, &mut total, pass.width);
                }
                accumulate(&mut total, num_classes, [pass.height, pass.width], mirrored, &mut sum, image);
            }
        }
        Ok(sum.chunks_exact(num_classes).map(first_largest).collect())
    }
}

impl window::Place {
    /// Adds the bilinearly upsampled (corners aligned) logits of what this window decides.
    fn add(&self, logits: &[f32], size: [usize; 2], num_classes: usize, total: &mut [f32], width: usize) {
        let [tall, wide] = self.size();
        self.for_each(|y, x, inner_y, inner_x| {
            let to = &mut total[(y * width + x) * num_classes..][..num_classes];
            sample(logits, size, [inner_y, inner_x], [tall, wide], num_classes, to);
        });
    }
}

/// Bilinear sample of `map` `[h, w, C]` at pixel `at` of a grid of `grid` pixels, corners aligned.
fn sample(map: &[f32], [h, w]: [usize; 2], at: [usize; 2], grid: [usize; 2], c: usize, to: &mut [f32]) {
    let along = |o: usize, n_in: usize, n_out: usize| {
        let s = if n_out > 1 { o as f32 * (n_in - 1) as f32 / (n_out - 1) as f32 } else { 0.0 };
        let first = (s as usize).min(n_in - 1);
        (first, (first + 1).min(n_in - 1), s - first as f32)
    };
    let (y0, y1, fy) = along(at[0], h, grid[0]);
    let (x0, x1, fx) = along(at[1], w, grid[1]);
    let row = |y: usize, x: usize| &map[(y * w + x) * c..][..c];
    let (a, b, d, e) = (row(y0, x0), row(y0, x1), row(y1, x0), row(y1, x1));
    for (i, to) in to.iter_mut().enumerate() {
        let top = a[i] + fx * (b[i] - a[i]);
        let bottom = d[i] + fx * (e[i] - d[i]);
        *to = top + fy * (bottom - top);
    }
}

/// Turns logits into probabilities and adds them, resampled to the image's size and mirrored back.
fn accumulate(
    logits: &mut [f32],
    c: usize,
    [h, w]: [usize; 2],
    mirrored: bool,
    sum: &mut [f32],
    image: &RgbImage,
) {
    for row in logits.chunks_exact_mut(c) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|x| *x = (*x - max).exp());
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= total);
    }
    let mut found = vec![0.0; c];
    for y in 0..image.height {
        for x in 0..image.width {
            let from = if mirrored { image.width - 1 - x } else { x };
            sample(logits, [h, w], [y, from], [image.height, image.width], c, &mut found);
            let to = &mut sum[(y * image.width + x) * c..][..c];
            to.iter_mut().zip(&found).for_each(|(to, p)| *to += p);
        }
    }
}

fn first_largest(row: &[f32]) -> u32 {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        if x > row[best] {
            best = i;
        }
    }
    best as u32
}

fn resize(image: &RgbImage, scale: f32) -> RgbImage {
    if scale == 1.0 {
        return image.clone();
    }
    let size = |n: usize| ((n as f32 * scale).round() as usize).max(1);
    let (height, width) = (size(image.height), size(image.width));
    let whole = image::RgbImage::from_raw(image.width as u32, image.height as u32, image.rgb.clone());
    let Some(whole) = whole else { return image.clone() };
    let filter = image::imageops::FilterType::Triangle;
    let rgb = image::imageops::resize(&whole, width as u32, height as u32, filter).into_raw();
    RgbImage { width, height, rgb }
}

fn mirror(image: &RgbImage) -> RgbImage {
    let rows = image.rgb.chunks_exact(3 * image.width);
    let rgb = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    RgbImage { width: image.width, height: image.height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_twice_is_the_image() {
        let image = RgbImage { width: 3, height: 2, rgb: (0..18).collect() };
        assert_eq!(&mirror(&image).rgb[..3], &[6, 7, 8]);
        assert_eq!(mirror(&mirror(&image)), image);
    }

    #[test]
    fn sampling_hits_the_corners_and_the_middle() {
        let map = [0.0, 1.0, 2.0, 3.0];
        let at = |y, x| {
            let mut out = [0.0];
            sample(&map, [2, 2], [y, x], [3, 3], 1, &mut out);
            out[0]
        };
        assert_eq!([at(0, 0), at(0, 2), at(2, 0), at(2, 2), at(1, 1)], [0.0, 1.0, 2.0, 3.0, 1.5]);
    }
}
