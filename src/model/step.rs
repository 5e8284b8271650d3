//! One training step as a tape (spec section 8).

use crate::error::Result;
use crate::nn::{Builder, Mode, Weights};
use crate::ops;
use crate::proto::Noise;
use crate::rng;
use crate::tape::{DType, Role, Tape, Value, ValueId};

use super::objective::{Losses, Phase, Supervision, record_objective};
use super::record::record_network;
use super::spec::ModelSpec;

/// Momentum buffers are stored under this prefix plus the weight's name.
pub const VELOCITY: &str = "velocity/";

/// Streams of the step's seed. Dropout and noise count steps and elements alike: of one seed they would draw the same bits.
const DROPOUT: u32 = 1;
const NOISE: u32 = 2;

/// What a step needs beside the spec.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Images per step.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Momentum of the optimiser.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Learning rate of the backbone as a multiple of the head's.
    pub backbone_lr: f32,
    /// Seed that those of dropout and Gumbel noise are drawn from.
    pub seed: u32,
}

/// A recorded step: forward, losses, reverse pass, optimiser, prototype update.
pub struct TrainStep {
    /// The tape.
    pub tape: Tape,
    /// Images `[B,H,W,3]`, normalised.
    pub image: ValueId,
    /// Labels `[B,H,W]`, -1 = ignored.
    pub labels: ValueId,
    /// Class weights of the cross-entropy `[C]`.
    pub class_weights: ValueId,
    /// Learning rate of the head `[1]`.
    pub lr: ValueId,
    /// Number of the step `[1]`.
    pub step: ValueId,
    /// The losses.
    pub losses: Losses,
    /// Catalogue of weights and state.
    pub weights: Weights,
}

impl TrainStep {
    /// Records the step.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record(spec: &ModelSpec, o: &TrainOptions, phase: Phase) -> Result<Self> {
        let mut tape = Tape::new();
        let image = tape.input("image", &[o.batch, o.height, o.width, 3], DType::F32);
        let labels = tape.input("labels", &[o.batch, o.height, o.width], DType::I32);
        let class_weights = tape.input("class weights", &[spec.num_classes()], DType::F32);
        let lr = tape.input("lr", &[1], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let learnable = phase == Phase::WarmUp && spec.head.learns_prototypes();
        let mut b = Builder::new(&mut tape, Mode::Train);
        let net = record_network(&mut b, spec, image, step, rng::bits(o.seed, DROPOUT, 0), learnable)?;
        let weights = b.weights;
        let noise = Noise::Drawn { seed: rng::bits(o.seed, NOISE, 0), step };
        let supervision = Supervision { labels, class_weights, noise };
        let objective = record_objective(&mut tape, &net, &spec.head, supervision, phase)?;
        let losses = objective.losses;
        let params = tape.params();
        let grads = ops::backward(&mut tape, losses.total, &params)?;
        tape.enter("optimise");
        for (&param, gradient) in params.iter().zip(grads) {
            let Some(gradient) = gradient else { continue };
            let (name, shape) = (tape.value(param).name.clone(), tape.value(param).shape.clone());
            let velocity = tape.state(&format!("{VELOCITY}{name}"), &shape, DType::F32);
            let factor = if spec.net.arch.owns(&name) { o.backbone_lr } else { 1.0 };
            let sgd = ops::Sgd { momentum: o.momentum, weight_decay: o.weight_decay, lr_scale: factor };
            ops::sgd(&mut tape, param, gradient, velocity, lr, sgd)?;
        }
        tape.leave();
        objective.record_update(&mut tape, &net, &spec.head)?;
        Ok(Self { tape, image, labels, class_weights, lr, step, losses, weights })
    }

    /// Every value that lives in the store.
    #[must_use]
    pub fn stored(&self) -> Vec<Value> {
        let stored = |v: &&Value| matches!(v.role, Role::Param | Role::State);
        self.tape.values().iter().filter(stored).cloned().collect()
    }
}
