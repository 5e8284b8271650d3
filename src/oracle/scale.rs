//! `factor * x`.

use super::Array;

/// Element by element.
#[must_use]
pub fn scale(x: &Array, factor: f64) -> Array {
    x.map(|x| factor * x)
}
