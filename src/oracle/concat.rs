//! Concatenation along channels.

use super::Array;

/// Rows side by side.
#[must_use]
pub fn concat(parts: &[&Array]) -> Array {
    let rows = parts[0].rows();
    let data = (0..rows).flat_map(|n| parts.iter().flat_map(move |p| p.row(n).to_vec())).collect();
    let mut shape = parts[0].shape.clone();
    *shape.last_mut().expect("rank 2 or more") = parts.iter().map(|p| p.channels()).sum();
    Array::new(&shape, data)
}

/// Channels `offset..offset + channels`.
#[must_use]
pub fn slice(x: &Array, offset: usize, channels: usize) -> Array {
    let data = (0..x.rows()).flat_map(|n| x.row(n)[offset..offset + channels].to_vec()).collect();
    let mut shape = x.shape.clone();
    *shape.last_mut().expect("rank 2 or more") = channels;
    Array::new(&shape, data)
}
