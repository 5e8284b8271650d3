//! The opened images, side by side at the bottom.

use std::collections::{BTreeMap, BTreeSet};

use egui::{
    Align, Color32, ColorImage, Context, Panel, Rect, Response, ScrollArea, Sense, StrokeKind, TextureHandle,
    TextureOptions, Ui, vec2,
};

use super::album::ImageId;
use super::app::Viewer;

/// Width and height of a small picture, in points.
const SIZE: [f32; 2] = [80.0, 60.0];
/// Space between two.
const SPACE: f32 = 6.0;

/// Small pictures that are kept.
const MAX_THUMBS: usize = 500;

/// Small pictures, made when they are first in sight.
#[derive(Default)]
pub struct Thumbs {
    made: BTreeMap<ImageId, TextureHandle>,
    asked: BTreeSet<ImageId>,
    /// The image that was scrolled to last.
    seen: Option<ImageId>,
}

impl Thumbs {
    /// Takes a small picture in.
    pub fn put(&mut self, context: &Context, id: ImageId, image: ColorImage) {
        if self.made.len() >= MAX_THUMBS {
            // Those in sight are asked for again.
            self.made.clear();
        }
        self.asked.remove(&id);
        self.made.insert(id, context.load_texture(format!("thumb {id}"), image, TextureOptions::LINEAR));
    }

    /// Whether one was asked for that is not made.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.asked.is_empty()
    }

    /// A small picture that was made.
    #[must_use]
    pub fn get(&self, id: ImageId) -> Option<&TextureHandle> {
        self.made.get(&id)
    }
}

impl Viewer {
    /// The strip.
    pub(super) fn filmstrip(&mut self, ui: &mut Ui) {
        if self.album.entries().len() < 2 {
            return;
        }
        Panel::bottom("filmstrip").exact_size(SIZE[1] + 22.0).show(ui, |ui| {
            let (width, count) = (SIZE[0] + SPACE, self.album.entries().len());
            let now = self.album.entries().iter().position(|entry| Some(entry.id) == self.current);
            let mut area = ScrollArea::horizontal().auto_shrink([false, false]);
            if let (Some(at), true) = (now, self.thumbs.seen != self.current) {
                // Brings a new image into sight.
                let left = (at as f32 + 0.5) * width - ui.available_width() / 2.0;
                area = area.horizontal_scroll_offset(left.max(0.0));
                self.thumbs.seen = self.current;
            }
            let (mut chosen, mut closed) = (None, None);
            area.show_viewport(ui, |ui, sight| {
                ui.set_width(width * count as f32);
                ui.set_height(SIZE[1] + 4.0);
                let origin = ui.min_rect().min;
                let first = (sight.left() / width).floor().max(0.0) as usize;
                let last = ((sight.right() / width).ceil() as usize).min(count);
                self.ask_thumbs(first.min(last)..last);
                for index in first..last {
                    let place =
                        Rect::from_min_size(origin + vec2(index as f32 * width, 4.0), vec2(SIZE[0], SIZE[1]));
                    let (id, thumb) = (self.album.entries()[index].id, self.thumb(ui, index, place));
                    if thumb.clicked() {
                        chosen = Some(id);
                    }
                    thumb.context_menu(|ui| {
                        if ui.button("Close this image").clicked() {
                            closed = Some(id);
                            ui.close();
                        }
                    });
                }
            });
            if let Some(id) = chosen {
                self.show_image(id);
            }
            if let Some(id) = closed {
                if self.current == Some(id) {
                    self.step_image(1);
                }
                self.album.remove(id);
            }
        });
    }

    /// Asks for the small pictures of the images with these indices that are not made; those asked for before and not begun are
    /// forgotten.
    pub(super) fn ask_thumbs(&mut self, indices: std::ops::Range<usize>) {
        let entries = &self.album.entries()[indices];
        let missing = entries.iter().filter(|entry| !self.thumbs.made.contains_key(&entry.id));
        let missing: Vec<_> = missing.map(|entry| (entry.id, entry.origin.clone())).collect();
        let ids: BTreeSet<ImageId> = missing.iter().map(|(id, _)| *id).collect();
        if ids.is_subset(&self.thumbs.asked) {
            return;
        }
        self.thumbs.asked = ids;
        for (index, (id, origin)) in missing.into_iter().enumerate() {
            self.reader.thumb(id, origin, index == 0);
        }
    }

    /// One small picture.
    fn thumb(&mut self, ui: &mut Ui, index: usize, place: Rect) -> Response {
        let entry = &self.album.entries()[index];
        let response = ui.interact(place, ui.scope_id().with(("thumb", entry.id)), Sense::click());
        let name = entry.name.clone();
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        let painter = ui.painter();
        painter.rect_filled(place, 4.0, ui.visuals().extreme_bg_color);
        if let Some(texture) = self.thumbs.made.get(&entry.id) {
            let size = texture.size_vec2();
            let scale = (place.width() / size.x).min(place.height() / size.y);
            let inner = Align::Center;
            let place = egui::Align2([inner, inner]).align_size_within_rect(size * scale, place);
            egui::Image::new(texture).corner_radius(4).paint_at(ui, place);
        }
        let shown = Some(entry.id) == self.current;
        let stroke = if shown {
            (2.0, ui.visuals().hyperlink_color)
        } else if response.hovered() {
            (1.0, ui.visuals().text_color())
        } else {
            (0.0, Color32::TRANSPARENT)
        };
        ui.painter().rect_stroke(place, 4.0, stroke, StrokeKind::Outside);
        response.on_hover_text(name)
    }
}
