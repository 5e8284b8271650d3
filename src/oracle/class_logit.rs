//! Mask norm over tiles of classes (spec sections 4 and 9.2).

use super::Array;

/// `(count, mean, sum of squared distances, 0)` per row over the tile `a` and, if given, what `onto` holds.
#[must_use]
pub fn stats(a: &Array, onto: Option<&Array>) -> Array {
    let mut out = onto.map_or_else(|| Array::zeros(&[a.rows(), 4]), Array::clone);
    for n in 0..a.rows() {
        let state = out.row_mut(n);
        for &x in a.row(n) {
            // Welford's update, one value at a time.
            state[0] += 1.0;
            let before = x - state[1];
            state[1] += before / state[0];
            state[2] += before * (x - state[1]);
        }
    }
    out
}

fn normalised(x: f64, stats: &[f64], eps: f64) -> f64 {
    (x - stats[1]) / (stats[2] / stats[0] + eps).sqrt()
}

/// `gamma * hhat + beta` for the tile whose first class is `first`.
#[must_use]
pub fn class_logit(a: &Array, stats: &Array, gamma: &Array, beta: &Array, first: usize, eps: f64) -> Array {
    let mut out = a.clone();
    for n in 0..a.rows() {
        for (c, x) in out.row_mut(n).iter_mut().enumerate() {
            *x = gamma.data[first + c] * normalised(*x, stats.row(n), eps) + beta.data[first + c];
        }
    }
    out
}

/// `(sum gh, sum gh * hhat, 0, 0)` per row, `gh = gamma * do`, added to `onto`.
#[must_use]
pub fn sums([d, a, stats, gamma]: [&Array; 4], onto: Option<&Array>, first: usize, eps: f64) -> Array {
    let mut out = onto.map_or_else(|| Array::zeros(&[a.rows(), 4]), Array::clone);
    for n in 0..a.rows() {
        for (c, (g, &x)) in std::iter::zip(d.row(n), a.row(n)).enumerate() {
            let gh = gamma.data[first + c] * g;
            out.row_mut(n)[0] += gh;
            out.row_mut(n)[1] += gh * normalised(x, stats.row(n), eps);
        }
    }
    out
}

/// `s * (gh - mean_c(gh) - hhat * mean_c(gh * hhat))`; 0 where there is one class, whose logit is constant.
#[must_use]
pub fn grad([d, a, stats, sums, gamma]: [&Array; 5], first: usize, eps: f64) -> Array {
    let mut out = a.clone();
    for n in 0..a.rows() {
        let (state, sum) = (stats.row(n), sums.row(n));
        let scale = if state[0] < 2.0 { 0.0 } else { 1.0 / (state[2] / state[0] + eps).sqrt() };
        for (c, x) in out.row_mut(n).iter_mut().enumerate() {
            let gh = gamma.data[first + c] * d.row(n)[c];
            *x = scale * (gh - sum[0] / state[0] - normalised(*x, state, eps) * sum[1] / state[0]);
        }
    }
    out
}

/// `dgamma + sum_n do * hhat` and `dbeta + sum_n do` at the tile's classes.
#[must_use]
pub fn affine([d, a, stats]: [&Array; 3], onto: [&Array; 2], first: usize, eps: f64) -> [Array; 2] {
    let [mut d_gamma, mut d_beta] = onto.map(Array::clone);
    for n in 0..a.rows() {
        for (c, (g, &x)) in std::iter::zip(d.row(n), a.row(n)).enumerate() {
            d_gamma.data[first + c] += g * normalised(x, stats.row(n), eps);
            d_beta.data[first + c] += g;
        }
    }
    [d_gamma, d_beta]
}
