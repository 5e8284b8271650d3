//! Layer normalisation, textbook form.

use super::Array;

/// Mean and `1 / sqrt(variance + eps)` of every row, as `[2 * rows]` in pairs.
#[must_use]
pub fn stats(x: &Array, eps: f64) -> Array {
    let width = x.channels() as f64;
    let pair = |n: usize| {
        let mean = x.row(n).iter().sum::<f64>() / width;
        let variance = x.row(n).iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width;
        [mean, 1.0 / (variance + eps).sqrt()]
    };
    Array::new(&[2 * x.rows()], (0..x.rows()).flat_map(pair).collect())
}

/// `gamma * xhat + beta`.
#[must_use]
pub fn layer_norm(x: &Array, gamma: &Array, beta: &Array, stats: &Array) -> Array {
    let mut y = x.clone();
    for n in 0..x.rows() {
        for (c, v) in y.row_mut(n).iter_mut().enumerate() {
            *v = gamma.data[c] * (*v - stats.data[2 * n]) * stats.data[2 * n + 1] + beta.data[c];
        }
    }
    y
}

/// `dx`, `dgamma`, `dbeta` (spec section 9.5).
#[must_use]
pub fn gradient(x: &Array, gamma: &Array, stats: &Array, dy: &Array) -> Vec<Array> {
    let width = x.channels() as f64;
    let mut dx = Array::zeros(&x.shape);
    let (mut dgamma, mut dbeta) = (Array::zeros(&gamma.shape), Array::zeros(&gamma.shape));
    for n in 0..x.rows() {
        let (mean, inverse) = (stats.data[2 * n], stats.data[2 * n + 1]);
        let xhat: Vec<f64> = x.row(n).iter().map(|v| (v - mean) * inverse).collect();
        let gz: Vec<f64> = std::iter::zip(dy.row(n), &gamma.data).map(|(g, w)| g * w).collect();
        let sum = gz.iter().sum::<f64>() / width;
        let product = super::dot(&gz, &xhat) / width;
        for (c, g) in dy.row(n).iter().enumerate() {
            dgamma.data[c] += g * xhat[c];
            dbeta.data[c] += g;
            dx.row_mut(n)[c] = (gz[c] - sum - xhat[c] * product) * inverse;
        }
    }
    vec![dx, dgamma, dbeta]
}
