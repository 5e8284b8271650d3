//! How long frames take.

use std::collections::VecDeque;

use egui::Context;
use web_time::Instant;

/// Frames that are looked at.
const FRAMES: usize = 180;

/// The times between frames, while they are asked for.
#[derive(Default)]
pub struct Pace {
    /// Whether they are shown; the window draws without a pause then.
    pub shown: bool,
    last: Option<Instant>,
    /// Milliseconds.
    times: VecDeque<f32>,
}

impl Pace {
    /// Takes note of a frame.
    pub fn note(&mut self, context: &Context) {
        if !self.shown {
            self.last = None;
            self.times.clear();
            return;
        }
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.times.push_back((now - last).as_secs_f32() * 1e3);
            if self.times.len() > FRAMES {
                self.times.pop_front();
            }
        }
        context.request_repaint();
    }

    /// Median, 95th percentile and longest of the last frames.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if self.times.is_empty() {
            return None;
        }
        let mut sorted: Vec<f32> = self.times.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f32| sorted[((sorted.len() - 1) as f32 * share) as usize];
        let (median, p95, longest) = (at(0.5), at(0.95), at(1.0));
        Some(format!("frames {median:.1} ms, 95 % within {p95:.1}, longest {longest:.1}"))
    }
}
