//! Mean over the valid pixels.

use super::Array;

/// `(mean of values where labels >= 0, their number)`; `empty` where there is none.
#[must_use]
pub fn valid_mean(values: &Array, labels: &Array, empty: f64) -> (Array, Array) {
    let valid = std::iter::zip(&values.data, &labels.data).filter(|&(_, &label)| label >= 0.0);
    let (sum, count) = valid.fold((0.0, 0.0), |(sum, count), (value, _)| (sum + value, count + 1.0));
    (Array::scalar(if count > 0.0 { sum / count } else { empty }), Array::scalar(count))
}

/// `g / N_V` for valid pixels, else 0.
#[must_use]
pub fn valid_mean_grad(labels: &Array, num_valid: &Array, g: &Array) -> Array {
    labels.map(|label| if label >= 0.0 { g.data[0] / num_valid.data[0] } else { 0.0 })
}
