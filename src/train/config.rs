//! The training configuration: one struct is the TOML file, the defaults and the resolved copy in the run folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{AugmentSettings, Normalisation};
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::head::HeadConfig;
use crate::model::{NetOptions, Optimiser, Recompute, TrainOptions};

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Images and labels.
    pub data: DataConfig,
    /// The network.
    #[serde(default)]
    pub model: NetOptions,
    /// The prototype head.
    #[serde(default)]
    pub head: HeadConfig,
    /// Random scale, crop, flip and colours.
    #[serde(default)]
    pub augment: AugmentSettings,
    /// Mean and deviation of the input.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Schedule and optimiser.
    #[serde(default)]
    pub train: TrainConfig,
}

/// Where the data set is. Relative paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set's folder (`images/SPLIT`, `masks/SPLIT`, `classes.json`).
    pub root: PathBuf,
    /// Split to train on.
    #[serde(default = "train_split")]
    pub train: String,
    /// Split to evaluate on.
    #[serde(default = "val_split")]
    pub val: String,
    /// Evaluate on at most this many images while training; 0 for all. The last evaluation always takes all.
    #[serde(default)]
    pub val_images: usize,
    /// Weights of the classes in the cross-entropy; empty for 1 each.
    #[serde(default)]
    pub class_weights: Vec<f32>,
    /// Weights from the training split in place of given ones: `(median share / share of the class)^balance`. 0 for none, 0.5
    /// for the square root, 1 for median frequency balancing. A class that the split does not hold gets 1.
    #[serde(default)]
    pub balance: f32,
}

fn train_split() -> String {
    "train".into()
}

fn val_split() -> String {
    "val".into()
}

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
    /// Images per step.
    pub batch: usize,
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
    /// Whether scales and shifts of norms, and biases, decay too. The usual recipes of `"adamw"` set `false`.
    pub decay_norms: bool,
    /// Evaluate once before the first step.
    pub eval_first: bool,
    /// Steps between evaluations; 0 for one at the end only.
    pub eval_every: u64,
    /// Steps between log lines.
    pub log_every: u64,
    /// Steps between checkpoints, beyond those of every evaluation; 0 for none beyond those.
    pub checkpoint_every: u64,
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
            eval_first: false,
            eval_every: 1000,
            log_every: 10,
            checkpoint_every: 250,
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
}

impl Config {
    /// Reads a configuration and applies `key.key=value` overrides.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Config`] for anything wrong in it, with line and key.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read the configuration", path, e))?;
        let mut config = parse(&text, path, overrides)?;
        // A path in the file is relative to the file; one given on the command line to where the user stands.
        let base = path.parent().unwrap_or(Path::new(""));
        let given =
            |key: &str| overrides.iter().any(|o| o.split('=').next().is_some_and(|k| k.trim() == key));
        if !given("data.root") {
            config.data.root = base.join(&config.data.root);
        }
        if !given("train.weights") {
            config.train.weights = config.train.weights.map(|w| base.join(w));
        }
        config.check()?;
        Ok(config)
    }

    /// Checks what the types do not.
    fn check(&self) -> Result<()> {
        self.augment.validate()?;
        self.normalisation.validate()?;
        let t = &self.train;
        let wrong = |key: &str, value: String, want: &str| {
            Err(Error::config(format!("{key} is {value}"), format!("it must be {want}")))
        };
        if t.steps == 0 {
            return wrong("train.steps", "0".into(), "at least 1");
        }
        if t.batch == 0 {
            return wrong("train.batch", "0".into(), "at least 1");
        }
        for (key, value) in [
            ("train.lr", t.lr),
            ("train.backbone_lr", t.backbone_lr),
            ("train.power", t.power),
            ("train.momentum", t.momentum),
            ("train.min_lr", t.min_lr),
            ("train.weight_decay", t.weight_decay),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(key, value.to_string(), "a finite number of 0 or more");
            }
        }
        if t.momentum >= 1.0 {
            return wrong("train.momentum", t.momentum.to_string(), "below 1");
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
        self.model.check()?;
        self.head.resolve().map(|_| ())
    }

    /// The same with every default filled in, those of the profile too.
    ///
    /// # Errors
    /// [`Error::Config`] for an option of the head that is out of range.
    pub fn resolved(&self) -> Result<Self> {
        Ok(Self { head: self.head.resolved()?, ..self.clone() })
    }

    /// What a training step of images of `height` x `width`, `batch` at a time, needs beside the model's spec.
    #[must_use]
    pub fn step_options(&self, batch: usize, [height, width]: [usize; 2]) -> TrainOptions {
        let t = &self.train;
        TrainOptions {
            batch,
            height,
            width,
            optimiser: match t.optimiser {
                OptimiserKind::Sgd => Optimiser::Sgd { momentum: t.momentum },
                OptimiserKind::Adamw => Optimiser::AdamW { betas: t.betas },
            },
            weight_decay: t.weight_decay,
            decay_norms: t.decay_norms,
            backbone_lr: t.backbone_lr,
            seed: t.seed,
            recompute: t.recompute,
            max_bytes: (t.memory_mib > 0).then(|| t.memory_mib.saturating_mul(1 << 20)),
        }
    }

    /// Writes the resolved configuration with its paths made absolute, so that it can be used from where it lies.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let absolute = |p: &PathBuf| std::path::absolute(p).unwrap_or_else(|_| p.clone());
        let mut config = self.resolved()?;
        config.data.root = absolute(&config.data.root);
        config.train.weights = config.train.weights.as_ref().map(absolute);
        let text = toml::to_string(&config).map_err(|e| Error::config(e.to_string(), "report this"))?;
        write_atomic(path, text.as_bytes())
    }

    /// Every key with its default, as TOML.
    #[must_use]
    pub fn keys() -> String {
        let text = "[data]\nroot = \"FOLDER\"\n[train]\nweights = \"FILE\"\n";
        let config: Result<Self> = toml::from_str::<Self>(text)
            .map_err(|e| Error::config(e.to_string(), "report this"))
            .and_then(|config| config.resolved());
        config.ok().and_then(|config| toml::to_string(&config).ok()).unwrap_or_default()
    }
}

impl DataConfig {
    /// The weight of each class whose shares of the training split's labelled pixels are `shares`.
    pub(super) fn weights(&self, shares: &[f64]) -> Result<Vec<f32>> {
        self.check_weights(shares.len())?;
        let mut held: Vec<f64> = shares.iter().copied().filter(|&share| share > 0.0).collect();
        held.sort_by(f64::total_cmp);
        let Some(&median) = held.get(held.len() / 2).filter(|_| self.balance > 0.0) else {
            let given = &self.class_weights;
            return Ok(if given.is_empty() { vec![1.0; shares.len()] } else { given.clone() });
        };
        let weight = |&share: &f64| {
            if share > 0.0 { (median / share).powf(f64::from(self.balance)) as f32 } else { 1.0 }
        };
        Ok(shares.iter().map(weight).collect())
    }

    /// Checks the class weights against the number of classes.
    fn check_weights(&self, num_classes: usize) -> Result<()> {
        let weights = &self.class_weights;
        if !(self.balance.is_finite() && self.balance >= 0.0) {
            return Err(Error::config(
                format!("data.balance is {}", self.balance),
                "it must be 0 or more; 0.5 is a good choice",
            ));
        }
        if self.balance > 0.0 && !weights.is_empty() {
            return Err(Error::config(
                "data.balance and data.class_weights are both given",
                "leave one of them out: balance takes the weights from the training split",
            ));
        }
        if !weights.is_empty() && weights.len() != num_classes {
            return Err(Error::config(
                format!("data.class_weights has {} numbers for {num_classes} classes", weights.len()),
                "give one per class, in the order of classes.json, or none",
            ));
        }
        let usable = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        if !usable || !weights.is_empty() && weights.iter().all(|w| *w == 0.0) {
            return Err(Error::config(
                format!("data.class_weights is {weights:?}"),
                "give finite numbers of 0 or more, not all 0",
            ));
        }
        Ok(())
    }
}

/// The configuration in `text`, the content of `path`, with `overrides` applied.
fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Config> {
    let name = path.display();
    let in_file = |e: toml::de::Error| {
        let place = e.span().map_or(String::new(), |span| {
            let line = text[..span.start].matches('\n').count();
            format!(" line {} (`{}`)", line + 1, text.lines().nth(line).unwrap_or_default().trim())
        });
        let message = e.message().lines().collect::<Vec<_>>().join(" ");
        Error::config(format!("{name}{place}: {message}"), "`protoseg train --help` lists every key")
    };
    let mut table: toml::Table = toml::from_str(text).map_err(in_file)?;
    let read = |table: &toml::Table| Config::deserialize(table.clone());
    for given in overrides {
        let before = table.clone();
        let broken = read(&before).err();
        set(&mut table, given, true)?;
        // What is broken already, by a key that a later override gives, cannot tell whether this one fits.
        if let (Err(error), None) = (read(&table), &broken) {
            table = before;
            set(&mut table, given, false)?;
            if read(&table).is_err() {
                return Err(Error::config(
                    format!("--set {given}: {}", error.message().lines().collect::<Vec<_>>().join(" ")),
                    "`protoseg train --help` lists every key",
                ));
            }
        }
    }
    if overrides.is_empty() {
        return toml::from_str(text).map_err(in_file);
    }
    read(&table).map_err(|error| match toml::from_str::<Config>(text) {
        Err(in_text) if in_text.message() == error.message() => in_file(in_text),
        _ => Error::config(format!("{name}: {}", error.message()), "`protoseg train --help` lists every key"),
    })
}

/// Sets `a.b=value`; the value is read as TOML if `as_toml` and if it can be, and as a string otherwise.
fn set(table: &mut toml::Table, text: &str, as_toml: bool) -> Result<()> {
    let bad = |problem: String| Error::config(problem, "write --set section.key=value");
    let (key, value) = text.split_once('=').ok_or_else(|| bad(format!("--set `{text}` has no `=`")))?;
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.filter(|_| as_toml).unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut place = table;
    for part in path {
        let entry = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| bad(format!("--set {key}: `{part}` is not a section")))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_weigh_more_as_far_as_asked() {
        let data = |text: &str| toml::from_str::<DataConfig>(&format!("root = \"x\"\n{text}")).expect("keys");
        let shares = [0.64, 0.16, 0.0, 0.04];
        assert_eq!(data("").weights(&shares).expect("valid"), [1.0; 4]);
        assert_eq!(data("balance = 1.0").weights(&shares).expect("valid"), [0.25, 1.0, 1.0, 4.0]);
        assert_eq!(data("balance = 0.5").weights(&shares).expect("valid"), [0.5, 1.0, 1.0, 2.0]);
        let given = "class_weights = [1.0, 2.0, 3.0, 4.0]";
        assert_eq!(data(given).weights(&shares).expect("valid"), [1.0, 2.0, 3.0, 4.0]);
        for wrong in ["balance = -1.0", "balance = 0.5\nclass_weights = [1.0, 2.0, 3.0, 4.0]"] {
            let error = data(wrong).weights(&shares).expect_err("refused").to_string();
            assert!(error.contains("data.balance"), "{error}");
        }
    }

    #[test]
    fn the_rate_rises_and_falls_as_scheduled() {
        let base = TrainConfig { steps: 100, lr: 0.1, power: 1.0, ..TrainConfig::default() };
        let near = |config: &TrainConfig, step, want: f32| {
            let found = config.lr_at(step);
            assert!((found - want).abs() < 1e-6, "{step}: {found}, {want} expected");
        };
        near(&base, 0, 0.1);
        near(&base, 75, 0.025);
        let floor = TrainConfig { min_lr: 0.02, warmup_steps: 3, ..base.clone() };
        near(&floor, 0, 0.025);
        near(&floor, 50, 0.06);
        near(&floor, 100, 0.02);
        let cosine = TrainConfig { schedule: Schedule::Cosine, ..base };
        near(&cosine, 0, 0.1);
        near(&cosine, 25, 0.085_355_34);
        near(&cosine, 50, 0.05);
    }
}
