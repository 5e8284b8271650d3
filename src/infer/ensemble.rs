//! Several passes over one image (scales, mirror image, sliding windows) whose class probabilities are averaged.

use std::ops::Range;

use crate::data::RgbImage;
use crate::data::read::MAX_PIXELS;
use crate::error::{Error, Result};
use crate::tape::Store;

use super::predict::{Logits, Predictor, Want};
use super::window::{self, Place};

/// Host memory for the probabilities of all classes: those of a whole large image would take gigabytes.
const BAND_BYTES: usize = 64 << 20;

/// The smallest and the largest of [`Ensemble::scales`].
pub const SCALES: [f32; 2] = [0.1, 8.0];

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
    /// [`Error::Config`] for one that is not within [`SCALES`].
    pub fn check(&self) -> Result<()> {
        let [low, high] = SCALES;
        match self.scales.iter().find(|s| !(low..=high).contains(*s)) {
            None if !self.scales.is_empty() => Ok(()),
            None => Err(Error::config("--scales is empty", "give at least one, such as 1.0")),
            Some(s) => Err(Error::config(
                format!("--scales holds {s}"),
                format!("choose numbers from {low} to {high}"),
            )),
        }
    }

    /// The class map of one image `[H * W]`: the arg-max of the summed probabilities, lowest class on ties. A pass that
    /// does not fit the device goes through in overlapping windows.
    ///
    /// # Errors
    /// Those of the device; [`Error::Config`] for a scale that makes more pixels of the image than are ever read.
    pub async fn classes(
        &self,
        predictor: &mut Predictor,
        store: &mut Store,
        image: &RgbImage,
    ) -> Result<Vec<u32>> {
        let mut passes = Vec::new();
        for &scale in &self.scales {
            let scaled = resize(image, scale)?;
            passes.push(self.pass(predictor, store, &scaled, false).await?);
            if self.flip {
                passes.push(self.pass(predictor, store, &mirror(&scaled), true).await?);
            }
        }
        let num_classes = predictor.spec().num_classes();
        Ok(decide(&passes, num_classes, [image.height, image.width], BAND_BYTES))
    }

    /// The logits of every window of one pass over `image`.
    async fn pass(
        &self,
        predictor: &mut Predictor,
        store: &mut Store,
        image: &RgbImage,
        mirrored: bool,
    ) -> Result<Pass> {
        let size = [image.height, image.width];
        let [tall, wide] = self.window.unwrap_or(size);
        let [tall, wide] = predictor.window(tall.min(size[0]), wide.min(size[1]), Want::Logits)?;
        let mut parts = Vec::new();
        for place in window::places(size[0], size[1], tall, wide) {
            let logits = predictor.logits(store, &place.cut(image)).await?;
            parts.push((place, logits));
        }
        Ok(Pass { size, mirrored, parts })
    }
}

/// One way through the network: what each window said, at the resolution of the features, which is a small part of the
/// memory that the probabilities of all pixels take.
struct Pass {
    /// Height and width of the image as it went in.
    size: [usize; 2],
    mirrored: bool,
    parts: Vec<(Place, Logits)>,
}

/// The classes of `size` pixels, worked out in bands of rows whose probabilities take about `band_bytes`.
fn decide(passes: &[Pass], num_classes: usize, size: [usize; 2], band_bytes: usize) -> Vec<u32> {
    let [height, width] = size;
    let of_pass = |pass: &Pass| pass.size[0].div_ceil(height) * pass.size[1];
    let row = (width + passes.iter().map(of_pass).max().unwrap_or(0)) * num_classes * size_of::<f32>();
    let num_rows = (band_bytes / row).max(1);
    let mut classes = Vec::with_capacity(height * width);
    for first in (0..height).step_by(num_rows) {
        let rows = first..(first + num_rows).min(height);
        let mut sum = vec![0.0_f32; rows.len() * width * num_classes];
        passes.iter().for_each(|pass| pass.add(num_classes, size, rows.clone(), &mut sum));
        classes.extend(sum.chunks_exact(num_classes).map(first_largest));
    }
    classes
}

impl Pass {
    /// Adds the probabilities of `rows` of an image of `height` x `width`, resampled to its size and mirrored back.
    fn add(&self, num_classes: usize, [height, width]: [usize; 2], rows: Range<usize>, sum: &mut [f32]) {
        let probabilities = self.probabilities(
            num_classes,
            along(rows.start, self.size[0], height).0..along(rows.end - 1, self.size[0], height).1 + 1,
        );
        let mut found = vec![0.0; num_classes];
        for (y, to) in rows.zip(sum.chunks_exact_mut(width * num_classes)) {
            for (x, to) in to.chunks_exact_mut(num_classes).enumerate() {
                let from = if self.mirrored { width - 1 - x } else { x };
                probabilities.sample([y, from], [height, width], &mut found);
                to.iter_mut().zip(&found).for_each(|(to, p)| *to += p);
            }
        }
    }

    /// The softmax over the bilinearly upsampled (corners aligned) logits of `rows`, each pixel by the window that decides
    /// it.
    fn probabilities(&self, num_classes: usize, rows: Range<usize>) -> Map<Vec<f32>> {
        let width = self.size[1];
        let mut values = vec![0.0_f32; rows.len() * width * num_classes];
        for (place, logits) in &self.parts {
            let map = Map { values: &logits.values[..], first_row: 0, size: logits.size };
            place.for_each(rows.clone(), |y, x, inner_y, inner_x| {
                let to = &mut values[((y - rows.start) * width + x) * num_classes..][..num_classes];
                map.sample([inner_y, inner_x], place.size(), to);
            });
        }
        for row in values.chunks_exact_mut(num_classes) {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = (*x - max).exp());
            let total: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= total);
        }
        Map { values, first_row: rows.start, size: self.size }
    }
}

/// The rows of a map `[h, w, C]` from `first_row` on.
struct Map<V> {
    values: V,
    first_row: usize,
    size: [usize; 2],
}

impl<V: AsRef<[f32]>> Map<V> {
    /// Bilinear sample at pixel `at` of a grid of `grid` pixels, corners aligned; `to` has C places.
    fn sample(&self, at: [usize; 2], grid: [usize; 2], to: &mut [f32]) {
        let ([h, w], c) = (self.size, to.len());
        let (y0, y1, fy) = along(at[0], h, grid[0]);
        let (x0, x1, fx) = along(at[1], w, grid[1]);
        let row = |y: usize, x: usize| &self.values.as_ref()[((y - self.first_row) * w + x) * c..][..c];
        let (a, b, d, e) = (row(y0, x0), row(y0, x1), row(y1, x0), row(y1, x1));
        for (i, to) in to.iter_mut().enumerate() {
            let top = a[i] + fx * (b[i] - a[i]);
            let bottom = d[i] + fx * (e[i] - d[i]);
            *to = top + fy * (bottom - top);
        }
    }
}

/// The two of `n_in` points between which point `o` of `n_out` lies, corners aligned, and how far it is from the first.
fn along(o: usize, n_in: usize, n_out: usize) -> (usize, usize, f32) {
    let s = if n_out > 1 { o as f32 * (n_in - 1) as f32 / (n_out - 1) as f32 } else { 0.0 };
    let first = (s as usize).min(n_in - 1);
    (first, (first + 1).min(n_in - 1), s - first as f32)
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

fn resize(image: &RgbImage, scale: f32) -> Result<RgbImage> {
    if scale == 1.0 {
        return Ok(image.clone());
    }
    let size = |n: usize| ((n as f32 * scale).round() as usize).max(1);
    let (height, width) = (size(image.height), size(image.width));
    if (height as u64) * (width as u64) > MAX_PIXELS {
        let problem = format!("--scales holds {scale}, which makes {width} x {height} pixels of an image");
        return Err(Error::config(problem, format!("choose one that makes at most {MAX_PIXELS} of it")));
    }
    let whole = image::RgbImage::from_raw(image.width as u32, image.height as u32, image.rgb.clone());
    let Some(whole) = whole else { return Ok(image.clone()) };
    let filter = image::imageops::FilterType::Triangle;
    let rgb = image::imageops::resize(&whole, width as u32, height as u32, filter).into_raw();
    Ok(RgbImage { width, height, rgb })
}

fn mirror(image: &RgbImage) -> RgbImage {
    let rows = image.rgb.chunks_exact(3 * image.width);
    let rgb = rows.flat_map(|row| row.chunks_exact(3).rev().flatten().copied()).collect();
    RgbImage { width: image.width, height: image.height, rgb }
}

#[cfg(test)]
mod tests;
