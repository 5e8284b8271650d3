//! The rule by which gradients move weights, and what it remembers of each (spec section 13).

use crate::error::Result;
use crate::nn::{Arch, is_embedding};
use crate::ops;
use crate::tape::{DType, Tape, ValueId};

use super::step::TrainOptions;

/// What is remembered of a weight is stored under one of these prefixes plus the weight's name.
const VELOCITY: &str = "velocity/";
const MOMENTS: [&str; 2] = ["first_moment/", "second_moment/"];

/// Whether a stored value is what an optimiser remembers. A weight that was not trained before starts without.
#[must_use]
pub fn is_optimiser_state(name: &str) -> bool {
    [VELOCITY, MOMENTS[0], MOMENTS[1]].iter().any(|prefix| name.starts_with(prefix))
}

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// [`ops::Sgd`].
    Sgd {
        /// Share of the old velocity that stays.
        momentum: f32,
    },
    /// [`ops::AdamW`].
    AdamW {
        /// Shares of the old moments that stay.
        betas: [f32; 2],
    },
}

impl Optimiser {
    /// Records one step of `param`; `lr` and the number of the `step` are inputs of shape `[1]`, `factor` is what the gradient
    /// is multiplied by.
    fn record(
        &self,
        tape: &mut Tape,
        [param, gradient]: [ValueId; 2],
        ([lr, step], factor): ([ValueId; 2], Option<ValueId>),
        weight_decay: f32,
        lr_scale: f32,
    ) -> Result<()> {
        let (name, shape) = (tape.value(param).name.clone(), tape.value(param).shape.clone());
        let mut state = |prefix: &str| tape.state(&format!("{prefix}{name}"), &shape, DType::F32);
        match *self {
            Self::Sgd { momentum } => {
                let velocity = state(VELOCITY);
                let rule = ops::Sgd { momentum, weight_decay, lr_scale };
                ops::sgd(tape, param, gradient, velocity, lr, factor, rule)
            }
            Self::AdamW { betas } => {
                let moments = MOMENTS.map(state);
                let rule = ops::AdamW { betas, weight_decay, lr_scale };
                ops::adamw(tape, param, gradient, moments, [lr, step], factor, rule)
            }
        }
    }
}

/// Records what is done with gradients: each of `pairs` is a weight and its gradient; `lr` and the number of the `step` are
/// inputs of shape `[1]`. Returns the norm of all gradients together, if it is bounded.
pub(super) fn record_optimiser(
    tape: &mut Tape,
    pairs: &[[ValueId; 2]],
    numbers: [ValueId; 2],
    arch: Arch,
    o: &TrainOptions,
) -> Result<Option<ValueId>> {
    let gradients: Vec<_> = pairs.iter().map(|pair| pair[1]).collect();
    let bounded = o.extras.clip_norm > 0.0 && !pairs.is_empty();
    let clipped = if bounded { Some(ops::clip_norm(tape, &gradients, o.extras.clip_norm)?) } else { None };
    let (norm, factor) = clipped.unzip();
    for &pair in pairs {
        let value = tape.value(pair[0]);
        let lr_scale = if arch.owns(&value.name) { o.backbone_lr } else { 1.0 };
        // Scales and shifts of norms, and biases, are the vectors among the weights.
        let decays = value.shape.len() > 1 && !is_embedding(&value.name);
        let decay = if o.decay_norms || decays { o.weight_decay } else { 0.0 };
        o.optimiser.record(tape, pair, (numbers, factor), decay, lr_scale)?;
    }
    Ok(norm)
}
