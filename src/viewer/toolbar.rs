//! The bar on top and the line at the bottom.

use egui::{Button, ComboBox, Panel, Response, RichText, ScrollArea, Slider, Ui};

use crate::explain::live::{ClassColors, Mode, PrototypeColors};
use crate::words::counted;

use super::app::{Compare, Viewer};
use super::files::Choice;
use super::settings::Theme;
use super::sheet::NARROW;

/// Longer sides at which images can be analysed.
const LIMITS: [usize; 5] = [512, 768, 1024, 1536, 2048];

impl Viewer {
    /// The bar on top.
    pub(super) fn toolbar(&mut self, ui: &mut Ui) {
        Panel::top("toolbar").show(ui, |ui| {
            ui.add_space(3.0);
            if ui.available_width() < NARROW {
                ScrollArea::horizontal().show(ui, |ui| ui.horizontal(|ui| self.tools(ui)));
            } else {
                ui.horizontal_wrapped(|ui| self.tools(ui));
            }
            ui.add_space(3.0);
        });
    }

    fn tools(&mut self, ui: &mut Ui) {
        let narrow = ui.ctx().content_rect().width() < 1000.0;
        if narrow {
            ui.spacing_mut().slider_width = 70.0;
            ui.spacing_mut().item_spacing.x = 4.0;
        }
        self.open_menu(ui);
        self.model_menu(ui);
        ui.separator();
        self.mode_box(ui, 0);
        let opacity = Slider::new(&mut self.settings.opacity, 0.0..=1.0).show_value(false);
        named(&ui.add(opacity), "opacity of the colours ([ and ])");
        if !narrow {
            ui.add_space(-4.0);
            ui.label(RichText::new("opacity").small().weak());
        }
        self.style_menu(ui);
        ui.separator();
        self.compare_controls(ui);
        ui.separator();
        self.view_menu(ui);
    }

    fn open_menu(&mut self, ui: &mut Ui) {
        ui.menu_button("Open", |ui| {
            let mut choose = None;
            for (choice, text) in [
                (Choice::Model, "Model…"),
                (Choice::Images, "Images…"),
                (Choice::Folder, "Folder or data set…"),
            ] {
                if ui.button(text).clicked() {
                    choose = Some(choice);
                    ui.close();
                }
            }
            if let Some(choice) = choose {
                self.choose(choice);
            }
            if ui.button("Draw new street scenes").clicked() {
                self.draw_scenes();
                ui.close();
            }
            let mut open = None;
            for (title, list) in [
                ("Recent models", &self.settings.recent_models),
                ("Recent images", &self.settings.recent_images),
            ] {
                if list.is_empty() {
                    continue;
                }
                ui.separator();
                ui.label(RichText::new(title).weak().small());
                for path in list {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    if ui.button(name).on_hover_text(path.display().to_string()).clicked() {
                        open = Some(path.clone());
                        ui.close();
                    }
                }
            }
            self.open_all(open);
            if !self.album.entries().is_empty() {
                ui.separator();
                if ui.button("Close all images").clicked() {
                    self.album.clear();
                    self.current = None;
                    self.canvas.leave_image();
                    ui.close();
                }
            }
        });
    }

    fn model_menu(&mut self, ui: &mut Ui) {
        if self.models.is_empty() {
            return;
        }
        let name = self.shown_model().map_or("no model", |model| model.name.as_str()).to_owned();
        let (mut show, mut close) = (None, None);
        ui.menu_button(shortened(&name, 24), |ui| {
            for model in &self.models {
                ui.horizontal(|ui| {
                    let shown = Some(model.id) == self.model;
                    let button = ui.selectable_label(shown, &model.name);
                    let button = match &model.info {
                        Some(info) => button.on_hover_text(about(model, info)),
                        None => button.on_hover_text("being read"),
                    };
                    if button.clicked() {
                        show = Some(model.id);
                        ui.close();
                    }
                    if ui.small_button("close").on_hover_text("close this model").clicked() {
                        close = Some(model.id);
                    }
                });
            }
        });
        if let Some(id) = show {
            self.model = Some(id);
        }
        if let Some(id) = close {
            self.close_model(id);
        }
    }

    /// The choice of what is coloured in a slot.
    fn mode_box(&mut self, ui: &mut Ui, slot: usize) {
        let id = if slot == 1 { self.second.model.or(self.model) } else { self.model };
        let model = self.models.iter().find(|model| Some(model.id) == id);
        let has_prototypes =
            model.and_then(|m| m.info.as_ref()).is_none_or(|i| i.spec.head.kind.has_prototypes());
        let has_truth = self.current.and_then(|id| self.pictures.get(&id)).is_none_or(|p| p.truth.is_some());
        let now = if slot == 0 { self.settings.mode } else { self.second.mode.unwrap_or(self.settings.mode) };
        let mut chosen = None;
        let combo = ComboBox::from_id_salt(("mode", slot)).selected_text(now.name()).height(320.0);
        let shown = combo.show_ui(ui, |ui| {
            for mode in Mode::ALL {
                let possible =
                    (has_prototypes || !mode.needs_prototypes()) && (has_truth || !mode.needs_truth());
                let button = ui.add_enabled(possible, Button::selectable(mode == now, mode.name()));
                let missing = if mode.needs_truth() {
                    "This image came without labels."
                } else {
                    "This model has no prototypes."
                };
                if button.on_hover_text(mode.about()).on_disabled_hover_text(missing).clicked() {
                    chosen = Some(mode);
                }
            }
        });
        let title = ["what is coloured", "what the second picture colours"][slot];
        named(&shown.response, title);
        match (chosen, slot) {
            (Some(mode), 0) => self.settings.mode = mode,
            (Some(mode), _) => self.second.mode = Some(mode),
            (None, _) => {}
        }
    }

    fn style_menu(&mut self, ui: &mut Ui) {
        ui.menu_button("Style", |ui| {
            ui.set_min_width(230.0);
            ui.label(RichText::new("Regions").weak().small());
            ui.horizontal(|ui| {
                for (value, name) in [(0, "filled"), (2, "filled, outlined"), (1, "outlines")] {
                    ui.selectable_value(&mut self.settings.contour, value, name);
                }
            });
            ui.add(Slider::new(&mut self.settings.grey, 0.0..=1.0).text("grey photograph").show_value(false));
            ui.checkbox(&mut self.settings.by_strength, "paler where prototypes compete");
            ui.separator();
            let before = (self.settings.class_colors, self.settings.prototype_colors);
            ui.label(RichText::new("Classes").weak().small());
            let colors = &mut self.settings.class_colors;
            ui.radio_value(colors, ClassColors::Dataset, "colours of the data set");
            ui.radio_value(colors, ClassColors::ColorBlind, "colour-blind safe");
            ui.label(RichText::new("Prototypes").weak().small());
            let colors = &mut self.settings.prototype_colors;
            ui.radio_value(colors, PrototypeColors::Shades, "shades of the class");
            ui.radio_value(colors, PrototypeColors::Distinct, "the same distinct colours in each class");
            if before != (self.settings.class_colors, self.settings.prototype_colors) {
                self.recolor();
            }
            ui.separator();
            ui.label(RichText::new("Analyse images at").weak().small());
            ui.horizontal(|ui| {
                for limit in LIMITS {
                    ui.selectable_value(&mut self.settings.limit, limit, limit.to_string());
                }
            });
        });
    }

    fn compare_controls(&mut self, ui: &mut Ui) {
        for (compare, name, about) in [
            (Compare::Wipe, "Wipe", "a slider between two pictures (W)"),
            (Compare::Side, "Side", "two pictures with one view (S)"),
        ] {
            let on = self.compare == compare;
            if ui.selectable_label(on, name).on_hover_text(about).clicked() {
                self.toggle_compare(compare);
            }
        }
        if self.compare == Compare::Off {
            return;
        }
        self.mode_box(ui, 1);
        if self.models.len() > 1 {
            let id = self.second.model.or(self.model);
            let name = self.models.iter().find(|model| Some(model.id) == id).map_or("", |model| &model.name);
            let combo = ComboBox::from_id_salt("second model").selected_text(shortened(name, 20));
            let shown = combo.show_ui(ui, |ui| {
                for model in &self.models {
                    if ui.selectable_label(Some(model.id) == id, &model.name).clicked() {
                        self.second.model = Some(model.id);
                    }
                }
            });
            named(&shown.response, "model of the second picture");
        }
    }

    fn view_menu(&mut self, ui: &mut Ui) {
        ui.menu_button("View", |ui| {
            ui.checkbox(&mut self.settings.show_legend, "Legend (L)");
            ui.checkbox(&mut self.settings.show_side, "Side panel (P)");
            ui.checkbox(&mut self.settings.show_filmstrip, "Filmstrip (B)");
            let about = "draws without a pause and tells how long frames take";
            ui.checkbox(&mut self.pace.shown, "Frame times").on_hover_text(about);
            ui.separator();
            for (theme, name) in
                [(Theme::System, "Theme of the system"), (Theme::Light, "Light"), (Theme::Dark, "Dark")]
            {
                ui.radio_value(&mut self.settings.theme, theme, name);
            }
        });
        self.export_menu(ui);
        if ui.button("?").on_hover_text("shortcuts").clicked() {
            self.help = !self.help;
        }
    }

    /// The line at the bottom.
    pub(super) fn status_bar(&mut self, ui: &mut Ui) {
        Panel::bottom("status").exact_size(24.0).show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                let weak = |text: String| RichText::new(text).small().weak();
                let entry = self.current.and_then(|id| self.album.get(id));
                if let Some(entry) = entry {
                    ui.label(RichText::new(&entry.name).small()).on_hover_text(entry.origin.place());
                }
                let picture = self.current.and_then(|id| self.pictures.get(&id)).cloned();
                if let Some(picture) = picture {
                    let [height, width] = picture.image_size();
                    ui.label(weak(format!("{width} × {height}")));
                }
                let narrow = ui.ctx().content_rect().width() < NARROW;
                if let (Some(analysis), false) = (self.canvas.analysis(), narrow) {
                    let [height, width] = analysis.maps.size;
                    let seconds = analysis.seconds;
                    // A picture of the window is the same every time.
                    let took =
                        if self.shot.is_some() { String::new() } else { format!(" in {seconds:.2} s") };
                    ui.label(weak(format!("analysed at {width} × {height}{took}")));
                    if let Some(miou) = analysis.counts.miou() {
                        let about =
                            "mean intersection over union of the classes that this image's labels have";
                        ui.label(weak(format!("mIoU {:.1} %", 100.0 * miou))).on_hover_text(about);
                    }
                }
                if let Some(text) = self.pace.text() {
                    ui.label(RichText::new(text).small());
                }
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if self.current.is_some() {
                        let percent = 100.0 * self.canvas.view.zoom;
                        ui.label(weak(format!("{percent:.0} %")));
                        for (name, about, zoom) in [
                            ("1:1", "one pixel of the image for one of the screen (1 with Ctrl)", Some(1.0)),
                            ("Fit", "the whole image (Home)", None),
                        ] {
                            if ui.small_button(name).on_hover_text(about).clicked() {
                                match zoom {
                                    Some(zoom) => {
                                        self.canvas.zoom_to(zoom, ui.pixels_per_point(), self.compare)
                                    }
                                    None => self.canvas.fitted = true,
                                }
                            }
                        }
                    }
                    if narrow {
                        return;
                    }
                    ui.label(weak(self.gpu.name().split(" (").next().unwrap_or_default().to_owned()))
                        .on_hover_text(self.gpu.name());
                });
            });
        });
    }

    /// Name of what a slot shows.
    pub(super) fn slot_name(&self, slot: usize) -> String {
        let mode =
            if slot == 1 { self.second.mode.unwrap_or(self.settings.mode) } else { self.settings.mode };
        let id = if slot == 1 { self.second.model.or(self.model) } else { self.model };
        let model = self.models.iter().find(|model| Some(model.id) == id).map_or("", |model| &model.name);
        if self.models.len() > 1 { format!("{model} · {}", mode.name()) } else { mode.name().to_owned() }
    }
}

/// Gives a control that shows no text of its own a name for screen readers.
pub(super) fn named(response: &Response, name: &str) -> Response {
    response.ctx.accesskit_node_builder(response.id, |node| node.set_label(name));
    response.clone().on_hover_text(name)
}

/// What the menu says of a model.
fn about(model: &super::app::Model, info: &super::engine::ModelInfo) -> String {
    let spec = &info.spec;
    let head = if spec.head.kind.has_prototypes() {
        counted(spec.net.prototypes, "prototype")
    } else {
        format!("a {} head", spec.head.kind.name())
    };
    let scored =
        spec.provenance.miou.map_or_else(String::new, |m| format!("; validation mIoU {:.1} %", 100.0 * m));
    format!(
        "{}\nclasses: {}, with {} each; {:.1} MB\nstep {}{scored}",
        model.path.display(),
        spec.num_classes(),
        head,
        info.bytes as f64 / 1e6,
        spec.provenance.step,
    )
}

/// A name that fits a button.
pub(super) fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        name.to_owned()
    } else {
        name.chars().take(most - 1).collect::<String>() + "…"
    }
}
