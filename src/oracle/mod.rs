//! The oracle: plain f64 twins of every operation, written from the formula, sharing no code with the kernels.
//!
//! It is a leaf: it knows arrays and arithmetic, not tapes, plans or devices.

pub mod add;
mod array;
pub mod assign;
pub mod batch_norm;
pub mod conv2d;
pub mod fill;
pub mod global_mean;
pub mod group_by_class;
pub mod gumbel;
pub mod own_similarity;
pub mod ppc;
pub mod ppd;
pub mod prototype_sums;
pub mod prototype_update;
pub mod relu;
pub mod sample_labels;
pub mod scale;
pub mod sinkhorn;
pub mod valid_mean;

pub use array::{Array, dot};
