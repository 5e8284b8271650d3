//! The colour of every output pixel's embedding, packed as `r | g << 8 | b << 16 | 255 << 24`.

use super::corners::{blend, each_pixel};
use super::{Array, dot};

/// `color [1,H,W]` of `out_size` from `emb [1,h,w,D]`, `basis [3,D]` and `range [3,2]` (low, high).
#[must_use]
pub fn embedding_color(emb: &Array, basis: &Array, range: &Array, out_size: [usize; 2]) -> Array {
    let mut color = Array::zeros(&[1, out_size[0], out_size[1]]);
    each_pixel(1, [emb.shape[1], emb.shape[2]], out_size, |m, corners| {
        let e = blend(emb, &corners);
        let length = dot(&e, &e).sqrt().max(1e-12);
        let channel = |i: usize| {
            let (value, low, high) = (dot(&e, basis.row(i)) / length, range.row(i)[0], range.row(i)[1]);
            let share = if high == low { f64::from(value > low) } else { (value - low) / (high - low) };
            (255.0 * share.clamp(0.0, 1.0)).round()
        };
        color.data[m] = channel(0) + 256.0 * (channel(1) + 256.0 * (channel(2) + 256.0 * 255.0));
    });
    color
}
