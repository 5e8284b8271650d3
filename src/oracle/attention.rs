//! Multi-head attention, textbook form: the weights of every query stand in a vector.

use super::{Array, dot};

/// One head of one query: its image, and its numbers' range in a row.
struct Head<'a> {
    k: &'a Array,
    v: &'a Array,
    image: usize,
    columns: std::ops::Range<usize>,
}

impl Head<'_> {
    fn num_keys(&self) -> usize {
        self.k.shape[1]
    }

    fn of<'a>(&self, x: &'a Array, m: usize) -> &'a [f64] {
        &x.row(self.image * x.shape[1] + m)[self.columns.clone()]
    }

    fn scale(&self) -> f64 {
        1.0 / (self.columns.len() as f64).sqrt()
    }

    /// The weights of all keys, and the logarithm of the sum that they were divided by.
    fn weights(&self, query: &[f64]) -> (Vec<f64>, f64) {
        let scores: Vec<f64> =
            (0..self.num_keys()).map(|m| dot(query, self.of(self.k, m)) * self.scale()).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - highest).exp()).sum();
        (scores.iter().map(|s| (s - highest).exp() / sum).collect(), highest + sum.ln())
    }
}

/// Calls `each` with every head of every query: the head, the query's row, and the number of (image, head, query).
fn for_each<'a>(
    q: &Array,
    k: &'a Array,
    v: &'a Array,
    heads: usize,
    mut each: impl FnMut(&Head<'a>, usize, usize),
) {
    let (images, queries, width) = (q.shape[0], q.shape[1], q.shape[2] / heads);
    for image in 0..images {
        for head in 0..heads {
            let at = Head { k, v, image, columns: head * width..(head + 1) * width };
            for item in 0..queries {
                each(&at, image * queries + item, (image * heads + head) * queries + item);
            }
        }
    }
}

/// `softmax(q k^T / sqrt(d)) v` of `q [B,Q,D]`, `k [B,M,D]`, `v [B,M,D]`, and the log-sum-exp of every (image, head, query).
#[must_use]
pub fn attention(q: &Array, k: &Array, v: &Array, heads: usize) -> [Array; 2] {
    let mut out = Array::zeros(&q.shape);
    let mut lse = Array::zeros(&[q.shape[0] * heads * q.shape[1]]);
    for_each(q, k, v, heads, |at, row, number| {
        let (weights, found) = at.weights(&q.row(row)[at.columns.clone()]);
        lse.data[number] = found;
        for (m, w) in weights.iter().enumerate() {
            let to = &mut out.row_mut(row)[at.columns.clone()];
            std::iter::zip(to, at.of(at.v, m)).for_each(|(to, x)| *to += w * x);
        }
    });
    [out, lse]
}

/// `dq`, `dk`, `dv`.
#[must_use]
pub fn gradient(q: &Array, k: &Array, v: &Array, d_out: &Array, heads: usize) -> [Array; 3] {
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| Array::zeros(&x.shape));
    for_each(q, k, v, heads, |at, row, _| {
        let columns = || at.columns.clone();
        let (query, g) = (&q.row(row)[columns()], &d_out.row(row)[columns()]);
        let weights = at.weights(query).0;
        let d_weights: Vec<f64> = (0..at.num_keys()).map(|m| dot(g, at.of(at.v, m))).collect();
        let mean = dot(&weights, &d_weights);
        for (m, (w, dw)) in std::iter::zip(&weights, &d_weights).enumerate() {
            let ds = w * (dw - mean) * at.scale();
            let key_row = at.image * k.shape[1] + m;
            for (j, c) in columns().enumerate() {
                dq.row_mut(row)[c] += ds * at.of(at.k, m)[j];
                dk.row_mut(key_row)[c] += ds * query[j];
                dv.row_mut(key_row)[c] += w * g[j];
            }
        }
    });
    [dq, dk, dv]
}
