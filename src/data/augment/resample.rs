//! Scale and crop in one step, one axis at a time.

use std::ops::Range;

use crate::data::read::{Mask, RgbImage};

/// Which source positions make each position of the crop, along one axis.
pub struct Axis {
    /// The crop's length, margins included.
    len: usize,
    /// The crop's positions that the scaled image reaches.
    inside: Range<usize>,
    /// For each position of `inside`: the nearest source position and the filter.
    taps: Vec<Taps>,
}

/// A weighted mean of neighbouring source positions.
struct Taps {
    nearest: usize,
    first: usize,
    /// Sums to 1.
    weights: Vec<f32>,
}

impl Axis {
    /// An axis of `source` pixels scaled by `scale`, of which the crop takes `crop`, from a place that `draw` in
    /// `[0, 1)` chooses; where the scaled image is shorter, `draw` places it inside the crop. With `mirror`, the crop
    /// is read backwards. `margin` more pixels are taken on both sides of the crop.
    pub fn new(source: usize, scale: f32, crop: usize, draw: f32, mirror: bool, margin: usize) -> Self {
        let scaled = ((source as f64 * f64::from(scale)).round() as usize).max(1);
        let slack = scaled.abs_diff(crop);
        let offset = ((f64::from(draw) * (slack + 1) as f64) as usize).min(slack);
        let (before, skipped) = if scaled >= crop { (0, offset) } else { (offset, 0) };
        let (len, before) = (crop + 2 * margin, before + margin);
        // The margin before the crop shows what was skipped there, as far as that reaches.
        let (before, skipped) = (before.saturating_sub(skipped), skipped.saturating_sub(before));
        let inside = before..(before + scaled - skipped).min(len);
        let step = source as f64 / scaled as f64;
        let mut taps: Vec<Taps> =
            (0..inside.len()).map(|i| Taps::new((skipped + i) as f64 + 0.5, step, source)).collect();
        if mirror {
            taps.reverse();
            return Self { len, inside: len - inside.end..len - inside.start, taps };
        }
        Self { len, inside, taps }
    }

    /// The crop's length, margins included.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The crop's positions that the scaled image reaches.
    pub fn inside(&self) -> Range<usize> {
        self.inside.clone()
    }

    /// The source positions that any tap reads.
    fn source(&self) -> Range<usize> {
        let first = self.taps.iter().map(|taps| taps.first).min().unwrap_or(0);
        let end = self.taps.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
        first..end
    }
}

impl Taps {
    /// The taps for `centre`, in scaled pixels, with `step` source pixels per scaled pixel.
    fn new(centre: f64, step: f64, source: usize) -> Self {
        let position = centre * step;
        // Triangle of half-width 1 source pixel when enlarging, of half-width 1 scaled pixel when reducing.
        let reach = step.max(1.0);
        let first = (position - reach - 0.5).ceil().max(0.0) as usize;
        let last = ((position + reach - 0.5).floor().max(0.0) as usize).min(source - 1);
        let weight = |i: usize| (1.0 - (i as f64 + 0.5 - position).abs() / reach).max(0.0);
        let sum: f64 = (first..=last).map(weight).sum();
        let weights = (first..=last).map(|i| (weight(i) / sum) as f32).collect();
        Self { nearest: (position as usize).min(source - 1), first, weights }
    }
}

/// The crop of `image`, three values from 0 to 255 per pixel, `outside` where the image does not reach.
pub fn image(image: &RgbImage, rows: &Axis, columns: &Axis, outside: [f32; 3]) -> Vec<f32> {
    let line = columns.taps.len() * 3;
    let needed = rows.source();
    // First every source row that is needed, resampled to the crop's columns; then weighted sums of those rows.
    let mut narrowed = Vec::with_capacity(needed.len() * line);
    for source in image.rgb[needed.start * image.width * 3..].chunks_exact(image.width * 3).take(needed.len())
    {
        let (source, _) = source.as_chunks::<3>();
        for taps in &columns.taps {
            let mut sum = [0.0; 3];
            for (pixel, &weight) in source[taps.first..].iter().zip(&taps.weights) {
                for (total, &value) in sum.iter_mut().zip(pixel) {
                    *total += weight * f32::from(value);
                }
            }
            narrowed.extend(sum);
        }
    }
    let mut crop = Vec::with_capacity(rows.len * columns.len * 3);
    crop.extend(std::iter::repeat_n(outside, rows.len * columns.len).flatten());
    for (y, taps) in rows.inside().zip(&rows.taps) {
        let target = &mut crop[(y * columns.len + columns.inside.start) * 3..][..line];
        target.fill(0.0);
        let sources = narrowed[(taps.first - needed.start) * line..].chunks_exact(line);
        for (source, &weight) in sources.zip(&taps.weights) {
            for (total, &value) in target.iter_mut().zip(source) {
                *total += weight * value;
            }
        }
    }
    crop
}

/// The crop of `mask`, `outside` where the image does not reach.
pub fn labels(mask: &Mask, rows: &Axis, columns: &Axis, outside: u16) -> Vec<u16> {
    let mut crop = vec![outside; rows.len * columns.len];
    for (y, row) in rows.inside().zip(&rows.taps) {
        let source = &mask.labels[row.nearest * mask.width..][..mask.width];
        let target = &mut crop[y * columns.len + columns.inside.start..];
        for (label, column) in target.iter_mut().zip(&columns.taps) {
            *label = source[column.nearest];
        }
    }
    crop
}
