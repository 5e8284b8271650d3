//! Running arg-max over tiles of classes.

use super::Array;

/// `(pred, best)` per row over the tile `o`, whose first class is `first`, and the state `onto` of the tiles before.
#[must_use]
pub fn argmax_rows(o: &Array, onto: Option<[&Array; 2]>, first: usize) -> [Array; 2] {
    let start = || [Array::zeros(&[o.rows()]), Array::new(&[o.rows()], vec![f64::NEG_INFINITY; o.rows()])];
    let [mut pred, mut best] = onto.map_or_else(start, |state| state.map(Array::clone));
    for n in 0..o.rows() {
        for (c, &x) in o.row(n).iter().enumerate() {
            if x > best.data[n] {
                best.data[n] = x;
                pred.data[n] = (first + c) as f64;
            }
        }
    }
    [pred, best]
}
