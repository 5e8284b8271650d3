//! The curves of a training run.

use egui::{Color32, Rangef, RichText, TextStyle, Ui};
use egui_plot::{GridMark, Line, Plot, PlotPoints, Points};

use crate::infer::Scores;
use crate::train::Event;

use super::health::dot;

/// Points of a line that are drawn; more are averaged.
const MAX_POINTS: usize = 500;
/// Height of a plot, in points.
const HEIGHT: f32 = 130.0;
/// Smallest loss on the logarithmic axis.
const FLOOR: f64 = 1e-4;
/// The losses of a step, in the order of their colours.
const LOSSES: [(&str, &str, [u8; 3]); 4] = [
    ("total", "the loss that is minimised", [128, 132, 142]),
    ("ce", "cross-entropy", [47, 128, 214]),
    ("ppc", "pixel-prototype contrast: its weight is head.ppc_weight", [214, 106, 32]),
    ("ppd", "pixel-prototype distance: its weight is head.ppd_weight", [32, 152, 116]),
];

/// What a run told, as far as it is drawn.
#[derive(Default)]
pub struct Curves {
    /// Steps done, and total, cross-entropy, contrast and distance.
    losses: Vec<(u64, [f32; 4])>,
    /// Steps done, and mIoU.
    miou: Vec<(u64, f64)>,
    /// The last evaluation.
    pub scores: Option<(u64, Scores)>,
    /// Whether the losses' axis is linear.
    pub linear: bool,
}

impl Curves {
    /// Takes an event in; one that starts or resumes the run drops what comes after it.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Start { first_step, .. } => {
                let first = *first_step;
                self.losses.retain(|&(step, _)| first > 0 && step <= first);
                self.miou.retain(|&(step, _)| first > 0 && step <= first);
                if self.scores.as_ref().is_some_and(|(step, _)| first == 0 || *step > first) {
                    self.scores = None;
                }
            }
            Event::Step { step, loss, ce, ppc, ppd, .. } => {
                self.losses.push((*step, [*loss, *ce, *ppc, *ppd]));
            }
            Event::Evaluation { step, scores, .. } => {
                self.miou.retain(|(known, _)| known != step);
                self.miou.push((*step, scores.miou));
                self.scores = Some((*step, scores.clone()));
            }
            _ => {}
        }
    }

    /// Forgets the run, not how it was looked at.
    pub fn clear(&mut self) {
        *self = Self { linear: self.linear, ..Self::default() };
    }

    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.miou.is_empty()
    }

    /// Points of one loss, where it is above 0: the prototypes' are 0 as long as they are not trained.
    fn loss(&self, which: usize) -> Vec<[f64; 2]> {
        let all = self.losses.iter().map(|(step, losses)| [*step as f64, f64::from(losses[which])]);
        let points: Vec<[f64; 2]> =
            all.filter(|[_, loss]| loss.is_finite() && (which < 2 || *loss > 0.0)).collect();
        let points = averaged(&points, MAX_POINTS);
        let scale = |loss: f64| if self.linear { loss } else { loss.max(FLOOR).log10() };
        points.into_iter().map(|[step, loss]| [step, scale(loss)]).collect()
    }

    /// Total loss of the last logged step, and the last evaluation's mIoU.
    pub fn last(&self) -> (Option<f64>, Option<f64>) {
        let loss = self.losses.last().map(|(_, losses)| f64::from(losses[0]));
        (loss, self.miou.last().map(|(_, miou)| *miou))
    }

    /// The plots of losses and mIoU over `steps` steps.
    pub fn show(&mut self, ui: &mut Ui, steps: u64) {
        self.head(ui);
        ui.scope(|ui| {
            small_numbers(ui);
            self.plot_losses(ui, steps);
        });
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            ui.strong("Validation mIoU");
            if let Some((step, miou)) = self.miou.last() {
                ui.label(RichText::new(format!("{:.1} % at step {step}", 100.0 * miou)).weak().small());
            }
        });
        ui.scope(|ui| {
            small_numbers(ui);
            self.plot_miou(ui, steps);
        });
    }

    fn plot_losses(&self, ui: &mut Ui, steps: u64) {
        let linear = self.linear;
        let formatted = move |y: f64| {
            let loss = if linear { y } else { 10f64.powf(y) };
            if loss >= 0.1 { format!("{loss:.1}") } else { format!("{loss:.2}") }
        };
        let plot = framed(ui, "losses", steps).y_axis_formatter(move |mark, _| formatted(mark.value));
        let plot = if linear { plot.include_y(0.0) } else { plot.y_grid_spacer(decades) };
        plot.show(ui, |plot| {
            for (which, (name, _, [r, g, b])) in LOSSES.into_iter().enumerate() {
                let points = self.loss(which);
                if !points.is_empty() {
                    let line = Line::new(name, PlotPoints::from(points));
                    plot.line(line.color(Color32::from_rgb(r, g, b)).width(1.6));
                }
            }
        });
    }

    fn plot_miou(&self, ui: &mut Ui, steps: u64) {
        let accent = Color32::from_rgb(47, 128, 214);
        let percent = |mark: GridMark, _: &_| format!("{:.0} %", mark.value);
        let top = self.miou.iter().fold(20.0, |top: f64, (_, miou)| top.max(110.0 * miou));
        framed(ui, "miou", steps).include_y(0.0).include_y(top).y_axis_formatter(percent).show(ui, |plot| {
            let points: Vec<[f64; 2]> =
                self.miou.iter().map(|&(step, miou)| [step as f64, 100.0 * miou]).collect();
            plot.line(Line::new("mIoU", PlotPoints::from(points.clone())).color(accent).width(1.6));
            plot.points(Points::new("mIoU", PlotPoints::from(points)).color(accent).radius(3.0));
        });
    }

    /// What the losses' colours mean, and their last values.
    fn head(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.strong("Losses");
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = RichText::new(if self.linear { "linear" } else { "log" }).small();
                if ui.button(text).on_hover_text("linear or logarithmic axis").clicked() {
                    self.linear ^= true;
                }
            });
        });
        let last = self.losses.last().map(|(_, losses)| *losses);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            for (which, (name, about, color)) in LOSSES.into_iter().enumerate() {
                let value = last.map(|last| last[which]).filter(|&value| which < 2 || value > 0.0);
                let text = value.map_or_else(|| name.to_owned(), |value| format!("{name} {value:.3}"));
                dot(ui, color);
                ui.label(RichText::new(text).small()).on_hover_text(about);
                ui.add_space(4.0);
            }
        });
    }
}

/// The axes' numbers are no larger than they need to be.
fn small_numbers(ui: &mut Ui) {
    if let Some(font) = ui.style_mut().text_styles.get_mut(&TextStyle::Body) {
        font.size = 10.5;
    }
}

/// A plot that stands still.
fn framed(ui: &Ui, name: &str, steps: u64) -> Plot<'static> {
    let thousands = |mark: GridMark, _: &_| {
        let step = mark.value;
        if step >= 10_000.0 { format!("{:.0}k", step / 1000.0) } else { format!("{step:.0}") }
    };
    Plot::new(name.to_owned())
        .height(HEIGHT)
        .include_x(0.0)
        .include_x(steps as f64)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(true)
        .set_margin_fraction(egui::vec2(0.02, 0.06))
        .grid_spacing(Rangef::new(14.0, 90.0))
        .grid_color(ui.visuals().weak_text_color().gamma_multiply(0.5))
        .grid_fade(0.35)
        .x_axis_formatter(thousands)
        .y_axis_min_width(34.0)
}

/// Lines at 1, 2 and 5 times the powers of ten.
fn decades(input: egui_plot::GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let decades = (low.floor() as i32..=high.ceil() as i32).take(12);
    let marks = decades.flat_map(|decade| {
        [(1.0, 1.0), (2.0, 0.4), (5.0, 0.4)].map(|(factor, step_size): (f64, f64)| GridMark {
            value: f64::from(decade) + factor.log10(),
            step_size,
        })
    });
    marks.filter(|mark| (low..=high).contains(&mark.value)).collect()
}

/// At most `most` points: each the mean of as many neighbours as it takes.
fn averaged(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    let count = points.len().div_ceil(most.max(1)).max(1);
    let mean = |part: &[[f64; 2]]| {
        let sum = part.iter().fold([0.0; 2], |sum, point| [sum[0] + point[0], sum[1] + point[1]]);
        sum.map(|sum| sum / part.len() as f64)
    };
    points.chunks(count).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, loss: f32, ppc: f32) -> Event {
        let (aux, grad_norm, data_wait) = (None, None, None);
        Event::Step {
            step,
            loss,
            ce: loss,
            ppc,
            ppd: 0.0,
            aux,
            lr: 0.1,
            grad_norm,
            images_per_sec: 1.0,
            data_wait,
        }
    }

    fn evaluation(step: u64, miou: f64) -> Event {
        let scores = Scores { miou, macc: 0.5, aacc: 0.5, classes: Vec::new() };
        Event::Evaluation { step, images: 1, scores, best: true }
    }

    fn start(first_step: u64) -> Event {
        Event::Start { adapter: "a".into(), first_step, steps: 9, images: [2, 1] }
    }

    #[test]
    fn a_resumed_run_goes_on_from_its_checkpoint() {
        let mut curves = Curves::default();
        for event in [start(0), step(2, 10.0, 0.0), step(4, 1.0, 0.1), evaluation(4, 0.4), step(6, 0.5, 0.1)]
        {
            curves.take(&event);
        }
        curves.take(&start(4));
        curves.take(&evaluation(4, 0.41));
        assert_eq!(curves.losses.iter().map(|l| l.0).collect::<Vec<_>>(), [2, 4]);
        assert_eq!((curves.miou.len(), curves.scores.as_ref().map(|s| s.0)), (1, Some(4)));
        let near = |found: &[[f64; 2]], want: &[[f64; 2]]| {
            assert_eq!(found.len(), want.len(), "{found:?}");
            found
                .iter()
                .flatten()
                .zip(want.iter().flatten())
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        };
        near(&curves.loss(0), &[[2.0, 1.0], [4.0, 0.0]]);
        near(&curves.loss(2), &[[4.0, -1.0]]);
        curves.take(&start(0));
        assert!(curves.is_empty() && curves.scores.is_none());
    }

    #[test]
    fn long_curves_are_averaged() {
        let points: Vec<[f64; 2]> = (0..1000).map(|i| [f64::from(i), f64::from(i % 2)]).collect();
        let found = averaged(&points, 250);
        assert_eq!((found.len(), found[0], found[249]), (250, [1.5, 0.5], [997.5, 0.5]));
        assert_eq!(averaged(&points[..3], 250).len(), 3);
        assert!(averaged(&[], 250).is_empty());
    }
}
