//! A factor per channel.

use super::Array;

/// `x gamma`.
#[must_use]
pub fn channel_scale(x: &Array, gamma: &Array) -> Array {
    let width = x.channels();
    let data = x.data.iter().enumerate().map(|(i, x)| x * gamma.data[i % width]);
    Array::new(&x.shape, data.collect())
}

/// `dx` and `dgamma`.
#[must_use]
pub fn gradient(x: &Array, gamma: &Array, dy: &Array) -> [Array; 2] {
    let mut dgamma = Array::zeros(&gamma.shape);
    for n in 0..x.rows() {
        for (c, sum) in dgamma.data.iter_mut().enumerate() {
            *sum += x.row(n)[c] * dy.row(n)[c];
        }
    }
    [channel_scale(dy, gamma), dgamma]
}
