//! The panel of a training run: what is to be trained, how far it is, what came of it.

mod parts;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{RichText, ScrollArea, Ui};
use web_time::{Duration, Instant};

use crate::disk;
use crate::error::Result;
use crate::train::{Config, Event, Log};

use super::album::Origin;
use super::app::Viewer;
use super::curves::Curves;
use super::engine::ModelId;
use super::files::Choice;
use super::health::warning;
use super::picture::Picture;
use super::remote::TrainingState;
use super::settings::Tab;
use super::trainer::{Order, Told, Trainer, is_begun};
use parts::{Act, buttons, class_scores, progress, settings};

/// Warnings that are shown.
const WARNINGS: usize = 3;
/// Beats from which the rate is taken: ten seconds.
const BEATS: usize = 100;
/// How long a closing window waits for a checkpoint.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration that was opened.
struct Chosen {
    name: String,
    config: Config,
    /// The run folder, as it is typed.
    out: String,
    /// Whether `out` holds a run that is gone on with.
    begun: bool,
    /// Whether the configuration is that of a run folder.
    of_run: bool,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Going,
    Paused,
    Stopping,
    /// By itself, by its button, or by an error.
    Ended(std::result::Result<&'static str, String>),
}

/// A run of this window.
struct Run {
    trainer: Trainer,
    name: String,
    out: PathBuf,
    phase: Phase,
    step: u64,
    steps: u64,
    images_per_sec: Option<f64>,
    warnings: VecDeque<String>,
    rate: Rate,
}

/// Steps per second of the last beats, pauses left out.
#[derive(Default)]
struct Rate {
    beats: VecDeque<(f64, u64)>,
    active: f64,
    last: Option<Instant>,
}

impl Rate {
    fn note(&mut self, step: u64, now: Instant) {
        self.active += self.last.map_or(0.0, |last| (now - last).as_secs_f64());
        self.last = Some(now);
        self.beats.push_back((self.active, step));
        if self.beats.len() > BEATS {
            self.beats.pop_front();
        }
    }

    fn rest(&mut self) {
        self.last = None;
    }

    /// Seconds that `steps` more steps take.
    fn left(&self, steps: u64) -> Option<f64> {
        let (&(start, first), &(end, last)) = (self.beats.front()?, self.beats.back()?);
        (last > first && end > start).then(|| steps as f64 * (end - start) / (last - first) as f64)
    }
}

/// The panel's state.
#[derive(Default)]
pub struct Training {
    chosen: Option<Chosen>,
    run: Option<Run>,
    curves: Curves,
}

impl Training {
    /// Tells the run of this model, if it goes, which image is looked at.
    pub fn look_at(&self, model: ModelId, picture: &Arc<Picture>, limit: usize) {
        if let Some(run) = &self.run
            && run.trainer.model == model
        {
            run.trainer.look_at(picture, limit);
        }
    }

    /// Gives the run another folder, as if it were typed.
    pub fn set_out(&mut self, out: &Path) {
        if let Some(chosen) = &mut self.chosen {
            chosen.out = out.display().to_string();
            chosen.begun = chosen.of_run || is_begun(out);
        }
    }

    /// Stops the run with a checkpoint, if one goes.
    pub fn stop(&mut self) {
        if let Some(run) = self.run.as_mut().filter(|run| !matches!(run.phase, Phase::Ended(_))) {
            run.trainer.stop();
            run.phase = Phase::Stopping;
        }
    }

    /// How far the run is, for the page around the window.
    pub fn state(&self) -> Option<TrainingState> {
        let run = self.run.as_ref()?;
        let (loss, miou) = self.curves.last();
        let (ended, error) = match &run.phase {
            Phase::Ended(outcome) => (true, outcome.as_ref().err().cloned()),
            _ => (false, None),
        };
        Some(TrainingState { step: run.step, steps: run.steps, loss, miou, ended, error })
    }

    /// Whether a run is going, or is being begun or ended.
    fn is_going(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !matches!(run.phase, Phase::Ended(_)))
    }

    /// Whether the run of this model is going.
    pub fn is_running(&self, model: ModelId) -> bool {
        self.is_going() && self.run.as_ref().is_some_and(|run| run.trainer.model == model)
    }

    /// Stops the run with a checkpoint, for a window that closes; returns whether there was time enough.
    pub fn close(&mut self) -> bool {
        match &mut self.run {
            Some(run) if !matches!(run.phase, Phase::Ended(_)) => run.trainer.finish(PATIENCE),
            _ => true,
        }
    }
}

/// Reads a configuration and proposes the folder of its run: its own, or that of the command line.
fn choose(path: &Path) -> Result<Chosen> {
    // So that the folder of `config.toml` has a name.
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let config = Config::load(path, &[])?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let of_run = path.file_name().is_some_and(|name| name == "config.toml")
        && (disk::is_file(&folder.join("log.jsonl")) || is_begun(folder));
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (name, out) = if of_run {
        (stem(folder), folder.to_path_buf())
    } else {
        (stem(path), PathBuf::from("runs").join(stem(path)))
    };
    let begun = of_run || is_begun(&out);
    Ok(Chosen { name, config, out: out.display().to_string(), begun, of_run })
}

impl Viewer {
    /// Opens a configuration or the one of a run folder, and goes to the panel.
    pub(super) fn open_config(&mut self, path: &Path) {
        (self.settings.tab, self.settings.show_side, self.sheet_legend) = (Tab::Train, true, false);
        if self.training.is_going() {
            self.toasts.fail("a run is going: stop it before another one is opened");
            return;
        }
        match choose(path) {
            Ok(chosen) => {
                self.training.curves.clear();
                self.training.run = None;
                if chosen.begun {
                    match Log::read(Path::new(&chosen.out)) {
                        Ok(events) => events.iter().for_each(|event| self.training.curves.take(event)),
                        Err(error) => self.toasts.fail(error),
                    }
                }
                self.training.chosen = Some(chosen);
            }
            Err(error) => self.toasts.fail(error),
        }
    }

    /// Starts the run of the configuration that was opened.
    pub(super) fn start_run(&mut self) {
        let Some(chosen) = &self.training.chosen else { return };
        let order = Order {
            config: chosen.config.clone(),
            out: PathBuf::from(chosen.out.trim()),
            resume: chosen.begun,
        };
        let (name, out, steps) = (chosen.name.clone(), order.out.clone(), chosen.config.train.steps);
        if let Some(old) = self.training.run.take() {
            self.close_model(old.trainer.model);
        }
        let model = self.new_model();
        self.training.run = Some(Run {
            trainer: Trainer::start(&self.gpu, order, model, &self.bell),
            name,
            out,
            phase: Phase::Preparing,
            step: 0,
            steps,
            images_per_sec: None,
            warnings: VecDeque::new(),
            rate: Rate::default(),
        });
    }

    /// Takes in what a run told.
    pub(super) fn hear_run(&mut self, model: ModelId, told: Told) {
        let Some(run) = self.training.run.as_mut().filter(|run| run.trainer.model == model) else { return };
        match told {
            Told::Ready(spec, data) => {
                let (name, out) = (format!("{} (training)", run.name), run.out.clone());
                self.add_live(model, name, out, *spec);
                self.show_samples(&data);
            }
            Told::Event(event) => {
                self.training.curves.take(&event);
                run.take(&event);
            }
            Told::Ended(Ok(())) => {
                let text = if run.step < run.steps { "stopped, with a checkpoint" } else { "done" };
                self.toasts.say(format!("{}: {text}", run.name));
                run.phase = Phase::Ended(Ok(text));
            }
            Told::Ended(Err(error)) => {
                self.toasts.fail(&error);
                run.phase = Phase::Ended(Err(error.to_string()));
            }
        }
        if let Some(chosen) = &mut self.training.chosen {
            chosen.begun = chosen.of_run || is_begun(Path::new(chosen.out.trim()));
        }
    }

    /// Opens the images that a run is evaluated on, unless they are opened, and shows one of them.
    fn show_samples(&mut self, data: &Arc<crate::data::Dataset>) {
        let origin = |index| Origin::Sample(Arc::clone(data), index);
        let Some(place) = (!data.is_empty()).then(|| origin(0).place()) else { return };
        if let Some(known) = self.album.entries().iter().find(|entry| entry.origin.place() == place) {
            let of_run = |id| {
                let entry = self.album.get(id)?;
                matches!(&entry.origin, Origin::Sample(other, _) if other.samples()[0].image == data.samples()[0].image)
                    .then_some(id)
            };
            let shown = self.current.and_then(of_run).unwrap_or(known.id);
            self.show_image(shown);
        } else if let Some(first) = self.album.add((0..data.len()).map(origin)) {
            self.show_image(first);
        }
    }

    /// Takes note of a run whose thread is gone.
    pub(super) fn watch_run(&mut self) {
        if let Some(run) = &mut self.training.run
            && !matches!(run.phase, Phase::Ended(_))
            && run.trainer.is_gone()
        {
            // Its last word may be on the way; if it has none, it broke off.
            let missing = || Phase::Ended(Err("the run broke off".into()));
            run.phase = if run.phase == Phase::Stopping { missing() } else { Phase::Stopping };
            self.context.request_repaint();
        }
    }

    /// The panel.
    pub(super) fn train_tab(&mut self, ui: &mut Ui) {
        ScrollArea::vertical().id_salt("train").auto_shrink([false, false]).show(ui, |ui| {
            let Some(chosen) = &mut self.training.chosen else {
                ui.weak("Open a configuration (.toml) or a run folder, or drop it here, to train with it and to watch it learn.");
                ui.add_space(6.0);
                self.choose_buttons(ui);
                return;
            };
            ui.label(RichText::new(&chosen.name).heading());
            let going = self.training.run.as_ref().is_some_and(|run| !matches!(run.phase, Phase::Ended(_)));
            settings(ui, chosen, going);
            ui.add_space(6.0);
            let act = buttons(ui, chosen, self.training.run.as_ref());
            if let Some(run) = &self.training.run {
                progress(ui, run);
            }
            self.act_on_run(act);
            self.results(ui);
            if !self.training.is_going() {
                ui.add_space(10.0);
                ui.separator();
                self.choose_buttons(ui);
            }
        });
    }

    fn choose_buttons(&self, ui: &mut Ui) {
        ui.horizontal_wrapped(|ui| {
            for (choice, text) in
                [(Choice::Config, "Open a configuration…"), (Choice::Folder, "Open a run folder…")]
            {
                if ui.button(text).clicked() {
                    self.choose(choice);
                }
            }
        });
    }

    fn act_on_run(&mut self, act: Option<Act>) {
        match (act, &mut self.training.run) {
            (Some(Act::Start), _) => self.start_run(),
            (Some(Act::Pause(pause)), Some(run)) => {
                run.trainer.pause(pause);
                run.phase = if pause { Phase::Paused } else { Phase::Going };
            }
            (Some(Act::Stop), Some(run)) => {
                run.trainer.stop();
                run.phase = Phase::Stopping;
            }
            (Some(Act::OpenBest), Some(run)) => {
                let (best, live) = (run.out.join("best.safetensors"), run.trainer.model);
                // The file may be another one than when it was opened before.
                let opened =
                    self.models.iter().find(|model| !model.live && model.path == best).map(|model| model.id);
                if let Some(id) = opened {
                    self.close_model(id);
                }
                self.open_model(&best);
                if !self.training.is_running(live) {
                    self.close_model(live);
                }
            }
            _ => {}
        }
    }

    /// Curves, warnings and scores.
    fn results(&mut self, ui: &mut Ui) {
        let steps = self.training.chosen.as_ref().map_or(1, |chosen| chosen.config.train.steps);
        let warnings = self.training.run.as_ref().map(|run| &run.warnings);
        for text in warnings.into_iter().flatten() {
            ui.add_space(2.0);
            ui.horizontal_top(|ui| {
                warning(ui);
                ui.add(egui::Label::new(RichText::new(text).small()).wrap());
            });
        }
        if self.training.curves.is_empty() {
            return;
        }
        ui.add_space(8.0);
        self.training.curves.show(ui, steps);
        if let Some((step, scores)) = &self.training.curves.scores {
            ui.add_space(8.0);
            let colors = self.training.run.as_ref().and_then(|run| {
                let model = self.models.iter().find(|model| model.id == run.trainer.model)?;
                model.legend.as_ref()
            });
            let color = |class: usize| colors.map_or([120, 124, 134], |legend| legend.class(class));
            class_scores(ui, *step, scores, color);
        }
    }
}

impl Run {
    fn take(&mut self, event: &Event) {
        let waits = matches!(self.phase, Phase::Stopping);
        self.step = event.step().map_or(self.step, |step| self.step.max(step));
        match event {
            Event::Start { first_step, steps, .. } => {
                (self.step, self.steps) = (*first_step, *steps);
                self.phase = if waits { Phase::Stopping } else { Phase::Going };
            }
            Event::Tick { step } => self.rate.note(*step, Instant::now()),
            Event::Paused { .. } => self.rate.rest(),
            Event::Step { images_per_sec, .. } => self.images_per_sec = Some(*images_per_sec),
            Event::Warning { text } => {
                self.warnings.push_back(text.clone());
                if self.warnings.len() > WARNINGS {
                    self.warnings.pop_front();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts::left;
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn a_configuration_goes_to_runs_and_a_run_folder_to_itself() {
        let dir = TempDir::new("training");
        let text = "[data]\nroot = \"street\"\n";
        std::fs::write(dir.join("small.toml"), text).unwrap();
        let chosen = choose(&dir.join("small.toml")).expect("a configuration");
        let runs = Path::new("runs").join("small").display().to_string();
        assert_eq!((chosen.name.as_str(), chosen.out, chosen.begun), ("small", runs, false));
        let run = dir.join("night");
        std::fs::create_dir_all(run.join("checkpoints")).unwrap();
        std::fs::write(run.join("config.toml"), text).unwrap();
        std::fs::write(run.join("log.jsonl"), "").unwrap();
        let chosen = choose(&run.join("config.toml")).expect("a configuration");
        assert_eq!((chosen.name.as_str(), chosen.begun), ("night", true));
        assert_eq!(Path::new(&chosen.out), run);
        std::fs::write(dir.join("bad.toml"), "[data]\nroot = \"x\"\n[train]\nstep = 3\n").unwrap();
        let said = choose(&dir.join("bad.toml")).err().expect("an unknown key").to_string();
        assert!(said.contains("bad.toml") && said.contains("step"), "{said}");
    }

    #[test]
    fn the_time_that_is_left_does_not_count_pauses() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        rate.note(10, at(0));
        assert_eq!(rate.left(100), None);
        rate.note(20, at(1000));
        rate.rest();
        rate.note(21, at(60_000));
        rate.note(30, at(61_000));
        assert!((rate.left(100).expect("a rate") - 10.0).abs() < 0.01);
        assert_eq!([left(9.6), left(600.0), left(7200.0)], ["10 s left", "10 min left", "2.0 h left"]);
    }
}
