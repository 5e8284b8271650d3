//! Rectifier with a ceiling.

use super::Array;

/// `min(max(x, 0), ceiling)`.
#[must_use]
pub fn relu(x: &Array, ceiling: f64) -> Array {
    x.map(|x| x.max(0.0).min(ceiling))
}

/// The slope is 1 strictly between the kinks, seen from the output `y`.
#[must_use]
pub fn relu_grad(y: &Array, dy: &Array, ceiling: f64) -> Array {
    y.zip(dy, |y, g| if y > 0.0 && y < ceiling { g } else { 0.0 })
}
