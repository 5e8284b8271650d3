//! Small pieces of HTML: escaped text, numbers, colours, pictures.

use crate::error::{Error, Result};
use base64::Engine;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// Text safe inside an element and inside a quoted attribute. Control characters other than line ends and tabs, which
/// HTML forbids, become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(ch),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A fraction as percents with one digit; a dash for what is not a number.
pub(super) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.1}\u{2009}%", fraction * 100.0) } else { "\u{2013}".to_owned() }
}

/// Gain or loss between two fractions, in percent points, as a coloured tag; nothing where either is not a number.
pub(super) fn change(before: f64, after: f64) -> String {
    let points = (after - before) * 100.0;
    if !points.is_finite() {
        return String::new();
    }
    let (class, sign) = match points {
        p if p >= 0.05 => ("up", "+"),
        p if p <= -0.05 => ("down", "\u{2212}"),
        _ => ("same", "\u{b1}"),
    };
    format!("<span class=\"change {class}\">{sign}{:.1}</span>", points.abs())
}

/// Three or four significant digits, as short as possible.
pub(super) fn short(v: f64) -> String {
    let size = v.abs();
    if !v.is_finite() {
        return "\u{2013}".to_owned();
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        return tidy(&format!("{v:.2e}"));
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let fixed = format!("{v:.digits$}");
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}

/// `1.00e-3` as `1e-3`.
fn tidy(scientific: &str) -> String {
    match scientific.split_once('e') {
        Some((m, e)) if m.contains('.') => format!("{}e{e}", m.trim_end_matches('0').trim_end_matches('.')),
        _ => scientific.to_owned(),
    }
}

/// A count of pixels in a few characters: 812, 45 k, 3.2 M.
pub(super) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.0}\u{2009}k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}\u{2009}M", n as f64 / 1e6),
        _ => format!("{:.1}\u{2009}G", n as f64 / 1e9),
    }
}

/// A colour as `#rrggbb`.
pub(super) fn css(color: [u8; 3]) -> String {
    let [r, g, b] = color;
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A small square of a class's colour.
pub(super) fn swatch(color: [u8; 3]) -> String {
    format!("<i class=\"swatch\" style=\"background:{}\"></i>", css(color))
}

/// Photographs and maps over photographs: a tenth of the bytes of PNG, and no difference at reading distance.
const JPEG_QUALITY: u8 = 90;

/// An `img` element that carries its picture.
pub(super) fn picture(image: &RgbImage, alt: &str) -> Result<String> {
    let (w, h) = image.dimensions();
    if w == 0 || h == 0 {
        return Err(Error::shape("report", format!("the picture `{alt}` has {w} x {h} pixels")));
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(image).map_err(|e| {
        Error::shape("report", format!("the picture `{alt}` ({w} x {h}) cannot be stored as JPEG: {e}"))
    })?;
    let data = base64::engine::general_purpose::STANDARD.encode(&jpeg);
    let alt = escape(alt);
    Ok(format!("<img width=\"{w}\" height=\"{h}\" alt=\"{alt}\" src=\"data:image/jpeg;base64,{data}\">"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&\u{1}</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\u{fffd}&lt;/a&gt;"
        );
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.01, "0.01"),
            (2.302_1, "2.302"),
            (1e-4, "1e-4"),
            (12_345.6, "12346"),
            (3e7, "3e7"),
        ];
        for (v, text) in cases {
            assert_eq!(short(v), text);
        }
        assert_eq!(short(f64::NAN), "\u{2013}");
        assert_eq!(percent(0.1234), "12.3\u{2009}%");
        assert_eq!((count(999), count(45_100)), ("999".to_owned(), "45\u{2009}k".to_owned()));
    }

    #[test]
    fn a_change_says_its_direction() {
        assert!(change(0.2, 0.5).contains("up") && change(0.5, 0.2).contains("\u{2212}30.0"));
        assert!(change(0.5, 0.5).contains("same"));
        assert_eq!(change(f64::NAN, 0.5), "");
    }

    #[test]
    fn an_empty_picture_is_refused_and_a_real_one_is_a_jpeg() {
        assert!(picture(&RgbImage::new(0, 3), "x").expect_err("empty").to_string().contains("0 x 3"));
        // "/9j/" is base64 of the first bytes of every JPEG file.
        assert!(
            picture(&RgbImage::new(2, 3), "a\"b")
                .expect("a picture")
                .contains("alt=\"a&quot;b\" src=\"data:image/jpeg;base64,/9j/")
        );
    }
}
