//! Bicubic resampling of a grid of rows.

use super::Array;

/// Keys' kernel (1981) with a = -0.75.
fn kernel(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let d = distance.abs();
    if d <= 1.0 {
        (A + 2.0) * d.powi(3) - (A + 3.0) * d.powi(2) + 1.0
    } else if d < 2.0 {
        A * d.powi(3) - 5.0 * A * d.powi(2) + 8.0 * A * d - 4.0 * A
    } else {
        0.0
    }
}

/// Weights of all inputs of an axis for output `o`.
fn weights(o: usize, length_in: usize, length_out: usize) -> Vec<f64> {
    let place = (o as f64 + 0.5) * length_in as f64 / length_out as f64 - 0.5;
    let mut out = vec![0.0; length_in];
    for step in -1..=2 {
        let at = place.floor() + f64::from(step);
        out[at.clamp(0.0, length_in as f64 - 1.0) as usize] += kernel(place - at);
    }
    out
}

/// Calls `f` with (output row, input row, weight), rows counted behind `prefix`.
fn each(prefix: usize, from: [usize; 2], to: [usize; 2], mut f: impl FnMut(usize, usize, f64)) {
    let across: Vec<_> = (0..to[1]).map(|o| weights(o, from[1], to[1])).collect();
    for y in 0..to[0] {
        for (i, down) in weights(y, from[0], to[0]).iter().enumerate().filter(|w| *w.1 != 0.0) {
            for (x, weights) in across.iter().enumerate() {
                for (j, w) in weights.iter().enumerate() {
                    f(prefix + y * to[1] + x, prefix + i * from[1] + j, down * w);
                }
            }
        }
    }
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    std::iter::zip(to, what).for_each(|(to, x)| *to += factor * x);
}

/// `[prefix + from, D]` to `[prefix + to, D]`.
#[must_use]
pub fn resample(x: &Array, prefix: usize, from: [usize; 2], to: [usize; 2]) -> Array {
    let mut out = Array::zeros(&[prefix + to[0] * to[1], x.channels()]);
    (0..prefix).for_each(|p| out.row_mut(p).copy_from_slice(x.row(p)));
    each(prefix, from, to, |o, i, weight| add(out.row_mut(o), weight, x.row(i)));
    out
}

/// The transpose of [`resample`].
#[must_use]
pub fn grad(dy: &Array, prefix: usize, from: [usize; 2], to: [usize; 2]) -> Array {
    let mut out = Array::zeros(&[prefix + from[0] * from[1], dy.channels()]);
    (0..prefix).for_each(|p| out.row_mut(p).copy_from_slice(dy.row(p)));
    each(prefix, from, to, |o, i, weight| add(out.row_mut(i), weight, dy.row(o)));
    out
}
