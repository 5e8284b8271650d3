//! Class map at output size from logits at feature size (spec section 11).

use super::Array;
use super::corners::{blend, each_pixel};

/// Stands for "no class yet": the second highest of one class is this.
pub const LOWEST: f64 = -3e38_f32 as f64;

/// `(pred, highest, second)`, each `[B,OH,OW]`, after the tile `o` on top of `onto`.
#[must_use]
pub fn upsample_argmax(
    o: &Array,
    onto: Option<[&Array; 3]>,
    size: [usize; 2],
    out_size: [usize; 2],
    first: usize,
) -> [Array; 3] {
    let batch = o.rows() / (size[0] * size[1]);
    let shape = [batch, out_size[0], out_size[1]];
    let start = || [0.0, LOWEST, LOWEST].map(|x| Array::zeros(&shape).map(|_| x));
    let [mut pred, mut highest, mut second] = onto.map_or_else(start, |state| state.map(Array::clone));
    each_pixel(batch, size, out_size, |m, corners| {
        for (c, v) in blend(o, &corners).into_iter().enumerate() {
            if v > highest.data[m] {
                second.data[m] = highest.data[m];
                highest.data[m] = v;
                pred.data[m] = (first + c) as f64;
            } else {
                second.data[m] = second.data[m].max(v);
            }
        }
    });
    [pred, highest, second]
}
