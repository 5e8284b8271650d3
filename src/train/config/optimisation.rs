//! The `[train]` section: schedule, optimiser and what is written when.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Extras, Optimiser, Recompute, TrainOptions};
use crate::nn::{Freeze, FreezeNorms};
use crate::ops::HardPixels;

/// The rule by which gradients move weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserKind {
    /// Gradient descent with momentum, decay inside the gradient.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// By `(1 - step / steps)^power`.
    #[default]
    Poly,
    /// By half a cosine.
    Cosine,
}

/// Schedule and optimiser (spec section 13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Pretrained backbone weights (safetensors, torchvision names); absent to start from random ones. A relative path is
    /// relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Seed of everything random.
    pub seed: u32,
    /// Optimiser steps.
    pub steps: u64,
    /// Images per step, or per micro-batch where `accumulate` is above 1.
    pub batch: usize,
    /// Micro-batches per step: the mean of their gradients is one step of the optimiser, in the memory of one micro-batch.
    /// `steps` and the learning rate count steps; batch-norm statistics, clustering and prototypes go by micro-batch.
    pub accumulate: usize,
    /// First learning rate of the head.
    pub lr: f32,
    /// The backbone's learning rate as a multiple of the head's.
    pub backbone_lr: f32,
    /// `"poly"`, or `"cosine"`: from `lr` at the first step to `min_lr` behind the last.
    pub schedule: Schedule,
    /// Exponent of `"poly"`: the rate is `min_lr + (lr - min_lr) (1 - step / steps)^power`.
    pub power: f32,
    /// Lowest learning rate of the head.
    pub min_lr: f32,
    /// Steps over which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// `"sgd"` or `"adamw"`.
    pub optimiser: OptimiserKind,
    /// Momentum of `"sgd"`.
    pub momentum: f32,
    /// Shares of the old moments that stay, of `"adamw"`.
    pub betas: [f32; 2],
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether scales and shifts of norms, biases and position embeddings decay too. The usual recipes of `"adamw"` set
    /// `false`.
    pub decay_norms: bool,
    /// Largest Euclidean norm of all gradients together: larger ones are scaled down to it before the optimiser sees them, and
    /// the norm is logged. 0 for no bound.
    pub clip_norm: f32,
    /// Share `d` of the old average that stays when a step's weights are averaged in, such as 0.999; at step t at most
    /// (1 + t) / (10 + t). The averages of weights and running statistics are what is evaluated and saved as the model;
    /// prototypes are running means already. 0 for the weights themselves.
    pub ema: f32,
    /// What of the backbone's batch norms is left as `weights` has it: `"none"`; `"statistics"`, by which batches are then
    /// normalised as in inference while scales and shifts are trained; or `"all"`, scales and shifts too.
    pub freeze_norms: FreezeNorms,
    /// Whether the backbone is left as `weights` has it: no gradient flows into it, and its norms do as in inference.
    pub freeze_backbone: bool,
    /// Online hard example mining: the cross-entropy counts a pixel only where its class has a probability below this, or
    /// where `ohem_min_kept` asks for it. 0 to count every labelled pixel; 0.7 is usual.
    pub ohem_threshold: f32,
    /// Pixels of a batch that count at least: those with the lowest probabilities.
    pub ohem_min_kept: usize,
    /// Weight of the loss of an auxiliary head, which classifies the backbone's map of stride 16 while it trains and is not part
    /// of the model. With an output stride of 8 it is the map of the stage that has stride 16 otherwise (a ResNet's layer3), in a
    /// ViT that behind three quarters of the blocks. 0 for no such head; 0.4 is usual.
    pub aux_weight: f32,
    /// Evaluate once before the first step.
    pub eval_first: bool,
    /// Steps between evaluations; 0 for one at the end only.
    pub eval_every: u64,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between checkpoints, beyond those of every evaluation; 0 for none beyond those.
    pub checkpoint_every: u64,
    /// Checkpoints that stay in the run folder, the newest ones; beside them the best model always stays.
    pub keep_checkpoints: usize,
    /// Threads that load and augment images; 0 for one per core.
    pub threads: usize,
    /// Whether the reverse pass computes blocks of the backbone again instead of keeping them in memory: `true`, `false`, or
    /// `"auto"` for where a step would take more than `memory_mib`. The result is the same to the bit.
    pub recompute: Recompute,
    /// MiB on the device that a step may take; 0 for no bound.
    pub memory_mib: u64,
    /// Whether the run folder gets `tensorboard/` with the numbers of `log.jsonl` for TensorBoard.
    pub tensorboard: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            weights: None,
            seed: 0,
            steps: 10_000,
            batch: 8,
            accumulate: 1,
            lr: 0.01,
            backbone_lr: 1.0,
            schedule: Schedule::Poly,
            power: 0.9,
            min_lr: 0.0,
            warmup_steps: 0,
            optimiser: OptimiserKind::Sgd,
            momentum: 0.9,
            betas: [0.9, 0.999],
            weight_decay: 5e-4,
            decay_norms: true,
            clip_norm: 0.0,
            ema: 0.0,
            freeze_norms: FreezeNorms::None,
            freeze_backbone: false,
            ohem_threshold: 0.0,
            ohem_min_kept: 0,
            aux_weight: 0.0,
            eval_first: false,
            eval_every: 1000,
            log_every: 10,
            checkpoint_every: 250,
            keep_checkpoints: 2,
            threads: 0,
            recompute: Recompute::Auto,
            memory_mib: 0,
            tensorboard: true,
        }
    }
}

impl TrainConfig {
    /// Learning rate of the head at `step` (counted from 0).
    #[must_use]
    pub fn lr_at(&self, step: u64) -> f32 {
        let progress = step as f64 / self.steps as f64;
        let rise = ((step + 1) as f64 / (self.warmup_steps + 1) as f64).min(1.0);
        let fall = match self.schedule {
            Schedule::Poly => (1.0 - progress).powf(f64::from(self.power)),
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        let (lr, least) = (f64::from(self.lr), f64::from(self.min_lr));
        ((lr - least) * rise * fall + least * rise) as f32
    }

    /// Whether something of the backbone is left as it is.
    #[must_use]
    pub fn freezes(&self) -> bool {
        self.freeze_backbone || self.freeze_norms != FreezeNorms::None
    }

    /// Checks what the types do not.
    pub(super) fn check(&self) -> Result<()> {
        let t = self;
        let wrong = |key: &str, value: String, want: &str| {
            Err(Error::config(format!("{key} is {value}"), format!("it must be {want}")))
        };
        if t.steps == 0 {
            return wrong("train.steps", "0".into(), "at least 1");
        }
        if t.batch == 0 {
            return wrong("train.batch", "0".into(), "at least 1");
        }
        if t.accumulate == 0 || t.steps.saturating_mul(t.accumulate as u64) > u64::from(u32::MAX) {
            let want = format!("at least 1, and at most {} in all of train.steps", u32::MAX);
            return wrong("train.accumulate", t.accumulate.to_string(), &want);
        }
        if t.keep_checkpoints == 0 {
            return wrong("train.keep_checkpoints", "0".into(), "at least 1");
        }
        for (key, value) in [
            ("train.lr", t.lr),
            ("train.backbone_lr", t.backbone_lr),
            ("train.power", t.power),
            ("train.momentum", t.momentum),
            ("train.min_lr", t.min_lr),
            ("train.weight_decay", t.weight_decay),
            ("train.clip_norm", t.clip_norm),
            ("train.aux_weight", t.aux_weight),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(key, value.to_string(), "a finite number of 0 or more");
            }
        }
        if t.momentum >= 1.0 {
            return wrong("train.momentum", t.momentum.to_string(), "below 1");
        }
        if !(0.0..1.0).contains(&t.ema) {
            return wrong("train.ema", t.ema.to_string(), "0 or more and below 1");
        }
        if !(0.0..=1.0).contains(&t.ohem_threshold) {
            return wrong("train.ohem_threshold", t.ohem_threshold.to_string(), "a probability");
        }
        if t.aux_weight > 0.0 && t.freeze_backbone {
            let want = "0 with train.freeze_backbone: it trains nothing but the backbone";
            return wrong("train.aux_weight", t.aux_weight.to_string(), want);
        }
        if t.ohem_min_kept > 0 && t.ohem_threshold == 0.0 {
            let want = "0 unless train.ohem_threshold is above 0";
            return wrong("train.ohem_min_kept", t.ohem_min_kept.to_string(), want);
        }
        if t.min_lr > t.lr {
            return wrong("train.min_lr", t.min_lr.to_string(), "at most train.lr");
        }
        if !t.betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return wrong("train.betas", format!("{:?}", t.betas), "two numbers from 0 to below 1");
        }
        if t.log_every == 0 {
            return wrong("train.log_every", "0".into(), "at least 1");
        }
        Ok(())
    }

    /// What a training step of images of `height` x `width`, `batch` at a time, needs beside the model's spec.
    #[must_use]
    pub fn step_options(&self, batch: usize, [height, width]: [usize; 2]) -> TrainOptions {
        TrainOptions {
            batch,
            height,
            width,
            optimiser: match self.optimiser {
                OptimiserKind::Sgd => Optimiser::Sgd { momentum: self.momentum },
                OptimiserKind::Adamw => Optimiser::AdamW { betas: self.betas },
            },
            weight_decay: self.weight_decay,
            decay_norms: self.decay_norms,
            backbone_lr: self.backbone_lr,
            extras: Extras {
                clip_norm: self.clip_norm,
                ema: self.ema,
                freeze: Freeze { backbone: self.freeze_backbone, norms: self.freeze_norms },
                accumulate: self.accumulate,
                aux_weight: self.aux_weight,
                hard: (self.ohem_threshold > 0.0)
                    .then_some(HardPixels { threshold: self.ohem_threshold, min_kept: self.ohem_min_kept }),
            },
            seed: self.seed,
            recompute: self.recompute,
            max_bytes: (self.memory_mib > 0).then(|| self.memory_mib.saturating_mul(1 << 20)),
        }
    }
}
