//! A constant.

use super::Array;

/// `value` everywhere.
#[must_use]
pub fn fill(shape: &[usize], value: f64) -> Array {
    Array::new(shape, vec![value; shape.iter().product()])
}
