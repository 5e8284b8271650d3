//! The picture in the middle: looked at from anywhere, coloured in any way, asked about at every pixel.

use std::sync::Arc;

use egui::{Color32, CursorIcon, PointerButton, Pos2, Rect, Response, Sense, TextureId, Ui, pos2};
use glam::{Vec2, vec2};

use crate::error::Result;
use crate::explain::live::{Layer, Mode, Picker, Pixel, Screen, Shading, Split, View};
use crate::gpu::Texture;

use super::album::ImageId;
use super::app::{Compare, Viewer, Wanted};
use super::engine::{Analysis, ModelId};
use super::marks;
use super::picture::Picture;
use super::theme;

/// Columns between two panes, in window pixels.
const GAP: f32 = 4.0;
/// How near to the wipe's line the pointer takes hold of it, in points.
const GRIP: f32 = 6.0;
/// Largest zoom, window pixels per photo pixel.
const MAX_ZOOM: f32 = 96.0;

/// A layer and what it is of.
struct Shown {
    model: ModelId,
    analysis: Arc<Analysis>,
    layer: Layer,
    picker: Picker,
}

/// The canvas's own state.
pub struct Canvas {
    pub view: View,
    /// Whether the whole photo is shown, whatever the window's size becomes.
    pub fitted: bool,
    layers: [Option<Shown>; 2],
    screen: Option<((ImageId, usize), Screen)>,
    /// What the window draws, and its name there; none where there is no renderer.
    texture: Option<(Texture, Option<TextureId>)>,
    /// Where the wipe's line is, as a share of the width.
    pub wipe: f32,
    dragging_wipe: bool,
    /// Photo coordinates under the pointer, and whether in the right pane.
    pub hover: Option<(Vec2, bool)>,
    /// Photo coordinates of the pixel that was clicked.
    pub pin: Option<Vec2>,
    /// Whether it was clicked in the right pane.
    pin_right: bool,
    asked: Option<(Vec2, bool)>,
    /// What is at the pin or under the pointer, and which model says so.
    pub pixel: Option<(Pixel, ModelId)>,
    /// Colours are hidden while the key is held or after it was pressed.
    pub hidden: bool,
    /// The canvas's place in the window, in points.
    pub rect: Rect,
    /// Where to go once the picture is there, in photo coordinates.
    pub target: Option<(ImageId, Vec2)>,
}

impl Default for Canvas {
    fn default() -> Self {
        Self {
            view: View::default(),
            fitted: true,
            layers: [None, None],
            screen: None,
            texture: None,
            wipe: 0.5,
            dragging_wipe: false,
            hover: None,
            pin: None,
            pin_right: false,
            asked: None,
            pixel: None,
            hidden: false,
            rect: Rect::ZERO,
            target: None,
        }
    }
}

impl Canvas {
    /// Forgets what belonged to the image that is left.
    pub fn leave_image(&mut self) {
        (self.pin, self.pixel, self.asked, self.hover) = (None, None, None, None);
        (self.layers, self.screen) = ([None, None], None);
        self.fitted = true;
    }

    /// Whether a pixel was asked about and is not answered.
    pub fn waits(&self) -> bool {
        self.layers.iter().flatten().any(|shown| shown.picker.waits())
    }

    /// Size of one pane in window pixels.
    pub fn pane(&self, points: f32, compare: Compare) -> Vec2 {
        let size = vec2(self.rect.width(), self.rect.height()) * points;
        if compare == Compare::Side { vec2(((size.x - GAP) / 2.0).floor(), size.y) } else { size }
    }

    /// What is shown of a model's.
    pub fn analysis_of(&self, model: ModelId) -> Option<&Arc<Analysis>> {
        self.layers.iter().flatten().find(|shown| shown.model == model).map(|shown| &shown.analysis)
    }

    /// The analysis that is shown in the first picture.
    pub fn analysis(&self) -> Option<&Arc<Analysis>> {
        self.layers[0].as_ref().map(|shown| &shown.analysis)
    }

    /// What the window shows, for what is exported.
    pub fn screen(&self) -> Option<&Screen> {
        self.screen.as_ref().map(|(_, screen)| screen)
    }

    /// The coloured layer of a slot.
    pub fn layer(&self, slot: usize) -> Option<&Layer> {
        self.layers[slot].as_ref().map(|shown| &shown.layer)
    }

    /// Photo coordinates of a place in the window, and whether it is in the right pane.
    fn photo_at(&self, at: Pos2, points: f32, compare: Compare) -> (Vec2, bool) {
        let mut pixel = vec2(at.x - self.rect.left(), at.y - self.rect.top()) * points;
        let pane = self.pane(points, compare);
        let right = match compare {
            Compare::Off => false,
            Compare::Wipe => pixel.x >= self.wipe * pane.x,
            Compare::Side => pixel.x >= pane.x + GAP,
        };
        if compare == Compare::Side && right {
            pixel.x -= pane.x + GAP;
        }
        (self.view.to_photo().transform_point2(pixel), right)
    }

    /// Place in the window of photo coordinates, in the left or the right pane.
    pub fn window_at(&self, photo: Vec2, points: f32, right: bool, compare: Compare) -> Pos2 {
        let mut pixel = self.view.to_window().transform_point2(photo);
        if right && compare == Compare::Side {
            pixel.x += self.pane(points, compare).x + GAP;
        }
        pos2(self.rect.left() + pixel.x / points, self.rect.top() + pixel.y / points)
    }

    /// Zooms to window pixels per photo pixel around the middle.
    pub fn zoom_to(&mut self, zoom: f32, points: f32, compare: Compare) {
        let middle = self.pane(points, compare) / 2.0;
        self.view.zoom_at(middle, zoom / self.view.zoom, [1e-3, MAX_ZOOM]);
        self.fitted = false;
    }

    /// Zooms by a factor around a place of the window, in points.
    fn zoom_by(&mut self, factor: f32, at: Pos2, points: f32, compare: Compare) {
        let mut pixel = vec2(at.x - self.rect.left(), at.y - self.rect.top()) * points;
        let pane = self.pane(points, compare);
        if compare == Compare::Side && pixel.x >= pane.x + GAP {
            pixel.x -= pane.x + GAP;
        }
        self.view.zoom_at(pixel, factor, [1e-3, MAX_ZOOM]);
        self.fitted = false;
    }
}

impl Viewer {
    /// Draws the picture and takes what the pointer does to it.
    pub(super) fn canvas_panel(&mut self, ui: &mut Ui) {
        let Some(id) = self.current else { return };
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        response.widget_info(|| {
            let name = self.album.get(id).map_or_else(String::new, |entry| entry.name.clone());
            egui::WidgetInfo::labeled(egui::Role::Image, true, format!("canvas: {name}"))
        });
        self.canvas.rect = rect;
        let points = ui.pixels_per_point();
        let Some(picture) = self.picture(id) else {
            ui.painter().rect_filled(rect, 0.0, surround(ui));
            let failed = self.has_failed(Wanted::Picture(id));
            marks::notice(
                ui,
                rect,
                if failed { "this image cannot be shown" } else { "reading the image…" },
                (!failed).then(|| self.beat()),
            );
            return;
        };
        if let Some((image, at)) = self.canvas.target
            && image == id
        {
            let pane = self.canvas.pane(points, self.compare);
            self.canvas.view.zoom = self.canvas.view.zoom.max(2.0 * points);
            self.canvas.view.centre(at, pane);
            (self.canvas.fitted, self.canvas.target, self.canvas.pin) = (false, None, Some(at));
        }
        if self.canvas.fitted {
            let pane = self.canvas.pane(points, self.compare);
            self.canvas.view.fit(picture.image_size(), pane);
        }
        self.take_pointer(ui, &response, &picture);
        let result = self.compose(ui, &picture);
        if let Err(error) = result {
            self.toasts.fail(error);
        }
        if let Some((texture, Some(id))) = &self.canvas.texture {
            let [columns, rows] = texture.size().map(|side| side as f32);
            let size = vec2(rect.width(), rect.height()) * points;
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(size.x / columns, size.y / rows));
            ui.painter().image(*id, rect, uv, Color32::WHITE);
        }
        self.ask_pixel(&picture);
        marks::overlays(self, ui, &picture);
    }

    /// Pan, zoom, wipe and pin.
    fn take_pointer(&mut self, ui: &Ui, response: &Response, picture: &Picture) {
        let points = ui.pixels_per_point();
        let compare = self.compare;
        let pointer = response.hover_pos();
        let line = self.canvas.rect.left() + self.canvas.wipe * self.canvas.rect.width();
        let near = compare == Compare::Wipe && pointer.is_some_and(|at| (at.x - line).abs() < GRIP);
        let space = ui.input(|i| i.key_down(egui::Key::Space));
        if response.drag_started() {
            // A quick hand is past the line before the drag begins.
            let pressed = ui.input(|i| i.pointer.press_origin());
            let held = compare == Compare::Wipe && pressed.is_some_and(|at| (at.x - line).abs() < GRIP);
            self.canvas.dragging_wipe = held && !space;
        }
        if response.dragged() {
            let delta = response.drag_delta();
            if self.canvas.dragging_wipe {
                let at = pointer.map_or(self.canvas.wipe, |at| {
                    (at.x - self.canvas.rect.left()) / self.canvas.rect.width()
                });
                self.canvas.wipe = at.clamp(0.0, 1.0);
            } else {
                self.canvas.view.origin -= vec2(delta.x, delta.y) * points / self.canvas.view.zoom;
                self.canvas.fitted = false;
                ui.set_cursor_icon(CursorIcon::Grabbing);
            }
        } else if near {
            ui.set_cursor_icon(CursorIcon::ResizeHorizontal);
        } else if space && pointer.is_some() {
            ui.set_cursor_icon(CursorIcon::Grab);
        } else if pointer.is_some() {
            ui.set_cursor_icon(CursorIcon::Crosshair);
        }
        if let Some(at) = pointer {
            let (scroll, pinch) = ui.input(|i| (i.smooth_scroll_delta(), i.zoom_delta()));
            let factor = pinch * (scroll.y / 240.0).exp();
            if factor != 1.0 {
                self.canvas.zoom_by(factor, at, points, compare);
            }
            let (photo, right) = self.canvas.photo_at(at, points, compare);
            let inside = inside(photo, picture.image_size());
            self.canvas.hover = inside.then_some((photo, right));
            if response.clicked_by(PointerButton::Primary) && !near {
                // Another click on the pinned pixel takes the pin away.
                let again = self.canvas.pin.is_some_and(|pin| pin.floor() == photo.floor());
                (self.canvas.pin, self.canvas.pin_right) = ((inside && !again).then_some(photo), right);
            }
        } else {
            self.canvas.hover = None;
        }
        if response.double_clicked() {
            (self.canvas.fitted, self.canvas.pin) = (true, None);
        }
    }

    /// Colours, composes and shows, as far as something changed.
    fn compose(&mut self, ui: &Ui, picture: &Arc<Picture>) -> Result<()> {
        let first = self.model;
        let second = (self.compare != Compare::Off).then(|| self.second.model.or(first)).flatten();
        let mut changed = false;
        for (slot, model) in [(0, first), (1, second)] {
            changed |= self.shade(slot, model, picture)?;
        }
        let points = ui.pixels_per_point();
        let size = vec2(self.canvas.rect.width(), self.canvas.rect.height()) * points;
        let [rows, columns] = [size.y.ceil().max(1.0) as usize, size.x.ceil().max(1.0) as usize];
        let gpu = Arc::clone(&self.gpu);
        let [columns, rows] = padded(rows, columns);
        if self.canvas.texture.as_ref().is_none_or(|(texture, _)| texture.size() != [columns, rows]) {
            let texture = gpu.texture(columns, rows);
            let old = self.canvas.texture.take();
            let id = self.render.as_ref().map(|render| {
                let mut renderer = render.renderer.write();
                if let Some((_, Some(old))) = old {
                    renderer.free_texture(&old);
                }
                renderer.register_native_texture(&render.device, texture.view(), Texture::NEAREST)
            });
            self.canvas.texture = Some((texture, id));
        }
        let (number, photo) = picture.seen_at(self.canvas.view.zoom);
        let key = (picture.id, number);
        let known =
            |screen: &((ImageId, usize), Screen)| screen.0 == key && screen.1.size() == [rows, columns];
        if changed || !self.canvas.screen.as_ref().is_some_and(known) {
            let layers = [self.canvas.layer(0), self.canvas.layer(1)];
            self.canvas.screen = Some((key, Screen::new(&gpu, photo, layers, [rows, columns])?));
        }
        let view = self.view(ui, picture, photo.size[1]);
        if let (Some((_, screen)), Some((texture, _))) = (&mut self.canvas.screen, &self.canvas.texture)
            && screen.draw(&view, changed || self.canvas_colored)
        {
            gpu.show(screen.pixels(), texture);
        }
        self.canvas_colored = false;
        Ok(())
    }

    /// The view as the kernel takes it: in pixels of the photo on the device, whose `columns` may be fewer than the image's.
    fn view(&self, ui: &Ui, picture: &Picture, columns: usize) -> View {
        let points = ui.pixels_per_point();
        let width = self.canvas.rect.width() * points;
        let split = match self.compare {
            Compare::Off => Split::None,
            Compare::Wipe => Split::Wipe(self.canvas.wipe * width),
            Compare::Side => Split::Side(self.canvas.pane(points, Compare::Side).x, GAP),
        };
        let scale = columns as f32 / picture.image.width as f32;
        View {
            origin: self.canvas.view.origin * scale,
            zoom: self.canvas.view.zoom / scale,
            opacity: if self.canvas.hidden { 0.0 } else { self.settings.opacity },
            contour: self.settings.contour,
            contour_classes: self.settings.mode == Mode::Classes,
            split,
            background: theme::surround(ui.visuals().dark_mode),
            grey: if self.canvas.hidden { 0.0 } else { self.settings.grey },
            ..View::default()
        }
    }

    /// Colours the layer of a slot; returns whether it is another one than before.
    fn shade(&mut self, slot: usize, model: Option<ModelId>, picture: &Arc<Picture>) -> Result<bool> {
        let analysis = model.and_then(|model| self.analysis(model, picture));
        let Some((model, analysis)) = model.zip(analysis) else {
            let had = self.canvas.layers[slot]
                .take_if(|shown| Some(shown.model) != model || shown.analysis.image != picture.id);
            if slot == 1 && model.is_none() {
                return Ok(self.canvas.layers[1].take().is_some() || had.is_some());
            }
            return Ok(had.is_some());
        };
        let known =
            self.canvas.layers[slot].as_ref().is_some_and(|shown| Arc::ptr_eq(&shown.analysis, &analysis));
        if !known {
            let truth = analysis.truth.as_ref().map(|truth| truth.as_slice());
            let layer = Layer::new(&self.gpu, &analysis.maps, &analysis.basis, truth)?;
            let picker = Picker::new(&self.gpu, &analysis.maps)?;
            self.canvas.layers[slot] = Some(Shown { model, analysis, layer, picker });
            self.canvas.asked = None;
        }
        let Some(shading) = self.shading(slot, model) else { return Ok(!known) };
        if let Some(shown) = &mut self.canvas.layers[slot] {
            self.canvas_colored |= shown.layer.draw(&shading);
        }
        Ok(!known)
    }

    /// Whether the image in a slot came with labels that its model knows; true as long as that is not known.
    pub(super) fn is_labelled(&self, slot: usize) -> bool {
        self.canvas.layers[slot].as_ref().is_none_or(|shown| shown.analysis.truth.is_some())
    }

    /// How the layer of a slot is coloured.
    pub(super) fn shading(&self, slot: usize, model: ModelId) -> Option<Shading> {
        let known = self.models.iter().find(|known| known.id == model)?;
        let (info, legend) = (known.info.as_ref()?, known.legend.as_ref()?);
        let mut mode =
            if slot == 1 { self.second.mode.unwrap_or(self.settings.mode) } else { self.settings.mode };
        if mode.needs_prototypes() && !info.spec.head.kind.has_prototypes() {
            mode = Mode::Classes;
        }
        if mode.needs_truth() && !self.is_labelled(slot) {
            mode = Mode::Image;
        }
        let class = self.selected.0.min(legend.num_classes() - 1);
        Some(Shading {
            mode,
            selected: (class, self.selected.1.filter(|&k| k < legend.num_prototypes())),
            range: mode.range().unwrap_or([0.0, 1.0]),
            only_shown: !legend.shows_all(),
            by_strength: self.settings.by_strength,
            palette: legend.palette(),
        })
    }

    /// Asks what is at the pin or under the pointer, and takes the answer.
    fn ask_pixel(&mut self, picture: &Picture) {
        let canvas = &mut self.canvas;
        let place = canvas.pin.map(|pin| (pin, canvas.pin_right)).or(canvas.hover);
        let Some((photo, right)) = place else {
            (canvas.pixel, canvas.asked) = (None, None);
            return;
        };
        let slot = usize::from(right && canvas.layers[1].is_some());
        let Some(shown) = &mut canvas.layers[slot] else {
            canvas.pixel = None;
            return;
        };
        let [rows, columns] = shown.analysis.maps.size;
        let [height, width] = picture.image_size();
        let share = photo / vec2(width as f32, height as f32) * vec2(columns as f32, rows as f32);
        let at = [(share.x as usize).min(columns - 1), (share.y as usize).min(rows - 1)];
        let place = (vec2(at[0] as f32, at[1] as f32), right);
        if canvas.asked != Some(place) {
            canvas.asked = Some(place);
            shown.picker.ask(at);
        }
        match shown.picker.answer() {
            Some(Ok(pixel)) => {
                canvas.pixel = Some((pixel, shown.model));
                // The panel beside was drawn before the answer came.
                self.context.request_repaint();
            }
            Some(Err(error)) => self.toasts.fail(error),
            None if shown.picker.waits() => self.context.request_repaint(),
            None => {}
        }
    }
}

fn padded(rows: usize, columns: usize) -> [usize; 2] {
    [columns.next_multiple_of(crate::gpu::TEXTURE_COLUMNS), rows]
}

/// Whether photo coordinates are in an image of `[H,W]`.
fn inside(photo: Vec2, [height, width]: [usize; 2]) -> bool {
    photo.x >= 0.0 && photo.y >= 0.0 && photo.x < width as f32 && photo.y < height as f32
}

fn surround(ui: &Ui) -> Color32 {
    let [r, g, b] = theme::surround(ui.visuals().dark_mode);
    Color32::from_rgb(r, g, b)
}
