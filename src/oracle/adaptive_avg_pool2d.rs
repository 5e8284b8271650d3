//! Adaptive average pooling by looking at every pixel of every bin; the gradient by scattering over the same pairs.

use super::Array;

/// Calls `f(input row, output row, share)` for every pixel of every bin; rows as `(b * H + h) * W + w`.
fn pairs(x: &[usize], y: &[usize], mut f: impl FnMut(usize, usize, f64)) {
    let bin = |o: usize, from: usize, to: usize| {
        let edge = |i: usize| i as f64 * from as f64 / to as f64;
        edge(o).floor() as usize..edge(o + 1).ceil() as usize
    };
    for to in 0..y[0] * y[1] * y[2] {
        let (b, oh, ow) = (to / (y[1] * y[2]), to / y[2] % y[1], to % y[2]);
        let (rows, columns) = (bin(oh, x[1], y[1]), bin(ow, x[2], y[2]));
        let share = 1.0 / (rows.len() * columns.len()) as f64;
        for h in rows {
            columns.clone().for_each(|w| f((b * x[1] + h) * x[2] + w, to, share));
        }
    }
}

/// `[B,H,W,C]` to height `to[0]` and width `to[1]`.
#[must_use]
pub fn adaptive_avg_pool2d(x: &Array, to: [usize; 2]) -> Array {
    let mut y = Array::zeros(&[x.shape[0], to[0], to[1], x.shape[3]]);
    let shape = y.shape.clone();
    pairs(&x.shape, &shape, |from, to, share| {
        std::iter::zip(y.row_mut(to), x.row(from)).for_each(|(y, x)| *y += share * x);
    });
    y
}

/// Gradient with respect to x `[B,from[0],from[1],C]`: every pixel of a bin has an even share of its `dy`.
#[must_use]
pub fn grad(dy: &Array, from: [usize; 2]) -> Array {
    let mut dx = Array::zeros(&[dy.shape[0], from[0], from[1], dy.shape[3]]);
    let shape = dx.shape.clone();
    pairs(&shape, &dy.shape, |from, to, share| {
        std::iter::zip(dx.row_mut(from), dy.row(to)).for_each(|(dx, dy)| *dx += share * dy);
    });
    dx
}
