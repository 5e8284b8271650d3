//! `a + factor * b`.

use super::Array;

/// Element by element.
#[must_use]
pub fn add(a: &Array, b: &Array, factor: f64) -> Array {
    a.zip(b, |a, b| a + factor * b)
}
