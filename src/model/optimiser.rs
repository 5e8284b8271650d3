//! The rule by which gradients move weights, and what it remembers of each (spec section 13).

use crate::error::Result;
use crate::ops;
use crate::tape::{DType, Tape, ValueId};

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
    /// Records one step of `param`; `lr` and the number of the `step` are inputs of shape `[1]`.
    pub(super) fn record(
        &self,
        tape: &mut Tape,
        [param, gradient]: [ValueId; 2],
        [lr, step]: [ValueId; 2],
        weight_decay: f32,
        lr_scale: f32,
    ) -> Result<()> {
        let (name, shape) = (tape.value(param).name.clone(), tape.value(param).shape.clone());
        let mut state = |prefix: &str| tape.state(&format!("{prefix}{name}"), &shape, DType::F32);
        match *self {
            Self::Sgd { momentum } => {
                let velocity = state(VELOCITY);
                let rule = ops::Sgd { momentum, weight_decay, lr_scale };
                ops::sgd(tape, param, gradient, velocity, lr, rule)
            }
            Self::AdamW { betas } => {
                let moments = MOMENTS.map(state);
                let rule = ops::AdamW { betas, weight_decay, lr_scale };
                ops::adamw(tape, param, gradient, moments, [lr, step], rule)
            }
        }
    }
}
