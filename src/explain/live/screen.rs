//! What the window shows: the photograph with one or two layers over it, from where one looks at it.

use std::sync::Arc;

use glam::{Affine2, Vec2, vec2};

use crate::data::RgbImage;
use crate::error::Result;
use crate::gpu::{Buffer, Gpu};
use crate::ops;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};

use super::layer::{Layer, Painted};

/// Numbers that the op `canvas` takes.
const VIEW_LEN: usize = 24;

/// A photograph on the device.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Height and width.
    pub size: [usize; 2],
    pixels: Buffer,
}

impl Photo {
    /// Uploads an image.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if it is above the device's limits.
    pub fn new(gpu: &Gpu, image: &RgbImage) -> Result<Self> {
        let pixels: Vec<u32> =
            image.rgb.as_chunks::<3>().0.iter().map(|&color| super::pack_color(color, 255)).collect();
        let buffer = gpu.buffer("photograph", pixels.len() as u64 * 4)?;
        gpu.write(&buffer, bytemuck::cast_slice(&pixels));
        Ok(Self { size: [image.height, image.width], pixels: buffer })
    }

    /// The largest number of pixels that a photograph may have on this device.
    #[must_use]
    pub fn max_pixels(gpu: &Gpu) -> usize {
        (gpu.caps().max_binding_bytes.min(gpu.caps().max_buffer_bytes) / 4) as usize
    }
}

/// How two layers share the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Split {
    /// The first alone.
    #[default]
    None,
    /// The first left of this column of the window, the second right of it.
    Wipe(f32),
    /// Two panes with the same view: columns of the left one, and of the gap.
    Side(f32, f32),
}

/// Where one looks from, and how the layers are laid over the photograph. Lengths are pixels of the window's screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Photo coordinates of the window's top left corner.
    pub origin: Vec2,
    /// Window pixels per photo pixel.
    pub zoom: f32,
    /// Opacity of the layers, 0..1.
    pub opacity: f32,
    /// 0 filled, 1 contours only, 2 filled with contours.
    pub contour: u8,
    /// Whether contours lie between classes only, not between prototypes.
    pub contour_classes: bool,
    /// How the layers share the window.
    pub split: Split,
    /// Colour around the photograph.
    pub background: [u8; 3],
    /// How far the photograph is desaturated, 0..1.
    pub grey: f32,
    /// How far the photograph is darkened, 0..1.
    pub dim: f32,
    /// Whether an enlarged photograph is smooth until its pixels are large.
    pub smooth: bool,
    /// Whether very large pixels have lines between them.
    pub grid: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            origin: Vec2::ZERO,
            zoom: 1.0,
            opacity: 0.7,
            contour: 0,
            contour_classes: false,
            split: Split::None,
            background: [24, 24, 28],
            grey: 0.0,
            dim: 0.0,
            smooth: true,
            grid: true,
        }
    }
}

impl View {
    /// From photo coordinates to window pixels.
    #[must_use]
    pub fn to_window(&self) -> Affine2 {
        Affine2::from_scale_angle_translation(Vec2::splat(self.zoom), 0.0, -self.origin * self.zoom)
    }

    /// From window pixels to photo coordinates.
    #[must_use]
    pub fn to_photo(&self) -> Affine2 {
        self.to_window().inverse()
    }

    /// Zooms by `factor`, within `limits`, so that what is at the window's pixel `at` stays there.
    pub fn zoom_at(&mut self, at: Vec2, factor: f32, limits: [f32; 2]) {
        let fixed = self.to_photo().transform_point2(at);
        self.zoom = (self.zoom * factor).clamp(limits[0], limits[1]);
        self.origin = fixed - at / self.zoom;
    }

    /// Shows the whole photo of `[H,W]` in the middle of `window` (columns, rows).
    pub fn fit(&mut self, [height, width]: [usize; 2], window: Vec2) {
        let photo = vec2(width as f32, height as f32);
        self.zoom = (window / photo).min_element().max(1e-3);
        self.origin = (photo - window / self.zoom) / 2.0;
    }

    /// Shows the photo's point `at` in the middle of `window`.
    pub fn centre(&mut self, at: Vec2, window: Vec2) {
        self.origin = at - window / self.zoom / 2.0;
    }

    fn numbers(&self) -> [f32; VIEW_LEN] {
        let mut out = [0.0; VIEW_LEN];
        let flag = |on: bool| f32::from(u8::from(on));
        let (split, left, gap) = match self.split {
            Split::None => (0.0, 0.0, 0.0),
            Split::Wipe(at) => (1.0, at, 0.0),
            Split::Side(left, gap) => (2.0, left, gap),
        };
        let head = [self.origin.x, self.origin.y, 1.0 / self.zoom, self.opacity, f32::from(self.contour)];
        let [r, g, b] = self.background.map(f32::from);
        let tail = [
            split,
            left,
            gap,
            r,
            g,
            b,
            self.grey,
            self.dim,
            flag(self.smooth),
            flag(self.contour_classes),
            flag(self.grid),
        ];
        out[..5].copy_from_slice(&head);
        out[5..16].copy_from_slice(&tail);
        out
    }
}

/// A window's picture of a photograph and its layers.
pub struct Screen {
    plan: Plan,
    view: ValueId,
    out: Buffer,
    size: [usize; 2],
    drawn: Option<View>,
}

impl Screen {
    /// A screen of `size` (rows, columns) for a photo and up to two layers; without a layer the photo is bare.
    ///
    /// # Errors
    /// Those of recording and of the device.
    pub fn new(gpu: &Arc<Gpu>, photo: &Photo, layers: [Option<&Layer>; 2], size: [usize; 2]) -> Result<Self> {
        Self::of(gpu, photo, layers.map(|layer| layer.map(Layer::painted)), size)
    }

    /// As [`Screen::new`], of layers' buffers.
    pub(super) fn of(
        gpu: &Arc<Gpu>,
        photo: &Photo,
        layers: [Option<Painted>; 2],
        size: [usize; 2],
    ) -> Result<Self> {
        let mut tape = Tape::new();
        let [height, width] = photo.size;
        let image = tape.input("photo", &[1, height, width], DType::U32);
        let mut given = vec![(image, photo.pixels.clone())];
        let mut inputs = Vec::new();
        for layer in layers {
            let [h, w] = layer.as_ref().map_or([1, 1], |layer| layer.size);
            let mut input = |name: &str, buffer: Option<Buffer>| {
                let id = tape.input(name, &[1, h, w], DType::U32);
                given.extend(buffer.map(|buffer| (id, buffer)));
                inputs.push(id);
            };
            let (label, colors) = layer.map(|layer| (layer.label, layer.colors)).unzip();
            input("label", label);
            input("layer", colors);
        }
        let view = tape.input("view", &[VIEW_LEN], DType::F32);
        let [label_a, layer_a, label_b, layer_b] = inputs[..] else { unreachable!("two of two layers") };
        let inputs = ops::CanvasInputs { photo: image, label_a, layer_a, label_b, layer_b, view };
        let out = ops::canvas(&mut tape, inputs, size)?;
        let program = Program::new(&tape, gpu.caps(), Keep::Only(&[out]));
        let plan = Plan::with(gpu, &tape, &program, &mut Store::new(), &given)?;
        let out = plan.buffer(out)?.clone();
        Ok(Self { plan, view, out, size, drawn: None })
    }

    /// Rows and columns.
    #[must_use]
    pub const fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Composes the picture; returns without waiting, and whether it did: it does not where nothing changed.
    pub fn draw(&mut self, view: &View, layers_changed: bool) -> bool {
        if !layers_changed && self.drawn.as_ref() == Some(view) {
            return false;
        }
        self.plan.write(self.view, &view.numbers());
        self.plan.run();
        self.drawn = Some(*view);
        true
    }

    /// `u32 [1,rows,columns]` packed opaque colours.
    #[must_use]
    pub const fn pixels(&self) -> &Buffer {
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_the_cursor_stays_there() {
        let mut view = View { origin: vec2(10.0, -4.0), zoom: 1.5, ..View::default() };
        let at = vec2(320.0, 200.0);
        let before = view.to_photo().transform_point2(at);
        view.zoom_at(at, 3.0, [0.01, 64.0]);
        assert!((view.to_photo().transform_point2(at) - before).length() < 1e-3);
        assert!((view.zoom - 4.5).abs() < 1e-6);
        view.zoom_at(at, 1e6, [0.01, 64.0]);
        assert!((view.zoom - 64.0).abs() < 1e-6, "{}", view.zoom);
    }

    #[test]
    fn a_photo_that_fits_is_centred() {
        let mut view = View::default();
        for (size, window) in [
            ([360, 480], vec2(900.0, 500.0)),
            ([4000, 6000], vec2(300.0, 800.0)),
            ([1, 1], vec2(640.0, 480.0)),
        ] {
            view.fit(size, window);
            let corner = |x: usize, y: usize| view.to_window().transform_point2(vec2(x as f32, y as f32));
            let (low, high) = (corner(0, 0), corner(size[1], size[0]));
            assert!(low.min_element() > -1e-2 && (high - window).max_element() < 1e-2, "{low} {high}");
            assert!((low + high - window).length() < 0.1, "centred: {low} {high}");
        }
    }
}
