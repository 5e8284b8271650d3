//! Texture building blocks: smooth noise, and bars and stripes filtered exactly over a pixel's footprint.

use glam::{Vec2, Vec3};

/// A colour from its `0xRRGGBB` display value, in linear light (gamma 2, the inverse of the development in `post`).
pub(super) fn rgb(hex: u32) -> Vec3 {
    let channel = |shift: u32| ((hex >> shift) & 255) as f32 / 255.0;
    let display = Vec3::new(channel(16), channel(8), channel(0));
    display * display
}

/// The largest integer not above `x`. (`f32::floor` is a library call on plain x86-64, and this file is hot.)
#[inline]
fn whole(x: f32) -> i32 {
    let cut = x as i32;
    cut - i32::from((cut as f32) > x)
}

/// Two rounds of multiply and shift: enough for texture, a third of the cost of [`crate::rng::hash`].
#[inline]
fn mix(bits: u32) -> f32 {
    let bits = (bits ^ (bits >> 15)).wrapping_mul(0x2c1b_3c6d);
    let bits = (bits ^ (bits >> 12)).wrapping_mul(0x297a_2d39);
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[inline]
fn row(seed: u32, y: i32) -> u32 {
    (y as u32).wrapping_mul(0x85eb_ca6b) ^ seed.wrapping_mul(0xc2b2_ae35)
}

#[inline]
fn column(x: i32) -> u32 {
    (x as u32).wrapping_mul(0x9e37_79b1)
}

/// A uniform number in `[0, 1)` for the integer cell `(x, y)`.
#[inline]
pub(super) fn cell(seed: u32, x: i32, y: i32) -> f32 {
    mix(row(seed, y) ^ column(x))
}

/// Value noise in `[0, 1]`, one lattice point per unit.
#[inline]
pub(super) fn value(seed: u32, p: Vec2) -> f32 {
    let (x, y) = (whole(p.x), whole(p.y));
    let f = p - Vec2::new(x as f32, y as f32);
    let f = f * f * (Vec2::splat(3.0) - 2.0 * f);
    let (left, right) = (column(x), column(x.wrapping_add(1)));
    let (top, bottom) = (row(seed, y), row(seed, y.wrapping_add(1)));
    let blend = |row: u32| {
        let (a, b) = (mix(row ^ left), mix(row ^ right));
        a + (b - a) * f.x
    };
    let (above, below) = (blend(top), blend(bottom));
    above + (below - above) * f.y
}

/// `octaves` layers of [`value`] noise, each twice as fine and half as strong; in `[0, 1]`.
pub(super) fn fractal(seed: u32, mut p: Vec2, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
    for octave in 0..octaves {
        sum += weight * value(seed.wrapping_add(octave), p);
        total += weight;
        weight *= 0.5;
        p = p * 2.03 + Vec2::new(17.3, 9.1);
    }
    sum / total
}

/// The share of the window of width `footprint` around `x` that lies in `low..high`.
#[inline]
pub(super) fn bar(x: f32, low: f32, high: f32, footprint: f32) -> f32 {
    let half = 0.5 * footprint.max(1e-4);
    ((x + half).min(high) - (x - half).max(low)).max(0.0) / (2.0 * half)
}

/// The same for a bar `low..high` repeated with `period` (`0 <= low < high <= period`).
#[inline]
pub(super) fn stripes(x: f32, period: f32, low: f32, high: f32, footprint: f32) -> f32 {
    let half = 0.5 * footprint.max(1e-4);
    let integral = |x: f32| {
        let turns = whole(x / period) as f32;
        turns * (high - low) + (x - turns * period - low).clamp(0.0, high - low)
    };
    ((integral(x + half) - integral(x - half)) / (2.0 * half)).clamp(0.0, 1.0)
}

/// Hermite step from 0 at `low` to 1 at `high`.
#[inline]
pub(super) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_average_to_their_duty_cycle() {
        assert!((stripes(3.3, 1.0, 0.2, 0.5, 40.0) - 0.3).abs() < 0.01);
        assert!((stripes(3.3, 1.0, 0.2, 0.5, 0.01) - 1.0).abs() < 1e-3);
        assert!(stripes(3.7, 1.0, 0.2, 0.5, 0.01) < 1e-3);
        assert!((bar(0.0, 0.0, 1.0, 1.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn noise_stays_in_range_and_is_smooth() {
        for i in 0..1000 {
            let p = Vec2::new(i as f32 * 0.37 - 80.0, i as f32 * -0.11);
            let v = fractal(5, p, 4);
            assert!((0.0..=1.0).contains(&v));
            assert!((v - fractal(5, p + Vec2::splat(1e-3), 4)).abs() < 0.02);
        }
    }
}
