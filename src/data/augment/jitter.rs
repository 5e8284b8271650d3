//! Photometric jitter as one affine map of colour.
//!
//! Brightness, contrast, saturation and hue are each linear in RGB, so their product is one 3 x 3 matrix and one offset
//! per image, whatever is switched on; values are clamped once, at the end.

use std::ops::Range;

use super::AugmentSettings;
use crate::rng::Rng;

type Matrix = [[f32; 3]; 3];

/// Grey is the luma of ITU-R BT.601.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// The strengths drawn for one image.
pub struct Jitter {
    brightness: f32,
    contrast: f32,
    saturation: f32,
    /// Radians.
    hue: f32,
}

impl Jitter {
    /// Draws four numbers, whatever the settings are.
    pub fn draw(settings: &AugmentSettings, rng: &mut Rng) -> Self {
        let mut around = |strength: f32| strength * rng.range(-1.0, 1.0);
        Self {
            brightness: 1.0 + around(settings.brightness),
            contrast: 1.0 + around(settings.contrast),
            saturation: 1.0 + around(settings.saturation),
            hue: around(settings.hue) * std::f32::consts::TAU,
        }
    }

    /// Changes the pixels of `rgb` (rows of `width` pixels, values 0 to 255) in the rectangle `rows` x `columns`.
    pub fn apply(&self, rgb: &mut [f32], width: usize, rows: Range<usize>, columns: Range<usize>) {
        if self.brightness == 1.0 && self.contrast == 1.0 && self.saturation == 1.0 && self.hue == 0.0 {
            return;
        }
        let num_pixels = (rows.len() * columns.len()) as f64;
        let line = |y: usize| (y * width + columns.start) * 3..(y * width + columns.end) * 3;
        // Sums of a row in f32, of the rows in f64: exact enough at any size and still fast.
        let mut sums = [0.0f64; 3];
        for y in rows.clone() {
            let mut row = [0.0f32; 3];
            for pixel in rgb[line(y)].as_chunks::<3>().0 {
                for (sum, &value) in row.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
            for (sum, row) in sums.iter_mut().zip(row) {
                *sum += f64::from(row);
            }
        }
        let grey: f64 = sums.iter().zip(LUMA).map(|(sum, luma)| sum / num_pixels * f64::from(luma)).sum();
        let gain = self.brightness * self.contrast;
        let offset = self.brightness * (1.0 - self.contrast) * grey as f32;
        // The colour matrix leaves grey unchanged, so the grey offset can be added after it.
        let matrix = self.color_matrix().map(|row| row.map(|value| value * gain));
        for y in rows {
            for pixel in rgb[line(y)].as_chunks_mut::<3>().0 {
                let [r, g, b] = *pixel;
                for (value, row) in pixel.iter_mut().zip(&matrix) {
                    *value = (row[0] * r + row[1] * g + row[2] * b + offset).clamp(0.0, 255.0);
                }
            }
        }
    }

    /// Saturation and hue: chroma, which is colour minus grey, is turned and scaled; grey stays.
    fn color_matrix(&self) -> Matrix {
        // B - grey and R - grey span the chroma plane; with these factors (YUV) a turn of it is a turn of hue.
        const U: f32 = 0.492;
        const V: f32 = 0.877;
        let (sin, cos) = self.hue.sin_cos();
        let mut matrix = [[0.0; 3]; 3];
        // Column by column: what becomes of pure red, green and blue.
        for channel in 0..3 {
            let grey = LUMA[channel];
            let (u, v) = (U * (f32::from(channel == 2) - grey), V * (f32::from(channel == 0) - grey));
            let (u, v) = (self.saturation * (cos * u - sin * v), self.saturation * (sin * u + cos * v));
            let (r, b) = (grey + v / V, grey + u / U);
            let g = (grey - LUMA[0] * r - LUMA[2] * b) / LUMA[1];
            for (row, value) in matrix.iter_mut().zip([r, g, b]) {
                row[channel] = value;
            }
        }
        matrix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEUTRAL: Jitter = Jitter { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0 };

    fn near(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3), "{a:?} {b:?}");
    }

    fn applied(jitter: &Jitter, rgb: &[f32]) -> Vec<f32> {
        let mut rgb = rgb.to_vec();
        let width = rgb.len() / 3;
        jitter.apply(&mut rgb, width, 0..1, 0..width);
        rgb
    }

    #[test]
    fn each_strength_does_what_its_name_says() {
        let pixels = [100.0, 100.0, 100.0, 50.0, 50.0, 50.0];
        near(
            &applied(&Jitter { brightness: 1.2, ..NEUTRAL }, &pixels),
            &[120.0, 120.0, 120.0, 60.0, 60.0, 60.0],
        );
        near(&applied(&Jitter { contrast: 0.5, ..NEUTRAL }, &pixels), &[87.5, 87.5, 87.5, 62.5, 62.5, 62.5]);
        near(&applied(&Jitter { saturation: 0.0, ..NEUTRAL }, &[200.0, 0.0, 0.0]), &[59.8, 59.8, 59.8]);
        near(&applied(&Jitter { brightness: 3.0, ..NEUTRAL }, &[100.0, 0.0, 50.0]), &[255.0, 0.0, 150.0]);
        near(&applied(&NEUTRAL, &pixels), &pixels);
    }

    #[test]
    fn hue_turns_colours_and_leaves_grey_and_luma() {
        let tenth = Jitter { hue: std::f32::consts::TAU / 10.0, ..NEUTRAL };
        near(&applied(&tenth, &[90.0, 90.0, 90.0]), &[90.0, 90.0, 90.0]);
        let mut color = vec![140.0, 120.0, 110.0];
        let turned = applied(&tenth, &color);
        assert!((turned[0] - 140.0).abs() > 2.0);
        let luma = |rgb: &[f32]| rgb.iter().zip(LUMA).map(|(a, b)| a * b).sum::<f32>();
        assert!((luma(&turned) - luma(&color)).abs() < 1e-3);
        for _ in 0..10 {
            color = applied(&tenth, &color);
        }
        near(&color, &[140.0, 120.0, 110.0]);
    }

    #[test]
    fn only_the_rectangle_changes() {
        let mut rgb = vec![10.0; 4 * 3 * 3];
        Jitter { brightness: 2.0, ..NEUTRAL }.apply(&mut rgb, 4, 1..2, 1..3);
        let changed: Vec<usize> = (0..12).filter(|i| rgb[i * 3] == 20.0).collect();
        assert_eq!(changed, [5, 6]);
    }
}
