//! Sum over the micro-batches of a step.

use super::Array;

/// `factor * gradient`, added to `sum` unless this is the `first`.
#[must_use]
pub fn accumulate(gradient: &Array, sum: &Array, first: bool, factor: f64) -> Array {
    sum.zip(gradient, |s, g| if first { factor * g } else { s + factor * g })
}
