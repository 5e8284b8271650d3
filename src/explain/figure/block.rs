//! One class of the figure: headline, legend, and a line per image (photograph, colouring, close-up of both).

use super::coloring::{self, Window};
use super::region::{self, CloseUp};
use super::{CONTENT, FigureClass, FigureRow, HAIRLINE, INK, MARGIN, MUTED, paper, shares};
use crate::explain::canvas::{Rect, blit, fill, outline, stacked_bar};
use crate::explain::palette::series;
use crate::explain::text::{self, Align, Style, Weight};
use image::RgbImage;

const GAP: i32 = 24;
const RADIUS: f32 = 8.0;
const CAPTION: i32 = 62;
const COLUMN_HEAD: i32 = 46;
const MAX_HEIGHT: f32 = 1000.0;
/// An image gets a close-up where the window around its subject is less than this share of it.
const SMALL_SUBJECT: f32 = 0.5;

/// Places of one image's pictures, relative to the line's top.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    photo: Rect,
    colored: Rect,
    /// Photograph and colouring of the close-up.
    zoom: Option<(Rect, Rect)>,
}

impl Line {
    /// Places for an image of width / height `aspect`; the pictures fill the content's width unless that made them
    /// too high. Two `paired` images share a line, this is the left one. The close-ups share a square: side by side where the region stands, one over the other where it lies.
    fn new(aspect: f32, zoom: Option<bool>, paired: bool) -> Self {
        // Panoramas and towers are set into a cell of bearable shape.
        let aspect = aspect.clamp(0.35, 3.2);
        let room = if paired { CONTENT / 2 - GAP } else { CONTENT };
        let gaps = if zoom.is_some() { 3 * GAP } else { GAP };
        let zoom_aspect = if zoom.is_some() { 1.0 } else { 0.0 };
        let h = ((room - gaps) as f32 / (2.0 * aspect + zoom_aspect)).min(MAX_HEIGHT);
        let (w, h) = ((h * aspect).round() as i32, h.round() as i32);
        let photo = Rect::new(MARGIN, 0, w, h);
        let colored = Rect::new(photo.right() + GAP, 0, w, h);
        let zoom = zoom.map(|upright| {
            let x = colored.right() + 2 * GAP;
            let half = (h - GAP) / 2;
            if upright {
                (Rect::new(x, 0, half, h), Rect::new(x + half + GAP, 0, half, h))
            } else {
                (Rect::new(x, 0, h, half), Rect::new(x, half + GAP, h, half))
            }
        });
        Self { photo, colored, zoom }
    }

    /// The place of the right one of two paired images.
    fn partner(&self) -> Self {
        let right = |rect: Rect| Rect { x: rect.x + CONTENT / 2 + GAP, ..rect };
        Self {
            photo: right(self.photo),
            colored: right(self.colored),
            zoom: self.zoom.map(|(photo, colored)| (right(photo), right(colored))),
        }
    }

    fn height(&self) -> i32 {
        self.photo.h + CAPTION
    }

    fn columns(&self) -> [i32; 3] {
        [self.photo.x, self.colored.x, self.zoom.map_or(0, |z| z.0.x)]
    }
}

/// Draws the block of one class.
pub(super) fn draw(class: &FigureClass) -> RgbImage {
    let colors = series(class.num_prototypes);
    let mut totals = vec![0; class.num_prototypes];
    for row in &class.rows {
        totals.iter_mut().zip(row.counts(class.num_prototypes)).for_each(|(t, n)| *t += n);
    }
    let mut strips = vec![headline(class, &colors, &shares(&totals))];
    let aspect = |upright: bool| if upright { 0.48 } else { 2.08 };
    let zoom = |row| region::close_up(row, aspect).filter(|z| z.share < SMALL_SUBJECT);
    let zooms: Vec<_> = class.rows.iter().map(zoom).collect();
    let aspects: Vec<f32> =
        class.rows.iter().map(|r| r.image.width() as f32 / r.image.height() as f32).collect();
    // Standing images without close-ups would leave half of the sheet empty.
    let paired =
        zooms.iter().all(Option::is_none) && class.rows.len() > 1 && aspects.iter().all(|&a| a < 0.85);
    let mut columns = None;
    let mut at = 0;
    while at < class.rows.len() {
        let zoom = zooms[at];
        let mut lines = vec![Line::new(aspects[at], zoom.map(|z| z.upright), paired)];
        if paired && aspects.get(at + 1) == Some(&aspects[at]) {
            lines.push(lines[0].partner());
        }
        if columns.replace(lines[0].columns()) != Some(lines[0].columns()) {
            strips.push(column_heads(&lines, class.num_prototypes));
        }
        let mut strip = paper(lines[0].height());
        for (line, row) in lines.iter().zip(&class.rows[at..]) {
            image_line(&mut strip, row, zoom, line, &colors);
        }
        strips.push(strip);
        at += lines.len();
    }
    if class.rows.is_empty() {
        let mut strip = paper(56);
        text::draw(&mut strip, "No image shows this class.", MARGIN as f32, 36.0, &Style::new(28.0, MUTED));
        strips.push(strip);
    }
    let mut block = paper(strips.iter().map(|s| s.height() as i32).sum());
    let mut y = 0;
    for strip in &strips {
        blit(&mut block, Rect::new(0, y, strip.width() as i32, strip.height() as i32), 0.0, strip);
        y += strip.height() as i32;
    }
    block
}

/// The class's name at the left, the legend at the right of it or, where there is no room, under it.
fn headline(class: &FigureClass, colors: &[[u8; 3]], shares: &[f64]) -> RgbImage {
    let name_style = Style::new(48.0, INK).bold();
    let name_x = MARGIN + 60;
    let name = text::fit(&class.class_name, &name_style, (CONTENT - 60) as f32);
    let entries: Vec<Entry> =
        shares.iter().enumerate().map(|(k, &s)| Entry::new(k, s, shares.len())).collect();
    let legend_w = entries.iter().map(|e| e.width).sum::<f32>() + ENTRY_GAP * (entries.len() - 1) as f32;
    let room = (MARGIN + CONTENT - name_x) as f32 - text::width(&name, &name_style) - 80.0;
    let beside = legend_w <= room;
    let mut rows: Vec<Vec<&Entry>> = vec![Vec::new()];
    let mut used = 0.0;
    for entry in &entries {
        if !beside && used > 0.0 && used + entry.width > CONTENT as f32 {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += entry.width + ENTRY_GAP;
        rows.last_mut().expect("a row was pushed").push(entry);
    }
    let below = if beside { 86 } else { 108 + 52 * rows.len() as i32 - 8 };
    let mut strip = paper(below + 34);
    fill(&mut strip, Rect::new(MARGIN, 14, 40, 40), 10.0, class.class_color);
    outline(&mut strip, Rect::new(MARGIN, 14, 40, 40), 1.5, 10.0, INK, 0.25);
    text::draw(&mut strip, &name, name_x as f32, 51.0, &name_style);
    for (i, row) in rows.iter().enumerate() {
        let mut x = if beside { (MARGIN + CONTENT) as f32 - legend_w } else { MARGIN as f32 };
        let baseline = if beside { 46 } else { 108 + 52 * i as i32 };
        for entry in row {
            entry.draw(&mut strip, x, baseline, colors[entry.k]);
            x += entry.width + ENTRY_GAP;
        }
    }
    let style = Style::new(23.0, MUTED);
    let caption = "share of these images\u{2019} pixels of the class";
    let (x, align) = if beside { (MARGIN + CONTENT, Align::Right) } else { (MARGIN, Align::Left) };
    text::draw(&mut strip, caption, x as f32, below as f32, &style.align(align));
    strip
}

const ENTRY_GAP: f32 = 46.0;
const SWATCH: i32 = 30;
const LABEL: Style = Style::new(29.0, INK);

/// One prototype of the legend.
struct Entry {
    k: usize,
    label: String,
    share: String,
    width: f32,
}

impl Entry {
    fn new(k: usize, share: f64, num_prototypes: usize) -> Self {
        let label = if num_prototypes <= 4 { format!("prototype {}", k + 1) } else { format!("{}", k + 1) };
        let share = percent(share);
        let width =
            (SWATCH + 14) as f32 + text::width(&label, &LABEL) + 14.0 + text::width(&share, &LABEL.bold());
        Self { k, label, share, width }
    }

    fn draw(&self, strip: &mut RgbImage, x: f32, baseline: i32, color: [u8; 3]) {
        fill(strip, Rect::new(x as i32, baseline - 26, SWATCH, SWATCH), 8.0, color);
        let x = x + (SWATCH + 14) as f32;
        text::draw(strip, &self.label, x, baseline as f32, &LABEL);
        let share_x = x + text::width(&self.label, &LABEL) + 14.0;
        text::draw(strip, &self.share, share_x, baseline as f32, &LABEL.bold());
    }
}

/// Whole percents, but never "0 %" for something that is there.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 { "<1 %".to_owned() } else { format!("{:.0} %", share * 100.0) }
}

fn column_heads(lines: &[Line], num_prototypes: usize) -> RgbImage {
    let mut strip = paper(COLUMN_HEAD);
    let style = Style::new(26.0, MUTED);
    let nearest = match num_prototypes {
        1 => "pixels of the class (one prototype)".to_owned(),
        k => format!("nearest of the {k} prototypes"),
    };
    for line in lines {
        let heads = [(line.photo, "image"), (line.colored, nearest.as_str())];
        let zoom = line.zoom.map(|(photo, _)| (photo, "close-up"));
        for (rect, head) in heads.into_iter().chain(zoom) {
            text::draw(&mut strip, &text::fit(head, &style, rect.w as f32), rect.x as f32, 28.0, &style);
        }
    }
    strip
}

/// Photograph, colouring, close-ups and caption of one image.
fn image_line(strip: &mut RgbImage, row: &FigureRow, zoom: Option<CloseUp>, line: &Line, colors: &[[u8; 3]]) {
    let counts = row.counts(colors.len());
    let whole = Window::whole(&row.image);
    let (photo_at, colored_at) = (contain(line.photo, whole), contain(line.colored, whole));
    pair(strip, row, whole, (photo_at, colored_at), colors);
    if let (Some(zoom), Some(places)) = (zoom, line.zoom) {
        pair(strip, row, zoom.window, places, colors);
        mark(strip, photo_at, whole, zoom.window);
        mark(strip, colored_at, whole, zoom.window);
    }
    let baseline = (line.photo.h + 34) as f32;
    let style = Style::new(23.0, MUTED);
    let name = text::fit(&row.name, &style, photo_at.w.max(200) as f32);
    text::draw(strip, &name, photo_at.x as f32, baseline, &style);
    if counts.iter().all(|&n| n == 0) {
        let style = Style { align: Align::Center, weight: Weight::Bold, ..Style::new(28.0, [235; 3]) };
        let middle = (colored_at.x as f32 + colored_at.w as f32 / 2.0, colored_at.h as f32 / 2.0);
        text::draw(strip, "no pixel of this class", middle.0, middle.1 + 10.0, &style);
    }
    let parts: Vec<_> = colors.iter().copied().zip(shares(&counts)).collect();
    let bar = Rect::new(colored_at.x, line.photo.h + 20, colored_at.w, 12);
    stacked_bar(strip, bar, HAIRLINE, &parts);
}

/// The window's photograph and its colouring at two places of the same size.
fn pair(strip: &mut RgbImage, row: &FigureRow, window: Window, places: (Rect, Rect), colors: &[[u8; 3]]) {
    let photo = coloring::photo(&row.image, window, places.0.w as u32, places.0.h as u32);
    let colored = coloring::draw(row, window, &photo, colors);
    blit(strip, places.0, RADIUS, &photo);
    blit(strip, places.1, RADIUS, &colored);
}

/// The largest rectangle of the image's shape at the top left of `cell`.
fn contain(cell: Rect, image: Window) -> Rect {
    let scale = (cell.w as f32 / image.w as f32).min(cell.h as f32 / image.h as f32);
    let (w, h) = ((image.w as f32 * scale).round() as i32, (image.h as f32 * scale).round() as i32);
    // One pixel of rounding is not worth a gap at the cell's edge.
    let snap = |v: i32, full: i32| if (full - v).abs() <= 1 { full } else { v };
    Rect::new(cell.x, cell.y, snap(w, cell.w), snap(h, cell.h))
}

/// A frame on the picture at `place` where the close-up was taken.
fn mark(strip: &mut RgbImage, place: Rect, image: Window, window: Window) {
    let (sx, sy) = (place.w as f32 / image.w as f32, place.h as f32 / image.h as f32);
    let frame = Rect::new(
        place.x + (window.x as f32 * sx) as i32,
        place.y + (window.y as f32 * sy) as i32,
        (window.w as f32 * sx) as i32,
        (window.h as f32 * sy) as i32,
    );
    outline(strip, frame, 5.0, 6.0, [0; 3], 0.45);
    outline(strip, Rect::new(frame.x + 1, frame.y + 1, frame.w - 2, frame.h - 2), 3.0, 5.0, [255; 3], 1.0);
}
