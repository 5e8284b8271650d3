//! Where to look closer: the window around the object of the class that was found best in an image.

use super::coloring::Window;
use super::{FigureRow, OUTSIDE};

/// A connected region: bounding box (x0, y0, x1, y1, ends exclusive) and number of pixels that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    bounds: [u32; 4],
    size: usize,
}

impl FigureRow {
    /// How well the row shows its class, 0..1: the more pixels of one labelled object were found, and the better all
    /// of the class in this image was. Without labels the size of the largest region counts alone.
    #[must_use]
    pub fn clarity(&self) -> f64 {
        let largest = regions(self).iter().map(|r| r.size).max().unwrap_or(0);
        let size = (largest as f64 / self.nearest.len().max(1) as f64).sqrt();
        let found = |&(&nearest, _): &(&u8, &bool)| nearest != OUTSIDE;
        let pixels = || self.nearest.iter().zip(&self.labelled);
        let union = pixels().filter(|p| found(p) || *p.1).count();
        let both = pixels().filter(|p| found(p) && *p.1).count();
        if union == 0 { size } else { size * both as f64 / union as f64 }
    }
}

/// The 8-connected regions that are labelled as the class (where there are no labels: that were found), in scan order;
/// those of which no pixel was found are left out.
fn regions(row: &FigureRow) -> Vec<Region> {
    let (w, h) = (row.image.width() as usize, row.image.height() as usize);
    let mut seen: Vec<bool> = if row.labelled.is_empty() {
        row.nearest.iter().map(|&v| v == OUTSIDE).collect()
    } else {
        row.labelled.iter().map(|l| !l).collect()
    };
    let (mut regions, mut stack) = (Vec::new(), Vec::new());
    for start in 0..seen.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        stack.push(start);
        let (mut bounds, mut size) = ([usize::MAX, usize::MAX, 0, 0], 0);
        while let Some(at) = stack.pop() {
            let (x, y) = (at % w, at / w);
            size += usize::from(row.nearest[at] != OUTSIDE);
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x + 1), bounds[3].max(y + 1)];
            for ny in y.saturating_sub(1)..(y + 2).min(h) {
                for nx in x.saturating_sub(1)..(x + 2).min(w) {
                    if !std::mem::replace(&mut seen[ny * w + nx], true) {
                        stack.push(ny * w + nx);
                    }
                }
            }
        }
        if size > 0 {
            regions.push(Region { bounds: bounds.map(|v| v as u32), size });
        }
    }
    regions
}

/// Bounding box of the largest region and of the parts an occluder cut off it: regions of at least a tenth of its
/// pixels, no farther away than a fifth of its size.
fn subject(regions: &[Region]) -> Option<[u32; 4]> {
    let first = regions.iter().reduce(|best, r| if r.size > best.size { r } else { best })?;
    let b = first.bounds;
    let (reach_x, reach_y) = ((b[2] - b[0]) / 5, (b[3] - b[1]) / 5);
    let near = |r: &&Region| {
        let o = r.bounds;
        let apart_x = o[0].max(b[0]).saturating_sub(o[2].min(b[2]));
        let apart_y = o[1].max(b[1]).saturating_sub(o[3].min(b[3]));
        r.size * 10 >= first.size && apart_x <= reach_x && apart_y <= reach_y
    };
    Some(regions.iter().filter(near).fold(b, |b, r| {
        let o = r.bounds;
        [b[0].min(o[0]), b[1].min(o[1]), b[2].max(o[2]), b[3].max(o[3])]
    }))
}

/// A close-up of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CloseUp {
    pub window: Window,
    /// The region stands (true) or lies (false).
    pub upright: bool,
    /// The window's share of the image's area.
    pub share: f32,
}

/// The window around the subject: the object of which most was found, and what an occluder cut off it, an
/// eighth of its size wider on every side, grown to the aspect (width / height) that `aspect(upright)` asks for and kept inside the image. `None` without a
/// pixel of the class or where the image is too small for a close-up to mean anything.
pub(super) fn close_up(row: &FigureRow, aspect: impl Fn(bool) -> f32) -> Option<CloseUp> {
    const SMALLEST: f32 = 12.0;
    let [x0, y0, x1, y1] = subject(&regions(row))?;
    let (image_w, image_h) = (row.image.width() as f32, row.image.height() as f32);
    if image_w < 2.0 * SMALLEST || image_h < 2.0 * SMALLEST {
        return None;
    }
    let (box_w, box_h) = ((x1 - x0) as f32, (y1 - y0) as f32);
    let upright = box_h > box_w;
    let aspect = aspect(upright);
    let (mut w, mut h) = ((box_w * 1.25).max(SMALLEST), (box_h * 1.25).max(SMALLEST));
    (w, h) = (w.max(h * aspect), h.max(w / aspect));
    let shrink = (image_w / w).min(image_h / h).min(1.0);
    (w, h) = ((w * shrink).round().max(1.0), (h * shrink).round().max(1.0));
    (w, h) = (w.min(image_w), h.min(image_h));
    let x = ((x0 + x1) as f32 / 2.0 - w / 2.0).clamp(0.0, image_w - w).floor();
    let y = ((y0 + y1) as f32 / 2.0 - h / 2.0).clamp(0.0, image_h - h).floor();
    let window = Window { x: x as u32, y: y as u32, w: w as u32, h: h as u32 };
    Some(CloseUp { window, upright, share: w * h / (image_w * image_h) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    fn row(w: u32, h: u32, boxes: &[[u32; 4]]) -> FigureRow {
        let inside = |x, y| boxes.iter().any(|b| (b[0]..b[2]).contains(&x) && (b[1]..b[3]).contains(&y));
        let nearest = (0..w * h).map(|i| if inside(i % w, i / w) { 0 } else { OUTSIDE }).collect();
        FigureRow {
            image: RgbImage::new(w, h),
            nearest,
            labelled: vec![],
            strength: vec![1.0; (w * h) as usize],
            name: String::new(),
        }
    }

    #[test]
    fn the_largest_region_wins_and_diagonal_neighbours_belong_together() {
        let two = row(60, 40, &[[1, 1, 5, 5], [30, 10, 40, 30]]);
        assert_eq!(subject(&regions(&two)), Some([30, 10, 40, 30]));
        let diagonal = row(60, 40, &[[1, 1, 5, 5], [5, 5, 9, 9]]);
        assert_eq!(regions(&diagonal), [Region { bounds: [1, 1, 9, 9], size: 32 }]);
        assert_eq!(subject(&[]), None);
    }

    #[test]
    fn the_subject_is_labelled_and_found() {
        // A large region that is nothing of the kind, an object found in part, an object that was missed.
        let mut row = row(60, 40, &[[1, 1, 20, 20], [30, 10, 40, 20]]);
        let object = |x, y| (30..40).contains(&x) && (10..30).contains(&y);
        let missed = |x, y| (45..59).contains(&x) && (2..38).contains(&y);
        let alone = row.clarity();
        row.labelled = (0..60 * 40).map(|i| object(i % 60, i / 60) || missed(i % 60, i / 60)).collect();
        assert_eq!(subject(&regions(&row)), Some([30, 10, 40, 30]));
        let with_strangers = row.clarity();
        assert!(0.0 < with_strangers && with_strangers < alone);
        row.nearest[..20 * 60].iter_mut().filter(|v| **v == 0).for_each(|v| *v = OUTSIDE);
        assert_eq!((subject(&regions(&row)), row.clarity()), (None, 0.0), "nothing of the object was found");
    }

    #[test]
    fn parts_cut_off_by_an_occluder_join_but_specks_and_strangers_do_not() {
        let cut = row(90, 40, &[[10, 10, 30, 20], [33, 10, 45, 20], [31, 12, 32, 13], [70, 10, 85, 20]]);
        assert_eq!(subject(&regions(&cut)), Some([10, 10, 45, 20]));
    }

    #[test]
    fn the_window_holds_the_region_and_stays_inside_the_image() {
        for region in [[0, 0, 6, 20], [90, 40, 100, 60], [20, 50, 80, 60], [0, 0, 100, 60]] {
            let up = close_up(&row(100, 60, &[region]), |upright| if upright { 0.5 } else { 2.0 })
                .expect("a region");
            let Window { x, y, w, h } = up.window;
            assert!(x + w <= 100 && y + h <= 60, "{up:?}");
            if up.share < 0.8 {
                assert!(
                    x <= region[0] && y <= region[1] && x + w >= region[2] && y + h >= region[3],
                    "{up:?}"
                );
            }
            let aspect = w as f32 / h as f32;
            assert!((aspect - if up.upright { 0.5 } else { 2.0 }).abs() < 0.08, "{up:?}");
        }
    }

    #[test]
    fn tiny_images_have_no_close_up() {
        assert_eq!(close_up(&row(1, 1, &[[0, 0, 1, 1]]), |_| 1.0), None);
        assert_eq!(close_up(&row(200, 10, &[[0, 0, 5, 5]]), |_| 1.0), None);
    }
}
