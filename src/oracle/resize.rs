//! Bilinear resize by source coordinates, and its transpose by scattering.

use super::Array;

/// The two source indices and the weight of the second one, for output `o`.
fn source(o: usize, length_in: usize, length_out: usize, half_pixels: bool) -> (usize, usize, f64) {
    let position = if half_pixels {
        ((o as f64 + 0.5) * length_in as f64 / length_out as f64 - 0.5).max(0.0)
    } else if length_out == 1 {
        0.0
    } else {
        (o * (length_in - 1)) as f64 / (length_out - 1) as f64
    };
    let first = (position.floor() as usize).min(length_in - 1);
    (first, (first + 1).min(length_in - 1), position - first as f64)
}

/// Calls `visit(output row, input row, weight)` for every pixel pair; rows as `(b * H + h) * W + w`.
fn pairs(
    batch: usize,
    from: [usize; 2],
    to: [usize; 2],
    half_pixels: bool,
    mut visit: impl FnMut(usize, usize, f64),
) {
    for (b, h, w) in (0..batch).flat_map(|b| (0..to[0]).flat_map(move |h| (0..to[1]).map(move |w| (b, h, w))))
    {
        let (top, bottom, down) = source(h, from[0], to[0], half_pixels);
        let (left, right, across) = source(w, from[1], to[1], half_pixels);
        for (y, weight_y) in [(top, 1.0 - down), (bottom, down)] {
            for (x, weight_x) in [(left, 1.0 - across), (right, across)] {
                let input = (b * from[0] + y) * from[1] + x;
                visit((b * to[0] + h) * to[1] + w, input, weight_y * weight_x);
            }
        }
    }
}

/// `[B,H,W,C]` to `[B,to[0],to[1],C]`.
#[must_use]
pub fn resize(x: &Array, to: [usize; 2], half_pixels: bool) -> Array {
    let mut y = Array::zeros(&[x.shape[0], to[0], to[1], x.shape[3]]);
    pairs(x.shape[0], [x.shape[1], x.shape[2]], to, half_pixels, |output, input, weight| {
        std::iter::zip(y.row_mut(output), x.row(input)).for_each(|(y, x)| *y += weight * x);
    });
    y
}

/// The transpose: gradient of an input of height and width `from`.
#[must_use]
pub fn resize_grad(dy: &Array, from: [usize; 2], half_pixels: bool) -> Array {
    let mut dx = Array::zeros(&[dy.shape[0], from[0], from[1], dy.shape[3]]);
    pairs(dy.shape[0], from, [dy.shape[1], dy.shape[2]], half_pixels, |output, input, weight| {
        std::iter::zip(dx.row_mut(input), dy.row(output)).for_each(|(x, y)| *x += weight * y);
    });
    dx
}
