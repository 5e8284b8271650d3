//! Gumbel noise.

use super::Array;

/// `-log(-log U)` with `U = (2 b + 1) / 2^24`, `b` the upper 23 of `bits(position)`.
#[must_use]
pub fn gumbel(shape: [usize; 2], bits: impl Fn(u32) -> u32) -> Array {
    let uniform = |i: usize| f64::from(2 * (bits(i as u32) >> 9) + 1) / f64::from(1 << 24);
    Array::new(&shape, (0..shape[0] * shape[1]).map(|i| -(-uniform(i).ln()).ln()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_gumbels() {
        let noise = gumbel([10_000, 10], |i| crate::rng::bits(5, 6, i)).data;
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        let variance = noise.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / noise.len() as f64;
        // Euler's constant; pi^2 / 6.
        assert!((mean - 0.577_216).abs() < 0.02 && (variance - 1.644_934).abs() < 0.05, "{mean}, {variance}");
    }
}
