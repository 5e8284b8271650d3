//! The oracle: plain f64 twins of every operation, written from the formula, sharing no code with the kernels.
//!
//! It is a leaf: it knows arrays and arithmetic, not tapes, plans or devices.

pub mod accumulate;
pub mod adamw;
pub mod add;
pub mod argmax_rows;
mod array;
pub mod assign;
pub mod attention;
pub mod batch_norm;
pub mod bn_fold;
pub mod canvas;
pub mod class_logit;
pub mod clip_norm;
pub mod concat;
pub mod conv2d;
pub mod corners;
pub mod count_labels;
pub mod count_pairs;
pub mod cross_entropy;
pub mod dropout;
pub mod ema;
pub mod embedding_color;
pub mod fill;
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
pub mod prototype_heat;
pub mod prototype_sums;
pub mod prototype_update;
pub mod query_logit;
pub mod relu;
pub mod resize;
pub mod running_stats;
pub mod sample_labels;
pub mod scale;
pub mod sgd;
pub mod shade;
pub mod sinkhorn;
pub mod upsample_argmax;
pub mod valid_mean;

pub use array::{Array, dot};
