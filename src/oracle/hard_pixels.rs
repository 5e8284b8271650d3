//! Labels of the hard pixels.

use super::Array;

/// `labels` where the loss `lse - own` is above `-ln threshold` or among the `min_kept` largest of the labelled pixels, -1
/// elsewhere. Labels count within `0..num_classes`.
#[must_use]
pub fn hard_pixels(
    [lse, own, labels]: [&Array; 3],
    num_classes: usize,
    threshold: f64,
    min_kept: usize,
) -> Array {
    let losses: Vec<f64> = lse.data.iter().zip(&own.data).map(|(a, b)| (a - b).max(0.0)).collect();
    let valid = |m: usize| (0.0..num_classes as f64).contains(&labels.data[m]);
    let mut sorted: Vec<f64> = (0..losses.len()).filter(|&m| valid(m)).map(|m| losses[m]).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let last = match min_kept.min(sorted.len()) {
        0 => f64::INFINITY,
        count => sorted[count - 1],
    };
    let hard = |m: usize| valid(m) && (losses[m] > -threshold.ln() || losses[m] >= last);
    let label = |m: usize| if hard(m) { labels.data[m] } else { -1.0 };
    Array::new(&labels.shape, (0..losses.len()).map(label).collect())
}
