//! 2-D convolution from the formula, NHWC, with groups.

use super::Array;

/// Stride, padding, dilation and groups.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Step between output pixels.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Groups of channels.
    pub groups: usize,
}

/// Calls `f(x index, w index, y index)` for every product in the sum that defines the convolution.
fn products(x: &[usize], w: &[usize], y: &[usize], conv: &Conv, mut f: impl FnMut(usize, usize, usize)) {
    // Weights of the dense case may have more rows than x has channels; those rows count for nothing.
    let inputs = x[3] / conv.groups;
    let outputs = y[3] / conv.groups;
    let inside = |o: usize, k: usize, size: usize| {
        (o * conv.stride + k * conv.dilation).checked_sub(conv.padding).filter(|&s| s < size)
    };
    for b in 0..y[0] {
        for (oh, ow) in (0..y[1]).flat_map(|oh| (0..y[2]).map(move |ow| (oh, ow))) {
            let to = ((b * y[1] + oh) * y[2] + ow) * y[3];
            for (ky, kx) in (0..w[0]).flat_map(|ky| (0..w[1]).map(move |kx| (ky, kx))) {
                let (Some(sy), Some(sx)) = (inside(oh, ky, x[1]), inside(ow, kx, x[2])) else { continue };
                let from = ((b * x[1] + sy) * x[2] + sx) * x[3];
                let tap = (ky * w[1] + kx) * w[2];
                for co in 0..y[3] {
                    let first = co / outputs * inputs;
                    for ci in 0..inputs {
                        f(from + first + ci, (tap + ci) * w[3] + co, to + co);
                    }
                }
            }
        }
    }
}

/// The convolution plus bias.
#[must_use]
pub fn conv2d(x: &Array, w: &Array, bias: Option<&Array>, conv: &Conv) -> Array {
    let size =
        |size: usize, k: usize| (size + 2 * conv.padding - conv.dilation * (k - 1) - 1) / conv.stride + 1;
    let shape = [x.shape[0], size(x.shape[1], w.shape[0]), size(x.shape[2], w.shape[1]), w.shape[3]];
    let mut y = Array::zeros(&shape);
    if let Some(bias) = bias {
        y.data.chunks_mut(shape[3]).for_each(|row| row.copy_from_slice(&bias.data));
    }
    products(&x.shape, &w.shape, &shape, conv, |i, j, k| y.data[k] += x.data[i] * w.data[j]);
    y
}

/// Gradient with respect to x.
#[must_use]
pub fn dx(dy: &Array, w: &Array, x_shape: &[usize], conv: &Conv) -> Array {
    let mut dx = Array::zeros(x_shape);
    products(x_shape, &w.shape, &dy.shape, conv, |i, j, k| dx.data[i] += dy.data[k] * w.data[j]);
    dx
}

/// Gradient with respect to w.
#[must_use]
pub fn dw(x: &Array, dy: &Array, w_shape: &[usize], conv: &Conv) -> Array {
    let mut dw = Array::zeros(w_shape);
    products(&x.shape, w_shape, &dy.shape, conv, |i, j, k| dw.data[j] += x.data[i] * dy.data[k]);
    dw
}

/// Gradient with respect to the bias.
#[must_use]
pub fn db(dy: &Array) -> Array {
    let mut db = Array::zeros(&[dy.channels()]);
    for row in dy.data.chunks(dy.channels()) {
        std::iter::zip(&mut db.data, row).for_each(|(sum, g)| *sum += g);
    }
    db
}
