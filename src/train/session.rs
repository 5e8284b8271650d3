//! A training run: data in, events out, models on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::data::{Batch, ClassInfo, Dataset, Loader, LoaderSettings, audit_splits};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::infer::{Predictor, evaluate};
use crate::model::{
    ModelSpec, PROTOTYPES, Phase, Provenance, TrainOptions, TrainStep, load_backbone, save_model,
};
use crate::proto::{ClassHealth, TWIN_COSINE, health};
use crate::tape::{Keep, Plan, Program, Store};

use super::checkpoint;
use super::config::Config;
use super::event::{Command, Event, PrototypeCosines};
use super::trace::Snapshot;

/// A run that is ready to start.
pub struct Session {
    pub(super) gpu: Arc<Gpu>,
    pub(super) config: Config,
    out: PathBuf,
    spec: ModelSpec,
    train: Arc<Dataset>,
    val: Dataset,
    pub(super) store: Store,
    first_step: u64,
    /// The step that the run folder's checkpoint is of.
    pub(super) checkpoint: Option<u64>,
    best_miou: f64,
    warnings: Vec<String>,
}

/// A recorded training step with its plan.
pub(super) struct Prepared {
    pub step: TrainStep,
    pub plan: Plan,
}

impl Prepared {
    /// Uploads everything that step number `step` reads.
    pub fn write(&self, batch: &Batch, lr: f32, step: u64) {
        let Self { step: recorded, plan } = self;
        plan.write_padded(recorded.image, &batch.images);
        plan.write(recorded.labels, &batch.labels);
        plan.write(recorded.lr, &[lr]);
        plan.write(recorded.step, &[step as u32]);
    }
}

impl Session {
    /// Checks the data, creates the run folder and puts weights on the device. With `resume`, goes on from the folder's
    /// last checkpoint.
    ///
    /// # Errors
    /// The first problem with data, configuration, weights or output folder, before anything is trained.
    pub async fn new(gpu: &Arc<Gpu>, config: Config, out: &Path, resume: bool) -> Result<Self> {
        let splits = [config.data.train.as_str(), config.data.val.as_str()];
        let audit = audit_splits(&config.data.root, &splits)?;
        audit.verdict()?;
        let train = Arc::new(Dataset::open(&config.data.root, &config.data.train)?);
        let val = Dataset::open(&config.data.root, &config.data.val)?;
        let classes = train.classes().clone();
        let num_weights = config.data.class_weights.len();
        if num_weights != 0 && num_weights != classes.len() {
            return Err(Error::config(
                format!("data.class_weights has {num_weights} numbers for {} classes", classes.len()),
                "give one per class, in the order of classes.json, or none",
            ));
        }
        std::fs::create_dir_all(out).map_err(|e| Error::io("create the run folder", out, e))?;
        let checkpoint = checkpoint::path(out);
        if !resume && checkpoint.exists() {
            return Err(Error::data(
                out,
                "this folder holds a run already",
                "go on with --resume, or give another --out",
            ));
        }
        let head = config.head.resolve()?;
        let mut warnings = audit.warnings();
        if classes.len() <= 2 && head.class_logit == crate::head::LogitKind::Layernorm {
            warnings.push(format!(
                "class_logit = \"layernorm\" has almost no gradient with {} classes: set head.class_logit = \"scaled\"",
                classes.len()
            ));
        }
        let data = config.data.root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let provenance = Provenance {
            protoseg: env!("CARGO_PKG_VERSION").into(),
            seed: config.train.seed,
            step: 0,
            miou: None,
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
            first_step: 0,
            checkpoint: None,
            best_miou: -1.0,
            warnings,
            config,
        };
        let recorded = session.record(Phase::Main)?;
        recorded.weights.init(gpu, &mut session.store, session.config.train.seed)?;
        if let Some(path) = &session.config.train.weights {
            load_backbone(gpu, &mut session.store, &recorded.weights, session.spec.net.arch, path)?;
        }
        if resume {
            let mut wanted = recorded.stored();
            wanted.extend(session.record(Phase::WarmUp)?.stored());
            let state = checkpoint::load(gpu, &mut session.store, &wanted, &checkpoint)?;
            (session.first_step, session.best_miou) = (state.step, state.best_miou);
            session.checkpoint = Some(state.step);
        }
        session.config.save(&out.join("config.toml"))?;
        Ok(session)
    }

    /// The batches of step number `first_step` and on.
    pub(super) fn loader(&self, first_step: u64) -> Result<Loader> {
        let config = &self.config;
        let num_threads = match config.train.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let settings = LoaderSettings {
            augment: config.augment.clone(),
            normalisation: config.normalisation,
            batch: config.train.batch,
            seed: config.train.seed,
            first_step,
            num_threads,
        };
        Loader::new(Arc::clone(&self.train), settings)
    }

    fn record(&self, phase: Phase) -> Result<TrainStep> {
        let (train, crop) = (&self.config.train, &self.config.augment);
        let options = TrainOptions {
            batch: train.batch,
            height: crop.crop_height,
            width: crop.crop_width,
            momentum: train.momentum,
            weight_decay: train.weight_decay,
            backbone_lr: train.backbone_lr,
            seed: train.seed,
        };
        TrainStep::record(&self.spec, &options, phase)
    }

    pub(super) fn prepare(&mut self, phase: Phase) -> Result<(Prepared, Event)> {
        let step = self.record(phase)?;
        let program = Program::new(&step.tape, self.gpu.caps(), Keep::Only(&step.losses.all()));
        let event = Event::Plan {
            bytes: program.bytes(),
            flops: program.flops(),
            dispatches: program.num_dispatches(),
        };
        let plan = Plan::new(&self.gpu, &step.tape, &program, &mut self.store)?;
        let weights = &self.config.data.class_weights;
        let ones = vec![1.0; self.spec.num_classes()];
        plan.write(step.class_weights, if weights.is_empty() { &ones } else { weights });
        Ok((Prepared { step, plan }, event))
    }

    /// Trains to the end, or until `listen` answers [`Command::Stop`].
    ///
    /// # Errors
    /// [`Error::Numeric`] for a loss that is not finite; whatever data, device or file system refuse.
    pub async fn run(&mut self, listen: &mut dyn FnMut(&Event) -> Command) -> Result<()> {
        let start = Instant::now();
        let config = self.config.train.clone();
        listen(&Event::Start {
            adapter: self.gpu.name().to_owned(),
            first_step: self.first_step,
            steps: config.steps,
            images: [self.train.len(), self.val.len()],
        });
        for text in std::mem::take(&mut self.warnings) {
            listen(&Event::Warning { text });
        }
        let mut loader = self.loader(self.first_step)?;
        let mut prepared: Option<(Phase, Prepared)> = None;
        let mut predictor = Predictor::new(&self.gpu, &self.spec);
        if config.eval_first && self.first_step == 0 {
            self.evaluate(0, true, &mut predictor, listen).await?;
        }
        let mut last_log = (Instant::now(), self.first_step);
        let mut snapshot = Snapshot::default();
        for step in self.first_step..config.steps {
            let phase = if self.spec.head.warms_up(step) { Phase::WarmUp } else { Phase::Main };
            if prepared.as_ref().is_none_or(|(current, _)| *current != phase) {
                let (next, event) = self.prepare(phase)?;
                listen(&event);
                prepared = Some((phase, next));
                snapshot.take(&self.gpu, &self.store, step)?;
            }
            let Some((_, prepared)) = &prepared else { continue };
            let batch = loader.next_batch()?;
            // One step in flight: the next batch was loaded while the device worked.
            self.gpu.wait()?;
            prepared.write(&batch, config.lr_at(step), step);
            prepared.plan.run();
            let done = step + 1;
            let last = done == config.steps;
            let mut answer = Command::Continue;
            if done.is_multiple_of(config.log_every) || last {
                let losses = prepared.step.losses.read(&prepared.plan).await?;
                let seconds = last_log.0.elapsed().as_secs_f64();
                let images_per_sec = ((done - last_log.1) as usize * config.batch) as f64 / seconds;
                last_log = (Instant::now(), done);
                let [loss, ce, ppc, ppd] = losses;
                answer = listen(&Event::Step {
                    step: done,
                    loss,
                    ce,
                    ppc,
                    ppd,
                    lr: config.lr_at(step),
                    images_per_sec,
                });
                if !loss.is_finite() {
                    return Err(self.trace(prepared, &snapshot, step).await?);
                }
                snapshot.take(&self.gpu, &self.store, done)?;
            }
            let evaluate_now = last || config.eval_every > 0 && done.is_multiple_of(config.eval_every);
            if evaluate_now {
                answer = self.evaluate(done, last, &mut predictor, listen).await?;
            }
            if evaluate_now || answer == Command::Stop {
                let state = checkpoint::State { step: done, best_miou: self.best_miou };
                checkpoint::save(&self.gpu, &self.store, &self.out, state).await?;
                self.checkpoint = Some(done);
                last_log = (Instant::now(), done);
            }
            if answer == Command::Stop {
                break;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        listen(&Event::Done { step: self.spec.provenance.step, best_miou: self.best_miou.max(0.0), seconds });
        Ok(())
    }

    /// Scores the validation split and saves `last` and, where it is one, `best`.
    async fn evaluate(
        &mut self,
        done: u64,
        all: bool,
        predictor: &mut Predictor,
        listen: &mut dyn FnMut(&Event) -> Command,
    ) -> Result<Command> {
        let limit =
            if all || self.config.data.val_images == 0 { usize::MAX } else { self.config.data.val_images };
        let scores = evaluate(predictor, &mut self.store, &self.val, limit, &mut |_| {}).await?;
        let best = scores.miou > self.best_miou;
        self.best_miou = self.best_miou.max(scores.miou);
        self.spec.provenance.step = done;
        self.spec.provenance.miou = Some(scores.miou);
        let weights = self.record(Phase::Main)?.weights;
        let images = self.val.len().min(limit);
        let mut answer = listen(&Event::Evaluation { step: done, images, scores, best });
        self.tell_prototypes(done, listen).await?;
        for (name, wanted) in [("last", true), ("best", best)] {
            if wanted {
                let path = self.out.join(format!("{name}.safetensors"));
                save_model(&self.gpu, &self.store, &weights, &self.spec, &path).await?;
                if listen(&Event::Saved { step: done, path }) == Command::Stop {
                    answer = Command::Stop;
                }
            }
        }
        Ok(answer)
    }

    /// Tells how far apart the prototypes are, and warns where two of a class have nearly become one.
    async fn tell_prototypes(&self, step: u64, listen: &mut dyn FnMut(&Event) -> Command) -> Result<()> {
        let (shape, protos) = self.store.read(&self.gpu, PROTOTYPES).await?;
        let counts = vec![0; shape[0] * shape[1]];
        let found = health(&protos, &counts, [shape[0], shape[1], shape[2]]);
        let cosines = |(h, class): (&ClassHealth, &ClassInfo)| PrototypeCosines {
            name: class.name.clone(),
            mean: h.mean_cosine,
            max: h.max_cosine,
        };
        let classes: Vec<_> = found.iter().zip(&self.spec.classes.classes).map(cosines).collect();
        let mean_cosine = classes.iter().map(|c| c.mean).sum::<f64>() / classes.len() as f64;
        for class in classes.iter().filter(|c| c.max > TWIN_COSINE) {
            let text =
                format!("two prototypes of {} have a cosine of {:.3}: they are twins", class.name, class.max);
            listen(&Event::Warning { text });
        }
        listen(&Event::Prototypes { step, mean_cosine, classes });
        Ok(())
    }

    /// Takes the trained weights on the device, for a report.
    pub fn into_parts(self) -> (ModelSpec, Store) {
        (self.spec, self.store)
    }
}
