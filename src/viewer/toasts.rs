//! Short messages at the edge of the window.

use egui::{Align2, Area, Color32, Context, Frame, Id, Margin, Order, Ui, vec2};
use web_time::{Duration, Instant};

/// How long a good message stays.
const SECONDS: u64 = 5;
/// How long an error stays, unless it is closed.
const ERROR_SECONDS: u64 = 20;
/// Messages shown at a time; older ones go.
const MAX_SHOWN: usize = 4;

struct Toast {
    text: String,
    error: bool,
    until: Instant,
}

/// Messages that are shown for a while.
#[derive(Default)]
pub struct Toasts(Vec<Toast>);

impl Toasts {
    /// Shows a sentence.
    pub fn say(&mut self, text: impl Into<String>) {
        self.push(text.into(), false, SECONDS);
    }

    /// Shows what went wrong; it stays longer.
    pub fn fail(&mut self, text: impl ToString) {
        self.push(text.to_string(), true, ERROR_SECONDS);
    }

    fn push(&mut self, text: String, error: bool, seconds: u64) {
        self.0.retain(|toast| toast.text != text);
        self.0.push(Toast { text, error, until: Instant::now() + Duration::from_secs(seconds) });
        if self.0.len() > MAX_SHOWN {
            self.0.remove(0);
        }
    }

    /// The oldest error that is shown.
    #[must_use]
    pub fn first_failure(&self) -> Option<&str> {
        self.0.iter().find(|toast| toast.error).map(|toast| toast.text.as_str())
    }

    /// Draws them.
    pub fn show(&mut self, context: &Context) {
        let now = Instant::now();
        self.0.retain(|toast| toast.until > now);
        if let Some(next) = self.0.iter().map(|toast| toast.until).min() {
            context.request_repaint_after(next - now);
        }
        if self.0.is_empty() {
            return;
        }
        let area = Area::new(Id::unique("toasts")).order(Order::Foreground);
        area.anchor(Align2::RIGHT_BOTTOM, vec2(-16.0, -40.0)).show(context, |ui| {
            ui.set_max_width(420.0);
            let mut closed = None;
            for (index, toast) in self.0.iter().enumerate() {
                if one(ui, toast) {
                    closed = Some(index);
                }
                ui.add_space(6.0);
            }
            if let Some(index) = closed {
                self.0.remove(index);
            }
        });
    }
}

/// Draws one message; true if it was clicked away.
fn one(ui: &mut Ui, toast: &Toast) -> bool {
    let accent = if toast.error { Color32::from_rgb(214, 70, 58) } else { Color32::from_rgb(52, 148, 110) };
    let frame = Frame::popup(ui.style()).inner_margin(Margin::symmetric(12, 9)).stroke((1.0, accent));
    let shown = frame.show(ui, |ui| {
        ui.horizontal_top(|ui| {
            let (place, _) = ui.allocate_exact_size(vec2(8.0, 16.0), egui::Sense::hover());
            ui.painter().circle_filled(place.center(), 4.0, accent);
            ui.add(egui::Label::new(&toast.text).wrap());
        });
    });
    shown.response.interact(egui::Sense::click()).on_hover_text("click to close").clicked()
}
