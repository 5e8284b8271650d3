//! Mean over pixels.

use super::Array;

/// `[B,H,W,C]` to `[B,C]`.
#[must_use]
pub fn global_mean(x: &Array) -> Array {
    let pixels = x.shape[1] * x.shape[2];
    let mut out = Array::zeros(&[x.shape[0], x.shape[3]]);
    for n in 0..x.rows() {
        let sum = out.row_mut(n / pixels);
        std::iter::zip(sum, x.row(n)).for_each(|(sum, x)| *sum += x / pixels as f64);
    }
    out
}

/// Every pixel gets an even share.
#[must_use]
pub fn grad(dy: &Array, x_shape: &[usize]) -> Array {
    let pixels = x_shape[1] * x_shape[2];
    let mut dx = Array::zeros(x_shape);
    for n in 0..dx.rows() {
        let share = dy.row(n / pixels);
        std::iter::zip(dx.row_mut(n), share).for_each(|(d, g)| *d = g / pixels as f64);
    }
    dx
}
