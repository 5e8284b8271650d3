//! The operations: one file each, with shape rule, launch, gradient and cost. One stem everywhere:
//! `shaders/FAMILY/STEM.wgsl`, `ops/STEM.rs`, `oracle/STEM.rs` and a row in [`table`].

pub mod accumulate;
pub mod adamw;
pub mod adaptive_avg_pool2d;
pub mod add;
pub mod argmax_rows;
pub mod assign;
pub mod attention;
pub mod balance;
pub mod batch_norm;
mod bench;
pub mod bn_fold;
pub mod canvas;
pub mod channel_scale;
pub mod check;
pub mod class_logit;
pub mod clip_norm;
pub mod concat;
pub mod conv2d;
mod corner_tap;
pub mod count_labels;
pub mod count_pairs;
pub mod cross_entropy;
pub mod dropout;
pub mod ema;
pub mod embedding_color;
pub mod fill;
pub mod gelu;
pub mod global_mean;
pub mod group_by_class;
pub mod gumbel;
pub mod hard_pixels;
pub mod l2_normalize;
pub mod layer_norm;
pub mod match_contrast;
pub mod max_pool2d;
pub mod nearest_patches;
pub mod nearest_prototype;
pub mod own_similarity;
pub mod pick;
pub mod pixel_label;
pub mod ppc;
pub mod ppd;
pub mod proto_match;
mod proto_rule;
pub mod prototype_heat;
pub mod prototype_sums;
pub mod prototype_update;
pub mod query_logit;
pub mod relu;
pub mod resample_positions;
pub mod resize;
pub mod resize_nearest;
pub mod running_stats;
pub mod sample_labels;
pub mod scale;
pub mod sgd;
pub mod shade;
pub mod sinkhorn;
mod strips;
pub mod swiglu;
pub mod table;
pub mod tokens;
mod two_sizes;
pub mod upsample_argmax;
pub mod valid_mean;
mod walk;
pub mod windows;

pub use accumulate::{Accumulate, accumulate};
pub use adamw::{AdamW, adamw};
pub use adaptive_avg_pool2d::adaptive_avg_pool2d;
pub use add::add;
pub use argmax_rows::argmax_rows;
pub use assign::{SmallClass, assign, assign_noisy};
pub use attention::{Window, attention, self_attention, window_attention};
pub use balance::Balance;
pub use batch_norm::{Act, BatchNormed, batch_norm, batch_norm_eval};
pub use bn_fold::bn_fold;
pub use canvas::{CanvasInputs, canvas};
pub use channel_scale::channel_scale;
pub use class_logit::{
    MaskNorm, class_logit, class_logit_affine, class_logit_grad, class_logit_sums, class_stats,
};
pub use clip_norm::clip_norm;
pub use concat::concat;
pub use conv2d::{Conv, Epilogue, conv2d, conv2d_fused};
pub use corner_tap::MAX_EXTENT;
pub use count_labels::count_labels;
pub use count_pairs::count_pairs;
pub use cross_entropy::{
    LogitTile, cross_entropy, cross_entropy_grad, cross_entropy_loss, cross_entropy_tile,
};
pub use dropout::{DropMode, dropout};
pub use ema::{Ema, ema};
pub use embedding_color::embedding_color;
pub use fill::fill;
pub use gelu::gelu;
pub use global_mean::global_mean;
pub use group_by_class::group_by_class;
pub use gumbel::gumbel;
pub use hard_pixels::{HardPixels, hard_pixels};
pub use l2_normalize::{Axis, l2_normalize};
pub use layer_norm::layer_norm;
pub use match_contrast::{Matched, match_contrast};
pub use max_pool2d::{Pool, max_pool2d};
pub use nearest_patches::{MAX_PATCHES, NearestPatches, nearest_patches};
pub use nearest_prototype::nearest_prototype;
pub use own_similarity::own_similarity;
pub use pick::pick;
pub use pixel_label::{MAX_LABEL, pixel_label};
pub use ppc::ppc;
pub use ppd::ppd;
pub use proto_match::{proto_match, proto_match_emb_grad, proto_match_protos_grad};
pub use prototype_heat::{ANY_PROTOTYPE, prototype_heat};
pub use prototype_sums::prototype_sums;
pub use prototype_update::{prototype_normalise, prototype_update};
pub use query_logit::{query_logit, query_logit_emb_grad, query_logit_vectors_grad};
pub use relu::{relu, relu6};
pub use resample_positions::{Resample, resample_positions};
pub use resize::{Corners, resize};
pub use resize_nearest::resize_nearest;
pub use running_stats::running_stats;
pub use sample_labels::sample_labels;
pub use scale::scale;
pub use sgd::{Sgd, sgd};
pub use shade::{ShadeInputs, shade};
pub use sinkhorn::{Sinkhorn, sinkhorn};
pub use swiglu::swiglu;
pub use tokens::{take_tokens, tokens};
pub use upsample_argmax::{UpsampleArgmax, upsample_argmax};
pub use valid_mean::{EmptyLoss, valid_mean};
pub use windows::{Cut, unwindows, windows};

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

/// Gradients add up by [`add()`].
pub struct Sums;

impl Linear for Sums {
    fn add(&self, tape: &mut Tape, a: ValueId, b: ValueId) -> Result<ValueId> {
        add(tape, a, b, 1.0)
    }
}
