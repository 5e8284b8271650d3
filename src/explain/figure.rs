//! The paper's retrieval figure (spec section 12): images beside their pixels coloured by the nearest of the class's
//! K prototypes, one block per class, at print width.

mod block;
mod caption;
mod coloring;
mod region;

use crate::error::{Error, Result};
use crate::explain::canvas::{Rect, blit};
use crate::explain::text::{self, Style};
use image::{Rgb, RgbImage};

/// Width of every figure in pixels: 20 cm at 300 dots per inch.
pub const WIDTH: u32 = 2400;
/// 300 dots per inch, as PNG counts it.
const PIXELS_PER_METRE: u32 = 11_811;
/// Value of [`FigureRow::nearest`] where the pixel does not belong to the class.
pub const OUTSIDE: u8 = 255;

const MARGIN: i32 = 96;
const CONTENT: i32 = WIDTH as i32 - 2 * MARGIN;
const PAPER: [u8; 3] = [252, 252, 250];
const INK: [u8; 3] = [26, 28, 34];
const MUTED: [u8; 3] = [104, 108, 118];
const HAIRLINE: [u8; 3] = [222, 223, 226];

/// One image of a class.
#[derive(Clone, Debug)]
pub struct FigureRow {
    /// The photograph, H x W.
    pub image: RgbImage,
    /// H*W, row major: k of the nearest of the class's K prototypes, [`OUTSIDE`] where the pixel is not of the class.
    pub nearest: Vec<u8>,
    /// H*W: whether the pixel is labelled as the class; empty where there are no labels.
    pub labelled: Vec<bool>,
    /// H*W in 0..1: the winner's share of softmax over the K similarities / 0.1; 1.0 where it is not known.
    pub strength: Vec<f32>,
    /// Shown under the photograph.
    pub name: String,
}

/// One class: its block of the figure.
#[derive(Clone, Debug)]
pub struct FigureClass {
    /// The block's headline.
    pub class_name: String,
    /// The class's colour in the data set, shown beside the headline.
    pub class_color: [u8; 3],
    /// K.
    pub num_prototypes: usize,
    /// The images, top to bottom.
    pub rows: Vec<FigureRow>,
}

/// A whole figure.
#[derive(Clone, Debug)]
pub struct FigureSpec {
    /// The headline; may be empty.
    pub title: String,
    /// A sentence under the headline; may be empty.
    pub subtitle: String,
    /// The blocks, top to bottom.
    pub classes: Vec<FigureClass>,
}

impl FigureRow {
    fn check(&self, class: &FigureClass) -> Result<()> {
        let (w, h) = self.image.dimensions();
        let num_pixels = w as usize * h as usize;
        let what = format!("row `{}` of class `{}`", self.name, class.class_name);
        if num_pixels == 0 {
            return Err(Error::shape("figure", format!("{what} has an image of {w} x {h} pixels")));
        }
        let [n, s, l] = [self.nearest.len(), self.strength.len(), self.labelled.len()];
        if n != num_pixels || s != num_pixels || (l != num_pixels && l != 0) {
            let problem = format!(
                "{what} has {num_pixels} pixels, but {n} nearest prototypes, {s} strengths and {l} labels"
            );
            return Err(Error::shape("figure", problem));
        }
        let k = class.num_prototypes;
        match self.nearest.iter().find(|&&v| v != OUTSIDE && usize::from(v) >= k) {
            Some(bad) => {
                Err(Error::shape("figure", format!("{what} names prototype {bad}, the class has {k}")))
            }
            None => Ok(()),
        }
    }

    /// Pixels nearest to each of `k` prototypes.
    fn counts(&self, k: usize) -> Vec<u64> {
        let mut counts = vec![0; k];
        self.nearest.iter().filter(|&&v| v != OUTSIDE).for_each(|&v| counts[usize::from(v)] += 1);
        counts
    }
}

/// Shares of `counts`; all zero where there is nothing to share.
fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|&n| n as f64 / total).collect()
}

/// Draws the figure, [`WIDTH`] pixels wide and as high as its rows need.
///
/// # Errors
/// [`Error::Shape`] where there is no class, a class has no prototype or more than 254, an image is empty, or a row's
/// vectors do not go with its image and its class.
pub fn render(spec: &FigureSpec) -> Result<RgbImage> {
    if spec.classes.is_empty() {
        return Err(Error::shape("figure", "there is no class to draw"));
    }
    for class in &spec.classes {
        let (name, k) = (&class.class_name, class.num_prototypes);
        if !(1..=usize::from(OUTSIDE) - 1).contains(&k) {
            return Err(Error::shape(
                "figure",
                format!("class `{name}` has {k} prototypes, 1 to 254 can be drawn"),
            ));
        }
        class.rows.iter().try_for_each(|row| row.check(class))?;
    }
    let mut strips = Vec::new();
    if !(spec.title.trim().is_empty() && spec.subtitle.trim().is_empty()) {
        strips.push(header(spec));
    }
    strips.extend(spec.classes.iter().map(block::draw));
    Ok(stack(&strips))
}

/// The figure as a PNG file that says how large it is meant to be printed.
///
/// # Errors
/// [`Error::Shape`] where the picture cannot be stored as PNG.
pub fn png(figure: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, figure.width(), figure.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let (xppu, yppu) = (PIXELS_PER_METRE, PIXELS_PER_METRE);
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu, yppu, unit: png::Unit::Meter }));
    let write = || {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(figure.as_raw())?;
        writer.finish()
    };
    write().map_err(|e| Error::shape("figure", format!("the picture cannot be stored as PNG: {e}")))?;
    Ok(bytes)
}

/// An empty strip of the figure.
fn paper(height: i32) -> RgbImage {
    RgbImage::from_pixel(WIDTH, height.max(1) as u32, Rgb(PAPER))
}

fn header(spec: &FigureSpec) -> RgbImage {
    let (headline, sentence) = (Style::new(62.0, INK).bold(), Style::new(31.0, MUTED));
    let titles = balanced(&spec.title, &headline);
    let sentences = balanced(&spec.subtitle, &sentence);
    let mut strip = paper(74 * titles.len() as i32 + 44 * sentences.len() as i32 + 8);
    let mut y = 0.0;
    for line in &titles {
        text::draw(&mut strip, line, MARGIN as f32, y + 52.0, &headline);
        y += 74.0;
    }
    for line in &sentences {
        text::draw(&mut strip, line, MARGIN as f32, y + 30.0, &sentence);
        y += 44.0;
    }
    strip
}

/// Lines of about the same length rather than a full line and a stray word.
fn balanced(text: &str, style: &Style) -> Vec<String> {
    let full = CONTENT as f32;
    let lines = text::wrap(text, style, full);
    (1..12)
        .map(|i| text::wrap(text, style, full * (1.0 - 0.04 * i as f32)))
        .take_while(|narrow| narrow.len() == lines.len() && narrow.join(" ") == lines.join(" "))
        .last()
        .unwrap_or(lines)
}

/// Strips under one another with a hairline between each two.
fn stack(strips: &[RgbImage]) -> RgbImage {
    const GAP: i32 = 60;
    let total: i32 = strips.iter().map(|s| s.height() as i32).sum();
    let mut figure = paper(2 * MARGIN - 16 + total + GAP * (strips.len() as i32 - 1));
    let mut y = MARGIN - 8;
    for (i, strip) in strips.iter().enumerate() {
        if i > 0 {
            crate::explain::canvas::fill(
                &mut figure,
                Rect::new(MARGIN, y + GAP / 2 - 6, CONTENT, 2),
                0.0,
                HAIRLINE,
            );
            y += GAP;
        }
        blit(&mut figure, Rect::new(0, y, strip.width() as i32, strip.height() as i32), 0.0, strip);
        y += strip.height() as i32;
    }
    figure
}

#[cfg(test)]
mod tests;
