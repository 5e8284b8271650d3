//! The gated linear unit with a swish gate.

use super::Array;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `a s(a) b` of the halves of every row.
#[must_use]
pub fn swiglu(x: &Array) -> Array {
    let half = x.channels() / 2;
    let mut shape = x.shape.clone();
    *shape.last_mut().expect("it has rows") = half;
    let rows = (0..x.rows()).flat_map(|n| {
        let (a, b) = x.row(n).split_at(half);
        std::iter::zip(a, b).map(|(a, b)| a * logistic(*a) * b).collect::<Vec<_>>()
    });
    Array::new(&shape, rows.collect())
}

/// The gradient of `x`.
#[must_use]
pub fn grad(x: &Array, dy: &Array) -> Array {
    let half = x.channels() / 2;
    let mut out = Array::zeros(&x.shape);
    for n in 0..x.rows() {
        let (a, b) = x.row(n).split_at(half);
        let row = out.row_mut(n);
        for j in 0..half {
            let s = logistic(a[j]);
            row[j] = dy.row(n)[j] * b[j] * (s + a[j] * s * (1.0 - s));
            row[half + j] = dy.row(n)[j] * a[j] * s;
        }
    }
    out
}
