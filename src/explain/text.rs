//! Text on an RGB canvas: DejaVu Sans (in a browser Ubuntu), anti-aliased, measured, cut to a width.

use crate::explain::canvas::mix;
use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use image::RgbImage;
use std::sync::LazyLock;

#[cfg(not(all(target_arch = "wasm32", feature = "web")))]
static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::regular()));
#[cfg(not(all(target_arch = "wasm32", feature = "web")))]
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(dejavu::sans::bold()));
// DejaVu would be a quarter of what a browser downloads; the window's own font is there anyway, in one weight.
#[cfg(all(target_arch = "wasm32", feature = "web"))]
static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(epaint_default_fonts::UBUNTU_LIGHT));
#[cfg(all(target_arch = "wasm32", feature = "web"))]
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| parse(epaint_default_fonts::UBUNTU_LIGHT));

fn parse(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is a valid font file")
}

/// Thickness of the strokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Running text.
    Regular,
    /// Headlines and numbers.
    Bold,
}

/// Where the text lies relative to its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// The anchor is the text's left edge.
    Left,
    /// The anchor is the text's middle.
    Center,
    /// The anchor is the text's right edge.
    Right,
}

/// How a line of text looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Size of the em square in pixels; capitals are about 0.73 of it.
    pub px: f32,
    /// Thickness of the strokes.
    pub weight: Weight,
    /// Colour.
    pub color: [u8; 3],
    /// Position relative to the anchor.
    pub align: Align,
}

impl Style {
    /// Regular, left-aligned text.
    #[must_use]
    pub const fn new(px: f32, color: [u8; 3]) -> Self {
        Self { px, weight: Weight::Regular, color, align: Align::Left }
    }

    /// The same in bold.
    #[must_use]
    pub const fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    /// The same with another alignment.
    #[must_use]
    pub const fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    fn font(&self) -> &'static FontRef<'static> {
        match self.weight {
            Weight::Regular => &REGULAR,
            Weight::Bold => &BOLD,
        }
    }

    /// ab_glyph scales by ascent minus descent; sizes here are of the em square.
    fn scale(&self) -> PxScale {
        let font = self.font();
        PxScale::from(self.px * font.height_unscaled() / font.units_per_em().unwrap_or(2048.0))
    }
}

/// Glyphs of a line with their pen positions, and the line's width. Control characters are left out.
fn layout(text: &str, style: &Style) -> (Vec<(GlyphId, f32)>, f32) {
    let font = style.font().as_scaled(style.scale());
    let (mut pen, mut last, mut glyphs) = (0.0, None, Vec::new());
    for ch in text.chars().filter(|c| !c.is_control()) {
        let id = font.glyph_id(ch);
        if let Some(last) = last {
            pen += font.kern(last, id);
        }
        glyphs.push((id, pen));
        pen += font.h_advance(id);
        last = Some(id);
    }
    (glyphs, pen)
}

/// Width of a line in pixels.
#[must_use]
pub fn width(text: &str, style: &Style) -> f32 {
    layout(text, style).1
}

/// `text` cut with an ellipsis so that it is at most `max_width` pixels wide (the ellipsis alone if nothing fits).
#[must_use]
pub fn fit(text: &str, style: &Style, max_width: f32) -> String {
    if width(text, style) <= max_width {
        return text.to_owned();
    }
    let mut chars: Vec<char> = text.chars().collect();
    while chars.pop().is_some() {
        let cut: String = chars.iter().collect::<String>().trim_end().to_owned() + "\u{2026}";
        if width(&cut, style) <= max_width {
            return cut;
        }
    }
    "\u{2026}".to_owned()
}

/// Breaks `text` at spaces into lines of at most `max_width` pixels; a word that is wider is cut with an ellipsis.
#[must_use]
pub fn wrap(text: &str, style: &Style, max_width: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if width(&longer, style) <= max_width {
                *line = longer;
                continue;
            }
        }
        lines.push(fit(word, style, max_width));
    }
    lines
}

/// Draws one line with its baseline at `y`; parts outside the canvas are cut off.
pub fn draw(canvas: &mut RgbImage, text: &str, x: f32, y: f32, style: &Style) {
    let (glyphs, line_width) = layout(text, style);
    let left = match style.align {
        Align::Left => x,
        Align::Center => x - line_width / 2.0,
        Align::Right => x - line_width,
    };
    for (id, pen) in glyphs {
        let glyph = id.with_scale_and_position(style.scale(), point(left + pen, y));
        if let Some(outline) = style.font().outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|gx, gy, coverage| {
                mix(
                    canvas,
                    bounds.min.x as i32 + gx as i32,
                    bounds.min.y as i32 + gy as i32,
                    style.color,
                    coverage,
                );
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style::new(20.0, [0; 3]);

    fn ink_columns(canvas: &RgbImage) -> (u32, u32) {
        let dark: Vec<u32> =
            canvas.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128).map(|(x, _, _)| x).collect();
        (*dark.iter().min().expect("some ink"), *dark.iter().max().expect("some ink"))
    }

    fn drawn(align: Align) -> (u32, u32) {
        let mut canvas = RgbImage::from_pixel(200, 40, image::Rgb([255; 3]));
        draw(&mut canvas, "Hill", 100.0, 30.0, &STYLE.align(align));
        ink_columns(&canvas)
    }

    #[test]
    fn alignment_moves_the_ink() {
        let (left, right) = drawn(Align::Left);
        assert!((100..106).contains(&left) && right < 145, "{left}..{right}");
        assert!(drawn(Align::Right).1 < 100);
        let (a, b) = drawn(Align::Center);
        assert!(((a + b) / 2).abs_diff(100) <= 2, "{a}..{b}");
    }

    #[test]
    fn capitals_have_the_promised_height() {
        let mut canvas = RgbImage::from_pixel(60, 60, image::Rgb([255; 3]));
        draw(&mut canvas, "H", 5.0, 50.0, &Style::new(40.0, [0; 3]));
        let rows: Vec<u32> =
            canvas.enumerate_pixels().filter(|(_, _, p)| p.0[0] < 128).map(|(_, y, _)| y).collect();
        let height = rows.iter().max().expect("ink") - rows.iter().min().expect("ink") + 1;
        assert!((28..=30).contains(&height), "{height}");
    }

    #[test]
    fn long_names_are_cut_and_wrapped_to_the_width() {
        let long = "a very long class name that does not fit";
        let cut = fit(long, &STYLE, 120.0);
        assert!(cut.ends_with('\u{2026}') && width(&cut, &STYLE) <= 120.0, "{cut}");
        assert_eq!(fit("ok", &STYLE, 120.0), "ok");
        assert_eq!(fit("ok", &STYLE, 0.0), "\u{2026}");
        let lines = wrap(long, &STYLE, 120.0);
        assert!(lines.len() > 2 && lines.iter().all(|l| width(l, &STYLE) <= 120.0), "{lines:?}");
        assert_eq!(lines.join(" "), long);
        assert!(wrap("  ", &STYLE, 10.0).is_empty());
    }

    #[test]
    fn text_off_the_canvas_and_control_characters_are_harmless() {
        let mut canvas = RgbImage::new(3, 3);
        draw(&mut canvas, "W\n\u{7}\u{4e2d}", -4.0, 900.0, &STYLE.bold());
        draw(&mut canvas, "", 0.0, 0.0, &STYLE);
        assert_eq!(width("a\nb", &STYLE), width("ab", &STYLE));
    }
}
