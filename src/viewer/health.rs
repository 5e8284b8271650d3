//! Whether every prototype of a class does its share of the work: the panel's numbers, and what they say in words.

use egui::{
    Align, Button, Color32, Grid, Layout, Rect, Response, RichText, ScrollArea, Sense, Stroke, Ui, pos2, vec2,
};

use crate::explain::live::{Legend, Mode, ramp};
use crate::proto::{ClassHealth, TWIN_COSINE, health};
use crate::words::counted;

use super::album::ImageId;
use super::app::Viewer;
use super::engine::ModelId;
use super::legend::percent;

/// Largest side of the matrix of cosines, in points.
const MATRIX: f32 = 250.0;
/// Largest side of one of its squares.
const CELL: f32 = 36.0;
/// Above so many prototypes the matrix's rows have no room for their numbers.
const MANY: usize = 24;
/// What is written in the colour of something to look at.
const WARN: Color32 = Color32::from_rgb(222, 132, 40);

/// What the panel keeps from frame to frame.
#[derive(Default)]
pub struct HealthPanel {
    /// What the numbers were made of: a model, the tallies' revision, the shown image, the number of opened ones.
    of: Option<(ModelId, u64, Option<ImageId>, usize)>,
    /// Of the shown image.
    here: Option<Vec<ClassHealth>>,
    /// Of all that were analysed, and how many these are.
    all: (Vec<ClassHealth>, usize),
    /// The class that the list was scrolled to last.
    seen: Option<usize>,
}

impl Viewer {
    /// Makes the panel's numbers anew where something was analysed or another image is shown.
    fn update_health(&mut self, model: ModelId) {
        let of = (model, self.tallies.revision(), self.current, self.album.entries().len());
        if self.health.of == Some(of) {
            return;
        }
        self.health.of = Some(of);
        let Some(tally) = self.tallies.get(model) else {
            (self.health.here, self.health.all) = (None, (Vec::new(), 0));
            return;
        };
        let found = |images: &[ImageId]| {
            let (counts, images) = tally.sum(images.iter().copied());
            (health(&tally.protos, &counts, tally.shape), images)
        };
        let (here, images) = found(self.current.as_slice());
        let opened: Vec<ImageId> = self.album.entries().iter().map(|entry| entry.id).collect();
        (self.health.here, self.health.all) = ((images > 0).then_some(here), found(&opened));
    }

    /// The panel.
    pub(super) fn health_tab(&mut self, ui: &mut Ui) {
        let Some(model) = self.shown_model() else {
            ui.weak("Open a model to see how its prototypes share the work.");
            return;
        };
        let (Some(info), Some(legend)) = (&model.info, &model.legend) else {
            ui.weak("reading the model…");
            return;
        };
        if !info.spec.head.kind.has_prototypes() {
            let name = info.spec.head.kind.name();
            ui.weak(format!("This model's {name} head has no prototypes, so there is no health to look at."));
            return;
        }
        let names: Vec<String> = info.spec.classes.classes.iter().map(|class| class.name.clone()).collect();
        let (id, legend) = (model.id, legend.clone());
        self.update_health(id);
        let HealthPanel { here, all: (all, images), seen, .. } = &self.health;
        let images = *images;
        if images == 0 {
            ui.weak("Open an image: usage is counted in the images that were analysed.");
            return;
        }
        let mut chosen = None;
        let class = self.selected.0.min(all.len() - 1);
        let most = (0.34 * ui.available_height()).max(96.0);
        let scroll = *seen != Some(class);
        class_list(ui, &names, (all, &legend), (class, scroll), most, &mut chosen);
        ui.separator();
        ScrollArea::vertical().id_salt("health").auto_shrink([false, false]).show(ui, |ui| {
            ui.horizontal(|ui| {
                dot(ui, legend.class(class));
                ui.label(RichText::new(&names[class]).heading());
            });
            numbers(ui, &all[class]);
            verdict(ui, &all[class], images);
            ui.add_space(6.0);
            let here = here.as_ref().map(|here| &here[class]);
            usage(ui, class, here, &all[class], &legend, images, &mut chosen);
            if all[class].counts.len() > 1 {
                ui.add_space(8.0);
                matrix(ui, class, &all[class], &mut chosen);
            }
        });
        // One that is clicked is in sight already.
        self.health.seen = chosen.map_or(Some(class), |chosen| Some(chosen.0));
        if let Some((class, k)) = chosen {
            self.select(class, k);
            if k.is_some() {
                self.settings.mode = Mode::Similarity;
            }
        }
    }
}

type Chosen = Option<(usize, Option<usize>)>;

/// A small square in a colour.
pub(super) fn dot(ui: &mut Ui, [r, g, b]: [u8; 3]) {
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, Color32::from_rgb(r, g, b));
}

/// A triangle that asks for a look.
pub(super) fn warning(ui: &mut Ui) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(12.0, 12.0), Sense::hover());
    let (c, painter) = (rect.center(), ui.painter());
    let corners = vec![c + vec2(0.0, -5.5), c + vec2(6.0, 5.0), c + vec2(-6.0, 5.0)];
    painter.add(egui::Shape::convex_polygon(corners, WARN, Stroke::NONE));
    let ink = ui.visuals().extreme_bg_color;
    painter.line_segment([c + vec2(0.0, -2.0), c + vec2(0.0, 1.5)], (1.5, ink));
    painter.circle_filled(c + vec2(0.0, 3.4), 0.9, ink);
    response
}

/// The classes, with a mark where something is wrong.
fn class_list(
    ui: &mut Ui,
    names: &[String],
    (found, legend): (&[ClassHealth], &Legend),
    (selected, scroll): (usize, bool),
    most: f32,
    chosen: &mut Chosen,
) {
    ui.horizontal(|ui| {
        ui.strong("Classes");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let about = "how many of a class's prototypes do the work: exp of the entropy of their shares";
            ui.label(RichText::new("at work").small().weak()).on_hover_text(about);
        });
    });
    ScrollArea::vertical().id_salt("health classes").max_height(most).auto_shrink([false, true]).show(
        ui,
        |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for (class, (name, health)) in names.iter().zip(found).enumerate() {
                let row = ui.horizontal(|ui| {
                    dot(ui, legend.class(class));
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        let k = health.counts.len();
                        let text = if health.effective > 0.0 {
                            format!("{:.1} of {k}", health.effective)
                        } else {
                            "–".into()
                        };
                        ui.label(RichText::new(text).small().weak());
                        if let Some(trouble) = trouble(health) {
                            warning(ui).on_hover_text(trouble);
                        }
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                            let button =
                                ui.add(Button::selectable(class == selected, name.as_str()).truncate());
                            if button.clicked() {
                                *chosen = Some((class, None));
                            }
                        });
                    });
                });
                if scroll && class == selected {
                    row.response.scroll_to_me(Some(Align::Center));
                }
            }
        },
    );
}

/// What is wrong with a class in a few words.
fn trouble(health: &ClassHealth) -> Option<String> {
    let dead = (!health.dead.is_empty()).then(|| format!("{} without a pixel", health.dead.len()));
    let twins =
        (!health.twins.is_empty()).then(|| format!("{} of twins", counted(health.twins.len(), "pair")));
    let parts: Vec<String> = dead.into_iter().chain(twins).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn numbers(ui: &mut Ui, health: &ClassHealth) {
    let k = health.counts.len();
    Grid::new("health numbers").num_columns(2).spacing([12.0, 4.0]).show(ui, |ui| {
        let mut row = |key: &str, about: &str, value: String| {
            ui.weak(key).on_hover_text(about);
            ui.monospace(value);
            ui.end_row();
        };
        let effective =
            if health.effective > 0.0 { format!("{:.2} of {k}", health.effective) } else { "–".into() };
        row("at work", "exp of the entropy of the prototypes' shares, 1 to K", effective);
        if k > 1 {
            row(
                "mean cosine",
                "over the pairs of the class's prototypes",
                format!("{:.3}", health.mean_cosine),
            );
            row("highest cosine", "of the closest pair", format!("{:.3}", health.max_cosine));
        }
    });
}

/// Which prototypes are twins and which are dead.
fn sentences(health: &ClassHealth, images: usize) -> Vec<String> {
    let k = health.counts.len();
    let looked_at = if images == 1 { "this image".into() } else { format!("{images} images") };
    if health.effective == 0.0 {
        return vec![format!("No pixel of {looked_at} is predicted as this class.")];
    }
    let mut out = Vec::new();
    match health.dead[..] {
        [] => {}
        [one] => out.push(format!("Prototype {one} has no pixel in {looked_at}.")),
        _ => {
            let list: Vec<String> = health.dead.iter().map(usize::to_string).collect();
            out.push(format!("Prototypes {} have no pixel in {looked_at}.", joined(&list)));
        }
    }
    for &(a, b) in &health.twins {
        let cosine = health.cosines[a * k + b];
        out.push(format!(
            "Prototypes {a} and {b} are twins (cosine {cosine:.3}): they stand for the same thing."
        ));
    }
    out
}

/// "1, 2 and 3".
fn joined(list: &[String]) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn verdict(ui: &mut Ui, health: &ClassHealth, images: usize) {
    let found = sentences(health, images);
    ui.add_space(2.0);
    if found.is_empty() {
        let text = match health.counts.len() {
            1 => "Its one prototype is in use.".to_owned(),
            k => format!("All {k} are in use, and no two are twins."),
        };
        ui.label(RichText::new(text).color(Color32::from_rgb(58, 156, 110)));
    }
    for sentence in found {
        let color = if health.effective == 0.0 { ui.visuals().weak_text_color() } else { WARN };
        ui.label(RichText::new(sentence).color(color));
    }
}

/// Share of each prototype, in the shown image and in all.
fn usage(
    ui: &mut Ui,
    class: usize,
    here: Option<&ClassHealth>,
    all: &ClassHealth,
    legend: &Legend,
    images: usize,
    chosen: &mut Chosen,
) {
    ui.strong("Share of the class's pixels");
    let columns: Vec<(String, &ClassHealth)> = here
        .map(|here| ("this image".to_owned(), here))
        .into_iter()
        .chain((here.is_none() || images > 1).then(|| (counted(images, "image"), all)))
        .collect();
    let number = 26.0;
    let width = ((ui.available_width() - number) / columns.len() as f32).max(60.0);
    let (line, small) = (19.0, egui::FontId::proportional(11.0));
    let (head, _) = ui.allocate_exact_size(vec2(ui.available_width(), 14.0), Sense::hover());
    let weak = ui.visuals().weak_text_color();
    for (at, (title, _)) in columns.iter().enumerate() {
        let place = pos2(head.left() + number + at as f32 * width, head.center().y);
        ui.painter().text(place, egui::Align2::LEFT_CENTER, title, small.clone(), weak);
    }
    // Relative to the busiest prototype: with many an equal share would be too short to compare.
    let most = columns.iter().flat_map(|(_, health)| &health.usage).copied().fold(1e-9, f64::max);
    ui.spacing_mut().item_spacing.y = 0.0;
    for k in 0..all.counts.len() {
        let (row, response) = ui.allocate_exact_size(vec2(ui.available_width(), line), Sense::click());
        let response = response.on_hover_text(format!("click: similarity to prototype {k}"));
        response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("prototype {k}")));
        if response.hovered() {
            ui.painter().rect_filled(row, 4.0, ui.visuals().faint_bg_color);
        }
        if response.clicked() {
            *chosen = Some((class, Some(k)));
        }
        let [r, g, b] = legend.prototype(class, k);
        let place = pos2(row.left() + 4.0, row.center().y);
        let text = k.to_string();
        ui.painter().text(place, egui::Align2::LEFT_CENTER, text, egui::FontId::monospace(12.0), weak);
        for (at, (_, health)) in columns.iter().enumerate() {
            let left = row.left() + number + at as f32 * width;
            let (bar, label) = ((width - 52.0).max(16.0), 46.0);
            let track = Rect::from_min_size(pos2(left, row.center().y - 4.0), vec2(bar, 8.0));
            ui.painter().rect_filled(track, 3.0, ui.visuals().extreme_bg_color);
            let share = health.usage[k];
            let part = vec2(bar * (share / most) as f32, 8.0);
            ui.painter().rect_filled(Rect::from_min_size(track.min, part), 3.0, Color32::from_rgb(r, g, b));
            let dead = health.dead.contains(&k);
            let (text, color) = if dead { ("none".into(), WARN) } else { (percent(share), weak) };
            let place = pos2(left + bar + label, row.center().y);
            ui.painter().text(place, egui::Align2::RIGHT_CENTER, text, small.clone(), color);
        }
    }
}

/// The cosines of all pairs as squares on the ramp; twins are framed.
fn matrix(ui: &mut Ui, class: usize, health: &ClassHealth, chosen: &mut Chosen) {
    let k = health.counts.len();
    ui.spacing_mut().item_spacing.y = 4.0;
    ui.strong("Cosines of all pairs");
    let margin = if k <= MANY { 18.0 } else { 0.0 };
    let side = (ui.available_width() - margin - 4.0).clamp(60.0, MATRIX).min(CELL * k as f32);
    let (rect, response) = ui.allocate_exact_size(vec2(side + margin, side + margin), Sense::click());
    let cells = Rect::from_min_size(rect.min + vec2(margin, margin), vec2(side, side));
    let cell = side / k as f32;
    let colors = ramp();
    let [low, high] = Mode::Similarity.range().unwrap_or([-1.0, 1.0]);
    let color = |cosine: f64| {
        let [r, g, b] = colors[((cosine as f32 - low) / (high - low) * 255.0).clamp(0.0, 255.0) as usize];
        Color32::from_rgb(r, g, b)
    };
    let at = |a: usize, b: usize| {
        let min = cells.min + vec2(b as f32 * cell, a as f32 * cell);
        Rect::from_min_size(min, vec2(cell, cell)).shrink(if k <= MANY { 0.5 } else { 0.0 })
    };
    let painter = ui.painter();
    for (a, b) in (0..k).flat_map(|a| (0..k).map(move |b| (a, b))) {
        painter.rect_filled(at(a, b), 0.0, color(health.cosines[a * k + b]));
        if a != b && health.cosines[a * k + b] > TWIN_COSINE {
            painter.rect_stroke(at(a, b), 0.0, Stroke::new(2.0, WARN), egui::StrokeKind::Inside);
        }
    }
    if k <= MANY {
        let (weak, font) = (ui.visuals().weak_text_color(), egui::FontId::monospace(10.0));
        for i in 0..k {
            let middle = (i as f32 + 0.5) * cell;
            let (row, column) = (
                pos2(cells.left() - 5.0, cells.top() + middle),
                pos2(cells.left() + middle, cells.top() - 3.0),
            );
            painter.text(row, egui::Align2::RIGHT_CENTER, i.to_string(), font.clone(), weak);
            painter.text(column, egui::Align2::CENTER_BOTTOM, i.to_string(), font.clone(), weak);
        }
    }
    let pair = response.hover_pos().filter(|&place| cells.contains(place)).map(|place| {
        let index = |along: f32| ((along / cell) as usize).min(k - 1);
        [index(place.y - cells.top()), index(place.x - cells.left())]
    });
    if let Some([a, b]) = pair {
        let cosine = health.cosines[a * k + b];
        painter.rect_stroke(at(a, b), 0.0, Stroke::new(1.5, Color32::WHITE), egui::StrokeKind::Outside);
        if response.clicked() {
            *chosen = Some((class, Some(a)));
        }
        response.on_hover_text_at_pointer(if a == b {
            format!("prototype {a} with itself")
        } else {
            format!("prototypes {a} and {b}: cosine {cosine:.3}")
        });
    }
    scale(ui, &colors, [low, high], (side + margin).max(120.0));
}

/// The ramp with its ends.
fn scale(ui: &mut Ui, colors: &[[u8; 3]; 256], [low, high]: [f32; 2], width: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
    let painter = ui.painter();
    let steps = 64;
    let step = rect.width() / steps as f32;
    for i in 0..steps {
        let [r, g, b] = colors[i * 255 / (steps - 1)];
        let min = pos2(rect.left() + i as f32 * step, rect.top() + 2.0);
        painter.rect_filled(Rect::from_min_size(min, vec2(step + 0.5, 6.0)), 0.0, Color32::from_rgb(r, g, b));
    }
    let (weak, font) = (ui.visuals().weak_text_color(), egui::FontId::proportional(10.5));
    painter.text(rect.left_bottom(), egui::Align2::LEFT_BOTTOM, format!("{low:.1}"), font.clone(), weak);
    painter.text(rect.right_bottom(), egui::Align2::RIGHT_BOTTOM, format!("{high:.1}"), font, weak);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_and_the_dead_are_named() {
        let protos = [2.0, 0.0, 0.0, 1.0, 0.99, 0.1, 0.0, 2.0];
        let found = &health(&protos, &[30, 0, 10, 0], [1, 4, 2])[0];
        let said = sentences(found, 3).join(" ");
        assert!(said.contains("Prototypes 1 and 3 have no pixel in 3 images."), "{said}");
        assert!(said.contains("Prototypes 0 and 2 are twins (cosine 0.995)"), "{said}");
        assert_eq!(trouble(found).as_deref(), Some("2 without a pixel, 2 pairs of twins"));
    }

    #[test]
    fn a_class_that_is_nowhere_has_no_dead() {
        let found = &health(&[1.0, 0.0, 0.0, 1.0], &[0, 0], [1, 2, 2])[0];
        assert_eq!(sentences(found, 1), ["No pixel of this image is predicted as this class."]);
        assert_eq!(trouble(found), None);
        let fine = &health(&[1.0, 0.0, 0.0, 1.0], &[5, 4], [1, 2, 2])[0];
        assert!(sentences(fine, 1).is_empty() && trouble(fine).is_none());
    }
}
