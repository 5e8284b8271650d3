//! A golden file's sizes, constants and inputs.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::head::{HeadConfig, HeadOptions, LAYER_NORM_EPS};
use crate::model_file::ModelFile;
use crate::proto::Profile;
use crate::verify::compare::rows_of_map;

const REMEDY: &str = "use the golden file as it was written";

/// Floor of the L2 norms, which is built into the kernels.
const L2_FLOOR: f64 = 1e-12;

/// The metadata entry `config`. Margins and notes in it are not read; nor is `ignore`, since every label outside 0..C is
/// ignored (quirk Q14), nor `gumbel_tau`, which moves no arg-max.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    #[serde(rename = "C")]
    pub classes: usize,
    #[serde(rename = "K")]
    pub prototypes: usize,
    #[serde(rename = "D")]
    pub embedding: usize,
    #[serde(rename = "Cin")]
    pub inputs: usize,
    #[serde(rename = "B")]
    pub batch: usize,
    #[serde(rename = "H")]
    pub height: usize,
    #[serde(rename = "W")]
    pub width: usize,
    #[serde(rename = "HL")]
    pub label_height: usize,
    #[serde(rename = "WL")]
    pub label_width: usize,
    mu: f64,
    kappa: f32,
    sinkhorn_iters: usize,
    tau_off: Option<f32>,
    tau_rec: Option<f32>,
    lambda1: Option<f32>,
    lambda2: Option<f32>,
    ln_eps: Option<f32>,
    l2_eps: Option<f64>,
    /// Consecutive steps on the same prototypes.
    pub steps: Option<usize>,
    /// Replicas with images of their own.
    pub ranks: Option<usize>,
}

impl Config {
    /// N, pixels at feature resolution.
    pub const fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Whether the file holds several runs of the step, and so a leading axis.
    pub fn runs(&self) -> usize {
        self.steps.or(self.ranks).unwrap_or(1)
    }

    /// The head's options under `profile` with the file's constants.
    pub fn options(&self, profile: Profile) -> Result<HeadOptions> {
        let tau = if profile == Profile::Off { self.tau_off } else { self.tau_rec };
        let head = HeadConfig {
            profile,
            ppc_tau: tau,
            ppc_weight: self.lambda1,
            ppd_weight: self.lambda2,
            momentum: Some(self.mu),
            kappa: Some(self.kappa),
            sinkhorn_iterations: Some(self.sinkhorn_iters),
            ..HeadConfig::default()
        };
        head.resolve()
    }
}

/// What one run of the step reads, in the device's order of axes.
pub struct StepInputs {
    /// `[B,H,W,Cin]`.
    pub features: Vec<f32>,
    /// `[B,HL,WL]`.
    pub labels: Vec<i32>,
    /// `[N,K]`, if the file has it.
    pub gumbel: Option<Vec<f32>>,
}

/// A golden file.
pub struct Golden {
    pub file: ModelFile,
    pub config: Config,
    /// Pixels at which tensors under `sampled.` are given; empty in a small file.
    pub sample: Vec<usize>,
}

impl Golden {
    /// Reads sizes and constants.
    pub fn new(file: ModelFile) -> Result<Self> {
        let path = file.path().to_path_buf();
        let wrong = |problem: String| Error::model(&path, problem, REMEDY);
        let json = file.metadata().get("config");
        let json = json.ok_or_else(|| wrong("has no `config` in its metadata".into()))?;
        let config: Config =
            serde_json::from_str(json).map_err(|e| wrong(format!("its `config` is damaged ({e})")))?;
        if let Some(eps) = config.ln_eps.filter(|&eps| eps != LAYER_NORM_EPS) {
            return Err(wrong(format!("its LayerNorm epsilon is {eps}, {LAYER_NORM_EPS} is built in")));
        }
        if let Some(eps) = config.l2_eps.filter(|&eps| eps != L2_FLOOR) {
            return Err(wrong(format!("its floor of the L2 norms is {eps:e}, {L2_FLOOR:e} is built in")));
        }
        if config.pixels() == 0 || config.classes == 0 || config.prototypes == 0 || config.runs() == 0 {
            return Err(wrong("its `config` holds a size of 0".into()));
        }
        let sample = if file.contains("sample") { file.f64("sample")? } else { Vec::new() };
        let pixels = config.pixels();
        let sample = sample.into_iter().map(|n| (n >= 0.0 && n < pixels as f64).then_some(n as usize));
        let sample: Option<Vec<usize>> = sample.collect();
        let sample = sample.ok_or_else(|| wrong(format!("`sample` names a pixel outside 0..{pixels}")))?;
        Ok(Self { file, config, sample })
    }

    /// Whether decisions may be nearly tied (section "Large files" of the golden files' description).
    pub fn is_large(&self) -> bool {
        !self.sample.is_empty() || self.config.pixels() >= 10_000
    }

    /// The input `in.NAME`, which must have `count` numbers.
    pub fn input(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let name = format!("in.{name}");
        let data = self.file.f32(&name)?;
        if data.len() != count {
            let problem = format!("`{name}` has {} numbers where `config` asks for {count}", data.len());
            return Err(Error::model(self.file.path(), problem, REMEDY));
        }
        Ok(data)
    }

    /// Class weights of the cross-entropy, 1 unless the file gives them.
    pub fn class_weights(&self) -> Result<Vec<f32>> {
        let classes = self.config.classes;
        if self.file.contains("in.ce_w") { self.input("ce_w", classes) } else { Ok(vec![1.0; classes]) }
    }

    /// The inputs of every run of the step.
    pub fn steps(&self) -> Result<Vec<StepInputs>> {
        let (c, runs) = (&self.config, self.config.runs());
        let map = c.height * c.width;
        let features = rows_of_map(&self.input("features", runs * c.pixels() * c.inputs)?, c.inputs, map);
        let labels_per_run = c.batch * c.label_height * c.label_width;
        // Consecutive steps share one label map, replicas have their own.
        let given = self.file.shape("in.labels")?.iter().product::<usize>() / labels_per_run.max(1);
        let shared = if given == runs { runs } else { 1 };
        let labels = self.input("labels", shared * labels_per_run)?;
        let noise = self.file.contains("in.gumbel");
        let noise = noise.then(|| self.input("gumbel", runs * c.pixels() * c.prototypes)).transpose()?;
        let part = |data: &[f32], run: usize, of: usize| {
            let size = data.len() / of;
            data[run % of * size..][..size].to_vec()
        };
        let step = |run| StepInputs {
            features: part(&features, run, runs),
            labels: part(&labels, run, shared).into_iter().map(|label| label as i32).collect(),
            gumbel: noise.as_ref().map(|noise| part(noise, run, runs)),
        };
        Ok((0..runs).map(step).collect())
    }
}
