//! One pixel against all prototypes.

use super::corners::{blend, taps};
use super::{Array, dot};

/// `cosines [C,K]` of the embedding interpolated at `at` (x, y) of a map of `out_size` and normalised again.
#[must_use]
pub fn pick(emb: &Array, protos: &Array, at: &Array, out_size: [usize; 2]) -> Array {
    let (height, width) = (emb.shape[1], emb.shape[2]);
    let axis = |size, out: usize, i: f64| taps(size, out)[(i as usize).min(out - 1)];
    let (y0, y1, ty) = axis(height, out_size[0], at.data[1]);
    let (x0, x1, tx) = axis(width, out_size[1], at.data[0]);
    let corners = [
        (y0 * width + x0, (1.0 - ty) * (1.0 - tx)),
        (y0 * width + x1, (1.0 - ty) * tx),
        (y1 * width + x0, ty * (1.0 - tx)),
        (y1 * width + x1, ty * tx),
    ];
    let e = blend(emb, &corners);
    let length = dot(&e, &e).sqrt().max(1e-12);
    let cosines = (0..protos.rows()).map(|p| dot(&e, protos.row(p)) / length).collect();
    Array::new(&protos.shape[..2], cosines)
}
