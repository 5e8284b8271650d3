//! The nearest prototype of a pixel's class at output size (spec section 12).

use super::corners::{blend, each_pixel};
use super::{Array, dot};

/// `nearest [B,OH,OW]` and `sim [B,OH,OW,K]` for the class map `classes [B,OH,OW]` and embeddings `emb [B,H,W,D]`.
#[must_use]
pub fn nearest_prototype(classes: &Array, emb: &Array, protos: &Array) -> [Array; 2] {
    let num_protos = protos.shape[1];
    let mut nearest = Array::zeros(&classes.shape);
    let mut sim = Array::zeros(&[&classes.shape[..], &[num_protos]].concat());
    let size = [emb.shape[1], emb.shape[2]];
    each_pixel(emb.shape[0], size, [classes.shape[1], classes.shape[2]], |m, corners| {
        let class = classes.data[m];
        if class < 0.0 || class >= protos.shape[0] as f64 {
            return;
        }
        let e = blend(emb, &corners);
        let norm = dot(&e, &e).sqrt().max(1e-12);
        let proto = |k: usize| protos.row(class as usize * num_protos + k);
        let all: Vec<f64> = (0..num_protos).map(|k| dot(&e, proto(k)) / norm).collect();
        let best = (1..num_protos).fold(0, |best, k| if all[k] > all[best] { k } else { best });
        nearest.data[m] = best as f64;
        sim.row_mut(m).copy_from_slice(&all);
    });
    [nearest, sim]
}
