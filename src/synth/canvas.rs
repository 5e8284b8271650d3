//! The pixel surface: outlines filled with exact area coverage, colours and classes blended alike, in linear light.

use super::CLASSES;
use glam::{Vec2, Vec3, Vec4, vec2};

/// Turns an outline into area coverage per pixel (signed-area accumulation), inside the outline's bounding box.
#[derive(Default)]
pub(super) struct Raster {
    sums: Vec<f32>,
}

impl Raster {
    /// Calls `visit(x, y, coverage)` for every pixel of a `width` x `height` surface that `outline` touches.
    pub fn cover(
        &mut self,
        width: usize,
        height: usize,
        outline: &[Vec2],
        mut visit: impl FnMut(usize, usize, f32),
    ) {
        let bound = vec2(width as f32, height as f32);
        let low = outline.iter().fold(Vec2::INFINITY, |a, &p| a.min(p)).clamp(Vec2::ZERO, bound).floor();
        let high = outline.iter().fold(Vec2::NEG_INFINITY, |a, &p| a.max(p)).clamp(Vec2::ZERO, bound).ceil();
        let size = high - low;
        if outline.len() < 3 || size.min_element() < 1.0 {
            return;
        }
        let (columns, rows) = (size.x as usize, size.y as usize);
        let pitch = columns + 2;
        self.sums.clear();
        self.sums.resize(pitch * rows, 0.0);
        for (i, &a) in outline.iter().enumerate() {
            self.edge(a - low, outline[(i + 1) % outline.len()] - low, columns, rows);
        }
        for y in 0..rows {
            let mut sum = 0.0f32;
            for x in 0..columns {
                sum += self.sums[y * pitch + x];
                let coverage = sum.abs().min(1.0);
                if coverage > 1.0 / 512.0 {
                    visit(low.x as usize + x, low.y as usize + y, coverage);
                }
            }
        }
    }

    /// Adds the area to the right of one edge, row by row; what lies left or right of the box is clamped to its border.
    fn edge(&mut self, a: Vec2, b: Vec2, columns: usize, rows: usize) {
        if a.y == b.y {
            return;
        }
        let (sign, a, b) = if a.y < b.y { (1.0, a, b) } else { (-1.0, b, a) };
        let slope = (b.x - a.x) / (b.y - a.y);
        let first = a.y.max(0.0);
        let mut x = a.x + (first - a.y) * slope;
        let limit = columns as f32;
        for y in first as usize..rows.min(b.y.max(0.0).ceil() as usize) {
            let step = ((y + 1) as f32).min(b.y) - (y as f32).max(a.y);
            let next = x + slope * step;
            let area = step * sign;
            let (left, right) = (x.min(next).clamp(0.0, limit), x.max(next).clamp(0.0, limit));
            let row = &mut self.sums[y * (columns + 2)..(y + 1) * (columns + 2)];
            let start = left as usize;
            let end = right.ceil() as usize;
            if end <= start + 1 {
                let inside = 0.5 * (left + right) - start as f32;
                row[start] += area * (1.0 - inside);
                row[start + 1] += area * inside;
            } else {
                let per_column = 1.0 / (right - left);
                let mut before = 0.0;
                for (column, cell) in row.iter_mut().enumerate().take(end).skip(start) {
                    let enter = left.max(column as f32);
                    let leave = right.min((column + 1) as f32);
                    let middle = 0.5 * (enter + leave) - column as f32;
                    let share = (leave - enter) * per_column;
                    *cell += area * (before + share * (1.0 - middle));
                    before = share * middle;
                }
                row[end] += area * before;
            }
            x = next;
        }
    }
}

/// How much of a pixel each class shows, in 65,535ths.
#[derive(Clone, Copy)]
struct Shares([u16; CLASSES.len()]);

impl Shares {
    const WHOLE: f32 = 65_535.0;

    fn all(label: u8) -> Self {
        let mut shares = [0; CLASSES.len()];
        shares[usize::from(label)] = Self::WHOLE as u16;
        Self(shares)
    }

    /// Lays `label` over the pixel, as colours are laid over each other.
    fn lay(&mut self, label: u8, opacity: f32) {
        if opacity > 0.999 {
            *self = Self::all(label);
            return;
        }
        for share in &mut self.0 {
            *share = (f32::from(*share) * (1.0 - opacity) + 0.5) as u16;
        }
        let share = &mut self.0[usize::from(label)];
        *share = share.saturating_add((opacity * Self::WHOLE + 0.5) as u16);
    }

    /// The class that shows most; of two that show the same, the later in the list.
    fn largest(&self) -> u8 {
        (0..self.0.len()).max_by_key(|&i| self.0[i]).unwrap_or(0) as u8
    }
}

/// A picture in linear light with its label map.
pub(super) struct Canvas {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[H, W]` linear colours, 1 = diffuse white in full light.
    pub color: Vec<Vec3>,
    shares: Vec<Shares>,
    raster: Raster,
}

impl Canvas {
    /// A black canvas whose every pixel shows class 0.
    pub fn new(width: usize, height: usize) -> Self {
        let count = width * height;
        Self {
            width,
            height,
            color: vec![Vec3::ZERO; count],
            shares: vec![Shares::all(0); count],
            raster: Raster::default(),
        }
    }

    /// Blends `paint(pixel centre)` (colour and opacity) over the pixels inside `outline`, and `label`, where it is
    /// given, over what they show so far.
    pub fn fill(&mut self, outline: &[Vec2], label: Option<u8>, mut paint: impl FnMut(Vec2) -> Vec4) {
        let Self { width, height, color, shares, raster } = self;
        raster.cover(*width, *height, outline, |x, y, coverage| {
            let paint = paint(vec2(x as f32 + 0.5, y as f32 + 0.5));
            let opacity = paint.w * coverage;
            let pixel = y * *width + x;
            color[pixel] = color[pixel].lerp(paint.truncate(), opacity);
            if let Some(label) = label {
                shares[pixel].lay(label, opacity);
            }
        });
    }

    /// Gives all of the pixel at index `pixel` to one colour and one class.
    pub fn set(&mut self, pixel: usize, color: Vec3, label: u8) {
        self.color[pixel] = color;
        self.shares[pixel] = Shares::all(label);
    }

    /// `[H, W]` class indices: in each pixel the class that shows most.
    pub fn labels(&self) -> Vec<u8> {
        self.shares.iter().map(Shares::largest).collect()
    }
}

/// How much of the sun each pixel's ground point loses to objects, and how much of the sky (contact shadow).
pub(super) struct Shadows {
    width: usize,
    height: usize,
    /// `[H, W]`: x = share of the sun blocked, y = share of the sky blocked, both in 0..=1.
    pub blocked: Vec<Vec2>,
    raster: Raster,
}

impl Shadows {
    /// No shadow anywhere.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, blocked: vec![Vec2::ZERO; width * height], raster: Raster::default() }
    }

    /// Blocks at least `amount` (sun, sky) inside `outline`; overlapping shadows do not add up.
    pub fn block(&mut self, outline: &[Vec2], amount: Vec2) {
        let Self { width, height, blocked, raster } = self;
        raster.cover(*width, *height, outline, |x, y, coverage| {
            let cell = &mut blocked[y * *width + x];
            *cell = cell.max(amount * coverage);
        });
    }
}

/// Whether two stretches of line cross each other.
pub(super) fn crosses([a, b]: [Vec2; 2], [c, d]: [Vec2; 2]) -> bool {
    let side = |p: Vec2, q: Vec2, r: Vec2| (q - p).perp_dot(r - p) > 0.0;
    side(a, b, c) != side(a, b, d) && side(c, d, a) != side(c, d, b)
}

/// The convex hull of `points`, in order (monotone chain). `points` is left sorted.
pub(super) fn convex_hull(points: &mut [Vec2]) -> Vec<Vec2> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut hull: Vec<Vec2> = Vec::with_capacity(points.len());
    for pass in 0..2 {
        let floor = hull.len() + 1;
        for i in 0..points.len() {
            let point = if pass == 0 { points[i] } else { points[points.len() - 1 - i] };
            while hull.len() > floor
                && (hull[hull.len() - 1] - hull[hull.len() - 2]).perp_dot(point - hull[hull.len() - 1]) <= 0.0
            {
                hull.pop();
            }
            hull.push(point);
        }
        hull.pop();
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_the_area_even_where_the_outline_leaves_the_surface() {
        let mut raster = Raster::default();
        let triangle = [vec2(1.3, 0.7), vec2(9.1, 3.2), vec2(2.4, 7.9)];
        let mut area = 0.0;
        raster.cover(12, 10, &triangle, |_, _, c| area += c);
        let exact = 0.5 * (triangle[1] - triangle[0]).perp_dot(triangle[2] - triangle[0]).abs();
        assert!((area - exact).abs() < 0.05, "{area} for {exact}");
        let beyond = [vec2(-5.0, -5.0), vec2(20.0, -5.0), vec2(20.0, 20.0), vec2(-5.0, 20.0)];
        let mut count = 0.0;
        raster.cover(12, 10, &beyond, |_, _, c| count += c);
        assert_eq!(count, 120.0);
    }

    #[test]
    fn a_label_is_that_of_the_class_that_shows_most() {
        let mut canvas = Canvas::new(4, 1);
        let bar = |from: f32, to: f32| [vec2(from, 0.0), vec2(to, 0.0), vec2(to, 1.0), vec2(from, 1.0)];
        canvas.fill(&bar(0.4, 2.4), Some(7), |_| Vec4::ONE);
        assert_eq!(canvas.labels(), [7, 7, 0, 0]);
        assert!((canvas.color[2].x - 0.4).abs() < 1e-3);
        // Two parts that cover a pixel together, neither of them half of it.
        canvas.fill(&bar(3.05, 3.5), Some(5), |_| Vec4::ONE);
        assert_eq!(canvas.labels()[3], 0);
        canvas.fill(&bar(3.5, 3.95), Some(5), |_| Vec4::ONE);
        assert_eq!(canvas.labels()[3], 5);
        // What is covered by others shows no more.
        canvas.fill(&bar(3.0, 4.0), Some(2), |_| Vec4::ONE);
        assert_eq!(canvas.labels()[3], 2);
    }

    #[test]
    fn stretches_cross_or_miss_each_other() {
        let wall = [vec2(-1.0, 2.0), vec2(1.0, 2.0)];
        assert!(crosses([Vec2::ZERO, vec2(0.5, 5.0)], wall));
        assert!(!crosses([Vec2::ZERO, vec2(0.5, 1.0)], wall), "it ends before the wall");
        assert!(!crosses([Vec2::ZERO, vec2(5.0, 5.0)], wall), "it passes beside the wall");
    }

    #[test]
    fn hull_drops_inner_points() {
        let mut points = [vec2(0.0, 0.0), vec2(1.0, 1.0), vec2(2.0, 0.0), vec2(2.0, 2.0), vec2(0.0, 2.0)];
        assert_eq!(convex_hull(&mut points).len(), 4);
    }
}
