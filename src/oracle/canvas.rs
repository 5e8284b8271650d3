//! A photo at any scale under one or two colour layers, as a window shows it.

use super::Array;

/// Red, green and blue of 0..=255.
type Rgb = [f64; 3];

/// Channels of a packed colour `r | g << 8 | b << 16 | a << 24`, and its alpha.
fn unpacked(word: f64) -> (Rgb, f64) {
    let byte = |n: i32| (word / 256_f64.powi(n)).floor() % 256.0;
    ([byte(0), byte(1), byte(2)], byte(3))
}

/// `a` moved towards `b` by `w / 256`, to whole numbers.
fn toward(a: Rgb, b: Rgb, w: f64) -> Rgb {
    std::array::from_fn(|i| ((a[i] * (256.0 - w) + b[i] * w + 128.0) / 256.0).floor())
}

/// One of two pictures: labels and colours of one size.
struct Layer<'a> {
    label: &'a Array,
    color: &'a Array,
}

/// `view` by name.
struct View<'a> {
    photo: &'a Array,
    options: &'a [f64],
}

/// Index of the pixel of a map `[1,H,W]` at `at` in a photo of `size` (both x, y), the nearest one beyond the edge.
fn nearest(map: &Array, size: [f64; 2], at: [f64; 2]) -> usize {
    let (height, width) = (map.shape[1], map.shape[2]);
    let cell = |x: f64, n: usize, of: f64| ((x * n as f64 / of).floor().max(0.0) as usize).min(n - 1);
    cell(at[1], height, size[1]) * width + cell(at[0], width, size[0])
}

impl View<'_> {
    fn size(&self) -> [f64; 2] {
        [self.photo.shape[2] as f64, self.photo.shape[1] as f64]
    }

    fn scale(&self) -> f64 {
        self.options[2]
    }

    /// Whether a place (x, y) is in the photo grown by `by`.
    fn holds(&self, at: [f64; 2], by: f64) -> bool {
        (0..2).all(|i| at[i] >= -by && at[i] < self.size()[i] + by)
    }

    fn photo_at(&self, at: [f64; 2]) -> Rgb {
        let color = |x: f64, y: f64| unpacked(self.photo.data[nearest(self.photo, self.size(), [x, y])]).0;
        if self.options[13] == 0.0 || self.scale() >= 1.0 || self.scale() <= 0.25 {
            return color(at[0], at[1]);
        }
        let low = at.map(|x| (x - 0.5).floor());
        let t = [0, 1].map(|i| ((at[i] - 0.5 - low[i]) * 256.0).round());
        let row = |y: f64| toward(color(low[0], y), color(low[0] + 1.0, y), t[0]);
        toward(row(low[1]), row(low[1] + 1.0), t[1])
    }

    fn on_border(&self, layer: &Layer<'_>, at: [f64; 2]) -> bool {
        let d = 0.75 * self.scale();
        let label = |dx: f64, dy: f64| {
            let word = layer.label.data[nearest(layer.label, self.size(), [at[0] + dx, at[1] + dy])];
            if self.options[14] == 1.0 { word % 65_536.0 } else { word }
        };
        [label(-d, 0.0), label(d, 0.0), label(0.0, -d), label(0.0, d)].iter().any(|&l| l != label(0.0, 0.0))
    }

    /// The photo under the layer at one place.
    fn blended(&self, layer: &Layer<'_>, border: bool, at: [f64; 2]) -> Rgb {
        let share = |i: usize| (self.options[i] * 256.0).round();
        let mut base = self.photo_at(at);
        let luma = ((77.0 * base[0] + 150.0 * base[1] + 29.0 * base[2] + 128.0) / 256.0).floor();
        base = toward(toward(base, [luma; 3], share(11)), [0.0; 3], share(12));
        let contour = self.options[4];
        if contour == 1.0 && !border {
            return base;
        }
        let (color, alpha) = unpacked(layer.color.data[nearest(layer.color, self.size(), at)]);
        let whole = if alpha >= 128.0 { alpha + 1.0 } else { alpha };
        let weight = ((whole * share(3) + 128.0) / 256.0).floor();
        base = toward(base, color, weight);
        if contour == 2.0 && border {
            base = toward(base, [0.0; 3], (weight * 160.0 / 256.0).floor());
        }
        base
    }

    fn pixel(&self, layers: &[Layer<'_>; 2], x: usize, y: usize) -> Rgb {
        let options = self.options;
        let background = [options[8], options[9], options[10]];
        let (mut place, scale) = ([x as f64 + 0.5, y as f64 + 0.5], self.scale());
        let right = options[5] > 0.0 && place[0] >= options[6];
        if right && options[5] == 2.0 {
            place[0] -= options[6] + options[7];
            if place[0] < 0.0 {
                return background;
            }
        }
        let at = [0, 1].map(|i| options[i] + place[i] * scale);
        if !self.holds(at, scale) {
            return background;
        }
        let hairline = toward(background, [255.0; 3], 40.0);
        let layer = &layers[usize::from(right)];
        let border = options[4] > 0.0 && self.on_border(layer, at);
        let n = scale.ceil().clamp(1.0, 3.0) as usize;
        let mut sum = [0.0; 3];
        for tap in 0..n * n {
            // Middles of n x n equal parts of the pixel's footprint.
            let part = [tap % n, tap / n].map(|i| ((i as f64 + 0.5) / n as f64 - 0.5) * scale);
            let tap = [at[0] + part[0], at[1] + part[1]];
            let color = if self.holds(tap, 0.0) { self.blended(layer, border, tap) } else { hairline };
            sum = std::array::from_fn(|i| sum[i] + color[i]);
        }
        let mut color = sum.map(|s| (s / (n * n) as f64).round());
        let starts = |i: usize| at[i].floor() != (at[i] - scale).floor();
        if options[15] == 1.0 && scale * 12.0 <= 1.0 && self.holds(at, 0.0) && (starts(0) || starts(1)) {
            color = toward(color, [128.0; 3], 80.0);
        }
        color
    }
}

/// `out [1,VH,VW]`, opaque packed colours, from photo, label and layer of a and b, and the view.
#[must_use]
pub fn canvas(inputs: &[&Array], [height, width]: [usize; 2]) -> Array {
    let &[photo, label_a, layer_a, label_b, layer_b, view] = inputs else {
        panic!("canvas takes 6 inputs, not {}", inputs.len())
    };
    let layers = [Layer { label: label_a, color: layer_a }, Layer { label: label_b, color: layer_b }];
    let view = View { photo, options: &view.data };
    let packed = |i: usize| {
        let [r, g, b] = view.pixel(&layers, i % width, i / width);
        r + 256.0 * (g + 256.0 * (b + 256.0 * 255.0))
    };
    Array::new(&[1, height, width], (0..height * width).map(packed).collect())
}
