//! Max pooling by looking at every pixel of every window; the gradient by scattering to the first maximum.

use super::Array;

/// Height and width of the window, step between windows, and what lies around the image.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Height and width of a window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Pixels of -inf around the image.
    pub padding: usize,
}

/// Calls `f(input row, output row)` for every pixel of every window, in the order of rows; rows as `(b * H + h) * W + w`.
fn pairs(x: &[usize], y: &[usize], pool: Pool, mut f: impl FnMut(usize, usize)) {
    let inside = |o: usize, k: usize, size: usize| {
        (o * pool.stride + k).checked_sub(pool.padding).filter(|&place| place < size)
    };
    for to in 0..y[0] * y[1] * y[2] {
        let (b, oh, ow) = (to / (y[1] * y[2]), to / y[2] % y[1], to % y[2]);
        for k in 0..pool.kernel * pool.kernel {
            let (h, w) = (inside(oh, k / pool.kernel, x[1]), inside(ow, k % pool.kernel, x[2]));
            if let (Some(h), Some(w)) = (h, w) {
                f((b * x[1] + h) * x[2] + w, to);
            }
        }
    }
}

/// `[B,H,W,C]` to `y_shape`.
#[must_use]
pub fn max_pool2d(x: &Array, y_shape: &[usize], pool: Pool) -> Array {
    let mut y = Array::zeros(y_shape).map(|_| f64::NEG_INFINITY);
    pairs(&x.shape, y_shape, pool, |from, to| {
        for (best, &value) in std::iter::zip(y.row_mut(to), x.row(from)) {
            *best = if value > *best || value.is_nan() { value } else { *best };
        }
    });
    y
}

/// Gradient with respect to x: every window gives its `dy` to the first pixel that holds its maximum, and to none if that is NaN.
#[must_use]
pub fn grad(x: &Array, dy: &Array, pool: Pool) -> Array {
    let channels = x.channels();
    // Where the largest value so far stands, per output element.
    let mut first: Vec<Option<usize>> = vec![None; dy.data.len()];
    pairs(&x.shape, &dy.shape, pool, |from, to| {
        for c in 0..channels {
            let (place, best) = (from * channels + c, &mut first[to * channels + c]);
            // A NaN is held on to, and replaces what was held.
            if best.is_none_or(|held| x.data[place] > x.data[held] || x.data[place].is_nan()) {
                *best = Some(place);
            }
        }
    });
    let mut dx = Array::zeros(&x.shape);
    for (place, g) in std::iter::zip(first, &dy.data) {
        if let Some(place) = place.filter(|&place| !x.data[place].is_nan()) {
            dx.data[place] += g;
        }
    }
    dx
}
