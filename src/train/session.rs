//! A training run: data in, events out, models on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use web_time::Instant;

use crate::data::{Dataset, Loader, LoaderSettings, audit_with};
use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::{is_leftover, remove_leftovers};
use crate::gpu::Gpu;
use crate::infer::{Evaluation, Predictor, evaluate};
use crate::model::{
    ModelSpec, Phase, Provenance, StepCost, TrainOptions, TrainStep, load_backbone, save_model,
};
use crate::proto::CollapseWatch;
use crate::tape::{Keep, Store, tuned_caps};

use super::checkpoint;
use super::config::Config;
use super::data_wait::DataWait;
use super::event::{Command, Event, Listener};
use super::prepared::Prepared;
use super::trace::Snapshot;
use super::watch::Watcher;

/// Loader threads that `threads = 0` starts at most: more wait for the device on any machine.
const MAX_AUTO_THREADS: usize = 16;

/// A run that is ready to start.
pub struct Session {
    pub(super) gpu: Arc<Gpu>,
    pub(super) config: Config,
    out: PathBuf,
    pub(super) spec: ModelSpec,
    pub(super) train: Arc<Dataset>,
    val: Dataset,
    pub(super) store: Store,
    /// The model as it is evaluated and saved, where that is not what `store` holds: averages of the weights.
    pub(super) averaged: Store,
    first_step: u64,
    /// The step that the run folder's checkpoint is of.
    pub(super) checkpoint: Option<u64>,
    best_miou: f64,
    pub(super) collapse: CollapseWatch,
    /// Whether a step has been begun and not ended: its state is none to go on from.
    torn: bool,
    warnings: Vec<String>,
    /// Of the cross-entropy, `[C]`.
    class_weights: Vec<f32>,
}

impl Session {
    /// Checks the data, puts weights on the device and creates the run folder. With `resume`, goes on from the folder's
    /// last checkpoint.
    ///
    /// # Errors
    /// The first problem with data, configuration, weights or output folder, before anything is trained.
    pub async fn new(gpu: &Arc<Gpu>, config: Config, out: &Path, resume: bool) -> Result<Self> {
        let splits = [config.data.train.as_str(), config.data.val.as_str()];
        let audit = audit_with(&config.data.root, &splits, &config.data.options())?;
        audit.verdict()?;
        let train = Arc::new(config.data.open(&config.data.train)?);
        let val = config.data.open(&config.data.val)?;
        let classes = train.classes().clone();
        let shares: Vec<f64> = audit.splits[0].classes.iter().map(|class| class.share).collect();
        let class_weights = config.data.weights(&shares)?;
        // A run that was killed before its first checkpoint is resumed from the beginning.
        let begun = checkpoint::any(out);
        if !resume && begun {
            let remedy = "go on with --resume, or give another --out";
            return Err(Error::data(out, "this folder holds a run already", remedy));
        }
        if resume && !begun && !is_begun(out) {
            let remedy = "give the folder of a run that was interrupted, or leave --resume out";
            return Err(Error::data(out, "this folder holds no checkpoint", remedy));
        }
        let head = config.head.resolve()?;
        let mut warnings = audit.warnings();
        if resume && !begun {
            warnings.push(
                "the run was interrupted before its first checkpoint: it starts from the beginning".into(),
            );
        }
        if head.kind.has_prototypes()
            && classes.len() <= 2
            && head.class_logit == crate::head::LogitKind::Layernorm
        {
            warnings.push(format!(
                "class_logit = \"layernorm\" has almost no gradient with {} classes: set head.class_logit = \"scaled\"",
                classes.len()
            ));
        }
        if config.train.weights.is_none() && config.train.freezes() {
            warnings
                .push("what is frozen of the backbone stays at its random start: set train.weights".into());
        }
        let data = config.data.root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let provenance = Provenance {
            protoseg: env!("CARGO_PKG_VERSION").into(),
            seed: config.train.seed,
            step: 0,
            miou: None,
            val_images: 0,
            data,
            crop: [config.augment.crop_height, config.augment.crop_width],
        };
        let normalisation = config.normalisation;
        let spec = ModelSpec { net: config.model.clone(), head, classes, normalisation, provenance };
        let mut session = Self {
            gpu: Arc::clone(gpu),
            out: out.to_path_buf(),
            spec,
            train,
            val,
            store: Store::new(),
            averaged: Store::new(),
            first_step: 0,
            checkpoint: None,
            best_miou: -1.0,
            collapse: CollapseWatch::default(),
            torn: false,
            warnings,
            class_weights,
            config,
        };
        let recorded = session.record(Phase::Main)?;
        recorded.weights.init(gpu, &mut session.store, session.config.train.seed)?;
        if begun {
            let mut wanted = recorded.stored();
            wanted.extend(session.record(Phase::WarmUp)?.stored());
            let (file, state, damaged) = checkpoint::newest(out)?;
            session.warnings.extend(damaged);
            session.warnings.extend(state.compare(&session.config, &session.spec.classes, out)?);
            checkpoint::load(gpu, &mut session.store, &wanted, &file)?;
            if state.step > session.config.train.steps {
                let problem = format!(
                    "its checkpoint is of step {}, beyond train.steps = {}",
                    state.step, session.config.train.steps
                );
                return Err(Error::data(out, problem, "raise train.steps"));
            }
            (session.first_step, session.best_miou) = (state.step, state.best_miou);
            session.checkpoint = Some(state.step);
            session.collapse = state.collapse;
        } else if let Some(path) = &session.config.train.weights {
            load_backbone(gpu, &mut session.store, &recorded.weights, session.spec.net.arch, path)?;
        }
        session.start_averages(&recorded.stored())?;
        disk::create_folders(out).map_err(|e| Error::io("create the run folder", out, e))?;
        [out, &checkpoint::folder(out)].into_iter().for_each(remove_leftovers);
        session.config.save(&out.join("config.toml"))?;
        Ok(session)
    }

    /// The model's description; its provenance is that of the last evaluation.
    #[must_use]
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The batches of step number `first_step` and on.
    pub(super) fn loader(&self, first_step: u64) -> Result<Loader> {
        let config = &self.config;
        let num_threads = match config.train.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_AUTO_THREADS),
            count => count,
        };
        let settings = LoaderSettings {
            augment: config.augment.enlarged(config.model.input_scale),
            normalisation: config.normalisation,
            batch: config.train.batch,
            seed: config.train.seed,
            first_step: first_step * config.train.accumulate as u64,
            num_threads,
        };
        Loader::new(Arc::clone(&self.train), settings)
    }

    pub(super) fn record(&self, phase: Phase) -> Result<TrainStep> {
        TrainStep::record(&self.spec, &self.step_options(), phase)
    }

    pub(super) fn step_options(&self) -> TrainOptions {
        let crop = &self.config.augment;
        self.config.train.step_options(self.config.train.batch, [crop.crop_height, crop.crop_width])
    }

    pub(super) async fn prepare(&mut self, phase: Phase) -> Result<(Prepared, Event)> {
        let step = self.record(phase)?;
        let caps = tuned_caps(&self.gpu, &step.tape, Keep::Only(&step.kept())).await?;
        let (step, program) = TrainStep::plan(&self.spec, &self.step_options(), phase, &caps)?;
        let StepCost { bytes, flops, dispatches, .. } = step.cost(&program, &caps);
        let event = Event::Plan { bytes, flops, dispatches, recomputed: step.recomputed };
        let prepared = Prepared::new(&self.gpu, step, &program, &caps, &mut self.store)?;
        prepared.plan.write(prepared.step.class_weights, &self.class_weights);
        Ok((prepared, event))
    }

    /// Trains to the end, or until `listen` answers [`Command::Stop`]; then a checkpoint is saved. It is saved too where an
    /// image or a file of the data set gives up on the way.
    ///
    /// # Errors
    /// [`Error::Numeric`] for a loss or weight that is not finite; whatever data, device or file system refuse.
    pub async fn run(&mut self, listen: &mut dyn FnMut(&Event) -> Command) -> Result<()> {
        self.run_watched(listen, None).await
    }

    /// As [`Session::run`], with somebody who looks at the model between steps.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run_watched(
        &mut self,
        listen: &mut dyn FnMut(&Event) -> Command,
        watcher: Option<&mut dyn Watcher>,
    ) -> Result<()> {
        let start = Instant::now();
        let mut listener = Listener::new(listen);
        let (first_step, steps) = (self.first_step, self.config.train.steps);
        listener.tell(&Event::Start {
            adapter: self.gpu.name().to_owned(),
            first_step,
            steps,
            images: [self.train.len(), self.val.len()],
        });
        for text in std::mem::take(&mut self.warnings) {
            listener.tell(&Event::Warning { text });
        }
        if first_step == steps {
            let text = format!("all {steps} steps are done already: raise train.steps to go on");
            listener.tell(&Event::Warning { text });
        }
        let mut done = first_step;
        let result = self.train(&mut done, &mut listener, watcher).await;
        let of_data = matches!(result, Err(Error::Data { .. } | Error::Io { .. }));
        if of_data && !self.torn && self.checkpoint.unwrap_or(0) < done {
            // The error that is told is the one that ended the run.
            let _ = self.save_checkpoint(done).await;
        }
        result?;
        let seconds = start.elapsed().as_secs_f64();
        listener.tell(&Event::Done { step: done, best_miou: self.best_miou.max(0.0), seconds });
        Ok(())
    }

    /// The steps that are left; `done` counts those submitted.
    async fn train(
        &mut self,
        done: &mut u64,
        listener: &mut Listener<'_>,
        mut watcher: Option<&mut dyn Watcher>,
    ) -> Result<()> {
        let config = self.config.train.clone();
        let mut loader = self.loader(self.first_step)?;
        let mut prepared: Option<(Phase, Prepared)> = None;
        let mut predictor = Predictor::new(&self.gpu, &self.spec);
        if config.eval_first && self.first_step == 0 {
            self.evaluate(0, true, &mut predictor, listener).await?;
        }
        let mut last_log = (Instant::now(), self.first_step);
        let mut data_wait = DataWait::default();
        let mut snapshot = Snapshot::default();
        for step in self.first_step..config.steps {
            let phase = if self.spec.head.warms_up(step) { Phase::WarmUp } else { Phase::Main };
            let changes = prepared.as_ref().is_none_or(|(current, _)| *current != phase);
            let revives = self.spec.head.revives_before(step);
            if let Some((_, prepared)) = &prepared
                && revives
                && !self.is_healthy(0.0, true).await?
            {
                // Looked at now: the steps done again from a snapshot do not include a revival.
                return Err(self.trace(prepared, &snapshot, step - 1).await?);
            }
            if changes || revives {
                // Dropped first: two plans at a time may be more than the device holds.
                drop(prepared.take());
                if let Some(event) = self.set_prototypes(step).await? {
                    listener.tell(&event);
                }
                let (next, event) = self.prepare(phase).await?;
                if changes {
                    listener.tell(&event);
                }
                prepared = Some((phase, next));
                snapshot.take(&self.gpu, &self.store, step)?;
            }
            let Some((_, prepared)) = &prepared else { continue };
            let mut next = || data_wait.during(|| loader.next_batch());
            prepared.run(&mut next, config.lr_at(step), step, &mut self.torn).await?;
            *done = step + 1;
            listener.tell(&Event::Tick { step: *done });
            self.show(*done, &mut watcher).await?;
            last_log.0 += self.pause(*done, listener, &mut watcher).await?;
            let due = |every: u64| every > 0 && done.is_multiple_of(every);
            let last = *done == config.steps;
            let evaluate_now = last || due(config.eval_every);
            let mut save_now = evaluate_now || due(config.checkpoint_every) || listener.wants_stop();
            if save_now || due(config.log_every) {
                let losses = prepared.step.losses.read(&prepared.plan).await?;
                if last || due(config.log_every) {
                    let images = (*done - last_log.1) as usize * config.batch * config.accumulate;
                    let interval = last_log.0.elapsed();
                    let images_per_sec = images as f64 / interval.as_secs_f64();
                    let (share, warning) = data_wait.share(interval);
                    last_log = (Instant::now(), *done);
                    let [loss, ce, ppc, ppd] = losses;
                    let (step, lr) = (*done, config.lr_at(step));
                    let (aux, grad_norm) = (prepared.aux().await?, prepared.grad_norm().await?);
                    listener.tell(&Event::Step {
                        step,
                        loss,
                        ce,
                        ppc,
                        ppd,
                        aux,
                        lr,
                        grad_norm,
                        images_per_sec,
                        data_wait: Some(share),
                    });
                    if let Some(text) = warning {
                        listener.tell(&Event::Warning { text });
                    }
                    save_now |= listener.wants_stop();
                }
                if !self.is_healthy(losses[0], save_now).await? {
                    return Err(self.trace(prepared, &snapshot, step).await?);
                }
                snapshot.take(&self.gpu, &self.store, *done)?;
            }
            if evaluate_now {
                self.evaluate(*done, last, &mut predictor, listener).await?;
            }
            if save_now {
                self.save_checkpoint(*done).await?;
                last_log = (Instant::now(), *done);
                data_wait.reset();
            }
            if listener.wants_stop() {
                break;
            }
        }
        Ok(())
    }

    async fn save_checkpoint(&mut self, step: u64) -> Result<()> {
        let mut state = checkpoint::State::new(step, self.best_miou, &self.config, &self.spec.classes)?;
        state.collapse = self.collapse.clone();
        let keep = self.config.train.keep_checkpoints;
        checkpoint::save(&self.gpu, &self.store, &self.out, &state, keep).await?;
        self.checkpoint = Some(step);
        Ok(())
    }

    /// Scores the validation split and saves `last` and, where it is one, `best`. Which model is best is always decided on
    /// the same images; `all` tells the scores of the whole split beyond that.
    async fn evaluate(
        &mut self,
        done: u64,
        all: bool,
        predictor: &mut Predictor,
        listener: &mut Listener<'_>,
    ) -> Result<()> {
        let some = spaced(self.val.len(), self.config.data.val_images);
        let mut images = some.len();
        let weights = self.record(Phase::Main)?.weights.of_model();
        if self.averages() {
            self.take_averages(&weights)?;
        }
        let store = if self.averages() { &mut self.averaged } else { &mut self.store };
        let mut found = evaluate(predictor, store, &self.val, &some, &mut |_| {}).await?;
        let best = found.scores.miou > self.best_miou;
        self.best_miou = self.best_miou.max(found.scores.miou);
        if all && images < self.val.len() {
            images = self.val.len();
            let every: Vec<usize> = (0..images).collect();
            found = evaluate(predictor, store, &self.val, &every, &mut |_| {}).await?;
        }
        let Evaluation { scores, usage } = found;
        let provenance = &mut self.spec.provenance;
        (provenance.step, provenance.miou, provenance.val_images) = (done, Some(scores.miou), images);
        listener.tell(&Event::Evaluation { step: done, images, scores, best });
        if self.spec.head.kind.has_prototypes() {
            self.tell_prototypes(done, &usage, listener).await?;
        }
        for (name, wanted) in [("last", true), ("best", best)] {
            if wanted {
                let path = self.out.join(format!("{name}.safetensors"));
                let store = if self.averages() { &self.averaged } else { &self.store };
                save_model(&self.gpu, store, &weights, &self.spec, &path).await?;
                listener.tell(&Event::Saved { step: done, path });
            }
        }
        Ok(())
    }
}

/// Whether a run was started in `out`: it holds the resolved configuration, or nothing at all where that was being written.
fn is_begun(out: &Path) -> bool {
    let empty = |entries: Vec<PathBuf>| entries.iter().all(|path| is_leftover(path));
    disk::is_file(&out.join("config.toml")) || disk::list(out).is_ok_and(empty)
}

/// `limit` indices out of `0..count` at even distances, or all of them where `limit` is 0 or larger.
fn spaced(count: usize, limit: usize) -> Vec<usize> {
    if limit == 0 || limit >= count {
        (0..count).collect()
    } else {
        (0..limit).map(|i| i * count / limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::spaced;

    #[test]
    fn images_are_spaced_over_the_split() {
        assert_eq!(spaced(10, 3), [0, 3, 6]);
        assert_eq!(spaced(3, 0), [0, 1, 2]);
        assert_eq!(spaced(3, 5), [0, 1, 2]);
    }
}
