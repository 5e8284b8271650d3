//! Exponential moving average.

use super::Array;

/// `d * average + (1 - d) * weight` with `d = min(decay, (1 + t) / (10 + t))` at step `t`, counted from 0.
#[must_use]
pub fn ema(weight: &Array, average: &Array, decay: f64, t: f64) -> Array {
    let keep = decay.min((1.0 + t) / (10.0 + t));
    average.zip(weight, |a, w| keep * a + (1.0 - keep) * w)
}
