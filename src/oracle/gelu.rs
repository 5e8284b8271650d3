//! The Gaussian error linear unit.

use super::Array;

/// The normal distribution function.
fn distribution(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// `x P(x)`.
#[must_use]
pub fn gelu(x: &Array) -> Array {
    x.map(|x| x * distribution(x))
}

/// `dy (P(x) + x p(x))`.
#[must_use]
pub fn grad(x: &Array, dy: &Array) -> Array {
    let root = (2.0 * std::f64::consts::PI).sqrt();
    x.zip(dy, |x, g| g * (distribution(x) + x * (-x * x / 2.0).exp() / root))
}
