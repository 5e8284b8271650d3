//! Tokens of a vision transformer, row by row.

use super::Array;

/// `[B, P + N, D]` of `patches [B,N,D]`, `prefix [P,D]` and `pos [Q + N, D]`.
#[must_use]
pub fn tokens(patches: &Array, prefix: &Array, pos: &Array) -> Array {
    let (images, count, width) = (patches.shape[0], patches.shape[1], patches.channels());
    let extra = prefix.shape[0];
    let placed = pos.shape[0] - count;
    let mut data = Vec::new();
    for image in 0..images {
        for p in 0..extra {
            let place = (p < placed).then(|| pos.row(p));
            data.extend(prefix.row(p).iter().enumerate().map(|(c, x)| x + place.map_or(0.0, |row| row[c])));
        }
        for n in 0..count {
            data.extend(
                std::iter::zip(patches.row(image * count + n), pos.row(placed + n)).map(|(a, b)| a + b),
            );
        }
    }
    Array::new(&[images, extra + count, width], data)
}

/// Gradients of patches, prefix and pos.
#[must_use]
pub fn gradient(patches: &Array, prefix: &Array, pos: &Array, dy: &Array) -> [Array; 3] {
    let (count, extra) = (patches.shape[1], prefix.shape[0]);
    let placed = pos.shape[0] - count;
    let [mut dpatches, mut dprefix, mut dpos] = [patches, prefix, pos].map(|x| Array::zeros(&x.shape));
    let add = |to: &mut [f64], what: &[f64]| std::iter::zip(to, what).for_each(|(to, x)| *to += x);
    for row in 0..dy.rows() {
        let (image, token) = (row / (extra + count), row % (extra + count));
        let g = dy.row(row);
        if token < extra {
            add(dprefix.row_mut(token), g);
            if token < placed {
                add(dpos.row_mut(token), g);
            }
        } else {
            add(dpatches.row_mut(image * count + token - extra), g);
            add(dpos.row_mut(placed + token - extra), g);
        }
    }
    [dpatches, dprefix, dpos]
}

/// `count` tokens of every image, from `first` on.
#[must_use]
pub fn take(x: &Array, first: usize, count: usize) -> Array {
    let length = x.shape[1];
    let kept = (0..x.rows()).filter(|row| (first..first + count).contains(&(row % length)));
    let data = kept.flat_map(|row| x.row(row).to_vec()).collect();
    Array::new(&[x.shape[0], count, x.channels()], data)
}

/// The transpose of [`take`] for images of `length` tokens.
#[must_use]
pub fn take_grad(dy: &Array, first: usize, length: usize) -> Array {
    let (count, width) = (dy.shape[1], dy.channels());
    let mut out = Array::zeros(&[dy.shape[0], length, width]);
    for row in 0..dy.rows() {
        out.row_mut(row / count * length + first + row % count).copy_from_slice(dy.row(row));
    }
    out
}
