//! Pixel-prototype distance.

use super::{Array, dot};

/// `((1 - S_t)^2, 1 - S_t)` per pixel, 0 where `target < 0`.
#[must_use]
pub fn ppd(emb: &Array, protos: &Array, target: &Array) -> (Array, Array) {
    let gap = |n: usize| match target.data[n] {
        t if t < 0.0 => 0.0,
        t => 1.0 - dot(emb.row(n), protos.row(t as usize)),
    };
    let gaps = Array::new(&target.shape, (0..emb.rows()).map(gap).collect());
    (gaps.map(|g| g * g), gaps)
}

/// `-2 (1 - S_t) g p_t` per pixel.
#[must_use]
pub fn ppd_grad(protos: &Array, target: &Array, gap: &Array, g: &Array) -> Array {
    let mut out = Array::zeros(&[target.data.len(), protos.channels()]);
    for (n, &t) in target.data.iter().enumerate().filter(|&(_, &t)| t >= 0.0) {
        let slope = -2.0 * gap.data[n] * g.data[n];
        out.row_mut(n).iter_mut().zip(protos.row(t as usize)).for_each(|(o, p)| *o = slope * p);
    }
    out
}
