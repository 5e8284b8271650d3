//! The panel on the left: classes and their prototypes, with colours, shares and switches.

use egui::{
    Align, Button, Color32, Layout, Panel, Rect, Response, RichText, ScrollArea, Sense, TextEdit, Ui, pos2,
    vec2,
};

use crate::explain::live::{Counts, Legend, Mode};

use super::app::Viewer;
use super::engine::ModelId;

/// Above so many classes there is a field to search them.
const MANY: usize = 16;

/// What the panel remembers.
#[derive(Default)]
pub struct LegendPanel {
    search: String,
    /// Classes whose prototypes are listed.
    open: std::collections::BTreeSet<usize>,
    /// A class to scroll to.
    reveal: Option<usize>,
    by_share: bool,
}

impl LegendPanel {
    /// Opens a class and scrolls to it.
    pub fn reveal(&mut self, class: usize) {
        self.open.insert(class);
        self.reveal = Some(class);
    }
}

/// What was done to an entry.
enum Act {
    Show(usize, bool),
    ShowPrototype(usize, usize, bool),
    Solo(usize),
    Select(usize, Option<usize>),
    Recolor(usize, [u8; 3]),
    RecolorPrototype(usize, usize, [u8; 3]),
    ShowAll,
}

impl Viewer {
    /// The panel.
    pub(super) fn legend_panel(&mut self, ui: &mut Ui) {
        let most = (0.4 * ui.available_width()).clamp(200.0, 420.0);
        Panel::left("legend").default_size(218.0).size_range(190.0..=most).show(ui, |ui| {
            // What is in it must not decide how wide it is.
            ui.set_min_width(ui.available_width());
            self.legend_list(ui);
        });
    }

    /// What is in it.
    pub(super) fn legend_list(&mut self, ui: &mut Ui) {
        let Some(model) = self.shown_model() else { return };
        let (Some(info), Some(legend)) = (&model.info, &model.legend) else {
            ui.weak("reading the model…");
            return;
        };
        let (id, legend) = (model.id, legend.clone());
        let names: Vec<String> = info.spec.classes.classes.iter().map(|class| class.name.clone()).collect();
        let counts = self.canvas.analysis().filter(|a| a.model == id).map(|a| a.counts.clone());
        let mut acts = Vec::new();
        self.legend_head(ui, &legend, &mut acts);
        let order = self.legend_order(&names, counts.as_ref());
        if order.is_empty() {
            ui.weak("no class of this name");
        }
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            for class in order {
                self.class_row(ui, class, &names[class], &legend, counts.as_ref(), &mut acts);
                let has_prototypes = legend.num_prototypes() > 1;
                if has_prototypes && self.legend.open.contains(&class) {
                    for k in 0..legend.num_prototypes() {
                        self.prototype_row(ui, [class, k], &legend, counts.as_ref(), &mut acts);
                    }
                }
            }
        });
        self.legend.reveal = None;
        self.act(id, acts);
    }

    fn legend_head(&mut self, ui: &mut Ui, legend: &Legend, acts: &mut Vec<Act>) {
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            ui.strong("Classes");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.add_enabled(!legend.shows_all(), Button::new("Show all").small()).clicked() {
                    acts.push(Act::ShowAll);
                }
                let sorted = ui.selectable_label(self.legend.by_share, RichText::new("by share").small());
                if sorted.on_hover_text("the largest first").clicked() {
                    self.legend.by_share ^= true;
                }
            });
        });
        if legend.num_classes() > MANY {
            ui.add(
                TextEdit::singleline(&mut self.legend.search)
                    .hint_text("search classes")
                    .desired_width(f32::INFINITY),
            );
        }
        ui.add_space(2.0);
    }

    /// Classes in the order in which they are listed.
    fn legend_order(&self, names: &[String], counts: Option<&Counts>) -> Vec<usize> {
        let wanted = self.legend.search.trim().to_lowercase();
        let searched = names.len() > MANY && !wanted.is_empty();
        let mut order: Vec<usize> = (0..names.len())
            .filter(|&class| !searched || names[class].to_lowercase().contains(&wanted))
            .collect();
        if let (true, Some(counts)) = (self.legend.by_share, counts) {
            order.sort_by_key(|&class| std::cmp::Reverse(counts.class(class)));
        }
        order
    }

    fn class_row(
        &self,
        ui: &mut Ui,
        class: usize,
        name: &str,
        legend: &Legend,
        counts: Option<&Counts>,
        acts: &mut Vec<Act>,
    ) {
        let row = ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            let mut color = legend.class(class);
            if swatch(ui, &mut color, name) {
                acts.push(Act::Recolor(class, color));
            }
            let mut shown = legend.shows(class);
            if eye(ui, &mut shown, name).clicked() {
                acts.push(Act::Show(class, shown));
            }
            let selected = self.selected == (class, None);
            let text = if legend.shows(class) { RichText::new(name) } else { RichText::new(name).weak() };
            let button = ui.add(Button::selectable(selected, text).truncate());
            let button = button.on_hover_text(hint(class, legend, counts));
            if button.double_clicked() {
                acts.push(Act::Solo(class));
            } else if button.clicked() {
                acts.push(Act::Select(class, None));
            }
            button.context_menu(|ui| {
                if ui.button("Show this class alone").clicked() {
                    acts.push(Act::Solo(class));
                    ui.close();
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let share = counts.map(|counts| counts.class(class) as f64 / counts.total().max(1) as f64);
                ui.label(RichText::new(share.map_or_else(String::new, percent)).small().weak());
            });
        });
        if self.legend.reveal == Some(class) {
            row.response.scroll_to_me(Some(Align::Center));
        }
    }

    fn prototype_row(
        &self,
        ui: &mut Ui,
        [class, k]: [usize; 2],
        legend: &Legend,
        counts: Option<&Counts>,
        acts: &mut Vec<Act>,
    ) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            ui.add_space(18.0);
            let name = format!("prototype {k}");
            let mut color = legend.prototype(class, k);
            if swatch(ui, &mut color, &name) {
                acts.push(Act::RecolorPrototype(class, k, color));
            }
            let mut shown = legend.shows_prototype(class, k);
            if eye(ui, &mut shown, &name).clicked() {
                acts.push(Act::ShowPrototype(class, k, shown));
            }
            let selected = self.selected == (class, Some(k));
            let text = RichText::new(k.to_string()).monospace();
            let button = ui
                .add(Button::selectable(selected, text))
                .on_hover_text("show the similarity to this prototype");
            if button.clicked() {
                acts.push(Act::Select(class, Some(k)));
            }
            let Some(counts) = counts else { return };
            let own = counts.of_class(class);
            let share = f64::from(own[k]) / counts.class(class).max(1) as f64;
            let width = (ui.available_width() - 46.0).max(20.0);
            bar(ui, width, share as f32, color);
            ui.label(RichText::new(if own[k] == 0 { "–".into() } else { percent(share) }).small().weak());
        });
    }

    fn act(&mut self, id: ModelId, acts: Vec<Act>) {
        for act in acts {
            if let Act::Select(class, k) = act {
                self.pick_entry(class, k);
                continue;
            }
            let Some(legend) = self.legend_mut(id) else { return };
            match act {
                Act::Show(class, shown) => legend.show(class, shown),
                Act::ShowPrototype(class, k, shown) => legend.show_prototype(class, k, shown),
                Act::Solo(class) => legend.solo(class),
                Act::Recolor(class, color) => legend.recolor(class, color),
                Act::RecolorPrototype(class, k, color) => legend.recolor_prototype(class, k, color),
                Act::ShowAll => legend.show_all(),
                Act::Select(..) => {}
            }
        }
    }

    /// A click on an entry: the class opens or closes; a prototype is shown as similarity.
    fn pick_entry(&mut self, class: usize, k: Option<usize>) {
        if k.is_none() && !self.legend.open.remove(&class) {
            self.legend.open.insert(class);
        }
        if k.is_some() {
            self.settings.mode = Mode::Similarity;
        }
        self.selected = (class, k);
    }
}

fn hint(class: usize, legend: &Legend, counts: Option<&Counts>) -> String {
    let mut text = String::new();
    if let Some(iou) = counts.and_then(|counts| counts.iou(class)) {
        text += &format!("IoU in this image {:.1} %\n", 100.0 * iou);
    }
    if legend.num_prototypes() > 1 {
        text += "click: its prototypes; ";
    }
    text + "double click: this class alone"
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.001 { "<0.1 %".into() } else { format!("{:.1} %", 100.0 * share) }
}

/// A colour that can be changed; true if it was.
fn swatch(ui: &mut Ui, color: &mut [u8; 3], name: &str) -> bool {
    let before = *color;
    ui.scope(|ui| {
        ui.spacing_mut().interact_size = vec2(16.0, 16.0);
        let button = ui.color_edit_button_srgb(color);
        button.on_hover_text(format!("colour of {name}"));
    });
    *color != before
}

/// A switch in the shape of an eye.
fn eye(ui: &mut Ui, shown: &mut bool, name: &str) -> Response {
    let (rect, mut response) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::click());
    if response.clicked() {
        *shown ^= true;
        response.mark_changed();
    }
    let on = *shown;
    response
        .widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, on, format!("show {name}")));
    let visuals = ui.style().interact(&response);
    let color = if on { visuals.text_color() } else { ui.visuals().weak_text_color().gamma_multiply(0.6) };
    let (c, painter) = (rect.center(), ui.painter());
    let lid = |up: f32| {
        [pos2(c.x - 6.5, c.y), pos2(c.x - 2.5, c.y - up), pos2(c.x + 2.5, c.y - up), pos2(c.x + 6.5, c.y)]
    };
    for up in [5.0, -5.0] {
        let curve = egui::epaint::CubicBezierShape::from_points_stroke(
            lid(up),
            false,
            Color32::TRANSPARENT,
            (1.2, color),
        );
        painter.add(curve);
    }
    if on {
        painter.circle_filled(c, 2.3, color);
    } else {
        painter.line_segment([c + vec2(-5.0, 5.0), c + vec2(5.0, -5.0)], (1.2, color));
    }
    response.on_hover_text(if on { format!("hide {name}") } else { format!("show {name}") })
}

/// A bar of a share.
pub(super) fn bar(ui: &mut Ui, width: f32, share: f32, color: [u8; 3]) {
    let (rect, _) = ui.allocate_exact_size(vec2(width, 8.0), Sense::hover());
    let [r, g, b] = color;
    ui.painter().rect_filled(rect, 3.0, ui.visuals().extreme_bg_color);
    let part = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0), rect.height()));
    ui.painter().rect_filled(part, 3.0, Color32::from_rgb(r, g, b));
}
