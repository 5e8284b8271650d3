//! From linear light to the picture a small camera would deliver: lens, exposure, sensor noise, eight bits.

use crate::rng::{self, Rng};
use glam::{Vec3, vec2};

/// Turns linear colours `[H, W]` into `[H, W, 3]` bytes.
pub(super) fn develop(color: &[Vec3], width: usize, height: usize, rng: &mut Rng) -> Vec<u8> {
    let exposure = rng.range(0.72, 1.02);
    let balance = Vec3::new(rng.range(0.95, 1.06), 1.0, rng.range(0.94, 1.06)) * exposure;
    let grain = rng.range(0.003, 0.013);
    let vignette = rng.range(0.10, 0.32);
    let soft = rng.range(0.0, 0.22);
    let saturation = rng.range(0.92, 1.15);
    let seed = rng.bits();
    let centre = vec2(width as f32, height as f32) * 0.5;
    let mut bytes = Vec::with_capacity(color.len() * 3);
    for y in 0..height {
        let (above, below) = (y.saturating_sub(1) * width, (y + 1).min(height - 1) * width);
        for x in 0..width {
            let here = y * width + x;
            let around = color[above + x]
                + color[below + x]
                + color[y * width + x.saturating_sub(1)]
                + color[y * width + (x + 1).min(width - 1)];
            let blurred = color[here].lerp(around * 0.25, soft);
            let edge = (vec2(x as f32, y as f32) - centre).length_squared() / centre.length_squared();
            let light = film(blurred * balance * (1.0 - vignette * edge));
            let grey = light.dot(Vec3::new(0.3, 0.59, 0.11));
            let light = Vec3::splat(grey).lerp(light, saturation).max(Vec3::ZERO);
            let display = Vec3::new(light.x.sqrt(), light.y.sqrt(), light.z.sqrt());
            // Noise shared by the channels plus noise of their own: four short draws from two hashes.
            let draws = [rng::hash(seed ^ here as u32), rng::hash(!seed ^ here as u32)];
            let noise = |i: usize| ((draws[i / 2] >> (16 * (i % 2))) & 0xffff) as f32 / 32_767.5 - 1.0;
            for (channel, value) in display.to_array().into_iter().enumerate() {
                let grained = value + 1.6 * grain * (noise(3) + noise(channel)) * (1.2 - 0.6 * value);
                bytes.push((grained * 255.0 + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    bytes
}

/// A film-like curve: a soft toe, a long shoulder, 1 at infinity.
fn film(x: Vec3) -> Vec3 {
    let x = x * 0.82;
    (x * (x * 2.51 + 0.03)) / (x * (x * 2.43 + 0.59) + 0.14)
}
