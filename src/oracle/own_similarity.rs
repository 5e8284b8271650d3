//! Similarity to the own class's prototypes.

use super::{Array, dot};

/// `[N,K]` inner products of `emb [N,D]` with `protos [C,K,D]` of class `gt [N]`; zeros where `gt` is no class.
#[must_use]
pub fn own_similarity(emb: &Array, protos: &Array, gt: &Array) -> Array {
    let (classes, num_protos) = (protos.shape[0], protos.shape[1]);
    let mut out = Array::zeros(&[emb.rows(), num_protos]);
    for (n, &label) in gt.data.iter().enumerate().filter(|&(_, &y)| y >= 0.0 && y < classes as f64) {
        for k in 0..num_protos {
            out.row_mut(n)[k] = dot(emb.row(n), protos.row(label as usize * num_protos + k));
        }
    }
    out
}
