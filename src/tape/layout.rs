//! How values lie in device memory.
//!
//! Rule: an `f32` value of rank 2 or more has its last axis padded with **zeros** to a multiple of 4, so that every kernel
//! works on whole `vec4`s whatever the channel count is. An operation must leave zeros in the padding of what it writes
//! (most do by themselves: the padding of weights, scales and shifts is zero). Rank 1 and integer values are dense.

use super::value::DType;

/// Elements in memory of a value of this shape and type.
#[must_use]
pub fn padded(shape: &[usize], dtype: DType) -> usize {
    match shape {
        [rows @ .., channels] if !rows.is_empty() && dtype == DType::F32 => {
            rows.iter().product::<usize>() * channels.next_multiple_of(4)
        }
        _ => shape.iter().product(),
    }
}

/// Lays dense data out as the device holds it.
///
/// # Panics
/// If `dense` does not have the shape's number of elements.
#[must_use]
pub fn pack<T: Copy + Default>(shape: &[usize], dtype: DType, dense: &[T]) -> Vec<T> {
    assert_eq!(dense.len(), shape.iter().product::<usize>(), "data against shape {shape:?}");
    if padded(shape, dtype) == dense.len() {
        return dense.to_vec();
    }
    let channels = shape[shape.len() - 1];
    let stride = channels.next_multiple_of(4);
    let mut out = vec![T::default(); dense.len() / channels * stride];
    for (from, to) in std::iter::zip(dense.chunks_exact(channels), out.chunks_exact_mut(stride)) {
        to[..channels].copy_from_slice(from);
    }
    out
}

/// The inverse of [`pack`].
#[must_use]
pub fn unpack<T: Copy>(shape: &[usize], dtype: DType, held: &[T]) -> Vec<T> {
    let len = shape.iter().product::<usize>();
    if padded(shape, dtype) == len {
        return held[..len].to_vec();
    }
    let channels = shape[shape.len() - 1];
    let rows = held.chunks_exact(channels.next_multiple_of(4)).take(len / channels);
    rows.flat_map(|row| row[..channels].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_rule() {
        assert_eq!(padded(&[2, 5], DType::F32), 16);
        assert_eq!(padded(&[5], DType::F32), 5);
        assert_eq!(padded(&[2, 5], DType::U32), 10);
    }

    #[test]
    fn pack_and_back() {
        let dense: Vec<f32> = (0..15).map(|x| x as f32).collect();
        let held = pack(&[3, 5], DType::F32, &dense);
        assert_eq!(held.len(), 24);
        assert_eq!(&held[5..8], &[0.0; 3]);
        assert_eq!(unpack(&[3, 5], DType::F32, &held), dense);
    }
}
