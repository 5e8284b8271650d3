//! The best prototype of every class, and the gradients through it (spec sections 4, 9.3, 9.9).

use super::{Array, dot};

/// `a [N,count]` and `kstar [N,count]` for the classes `first..first + count`.
#[must_use]
pub fn proto_match(emb: &Array, protos: &Array, first: usize, count: usize) -> [Array; 2] {
    let (rows, num_protos) = (emb.rows(), protos.shape[1]);
    let mut a = Array::zeros(&[rows, count]);
    let mut kstar = a.clone();
    for n in 0..rows {
        for c in 0..count {
            let similarity = |k: usize| dot(emb.row(n), protos.row((first + c) * num_protos + k));
            let best = (1..num_protos).fold((similarity(0), 0), |best, k| {
                let s = similarity(k);
                if s > best.0 { (s, k) } else { best }
            });
            a.row_mut(n)[c] = best.0;
            kstar.row_mut(n)[c] = best.1 as f64;
        }
    }
    [a, kstar]
}

/// `sum_c da[n,c] * protos[c, kstar[n,c]]`, added to `onto` if there is one.
#[must_use]
pub fn emb_grad(da: &Array, kstar: &Array, protos: &Array, onto: Option<&Array>, first: usize) -> Array {
    let mut out = onto.map_or_else(|| Array::zeros(&[da.rows(), protos.channels()]), Array::clone);
    for n in 0..da.rows() {
        for (c, (&g, &k)) in std::iter::zip(da.row(n), kstar.row(n)).enumerate() {
            let proto = protos.row((first + c) * protos.shape[1] + k as usize);
            out.row_mut(n).iter_mut().zip(proto).for_each(|(o, p)| *o += g * p);
        }
    }
    out
}

/// `onto[c,k] + sum_n da[n,c] * [kstar[n,c] = k] * emb[n]`.
#[must_use]
pub fn protos_grad(da: &Array, kstar: &Array, emb: &Array, onto: &Array, first: usize) -> Array {
    let mut out = onto.clone();
    for n in 0..da.rows() {
        for (c, (&g, &k)) in std::iter::zip(da.row(n), kstar.row(n)).enumerate() {
            let row = out.row_mut((first + c) * onto.shape[1] + k as usize);
            row.iter_mut().zip(emb.row(n)).for_each(|(o, e)| *o += g * e);
        }
    }
    out
}
