//! The window without an image.

use egui::{Align, Button, Frame, Layout, Rect, RichText, ScrollArea, Sense, StrokeKind, Ui, vec2};

use super::album::ImageId;
use super::app::Viewer;
use super::files::Choice;
use crate::disk;

/// Where the shipped models are, from the folder that the program is started in.
const SHIPPED: [(&str, &str); 2] = [
    ("models/street-small.safetensors", "for drawn streets"),
    ("models/camvid-mobilenetv2.safetensors", "for photographs of streets"),
];
/// Scenes that are shown.
const SCENES: usize = 6;
/// Width and height of one, in points.
const SIZE: [f32; 2] = [160.0, 120.0];

impl Viewer {
    /// What there is to begin with.
    pub(super) fn welcome(&mut self, ui: &mut Ui) {
        if self.album.entries().is_empty() {
            self.add_scenes();
        }
        Frame::central_panel(ui.style()).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                ui.with_layout(Layout::top_down(Align::Center), |ui| {
                    ui.add_space((ui.available_height() * 0.07).clamp(6.0, 70.0));
                    ui.label(RichText::new("protoseg").size(34.0).strong());
                    ui.label(RichText::new("see why every pixel got its class").size(16.0).weak());
                    ui.add_space(16.0);
                    ui.label(RichText::new("These streets were drawn just now. Click one.").weak());
                    ui.add_space(6.0);
                    let chosen = self.scenes(ui);
                    ui.add_space(20.0);
                    self.beginnings(ui);
                    if let Some(id) = chosen {
                        self.begin_with(id);
                    }
                });
            });
        });
    }

    /// Small pictures of drawn scenes; the one that was clicked.
    fn scenes(&mut self, ui: &mut Ui) -> Option<ImageId> {
        let columns = ((ui.available_width() - 20.0) / (SIZE[0] + 10.0)).floor().clamp(1.0, 3.0) as usize;
        let count = SCENES.min(self.album.entries().len());
        let rows = count.div_ceil(columns);
        let (width, height) = (SIZE[0] + 10.0, SIZE[1] + 10.0);
        let (all, _) =
            ui.allocate_exact_size(vec2(width * columns as f32, height * rows as f32), Sense::hover());
        self.ask_thumbs(0..count);
        let mut chosen = None;
        for index in 0..count {
            let at = vec2((index % columns) as f32 * width + 5.0, (index / columns) as f32 * height + 5.0);
            let place = Rect::from_min_size(all.min + at, vec2(SIZE[0], SIZE[1]));
            let id = self.album.entries()[index].id;
            let response = ui.interact(place, ui.scope_id().with(("scene", id)), Sense::click());
            let name = self.album.entries()[index].name.clone();
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
            ui.painter().rect_filled(place, 6.0, ui.visuals().extreme_bg_color);
            if let Some(texture) = self.thumbs.get(id) {
                egui::Image::new(texture).corner_radius(6).paint_at(ui, place);
            }
            if response.hovered() {
                let stroke = (2.0, ui.visuals().hyperlink_color);
                ui.painter().rect_stroke(place, 6.0, stroke, StrokeKind::Outside);
            }
            if response.clicked() {
                chosen = Some(id);
            }
        }
        chosen
    }

    /// Shows a scene, with the model that was made for such if there is none yet.
    fn begin_with(&mut self, id: ImageId) {
        let path = std::path::Path::new(SHIPPED[0].0);
        if self.model.is_none() && disk::is_file(path) {
            self.open_model(path);
        }
        self.show_image(id);
    }

    /// Buttons to open something.
    fn beginnings(&mut self, ui: &mut Ui) {
        let wide = vec2(300.0, 32.0);
        let mut open = None;
        for (path, about) in SHIPPED {
            let path = std::path::Path::new(path);
            if !disk::is_file(path) {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if ui.add_sized(wide, Button::new(format!("{name}, {about}"))).clicked() {
                open = Some(path.to_path_buf());
            }
        }
        for (text, choice) in [
            ("Open a model…", Choice::Model),
            ("Open images…", Choice::Images),
            ("Open a folder or data set…", Choice::Folder),
        ] {
            if ui.add_sized(wide, Button::new(text)).clicked() {
                self.choose(choice);
            }
        }
        let recent = &self.settings.recent_images;
        if !recent.is_empty() {
            ui.add_space(14.0);
            ui.label(RichText::new("Recent").weak());
            for path in recent.iter().take(5) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if ui.link(name).on_hover_text(path.display().to_string()).clicked() {
                    open = Some(path.clone());
                }
            }
        }
        ui.add_space(14.0);
        let hint = "or drop images, folders, models and data sets anywhere; ? lists the keys";
        ui.label(RichText::new(hint).weak());
        self.open_all(open);
    }
}
