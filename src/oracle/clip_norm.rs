//! Norm of all gradients together.

use super::Array;

/// The norm of all elements of `gradients`, and what to multiply them by so that it is at most `most`.
#[must_use]
pub fn clip_norm(gradients: &[&Array], most: f64) -> [Array; 2] {
    let squares = gradients.iter().flat_map(|g| &g.data).map(|x| x * x);
    let norm = squares.sum::<f64>().sqrt();
    let factor = if norm > most { most / norm } else { 1.0 };
    [norm, factor].map(|x| Array::new(&[1], vec![x]))
}
