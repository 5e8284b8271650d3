//! Windows as narrow as a phone: the panels lie below the picture, one at a time.

use egui::{Panel, ScrollArea, Ui};

use super::app::Viewer;
use super::settings::Tab;

/// Windows narrower than this, in points, have no panels beside the picture.
pub const NARROW: f32 = 640.0;

impl Viewer {
    /// The legend or a tab of the side panel, below the picture.
    pub(super) fn sheet(&mut self, ui: &mut Ui) {
        let height = ui.available_height();
        Panel::bottom("sheet").default_size(0.4 * height).size_range(90.0..=0.75 * height).show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            ui.add_space(2.0);
            ScrollArea::horizontal().auto_shrink([false, true]).show(ui, |ui| {
                ui.horizontal(|ui| {
                    if ui.selectable_label(self.sheet_legend, "Classes").clicked() {
                        self.sheet_legend = true;
                    }
                    for tab in Tab::ALL {
                        let shown = !self.sheet_legend && self.settings.tab == tab;
                        if ui.selectable_label(shown, tab.name()).clicked() {
                            (self.settings.tab, self.sheet_legend) = (tab, false);
                        }
                    }
                });
            });
            ui.separator();
            if self.sheet_legend {
                self.legend_list(ui);
            } else {
                self.tab_body(ui);
            }
        });
    }
}
