//! Cosine of every output pixel to one prototype, or to the nearest of a class.

use super::corners::{blend, each_pixel};
use super::{Array, dot};

/// `heat [1,H,W]` of `out_size` from `emb [1,h,w,D]`, `protos [C,K,D]` and `selected` (class, k; 4294967295 = all of them).
#[must_use]
pub fn prototype_heat(emb: &Array, protos: &Array, selected: &Array, out_size: [usize; 2]) -> Array {
    let (c, k) = (protos.shape[0], protos.shape[1]);
    let class = (selected.data[0] as usize).min(c - 1);
    let wanted = if selected.data[1] == f64::from(u32::MAX) {
        0..k
    } else {
        let k = (selected.data[1] as usize).min(k - 1);
        k..k + 1
    };
    let mut heat = Array::zeros(&[1, out_size[0], out_size[1]]);
    each_pixel(1, [emb.shape[1], emb.shape[2]], out_size, |m, corners| {
        let e = blend(emb, &corners);
        let length = dot(&e, &e).sqrt().max(1e-12);
        let cosines = wanted.clone().map(|j| dot(&e, protos.row(class * k + j)) / length);
        heat.data[m] = cosines.fold(f64::NEG_INFINITY, f64::max);
    });
    heat
}
