//! Overlapping windows over an image that is too large to go through whole.

use std::ops::Range;

use crate::data::RgbImage;

use super::predict::Prediction;

/// Pixels by which neighbouring windows of length `window` overlap at least; half of it at each inner edge is thrown
/// away, because the network sees less context there. A third of a small window, so that each decides most of itself.
fn overlap(window: usize) -> usize {
    (window / 3).min(64)
}

/// One window: where it lies and which part of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First row and column of the window.
    top: usize,
    left: usize,
    /// Size of the window.
    height: usize,
    width: usize,
    /// Rows and columns of the image that this window decides.
    rows: (usize, usize),
    columns: (usize, usize),
}

/// Starts of windows of length `window` along `length`, and the borders between what each decides.
fn spans(length: usize, window: usize) -> Vec<(usize, (usize, usize))> {
    if window >= length {
        return vec![(0, (0, length))];
    }
    let step = window - overlap(window);
    let count = (length - window).div_ceil(step) + 1;
    let starts: Vec<_> = (0..count).map(|i| (i * step).min(length - window)).collect();
    let border = |i: usize| usize::midpoint(starts[i], starts[i - 1] + window);
    (0..count)
        .map(|i| {
            let first = if i == 0 { 0 } else { border(i) };
            let last = if i + 1 == count { length } else { border(i + 1) };
            (starts[i], (first, last))
        })
        .collect()
}

/// Windows of `tall` x `wide` that together decide every pixel of `height` x `width` once.
pub(super) fn places(height: usize, width: usize, tall: usize, wide: usize) -> Vec<Place> {
    let across = spans(width, wide);
    let place = |(top, rows)| {
        across.iter().map(move |&(left, columns)| Place {
            top,
            left,
            height: tall.min(height),
            width: wide.min(width),
            rows,
            columns,
        })
    };
    spans(height, tall).into_iter().flat_map(place).collect()
}

impl Place {
    /// The window's pixels.
    pub(super) fn cut(&self, image: &RgbImage) -> RgbImage {
        let row = |y: usize| {
            let first = 3 * ((self.top + y) * image.width + self.left);
            &image.rgb[first..first + 3 * self.width]
        };
        let rgb = (0..self.height).flat_map(row).copied().collect();
        RgbImage { width: self.width, height: self.height, rgb }
    }

    /// Copies what this window decides into the whole image's prediction.
    pub(super) fn paste(&self, part: &Prediction, whole: &mut Prediction) {
        let size = whole.width * whole.height;
        let copy = |from: &[u32], to: &mut Vec<u32>| self.copy(from, to, size, whole.width);
        copy(&part.classes, &mut whole.classes);
        copy(&part.prototypes, &mut whole.prototypes);
        let copy = |from: &[f32], to: &mut Vec<f32>| self.copy(from, to, size, whole.width);
        copy(&part.similarity, &mut whole.similarity);
        copy(&part.strength, &mut whole.strength);
        copy(&part.margin, &mut whole.margin);
    }

    /// Height and width of the window.
    pub(super) const fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Calls `f` with row and column in the image and in the window, for every pixel of `rows` that this window decides.
    pub(super) fn for_each(&self, rows: Range<usize>, mut f: impl FnMut(usize, usize, usize, usize)) {
        for y in self.rows.0.max(rows.start)..self.rows.1.min(rows.end) {
            (self.columns.0..self.columns.1).for_each(|x| f(y, x, y - self.top, x - self.left));
        }
    }

    /// A map that was not asked for is empty and stays so.
    fn copy<T: Copy + Default>(&self, from: &[T], to: &mut Vec<T>, size: usize, width: usize) {
        if from.is_empty() {
            return;
        }
        to.resize(size, T::default());
        let (left, right) = self.columns;
        for y in self.rows.0..self.rows.1 {
            let first = (y - self.top) * self.width + left - self.left;
            to[y * width + left..y * width + right].copy_from_slice(&from[first..first + right - left]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_decided_once_by_a_window_that_holds_it() {
        let cases =
            [(10, 10, 32, 32), (500, 333, 160, 128), (97, 1000, 96, 65), (9, 7, 1, 2), (64, 48, 32, 32)];
        for (height, width, tall, wide) in cases {
            let mut seen = vec![0; height * width];
            for p in places(height, width, tall, wide) {
                assert!(p.rows.0 >= p.top && p.rows.1 <= p.top + p.height && p.top + p.height <= height);
                assert!(
                    p.columns.0 >= p.left && p.columns.1 <= p.left + p.width && p.left + p.width <= width
                );
                for y in p.rows.0..p.rows.1 {
                    (p.columns.0..p.columns.1).for_each(|x| seen[y * width + x] += 1);
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "{height}x{width} by {tall}x{wide}");
        }
    }

    #[test]
    fn small_windows_advance_by_most_of_their_length() {
        for (window, count) in [(1, 640), (32, 29), (64, 15), (96, 10), (191, 5), (512, 2), (640, 1)] {
            assert_eq!(spans(640, window).len(), count, "windows of {window}");
        }
        let starts: Vec<usize> = spans(1000, 256).iter().map(|span| span.0).collect();
        assert_eq!(starts, [0, 192, 384, 576, 744], "large windows overlap by 64");
    }
}
