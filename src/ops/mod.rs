//! The operations: one file each, with shape rule, launch, gradient and cost. One stem everywhere:
//! `shaders/FAMILY/STEM.wgsl`, `ops/STEM.rs`, `oracle/STEM.rs` and a row in [`table`].

pub mod add;
pub mod argmax_rows;
pub mod check;
pub mod class_logit;
pub mod cross_entropy;
pub mod fill;
pub mod nearest_prototype;
pub mod proto_match;
pub mod relu;
pub mod scale;
pub mod table;
pub mod upsample_argmax;

pub use add::add;
pub use argmax_rows::argmax_rows;
pub use class_logit::{
    MaskNorm, class_logit, class_logit_affine, class_logit_grad, class_logit_sums, class_stats,
};
pub use cross_entropy::{
    LogitTile, cross_entropy, cross_entropy_grad, cross_entropy_loss, cross_entropy_tile,
};
pub use fill::fill;
pub use nearest_prototype::nearest_prototype;
pub use proto_match::{proto_match, proto_match_emb_grad, proto_match_protos_grad};
pub use relu::{relu, relu6};
pub use scale::scale;
pub use upsample_argmax::{UpsampleArgmax, upsample_argmax};

use crate::error::Result;
use crate::tape::{Linear, Tape, ValueId};

/// Appends the gradients of the one-element value `loss` with respect to `targets`.
///
/// # Errors
/// Those of the gradient rules.
pub fn backward(tape: &mut Tape, loss: ValueId, targets: &[ValueId]) -> Result<Vec<Option<ValueId>>> {
    let shape = tape.value(loss).shape.clone();
    let seed = fill(tape, &shape, 1.0)?;
    tape.backward(&[(loss, seed)], targets, &Sums)
}

/// Gradients add up by [`add`].
pub struct Sums;

impl Linear for Sums {
    fn add(&self, tape: &mut Tape, a: ValueId, b: ValueId) -> Result<ValueId> {
        add(tape, a, b, 1.0)
    }
}
