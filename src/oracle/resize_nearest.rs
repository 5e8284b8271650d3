//! Resize to the nearest pixel, and its transpose by scattering.

use super::Array;

/// Calls `f(input row, output row)` for every output pixel; rows as `(b * H + h) * W + w`.
fn pairs(x: &[usize], y: &[usize], mut f: impl FnMut(usize, usize)) {
    for to in 0..y[0] * y[1] * y[2] {
        let (b, oh, ow) = (to / (y[1] * y[2]), to / y[2] % y[1], to % y[2]);
        let (h, w) = (oh * x[1] / y[1], ow * x[2] / y[2]);
        f((b * x[1] + h) * x[2] + w, to);
    }
}

/// `[B,H,W,C]` to height `to[0]` and width `to[1]`.
#[must_use]
pub fn resize_nearest(x: &Array, to: [usize; 2]) -> Array {
    let mut y = Array::zeros(&[x.shape[0], to[0], to[1], x.shape[3]]);
    let shape = y.shape.clone();
    pairs(&x.shape, &shape, |from, to| y.row_mut(to).copy_from_slice(x.row(from)));
    y
}

/// Gradient with respect to x `[B,from[0],from[1],C]`.
#[must_use]
pub fn grad(dy: &Array, from: [usize; 2]) -> Array {
    let mut dx = Array::zeros(&[dy.shape[0], from[0], from[1], dy.shape[3]]);
    let shape = dx.shape.clone();
    pairs(&shape, &dy.shape, |from, to| {
        std::iter::zip(dx.row_mut(from), dy.row(to)).for_each(|(dx, dy)| *dx += dy);
    });
    dx
}
