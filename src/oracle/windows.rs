//! Windows of a map, by looking up every place.

use super::Array;

/// Side of a window, how far the padded map is moved up and left, and the order of places.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Rows and columns of a window.
    pub size: usize,
    /// Rows and columns of the move.
    pub shift: usize,
    /// Places counted down the columns.
    pub columns_first: bool,
}

/// Calls `f` with the row of every place of every window and the row of its pixel, if it has one.
fn pairs(map: &[usize], cut: Cut, mut f: impl FnMut(usize, Option<usize>)) {
    let (down, across) = (map[1].div_ceil(cut.size), map[2].div_ceil(cut.size));
    let mut row = 0;
    for b in 0..map[0] {
        for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
            for (slow, fast) in (0..cut.size).flat_map(|a| (0..cut.size).map(move |b| (a, b))) {
                let (y, x) = if cut.columns_first { (fast, slow) } else { (slow, fast) };
                let h = (i * cut.size + y + cut.shift) % (down * cut.size);
                let w = (j * cut.size + x + cut.shift) % (across * cut.size);
                f(row, (h < map[1] && w < map[2]).then(|| (b * map[1] + h) * map[2] + w));
                row += 1;
            }
        }
    }
}

/// `[B,H,W,C]` to `[B windows, size^2, C rounded up to 4]`.
#[must_use]
pub fn windows(x: &Array, cut: Cut) -> Array {
    let (down, across) = (x.shape[1].div_ceil(cut.size), x.shape[2].div_ceil(cut.size));
    let width = x.channels();
    let mut out = Array::zeros(&[x.shape[0] * down * across, cut.size * cut.size, width.next_multiple_of(4)]);
    pairs(&x.shape, cut, |row, pixel| {
        if let Some(pixel) = pixel {
            out.row_mut(row)[..width].copy_from_slice(x.row(pixel));
        }
    });
    out
}

/// The map of which `x` holds the windows.
#[must_use]
pub fn unwindows(x: &Array, map: &[usize], cut: Cut) -> Array {
    let mut out = Array::zeros(map);
    pairs(map, cut, |row, pixel| {
        if let Some(pixel) = pixel {
            out.row_mut(pixel).copy_from_slice(&x.row(row)[..map[3]]);
        }
    });
    out
}
