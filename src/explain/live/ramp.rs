//! A ramp of colours for numbers.

use crate::explain::palette::blend;

/// Stops of the ramp, dark to light at nearly equal steps of lightness, so that it reads in grey too and to readers who do not
/// see red and green: night blue, violet, brick, amber, cream.
const STOPS: [[u8; 3]; 6] =
    [[14, 16, 52], [68, 26, 112], [150, 44, 104], [221, 82, 66], [248, 156, 58], [252, 244, 196]];

/// 256 colours from low to high.
#[must_use]
pub fn ramp() -> [[u8; 3]; 256] {
    std::array::from_fn(|i| {
        let at = i as f32 / 255.0 * (STOPS.len() - 1) as f32;
        let low = (at as usize).min(STOPS.len() - 2);
        blend(STOPS[low], STOPS[low + 1], at - low as f32)
    })
}

#[cfg(test)]
mod tests {
    use super::ramp;
    use crate::explain::palette::luma;

    #[test]
    fn it_climbs_in_lightness_without_a_step() {
        let luma = ramp().map(luma);
        assert!(luma.windows(2).all(|pair| pair[1] >= pair[0] - 0.004 && pair[1] - pair[0] < 0.02));
        assert!(luma[0] < 0.1 && luma[255] > 0.9);
    }
}
