//! Anti-aliased shapes on an RGB canvas; everything is clipped to it.

use image::RgbImage;

/// A rectangle in canvas pixels, `x` and `y` its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub x: i32,
    pub y: i32,
    pub w: i32,
    pub h: i32,
}

impl Rect {
    pub(super) fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w: w.max(1), h: h.max(1) }
    }

    pub(super) fn right(&self) -> i32 {
        self.x + self.w
    }

    pub(super) fn bottom(&self) -> i32 {
        self.y + self.h
    }

    /// Share of the pixel `(x, y)` inside the rectangle shrunk by `inset` with corners of `radius` pixels.
    fn coverage(&self, x: i32, y: i32, inset: f32, radius: f32) -> f32 {
        let (half_w, half_h) = (self.w as f32 / 2.0 - inset, self.h as f32 / 2.0 - inset);
        if half_w <= 0.0 || half_h <= 0.0 {
            return 0.0;
        }
        let r = radius.min(half_w).min(half_h).max(0.0);
        let dx = (x as f32 + 0.5 - self.x as f32 - self.w as f32 / 2.0).abs() - half_w + r;
        let dy = (y as f32 + 0.5 - self.y as f32 - self.h as f32 / 2.0).abs() - half_h + r;
        let outside = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - r;
        (0.5 - outside).clamp(0.0, 1.0)
    }

    fn for_each_pixel(&self, canvas: &RgbImage, mut visit: impl FnMut(i32, i32)) {
        let (w, h) = (canvas.width() as i32, canvas.height() as i32);
        for y in self.y.max(0)..self.bottom().min(h) {
            for x in self.x.max(0)..self.right().min(w) {
                visit(x, y);
            }
        }
    }
}

/// Mixes `color` into one pixel; `alpha` in 0..1; outside the canvas nothing happens.
pub(super) fn mix(canvas: &mut RgbImage, x: i32, y: i32, color: [u8; 3], alpha: f32) {
    if x < 0 || y < 0 || x >= canvas.width() as i32 || y >= canvas.height() as i32 || alpha <= 0.0 {
        return;
    }
    let pixel = canvas.get_pixel_mut(x as u32, y as u32);
    pixel.0 = super::palette::blend(pixel.0, color, alpha);
}

/// A filled rectangle with round corners of `radius` pixels.
pub(super) fn fill(canvas: &mut RgbImage, rect: Rect, radius: f32, color: [u8; 3]) {
    let mut hits = Vec::new();
    rect.for_each_pixel(canvas, |x, y| hits.push((x, y, rect.coverage(x, y, 0.0, radius))));
    for (x, y, a) in hits {
        mix(canvas, x, y, color, a);
    }
}

/// The border of a rectangle, `thickness` pixels to its inside.
pub(super) fn outline(
    canvas: &mut RgbImage,
    rect: Rect,
    thickness: f32,
    radius: f32,
    color: [u8; 3],
    alpha: f32,
) {
    let mut hits = Vec::new();
    rect.for_each_pixel(canvas, |x, y| {
        let ring = rect.coverage(x, y, 0.0, radius) - rect.coverage(x, y, thickness, radius - thickness);
        if ring > 0.0 {
            hits.push((x, y, ring * alpha));
        }
    });
    for (x, y, a) in hits {
        mix(canvas, x, y, color, a);
    }
}

/// Copies `picture` to the rectangle's corner, cut to the rectangle with round corners.
pub(super) fn blit(canvas: &mut RgbImage, rect: Rect, radius: f32, picture: &RgbImage) {
    let rect = Rect { w: rect.w.min(picture.width() as i32), h: rect.h.min(picture.height() as i32), ..rect };
    let mut hits = Vec::new();
    rect.for_each_pixel(canvas, |x, y| hits.push((x, y, rect.coverage(x, y, 0.0, radius))));
    for (x, y, a) in hits {
        mix(canvas, x, y, picture.get_pixel((x - rect.x) as u32, (y - rect.y) as u32).0, a);
    }
}

/// A horizontal bar cut into the shares of `parts` (colour, share; shares sum to at most 1).
pub(super) fn stacked_bar(canvas: &mut RgbImage, rect: Rect, track: [u8; 3], parts: &[([u8; 3], f64)]) {
    let mut bar = RgbImage::from_pixel(rect.w as u32, rect.h as u32, image::Rgb(track));
    let mut from = 0.0;
    for &(color, share) in parts {
        let to = from + share * f64::from(rect.w);
        for x in from.round() as u32..(to.round() as u32).min(bar.width()) {
            (0..bar.height()).for_each(|y| bar.put_pixel(x, y, image::Rgb(color)));
        }
        from = to;
    }
    blit(canvas, rect, rect.h as f32 / 2.0, &bar);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_clipped_and_cover_their_inside() {
        let mut canvas = RgbImage::new(10, 10);
        fill(&mut canvas, Rect::new(-5, -5, 100, 8), 0.0, [200, 0, 0]);
        assert_eq!(canvas.get_pixel(9, 2).0, [200, 0, 0]);
        assert_eq!(canvas.get_pixel(9, 3).0, [0, 0, 0]);
        outline(&mut canvas, Rect::new(2, 4, 6, 5), 1.0, 0.0, [0, 90, 0], 1.0);
        assert_eq!(canvas.get_pixel(2, 6).0, [0, 90, 0]);
        assert_eq!(canvas.get_pixel(4, 6).0, [0, 0, 0]);
    }

    #[test]
    fn round_corners_leave_the_corner_untouched() {
        let mut canvas = RgbImage::new(20, 20);
        fill(&mut canvas, Rect::new(0, 0, 20, 20), 10.0, [255; 3]);
        assert_eq!(canvas.get_pixel(0, 0).0, [0; 3]);
        assert!(canvas.get_pixel(10, 0).0[0] > 240);
    }

    #[test]
    fn a_stacked_bar_shows_its_shares() {
        let mut canvas = RgbImage::new(100, 4);
        stacked_bar(&mut canvas, Rect::new(0, 0, 100, 4), [9; 3], &[([255, 0, 0], 0.25), ([0, 255, 0], 0.5)]);
        assert_eq!(canvas.get_pixel(20, 2).0, [255, 0, 0]);
        assert_eq!(canvas.get_pixel(30, 2).0, [0, 255, 0]);
        assert_eq!(canvas.get_pixel(80, 2).0, [9; 3]);
    }
}
