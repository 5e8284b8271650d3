//! What is drawn over the picture: the pin, the wipe's line, the panes' names, what is being waited for.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, Ui, pos2, vec2};

use super::app::{Compare, Viewer, Wanted};
use super::picture::Picture;

/// Text on the picture is white on translucent black, in either theme.
const INK: Color32 = Color32::from_rgb(240, 240, 242);
const PLATE: Color32 = Color32::from_black_alpha(150);

/// Seconds between two pictures of a ring that goes round.
const BEAT: f64 = 1.0 / 6.0;

/// A sentence in the middle, with a spinner of that beat if something is coming.
pub(super) fn notice(ui: &mut Ui, rect: Rect, text: &str, coming: Option<f64>) {
    let color = ui.visuals().weak_text_color();
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, text, FontId::proportional(15.0), color);
    if let Some(beat) = coming {
        let place = Rect::from_center_size(rect.center() - vec2(0.0, 32.0), vec2(22.0, 22.0));
        busy(ui, place, color, beat);
    }
}

/// A ring that goes round, a few times a second: on a software adapter a smooth one would take the processor from what is
/// being waited for.
fn busy(ui: &Ui, place: Rect, color: Color32, beat: f64) {
    const STEPS: i64 = 8;
    let now = (ui.input(|i| i.time) / BEAT) as i64 % STEPS;
    for step in 0..STEPS {
        let age = (now - step).rem_euclid(STEPS) as f32 / STEPS as f32;
        let angle = step as f32 / STEPS as f32 * std::f32::consts::TAU;
        let at = place.center() + egui::Vec2::angled(angle) * place.width() * 0.4;
        ui.painter().circle_filled(at, place.width() * 0.09, color.gamma_multiply(1.0 - 0.85 * age));
    }
    ui.request_repaint_after_secs(beat as f32);
}

impl Viewer {
    /// Seconds between two pictures of a ring that goes round. In a browser a software adapter takes long for each.
    pub(super) fn beat(&self) -> f64 {
        if cfg!(target_arch = "wasm32") && self.gpu.caps().software { 2.0 } else { BEAT }
    }
}

/// A short text on a plate.
fn plate(painter: &Painter, at: Pos2, anchor: Align2, text: String) -> Rect {
    let galley = painter.layout_no_wrap(text, FontId::proportional(12.5), INK);
    let rect = anchor.anchor_size(at, galley.size() + vec2(14.0, 8.0));
    painter.rect_filled(rect, 5.0, PLATE);
    painter.galley(rect.min + vec2(7.0, 4.0), galley, INK);
    rect
}

/// All of it.
pub(super) fn overlays(viewer: &Viewer, ui: &mut Ui, picture: &Picture) {
    let canvas = &viewer.canvas;
    let rect = canvas.rect;
    let painter = ui.painter_at(rect);
    let points = ui.pixels_per_point();
    if let Some(pin) = canvas.pin {
        let middle = pin.floor() + 0.5;
        for right in [false, true].into_iter().take(if viewer.compare == Compare::Side { 2 } else { 1 }) {
            let at = canvas.window_at(middle, points, right, viewer.compare);
            let half = (canvas.view.zoom / points / 2.0).max(4.0);
            let frame = Rect::from_center_size(at, vec2(2.0 * half, 2.0 * half));
            painter.rect_stroke(frame, 0.0, Stroke::new(3.0, Color32::BLACK), egui::StrokeKind::Outside);
            painter.rect_stroke(frame, 0.0, Stroke::new(1.5, Color32::WHITE), egui::StrokeKind::Outside);
        }
    }
    if viewer.compare == Compare::Side
        && let Some((photo, right)) = canvas.hover
    {
        // The same place in the other pane.
        let at = canvas.window_at(photo, points, !right, viewer.compare);
        painter.circle_stroke(at, 5.0, Stroke::new(2.5, Color32::BLACK));
        painter.circle_stroke(at, 5.0, Stroke::new(1.2, Color32::WHITE));
    }
    if viewer.compare == Compare::Wipe {
        let x = rect.left() + canvas.wipe * rect.width();
        painter.vline(x, rect.y_range(), Stroke::new(3.0, Color32::from_black_alpha(140)));
        painter.vline(x, rect.y_range(), Stroke::new(1.2, Color32::WHITE));
        let knob = pos2(x, rect.center().y);
        painter.circle(knob, 10.0, Color32::from_black_alpha(170), Stroke::new(1.2, Color32::WHITE));
        for side in [-1.0, 1.0] {
            let tip = knob + vec2(6.5 * side, 0.0);
            let wing = |up: f32| tip + vec2(-3.0 * side, up);
            painter.line_segment([wing(-3.5), tip], (1.4, Color32::WHITE));
            painter.line_segment([tip, wing(3.5)], (1.4, Color32::WHITE));
        }
    }
    if viewer.compare != Compare::Off {
        let [left, right] = [0, 1].map(|slot| viewer.slot_name(slot));
        let (from, anchor) = match viewer.compare {
            Compare::Wipe => (pos2(rect.right() - 10.0, rect.top() + 10.0), Align2::RIGHT_TOP),
            _ => (pos2(rect.center().x + 12.0, rect.top() + 10.0), Align2::LEFT_TOP),
        };
        plate(&painter, rect.left_top() + vec2(10.0, 10.0), Align2::LEFT_TOP, left);
        plate(&painter, from, anchor, right);
    }
    if canvas.hidden {
        plate(
            &painter,
            pos2(rect.center().x, rect.top() + 10.0),
            Align2::CENTER_TOP,
            "colours hidden (H)".into(),
        );
    }
    waiting(viewer, ui, picture);
    let wants_truth = viewer.settings.mode.needs_truth() && viewer.canvas.analysis().is_some();
    if wants_truth && !viewer.is_labelled(0) {
        let text = "this image has no labels of the model's classes".to_owned();
        plate(&painter, rect.center_bottom() - vec2(0.0, 14.0), Align2::CENTER_BOTTOM, text);
    }
}

/// Says what the colours are waiting for.
fn waiting(viewer: &Viewer, ui: &mut Ui, picture: &Picture) {
    let rect = viewer.canvas.rect;
    if viewer.canvas.analysis().is_some() {
        return;
    }
    let Some(model) = viewer.models.iter().find(|model| Some(model.id) == viewer.model) else {
        let text = "no model: open one, or drop a .safetensors file here".to_owned();
        plate(&ui.painter_at(rect), rect.center_bottom() - vec2(0.0, 14.0), Align2::CENTER_BOTTOM, text);
        return;
    };
    if model.live && !viewer.training.is_running(model.id) {
        let text = "the run has ended: open its best model to look at other images".to_owned();
        plate(&ui.painter_at(rect), rect.center_bottom() - vec2(0.0, 14.0), Align2::CENTER_BOTTOM, text);
        return;
    }
    let failed = viewer.has_failed(Wanted::Analysis(model.id, picture.id, viewer.settings.limit));
    let text = match (&model.info, failed) {
        (_, true) => "this image cannot be analysed".to_owned(),
        (None, _) => format!("reading {}…", model.name),
        (Some(_), _) => format!("{} looks at it…", model.name),
    };
    let at = rect.center_bottom() - vec2(0.0, 14.0);
    let place = plate(&ui.painter_at(rect), at, Align2::CENTER_BOTTOM, format!("      {text}"));
    if !failed {
        let spin = Rect::from_center_size(pos2(place.left() + 15.0, place.center().y), vec2(13.0, 13.0));
        busy(ui, spin, INK, viewer.beat());
    }
}
