//! Dropout by counter-based draws.

use super::Array;
use crate::rng::uniform;

/// Keeps `x / (1 - p)` where the draw `(seed, step, draw index)` is at least `p`; `rows` rows share their draws, of which there
/// is one for every channel or one for all.
#[must_use]
pub fn dropout(x: &Array, step: u32, p: f32, [rows, draws]: [usize; 2], seed: u32) -> Array {
    let mut out = x.clone();
    for n in 0..x.rows() {
        for (c, value) in out.row_mut(n).iter_mut().enumerate() {
            let index = (n / rows) * draws + c.min(draws - 1);
            let kept = uniform(seed, step, index as u32) >= p;
            *value = if kept { *value / (1.0 - f64::from(p)) } else { 0.0 };
        }
    }
    out
}
