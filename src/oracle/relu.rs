//! Rectifier with a ceiling.

use super::Array;

/// `x` between 0 and `ceiling`; NaN stays NaN.
#[must_use]
pub fn relu(x: &Array, ceiling: f64) -> Array {
    x.map(|x| x.clamp(0.0, ceiling))
}

/// The slope is 1 strictly between the kinks, seen from the output `y`.
#[must_use]
pub fn relu_grad(y: &Array, dy: &Array, ceiling: f64) -> Array {
    y.zip(dy, |y, g| if y > 0.0 && y < ceiling { g } else { 0.0 })
}
