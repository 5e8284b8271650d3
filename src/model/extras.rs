//! What a training step may do beside the plain one: everything here is off by default.

use crate::nn::Freeze;
use crate::ops::HardPixels;

/// Options of a step, each of one key of `[train]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extras {
    /// Largest norm of all gradients together; 0 for no bound.
    pub clip_norm: f32,
    /// Share of the old average of the weights that stays; 0 for no average.
    pub ema: f32,
    /// What of the backbone is left as it is.
    pub freeze: Freeze,
    /// Micro-batches whose gradients make one step.
    pub accumulate: usize,
    /// Which pixels the cross-entropy counts; all that are labelled if this is absent.
    pub hard: Option<HardPixels>,
    /// Weight of the auxiliary head's loss; 0 for no such head.
    pub aux_weight: f32,
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            clip_norm: 0.0,
            ema: 0.0,
            freeze: Freeze::default(),
            accumulate: 1,
            hard: None,
            aux_weight: 0.0,
        }
    }
}
