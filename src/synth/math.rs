//! Sine, cosine and what else the standard library leaves to the platform, with the same bits everywhere: results that
//! differ in the last place from one system to the next would draw another street. Square roots need no such care,
//! they are exact on every platform. `tests/house.rs` sees to it that the painter goes by way of this module.

use glam::{Vec2, vec2};

pub(super) fn sin(angle: f32) -> f32 {
    libm::sinf(angle)
}

pub(super) fn cos(angle: f32) -> f32 {
    libm::cosf(angle)
}

pub(super) fn atan(slope: f32) -> f32 {
    libm::atanf(slope)
}

/// The angle of the direction `(x, y)` from the x axis.
pub(super) fn atan2(y: f32, x: f32) -> f32 {
    libm::atan2f(y, x)
}

pub(super) fn exp(x: f32) -> f32 {
    libm::expf(x)
}

/// `x` multiplied by itself, `count` factors in all, in an order that no compiler changes.
pub(super) fn power(x: f32, count: u32) -> f32 {
    let (mut square, mut left, mut product) = (x, count, 1.0);
    while left > 0 {
        if left & 1 == 1 {
            product *= square;
        }
        square *= square;
        left >>= 1;
    }
    product
}

/// The unit vector that is turned by `angle` from the x axis.
pub(super) fn turned(angle: f32) -> Vec2 {
    vec2(cos(angle), sin(angle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_standard_library_to_a_few_places() {
        for i in -40..40 {
            let x = i as f32 * 0.37;
            assert!((sin(x) - x.sin()).abs() < 1e-6 && (cos(x) - x.cos()).abs() < 1e-6);
            assert!((atan(x) - x.atan()).abs() < 1e-6 && (atan2(x, 2.0) - x.atan2(2.0)).abs() < 1e-6);
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-5);
            assert!((power(x, 5) - x.powi(5)).abs() <= 1e-5 * x.powi(5).abs());
            assert!(turned(x).distance(Vec2::from_angle(x)) < 1e-6);
        }
        assert_eq!(power(7.0, 0), 1.0);
    }
}
