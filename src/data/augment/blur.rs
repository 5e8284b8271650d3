//! Gaussian blur of a rectangle.

use std::ops::Range;

/// Deviations beyond which the kernel is cut: what lies further out is below half a grey level.
const REACH: f32 = 3.0;

/// Blurs the pixels of `rgb` (rows of `width` pixels) in the rectangle `rows` x `columns` with the standard deviation
/// `sigma`, in pixels. What is outside is not looked at: the rectangle is mirrored at its edges, which keeps its mean.
pub fn apply(rgb: &mut [f32], width: usize, (rows, columns): (Range<usize>, Range<usize>), sigma: f32) {
    let kernel = kernel(sigma);
    let (height, line) = (rows.len(), columns.len() * 3);
    if height == 0 || line == 0 {
        return;
    }
    let start = |y: usize| ((rows.start + y) * width + columns.start) * 3;
    let mut narrowed = vec![0.0; height * line];
    for (y, target) in narrowed.chunks_exact_mut(line).enumerate() {
        let source = rgb[start(y)..][..line].as_chunks::<3>().0;
        for (x, pixel) in target.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            for (place, weight) in taps(x, source.len(), &kernel) {
                pixel.iter_mut().zip(source[place]).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
    for y in 0..height {
        let target = &mut rgb[start(y)..][..line];
        target.fill(0.0);
        for (place, weight) in taps(y, height, &kernel) {
            let source = &narrowed[place * line..][..line];
            target.iter_mut().zip(source).for_each(|(sum, value)| *sum += weight * value);
        }
    }
}

/// Weights from the middle to one side; both sides together sum to 1.
fn kernel(sigma: f32) -> Vec<f32> {
    let reach = (REACH * sigma).ceil() as usize;
    let half: Vec<f64> =
        (0..=reach).map(|i| (-0.5 * (i as f64 / f64::from(sigma.max(1e-3))).powi(2)).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// The places among `len` that make place `at`, with their weights.
fn taps(at: usize, len: usize, kernel: &[f32]) -> impl Iterator<Item = (usize, f32)> {
    let reach = kernel.len() as isize - 1;
    (-reach..=reach).map(move |i| (mirrored(at as isize + i, len), kernel[i.unsigned_abs()]))
}

/// The place among `len` that shows at `at`, of a row that is followed and preceded by its mirror image without end.
fn mirrored(at: isize, len: usize) -> usize {
    let within = at.rem_euclid(2 * len as isize) as usize;
    within.min(2 * len - 1 - within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_stays_and_contrasts_fall_inside_alone() {
        let (width, height) = (9, 7);
        // A chessboard on a slope, one tone brighter from channel to channel.
        let value = |i: usize| (i / 3 / width + i / 3 % width) % 2 * 90 + i / 3 % width + i % 3;
        let image: Vec<f32> = (0..width * height * 3).map(|i| value(i) as f32).collect();
        for sigma in [0.02, 0.7, 2.0, 30.0] {
            let mut blurred = image.clone();
            apply(&mut blurred, width, (1..6, 2..8), sigma);
            let inside = |i: usize| (1..6).contains(&(i / 3 / width)) && (2..8).contains(&(i / 3 % width));
            let of = |image: &[f32], channel: usize| {
                let part = image.iter().enumerate().filter(|&(i, _)| inside(i) && i % 3 == channel);
                part.map(|(_, &x)| x).collect::<Vec<f32>>()
            };
            for channel in 0..3 {
                let (before, after) = (of(&image, channel), of(&blurred, channel));
                let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
                assert!((mean(&before) - mean(&after)).abs() < 1e-3, "{sigma}");
                let spread = |part: &[f32]| part.iter().map(|x| (x - mean(part)).abs()).sum::<f32>();
                assert!(sigma < 0.1 || spread(&after) < 0.8 * spread(&before), "{sigma}");
            }
            let outside = (0..image.len()).filter(|&i| !inside(i));
            assert!(outside.into_iter().all(|i| image[i] == blurred[i]), "{sigma}");
        }
    }
}
