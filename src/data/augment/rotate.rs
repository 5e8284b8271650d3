//! Rotation of a crop around its middle.

use std::ops::Range;

/// How a crop is cut out of a larger one, turned.
pub struct Turn {
    cos: f32,
    sin: f32,
    height: usize,
    width: usize,
    margins: [usize; 2],
}

impl Turn {
    /// A turn of a crop of `height` x `width` by `angle`, in radians.
    pub fn new(angle: f32, height: usize, width: usize) -> Self {
        let (sin, cos) = angle.sin_cos();
        let [tall, wide] = [height, width].map(|side| side as f32);
        // How far a corner of the turned crop lies beyond the crop's edge, and a pixel for the filter.
        let beyond = |side: f32, other: f32| ((side * cos.abs() + other * sin.abs() - side) / 2.0).max(0.0);
        let margins = [beyond(tall, wide), beyond(wide, tall)].map(|far| far.ceil() as usize + 1);
        Self { cos, sin, height, width, margins }
    }

    /// Rows and columns that the larger crop has beyond the crop on each side.
    pub const fn margins(&self) -> [usize; 2] {
        self.margins
    }

    const fn larger_width(&self) -> usize {
        self.width + 2 * self.margins[1]
    }

    /// Row and column in the larger crop, counted from the upper left corner of the first pixel, of every pixel's middle.
    fn positions(&self) -> impl Iterator<Item = [f32; 2]> {
        let [tall, wide] = [self.height, self.width].map(|side| side as f32 / 2.0);
        let [above, left] = self.margins.map(|margin| margin as f32);
        (0..self.height * self.width).map(move |i| {
            let (y, x) = ((i / self.width) as f32 + 0.5 - tall, (i % self.width) as f32 + 0.5 - wide);
            [self.cos * y - self.sin * x + tall + above, self.sin * y + self.cos * x + wide + left]
        })
    }

    /// The turned crop of the larger image `rgb`, of which `rows` x `columns` hold something; `outside` elsewhere.
    pub fn image(
        &self,
        rgb: &[f32],
        (rows, columns): (Range<usize>, Range<usize>),
        outside: [f32; 3],
    ) -> Vec<f32> {
        let larger = rgb.as_chunks::<3>().0;
        let mut crop = Vec::with_capacity(self.height * self.width * 3);
        for [y, x] in self.positions() {
            if !rows.contains(&(y as usize)) || !columns.contains(&(x as usize)) {
                crop.extend(outside);
                continue;
            }
            let ((top, bottom, down), (left, right, along)) = (between(y, &rows), between(x, &columns));
            let at = |y: usize, x: usize| larger[y * self.larger_width() + x];
            let (a, b, c, d) = (at(top, left), at(top, right), at(bottom, left), at(bottom, right));
            crop.extend((0..3).map(|i| {
                let (upper, lower) = (a[i] + along * (b[i] - a[i]), c[i] + along * (d[i] - c[i]));
                upper + down * (lower - upper)
            }));
        }
        crop
    }

    /// The turned crop of the larger `labels`, each the nearest.
    pub fn labels(&self, labels: &[u16], outside: u16) -> Vec<u16> {
        let at = |[y, x]: [f32; 2]| labels.get(y as usize * self.larger_width() + x as usize).copied();
        self.positions().map(|position| at(position).unwrap_or(outside)).collect()
    }
}

/// The two places of `range` between whose middles `position` lies, and how far it is from the first.
fn between(position: f32, range: &Range<usize>) -> (usize, usize, f32) {
    let shifted = (position - 0.5).clamp(range.start as f32, (range.end - 1) as f32);
    let first = shifted as usize;
    (first, (first + 1).min(range.end - 1), shifted - first as f32)
}
