//! Pixels in the colour of their nearest prototype, at any size, with smooth edges.
//!
//! A label map cannot be interpolated. Each prototype's mask (and the mask of what is outside the class) is, with a
//! cubic B-spline; the winner of the smoothed masks takes the pixel, mixed over about one output pixel at the edge.
//! Specks of a single pixel nearly vanish; whatever is two pixels wide stays.
//! All masks of a pixel are weighed together, so that memory does not grow with K.

use super::{FigureRow, OUTSIDE};
use crate::explain::palette::{blend, luma};
use image::{Rgb, RgbImage};

/// A window of an image in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

impl Window {
    pub(super) fn whole(image: &RgbImage) -> Self {
        Self { x: 0, y: 0, w: image.width(), h: image.height() }
    }
}

/// The window of the photograph at `w` x `h` pixels.
pub(super) fn photo(image: &RgbImage, window: Window, w: u32, h: u32) -> RgbImage {
    use image::imageops::{FilterType, crop_imm, resize};
    let filter = if w > window.w { FilterType::CatmullRom } else { FilterType::Lanczos3 };
    resize(&*crop_imm(image, window.x, window.y, window.w, window.h), w, h, filter)
}

/// Source indices and weights of every output position along one axis.
struct Taps(Vec<Vec<(usize, f32)>>);

impl Taps {
    /// `size` output positions over `[from, from + span)` of an axis of `len` source pixels.
    fn new(from: u32, span: u32, len: u32, size: u32) -> Self {
        let ratio = span as f32 / size as f32;
        // Enlarging: the four neighbours. Shrinking: eight samples over a kernel `ratio` times as wide.
        let (spread, spacing) = if ratio > 1.0 { (ratio, ratio / 2.0) } else { (1.0, 1.0) };
        let clamp = |v: f32| v.clamp(0.0, (len - 1) as f32) as usize;
        Self(
            (0..size)
                .map(|o| {
                    let centre = from as f32 + (o as f32 + 0.5) * ratio - 0.5;
                    (-4..=4)
                        .map(|j| (centre + j as f32 * spacing).round())
                        .map(|at| (clamp(at), b_spline((at - centre) / spread)))
                        .filter(|&(_, weight)| weight > 0.0)
                        .collect()
                })
                .collect(),
        )
    }
}

fn b_spline(x: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        2.0 / 3.0 + x * x * (x / 2.0 - 1.0)
    } else if x < 2.0 {
        (2.0 - x).powi(3) / 6.0
    } else {
        0.0
    }
}

/// The window's pixels coloured by nearest prototype over `photo` (the same window's photograph at output size): what
/// is outside the class is darkened and loses its colour; inside, the photograph's light and shadow stay visible and a
/// colour is the fuller the clearer its prototype won.
pub(super) fn draw(row: &FigureRow, window: Window, photo: &RgbImage, colors: &[[u8; 3]]) -> RgbImage {
    let (image_w, image_h) = row.image.dimensions();
    let (w, h) = photo.dimensions();
    let columns = Taps::new(window.x, window.w, image_w, w);
    let lines = Taps::new(window.y, window.h, image_h, h);
    let sharpness = (w as f32 / window.w as f32).max(1.0);
    let outside = colors.len();
    // How much the winner had to beat: with K prototypes an undecided softmax gives everyone 1/K.
    let floor = if colors.len() > 1 { 1.0 / colors.len() as f32 } else { 0.0 };
    let mut masks = vec![0f32; outside + 1];
    RgbImage::from_fn(w, h, |x, y| {
        masks.fill(0.0);
        let (mut strength, mut inside) = (0.0, 0.0);
        for &(sy, wy) in &lines.0[y as usize] {
            for &(sx, wx) in &columns.0[x as usize] {
                let at = sy * image_w as usize + sx;
                let weight = wx * wy;
                match row.nearest[at] {
                    OUTSIDE => masks[outside] += weight,
                    k => {
                        masks[usize::from(k)] += weight;
                        let s = row.strength[at];
                        strength += weight * if s.is_finite() { s.clamp(0.0, 1.0) } else { 0.0 };
                        inside += weight;
                    }
                }
            }
        }
        let light = luma(photo.get_pixel(x, y).0);
        let clear = ((strength / f32::max(inside, 1e-6) - floor) / (1.0 - floor)).clamp(0.0, 1.0).sqrt();
        Rgb(composite(&masks, sharpness, light, clear, colors))
    })
}

/// One output pixel from its smoothed masks (the last is "outside").
fn composite(masks: &[f32], sharpness: f32, light: f32, clear: f32, colors: &[[u8; 3]]) -> [u8; 3] {
    let top = masks.iter().copied().fold(0.0, f32::max);
    let mut rgb = [0f32; 3];
    let mut total = 0.0;
    for (k, &mask) in masks.iter().enumerate().filter(|&(_, &m)| m > 0.0) {
        let weight = (mask / top).powf(sharpness);
        let color = match colors.get(k) {
            Some(&color) => tinted(color, light, clear),
            None => darkened(light),
        };
        total += weight;
        (0..3).for_each(|i| rgb[i] += weight * f32::from(color[i]));
    }
    rgb.map(|v| (v / total).round() as u8)
}

fn tinted(color: [u8; 3], light: f32, clear: f32) -> [u8; 3] {
    let pale = blend(color, [128, 128, 132], 0.6 * (1.0 - clear));
    let shadow = blend([0; 3], pale, 0.72 + 0.56 * light);
    blend(shadow, [255; 3], 0.4 * (light - 0.6).max(0.0))
}

fn darkened(light: f32) -> [u8; 3] {
    blend([18, 19, 24], [120, 122, 130], light * 0.9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLORS: [[u8; 3]; 2] = [[255, 0, 0], [0, 0, 255]];

    fn halves(w: u32, h: u32, strength: f32) -> FigureRow {
        let nearest = (0..w * h).map(|i| if i % w < w / 2 { 0 } else { 1 }).collect();
        let strength = vec![strength; (w * h) as usize];
        let image = RgbImage::from_pixel(w, h, Rgb([128; 3]));
        FigureRow { image, nearest, labelled: vec![], strength, name: String::new() }
    }

    fn colored(row: &FigureRow, window: Window, w: u32, h: u32) -> RgbImage {
        draw(row, window, &photo(&row.image, window, w, h), &COLORS)
    }

    #[test]
    fn enlarging_keeps_colours_pure_away_from_the_edge_and_the_edge_thin() {
        let row = halves(8, 4, 1.0);
        let big = colored(&row, Window::whole(&row.image), 160, 80);
        let red = tinted(COLORS[0], 128.0 / 255.0, 1.0);
        assert_eq!(big.get_pixel(60, 40).0, red);
        let mixed = (0..160)
            .filter(|&x| ![red, tinted(COLORS[1], 128.0 / 255.0, 1.0)].contains(&big.get_pixel(x, 40).0));
        assert!(mixed.count() <= 10, "of 160 pixels in a line, few are mixed");
    }

    #[test]
    fn shrinking_by_a_large_factor_samples_both_halves() {
        let row = halves(600, 30, 1.0);
        let small = colored(&row, Window::whole(&row.image), 6, 3);
        let (l, r) = (small.get_pixel(0, 1).0, small.get_pixel(5, 1).0);
        assert!(l[0] > 150 && l[2] < 30 && r[2] > 150 && r[0] < 30, "{l:?} {r:?}");
    }

    #[test]
    fn an_undecided_pixel_is_paler_and_nan_counts_as_undecided() {
        let spread = |strength| {
            let row = halves(4, 4, strength);
            let p = colored(&row, Window::whole(&row.image), 8, 8).get_pixel(0, 0).0;
            i32::from(p[0]) - i32::from(p[2])
        };
        assert!(spread(1.0) > spread(0.6) && spread(0.6) > spread(0.5));
        assert_eq!(spread(f32::NAN), spread(0.5));
    }

    #[test]
    fn outside_is_grey_and_dark_and_a_window_shows_its_part() {
        let mut row = halves(8, 8, 1.0);
        row.nearest.fill(OUTSIDE);
        row.nearest[0] = 1;
        let whole = colored(&row, Window::whole(&row.image), 80, 80);
        let p = whole.get_pixel(70, 70).0;
        assert!(p[0].abs_diff(p[2]) < 12 && p[0] < 90, "{p:?}");
        let part = colored(&row, Window { x: 0, y: 0, w: 2, h: 2 }, 40, 40);
        assert!(part.get_pixel(2, 2).0[2] > 120);
    }

    #[test]
    fn one_pixel_fills_its_cell() {
        let row = FigureRow { nearest: vec![0], strength: vec![1.0], ..halves(1, 1, 1.0) };
        let cell = colored(&row, Window::whole(&row.image), 9, 9);
        assert!(cell.pixels().all(|p| p.0[0] > 150 && p.0[2] < 30));
    }
}
