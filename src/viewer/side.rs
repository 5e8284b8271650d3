//! The panel on the right: what is at a pixel, and room for gallery, health and training.

use egui::{Color32, Grid, Panel, RichText, ScrollArea, Ui};

use super::app::{Model, Viewer};
use super::legend::bar;
use super::settings::Tab;
use crate::explain::live::{Legend, Pixel};

/// Prototypes that are listed for a pixel.
const NEAREST: usize = 3;

impl Viewer {
    /// The panel.
    pub(super) fn side_panel(&mut self, ui: &mut Ui) {
        let most = (0.5 * ui.available_width()).clamp(220.0, 640.0);
        Panel::right("side").default_size(270.0).size_range(220.0..=most).show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.add_space(2.0);
            ui.horizontal(|ui| {
                for tab in Tab::ALL {
                    ui.selectable_value(&mut self.settings.tab, tab, tab.name());
                }
            });
            ui.separator();
            self.tab_body(ui);
        });
    }

    /// What the chosen tab holds.
    pub(super) fn tab_body(&mut self, ui: &mut Ui) {
        match self.settings.tab {
            Tab::Pixel => self.pixel_tab(ui),
            Tab::Health => self.health_tab(ui),
            Tab::Train => self.train_tab(ui),
            Tab::Gallery => self.gallery_tab(ui),
        }
    }

    fn pixel_tab(&mut self, ui: &mut Ui) {
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            let Some((pixel, id)) = &self.canvas.pixel else {
                ui.weak("Point at the picture to see why a pixel got its class; click to pin it.");
                return;
            };
            let Some(model) = self.models.iter().find(|model| model.id == *id) else { return };
            let (Some(info), Some(legend)) = (&model.info, &model.legend) else { return };
            let name =
                |class: usize| info.spec.classes.classes.get(class).map_or("?", |class| class.name.as_str());
            let has_prototypes = info.spec.head.kind.has_prototypes();
            head(ui, pixel, name(pixel.class), legend, has_prototypes);
            Grid::new("pixel").num_columns(2).spacing([12.0, 4.0]).show(ui, |ui| {
                let mut row = |key: &str, about: &str, value: String| {
                    ui.weak(key).on_hover_text(about);
                    ui.monospace(value);
                    ui.end_row();
                };
                if has_prototypes {
                    row("cosine", "to the nearest prototype of its class", format!("{:.3}", pixel.cosine));
                    row(
                        "distance",
                        "1 - cosine: large is unlike anything of its class",
                        format!("{:.3}", 1.0 - pixel.cosine),
                    );
                }
                let margin = if pixel.margin > 1e30 { "–".into() } else { format!("{:.3}", pixel.margin) };
                row("margin", "the class's logit minus the runner-up's", margin);
                row(
                    "confidence",
                    "probability against the runner-up",
                    format!("{:.1} %", 100.0 * pixel.confidence),
                );
                row("place", "column and row of the image", place(self, pixel));
            });
            self.truth_row(ui, pixel, model);
            if has_prototypes {
                ui.add_space(6.0);
                ui.strong("Nearest prototypes");
                for (class, k, cosine) in pixel.nearest(NEAREST, legend.num_prototypes()) {
                    ui.add_space(2.0);
                    ui.horizontal(|ui| {
                        ui.label(format!("{} · {k}", name(class)));
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            ui.monospace(format!("{cosine:.3}"));
                        });
                    });
                    bar(ui, ui.available_width(), cosine.max(0.0), legend.prototype(class, k));
                }
            }
            ui.add_space(8.0);
            let hint =
                if self.canvas.pin.is_some() { "pinned; click it again to let go" } else { "click to pin" };
            ui.label(RichText::new(hint).small().weak());
        });
    }

    /// What the labels say.
    fn truth_row(&self, ui: &mut Ui, pixel: &Pixel, model: &Model) {
        let analysis = self.canvas.analysis_of(model.id);
        let Some(truth) =
            analysis.and_then(|analysis| analysis.truth.as_ref().map(|truth| (analysis, truth)))
        else {
            return;
        };
        let (analysis, truth) = truth;
        let label = truth.get(pixel.at[1] * analysis.maps.size[1] + pixel.at[0]).copied().flatten();
        let classes = model.info.as_ref().map(|info| &info.spec.classes.classes);
        ui.horizontal(|ui| {
            ui.weak("label");
            match label.and_then(|class| Some((class as usize, classes?.get(class as usize)?))) {
                Some((class, info)) if class == pixel.class => {
                    ui.colored_label(Color32::from_rgb(70, 160, 110), format!("{}, as predicted", info.name));
                }
                Some((_, info)) => {
                    ui.colored_label(
                        Color32::from_rgb(220, 90, 70),
                        format!("{}, not {}", info.name, classes.map_or("", |all| &all[pixel.class].name)),
                    );
                }
                None => {
                    ui.weak("none here");
                }
            }
        });
    }
}

fn head(ui: &mut Ui, pixel: &Pixel, class: &str, legend: &Legend, has_prototypes: bool) {
    ui.horizontal(|ui| {
        let [r, g, b] = if has_prototypes {
            legend.prototype(pixel.class, pixel.prototype)
        } else {
            legend.class(pixel.class)
        };
        let (rect, _) = ui.allocate_exact_size(egui::vec2(18.0, 18.0), egui::Sense::hover());
        ui.painter().rect_filled(rect, 4.0, Color32::from_rgb(r, g, b));
        ui.label(RichText::new(class).heading());
        if has_prototypes {
            ui.weak(format!("prototype {}", pixel.prototype));
        }
    });
    ui.add_space(4.0);
}

/// Column and row in the image.
fn place(viewer: &Viewer, pixel: &Pixel) -> String {
    match viewer.canvas.pin.or(viewer.canvas.hover.map(|hover| hover.0)) {
        Some(photo) => format!("{}, {}", photo.x as i64, photo.y as i64),
        None => format!("{}, {}", pixel.at[0], pixel.at[1]),
    }
}
