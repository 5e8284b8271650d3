//! L2 normalisation along one axis.

use super::Array;

const FLOOR: f64 = 1e-12;

/// Indices of every line that a norm runs over: the last axis, or the one before it for each channel.
fn lines(x: &Array, over_width: bool) -> Vec<Vec<usize>> {
    let channels = x.channels();
    if !over_width {
        return (0..x.rows()).map(|n| (n * channels..(n + 1) * channels).collect()).collect();
    }
    let width = x.shape[x.shape.len() - 2];
    let line = |outer: usize, c: usize| (0..width).map(|w| (outer * width + w) * channels + c).collect();
    (0..x.rows() / width).flat_map(|outer| (0..channels).map(move |c| line(outer, c))).collect()
}

/// `x / max(|x|, 1e-12)`.
#[must_use]
pub fn l2_normalize(x: &Array, over_width: bool) -> Array {
    let mut y = x.clone();
    for line in lines(x, over_width) {
        let norm = line.iter().map(|&i| x.data[i] * x.data[i]).sum::<f64>().sqrt().max(FLOOR);
        line.iter().for_each(|&i| y.data[i] /= norm);
    }
    y
}

/// `(dy - (dy . y) y) / |x|`; `dy / 1e-12` below the floor.
#[must_use]
pub fn grad(x: &Array, dy: &Array, over_width: bool) -> Array {
    let mut dx = dy.clone();
    for line in lines(x, over_width) {
        let norm = line.iter().map(|&i| x.data[i] * x.data[i]).sum::<f64>().sqrt();
        let along: f64 = line.iter().map(|&i| x.data[i] * dy.data[i]).sum();
        for &i in &line {
            let radial = if norm > FLOOR { along * x.data[i] / (norm * norm) } else { 0.0 };
            dx.data[i] = (dy.data[i] - radial) / norm.max(FLOOR);
        }
    }
    dx
}
