//! Sums of embeddings per prototype.

use super::Array;

/// `gt*K + khat` of the pixels that take part, else -1.
#[must_use]
pub fn prototype_key(
    gt: &Array,
    khat: &Array,
    predicted: Option<&Array>,
    [classes, protos]: [usize; 2],
) -> Array {
    let key = |n: usize| {
        let (label, k) = (gt.data[n], khat.data[n]);
        let right = predicted.is_none_or(|p| p.data[n] == label);
        if right && (0.0..classes as f64).contains(&label) && k >= 0.0 {
            label * protos as f64 + k
        } else {
            -1.0
        }
    };
    Array::new(&gt.shape, (0..gt.data.len()).map(key).collect())
}

/// `(sums [C,K,D], counts [C,K])` of the rows of `emb [N,D]` by key.
#[must_use]
pub fn prototype_sums(emb: &Array, key: &Array, [classes, protos]: [usize; 2]) -> (Array, Array) {
    let mut sums = Array::zeros(&[classes, protos, emb.channels()]);
    let mut counts = Array::zeros(&[classes, protos]);
    for (n, &j) in key.data.iter().enumerate().filter(|&(_, &j)| j >= 0.0) {
        counts.data[j as usize] += 1.0;
        sums.row_mut(j as usize).iter_mut().zip(emb.row(n)).for_each(|(s, x)| *s += x);
    }
    (sums, counts)
}
