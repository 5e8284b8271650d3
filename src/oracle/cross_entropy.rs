//! Cross-entropy of bilinearly upsampled logits, over tiles of classes (spec sections 6 and 9.1).

use super::Array;
use super::corners::{blend, each_pixel};

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    top + values.map(|v| (v - top).exp()).sum::<f64>().ln()
}

fn class(label: f64, num_classes: usize) -> Option<usize> {
    (label >= 0.0 && label < num_classes as f64).then_some(label as usize)
}

fn label_size(labels: &Array) -> [usize; 2] {
    [labels.shape[1], labels.shape[2]]
}

/// `(lse, own)` per label pixel after the tile `o`, whose first class is `first`, on top of `onto`.
#[must_use]
pub fn tile(
    o: &Array,
    labels: &Array,
    onto: Option<[&Array; 2]>,
    size: [usize; 2],
    first: usize,
    num_classes: usize,
) -> [Array; 2] {
    let mut lse = Array::zeros(&[labels.data.len()]);
    let mut own = lse.clone();
    each_pixel(labels.shape[0], size, label_size(labels), |m, corners| {
        let Some(label) = class(labels.data[m], num_classes) else { return };
        let values = blend(o, &corners);
        lse.data[m] = log_sum_exp(values.iter().copied());
        let mine = label.checked_sub(first).and_then(|c| values.get(c)).copied();
        own.data[m] = mine.unwrap_or(0.0);
        if let Some([old_lse, old_own]) = onto {
            lse.data[m] = log_sum_exp([lse.data[m], old_lse.data[m]].into_iter());
            own.data[m] = mine.unwrap_or(old_own.data[m]);
        }
    });
    [lse, own]
}

/// `sum w (lse - own) / sum w` and `1 / sum w`; `empty` and 0 where no label counts, whatever the weights are.
#[must_use]
pub fn loss(lse: &Array, own: &Array, labels: &Array, weights: &Array, empty: f64) -> [Array; 2] {
    let (mut sum, mut total, mut labelled) = (0.0, 0.0, 0_usize);
    for (m, &label) in labels.data.iter().enumerate() {
        if let Some(c) = class(label, weights.data.len()) {
            sum += weights.data[c] * (lse.data[m] - own.data[m]);
            total += weights.data[c];
            labelled += 1;
        }
    }
    let found = if labelled > 0 { [sum / total, 1.0 / total] } else { [empty, 0.0] };
    found.map(Array::scalar)
}

/// Gradient of the tile `o`: the transposed interpolation of `w / sum w * (softmax - onehot)`.
#[must_use]
pub fn grad([o, labels, lse, weights, scale, d_loss]: [&Array; 6], size: [usize; 2], first: usize) -> Array {
    let mut out = Array::zeros(&[o.rows(), o.channels()]);
    let factor = scale.data[0] * d_loss.data[0];
    each_pixel(labels.shape[0], size, label_size(labels), |m, corners| {
        let Some(label) = class(labels.data[m], weights.data.len()) else { return };
        for (c, v) in blend(o, &corners).into_iter().enumerate() {
            let hit = f64::from(u8::from(first + c == label));
            let g = factor * weights.data[label] * ((v - lse.data[m]).exp() - hit);
            corners.iter().for_each(|&(n, w)| out.row_mut(n)[c] += w * g);
        }
    });
    out
}
