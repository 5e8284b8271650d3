//! Exponential running average.

use super::Array;

/// `(1 - momentum) * old + momentum * new`.
#[must_use]
pub fn blend(old: &Array, new: &Array, momentum: f64) -> Array {
    old.zip(new, |old, new| (1.0 - momentum) * old + momentum * new)
}
