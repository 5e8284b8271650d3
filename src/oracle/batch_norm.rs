//! Batch normalisation, textbook form.

use super::Array;

/// Mean and biased variance per channel.
#[must_use]
pub fn moments(x: &Array) -> (Array, Array) {
    let rows = x.rows() as f64;
    let mut mean = Array::zeros(&[x.channels()]);
    let mut variance = mean.clone();
    for n in 0..x.rows() {
        std::iter::zip(&mut mean.data, x.row(n)).for_each(|(m, v)| *m += v / rows);
    }
    for n in 0..x.rows() {
        for (c, v) in x.row(n).iter().enumerate() {
            variance.data[c] += (v - mean.data[c]).powi(2) / rows;
        }
    }
    (mean, variance)
}

/// Constants of one normalisation: `clamp(gamma * xhat + beta, low, high)`, `xhat = (x - mean) / sqrt(variance + eps)`.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Added to the variance.
    pub eps: f64,
    /// Lowest output.
    pub low: f64,
    /// Highest output.
    pub high: f64,
}

impl Norm {
    /// The normalised, scaled, shifted and clamped rows.
    #[must_use]
    pub fn apply(&self, x: &Array, gamma: &Array, beta: &Array, mean: &Array, variance: &Array) -> Array {
        let mut y = x.clone();
        for n in 0..x.rows() {
            for (c, v) in y.row_mut(n).iter_mut().enumerate() {
                let xhat = (*v - mean.data[c]) / (variance.data[c] + self.eps).sqrt();
                *v = (gamma.data[c] * xhat + beta.data[c]).clamp(self.low, self.high);
            }
        }
        y
    }

    /// `dx`, `dgamma`, `dbeta`; `frozen` statistics do not depend on `x`.
    #[must_use]
    pub fn gradient(
        &self,
        [x, dy]: [&Array; 2],
        [gamma, beta]: [&Array; 2],
        [mean, variance]: [&Array; 2],
        frozen: bool,
    ) -> Vec<Array> {
        let rows = x.rows();
        let mut dx = Array::zeros(&x.shape);
        let (mut dgamma, mut dbeta) = (Array::zeros(&gamma.shape), Array::zeros(&beta.shape));
        for c in 0..x.channels() {
            let deviation = (variance.data[c] + self.eps).sqrt();
            let xhat = |n: usize| (x.row(n)[c] - mean.data[c]) / deviation;
            let inner = |n: usize| {
                let y = gamma.data[c] * xhat(n) + beta.data[c];
                if y > self.low && y < self.high { dy.row(n)[c] } else { 0.0 }
            };
            dgamma.data[c] = (0..rows).map(|n| inner(n) * xhat(n)).sum();
            dbeta.data[c] = (0..rows).map(inner).sum();
            for n in 0..rows {
                let coupled = (dbeta.data[c] + xhat(n) * dgamma.data[c]) / rows as f64;
                let coupled = if frozen { 0.0 } else { coupled };
                dx.row_mut(n)[c] = gamma.data[c] / deviation * (inner(n) - coupled);
            }
        }
        vec![dx, dgamma, dbeta]
    }
}
