//! Inner products of the pixels of an image with the class vectors of that image.

use super::{Array, dot};

/// The image of pixel `n`, of `num_pixels` pixels in as many images as `vectors` has.
fn image(n: usize, num_pixels: usize, vectors: &[usize]) -> usize {
    n / (num_pixels / vectors[0])
}

/// `o[n,c] = <emb[n], vectors[b(n), first + c]>` for `count` classes.
#[must_use]
pub fn query_logit(emb: &Array, vectors: &Array, first: usize, count: usize) -> Array {
    let (rows, classes) = (emb.rows(), vectors.shape[1]);
    let logit = |n: usize, c: usize| {
        dot(emb.row(n), vectors.row(image(n, rows, &vectors.shape) * classes + first + c))
    };
    let data = (0..rows).flat_map(|n| (0..count).map(move |c| logit(n, c))).collect();
    Array::new(&[rows, count], data)
}

/// The gradient to the pixels, added to `onto` if given.
#[must_use]
pub fn emb_grad(d_out: &Array, vectors: &Array, onto: Option<&Array>, first: usize) -> Array {
    let (rows, classes) = (d_out.rows(), vectors.shape[1]);
    let mut out = onto.map_or_else(|| Array::zeros(&[rows, vectors.channels()]), Clone::clone);
    for n in 0..rows {
        for (c, g) in d_out.row(n).iter().enumerate() {
            let vector = vectors.row(image(n, rows, &vectors.shape) * classes + first + c);
            std::iter::zip(out.row_mut(n), vector).for_each(|(to, x)| *to += g * x);
        }
    }
    out
}

/// The gradient to the class vectors, added to `onto`.
#[must_use]
pub fn vectors_grad(d_out: &Array, emb: &Array, onto: &Array, first: usize) -> Array {
    let (rows, classes) = (d_out.rows(), onto.shape[1]);
    let mut out = onto.clone();
    for n in 0..rows {
        for (c, g) in d_out.row(n).iter().enumerate() {
            let to = out.row_mut(image(n, rows, &onto.shape) * classes + first + c);
            std::iter::zip(to, emb.row(n)).for_each(|(to, x)| *to += g * x);
        }
    }
    out
}
