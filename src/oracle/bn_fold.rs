//! Batch norm as a scaled convolution with a bias.

use super::Array;

/// Weights and bias of the one convolution that does what the convolution `w` `[.., C]` and then the batch norm do.
#[must_use]
pub fn bn_fold(w: &Array, [gamma, beta]: [&Array; 2], [mean, variance]: [&Array; 2], eps: f64) -> Vec<Array> {
    let factor = gamma.zip(variance, |g, v| g / (v + eps).sqrt());
    let mut scaled = w.clone();
    for row in 0..w.rows() {
        std::iter::zip(scaled.row_mut(row), &factor.data).for_each(|(w, f)| *w *= f);
    }
    let moved = mean.zip(&factor, |m, f| m * f);
    vec![scaled, beta.zip(&moved, |b, m| b - m)]
}
