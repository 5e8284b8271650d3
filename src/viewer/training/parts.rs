//! The parts of the panel: the configuration's key numbers, the buttons, how far it is, the scores.

use std::path::Path;

use egui::{Color32, Grid, ProgressBar, RichText, TextEdit, Ui};

use crate::disk;
use crate::infer::Scores;
use crate::nn::Arch;
use crate::viewer::health::dot;
use crate::viewer::legend::bar;
use crate::viewer::trainer::is_begun;

use super::{Chosen, Phase, Run};

/// What a button asks for.
pub enum Act {
    /// Begin, or go on from the checkpoint.
    Start,
    /// Wait, or go on.
    Pause(bool),
    /// Save a checkpoint and end.
    Stop,
    /// Open the run's best model.
    OpenBest,
}

/// The key numbers of a configuration, and the run folder.
pub fn settings(ui: &mut Ui, chosen: &mut Chosen, going: bool) {
    let config = &chosen.config;
    let (train, model) = (&config.train, &config.model);
    let has_prototypes = config.head.resolve().is_ok_and(|head| head.kind.has_prototypes());
    Grid::new("configuration").num_columns(2).spacing([12.0, 4.0]).show(ui, |ui| {
        let mut row = |key: &str, value: String, about: String| {
            ui.weak(key);
            ui.add(egui::Label::new(value).truncate()).on_hover_text(about);
            ui.end_row();
        };
        let root = &config.data.root;
        let name =
            root.file_name().map_or_else(|| root.display().to_string(), |n| n.to_string_lossy().into_owned());
        row("data", name, root.display().to_string());
        let network = match model.arch {
            Arch::MobilenetV2 => "MobileNetV2",
            Arch::Resnet18 => "ResNet-18",
            Arch::Resnet34 => "ResNet-34",
            Arch::Resnet50 => "ResNet-50",
            Arch::Resnet101 => "ResNet-101",
            Arch::HrnetW18 => "HRNetV2-W18",
            Arch::HrnetW48 => "HRNetV2-W48",
            Arch::Scratch => "small residual net",
        };
        row("network", network.to_owned(), format!("output stride {}", model.output_stride));
        let start = train.weights.as_ref().map(|path| {
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path.display().to_string())
        });
        let (start, about) =
            start.unwrap_or_else(|| ("random weights".into(), "no train.weights are given".into()));
        row("starts from", start, about);
        if has_prototypes {
            let about = format!("embeddings of dimension {}", model.embedding);
            row("prototypes", format!("{} per class", model.prototypes), about);
        }
        let batch = format!("{} × {} images", train.steps, train.batch * train.accumulate);
        row(
            "steps",
            batch,
            format!("{} steps of batches of {}", train.steps, train.batch * train.accumulate),
        );
        let crop = &config.augment;
        row(
            "crop",
            format!("{} × {}", crop.crop_width, crop.crop_height),
            "columns and rows of a training image".into(),
        );
        row("rate", format!("{}", train.lr), "learning rate of the head at its start".into());
    });
    ui.horizontal(|ui| {
        ui.weak("run folder");
        let field = TextEdit::singleline(&mut chosen.out).desired_width(ui.available_width());
        let field = ui.add_enabled(!going && !chosen.of_run, field);
        let whole = std::path::absolute(&chosen.out).unwrap_or_default().display().to_string();
        field.ctx.accesskit_node_builder(field.id, |node| node.set_label("run folder"));
        if field.on_hover_text(&whole).on_disabled_hover_text(&whole).changed() {
            chosen.begun = is_begun(Path::new(chosen.out.trim()));
        }
    });
}

/// Start, pause, stop, and what can be done after the end.
pub fn buttons(ui: &mut Ui, chosen: &Chosen, run: Option<&Run>) -> Option<Act> {
    let mut act = None;
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, text: &str, possible: bool, about: &str, what: Act| {
            if ui.add_enabled(possible, egui::Button::new(text)).on_hover_text(about).clicked() {
                act = Some(what);
            }
        };
        let phase = run.map(|run| &run.phase);
        match phase {
            Some(Phase::Preparing | Phase::Stopping) => {
                button(ui, "Stop", phase == Some(&Phase::Preparing), "", Act::Stop);
            }
            Some(Phase::Going) => {
                button(ui, "Pause", true, "after this step", Act::Pause(true));
                button(ui, "Stop", true, "after this step, with a checkpoint to go on from", Act::Stop);
            }
            Some(Phase::Paused) => {
                button(ui, "Go on", true, "", Act::Pause(false));
                button(ui, "Stop", true, "with a checkpoint to go on from", Act::Stop);
            }
            None | Some(Phase::Ended(_)) => {
                let folder = !chosen.out.trim().is_empty();
                let (text, about) = if chosen.begun {
                    ("Resume", "goes on from the run folder's last checkpoint")
                } else {
                    ("Start", "checks the data, then trains")
                };
                button(ui, text, folder, about, Act::Start);
            }
        }
        let best = run.map(|run| run.out.join("best.safetensors"));
        if best.is_some_and(|path| disk::is_file(&path)) && matches!(phase, Some(Phase::Ended(_))) {
            button(ui, "Open the best model", true, "best.safetensors of the run folder", Act::OpenBest);
        }
    });
    act
}

/// How far it is, and how long it takes.
pub fn progress(ui: &mut Ui, run: &Run) {
    ui.add_space(4.0);
    let share = run.step as f32 / run.steps.max(1) as f32;
    ui.add(ProgressBar::new(share).desired_height(8.0).corner_radius(4.0));
    let mut parts = vec![format!("step {} of {}", run.step, run.steps)];
    match &run.phase {
        Phase::Preparing => parts = vec!["checking the data and preparing the step…".into()],
        Phase::Going => {
            parts.extend(run.rate.left(run.steps - run.step.min(run.steps)).map(left));
            parts.extend(run.images_per_sec.map(|rate| format!("{rate:.1} images/s")));
        }
        Phase::Paused => parts.push("paused".into()),
        Phase::Stopping => parts.push("stopping after this step…".into()),
        Phase::Ended(Ok(text)) => parts.push((*text).into()),
        Phase::Ended(Err(error)) => {
            ui.label(RichText::new(error).color(Color32::from_rgb(214, 70, 58)));
        }
    }
    ui.label(RichText::new(parts.join("  ·  ")).small().weak());
}

/// A time to come, as people say it.
pub fn left(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s left"),
        s if s < 5400.0 => format!("{:.0} min left", s / 60.0),
        s => format!("{:.1} h left", s / 3600.0),
    }
}

/// IoU of every class.
pub fn class_scores(ui: &mut Ui, step: u64, scores: &Scores, color: impl Fn(usize) -> [u8; 3]) {
    ui.horizontal(|ui| {
        ui.strong("IoU by class");
        ui.label(RichText::new(format!("step {step}")).weak().small());
    });
    let bars = (ui.available_width() * 0.36).max(50.0);
    for (class, score) in scores.classes.iter().enumerate() {
        ui.horizontal(|ui| {
            dot(ui, color(class));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = score.iou.map_or_else(|| "–".into(), |iou| format!("{:.1} %", 100.0 * iou));
                ui.add_sized([44.0, 14.0], egui::Label::new(RichText::new(text).small().weak()));
                bar(ui, bars, score.iou.unwrap_or(0.0) as f32, color(class));
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.add(egui::Label::new(&score.name).truncate());
                });
            });
        });
    }
}
