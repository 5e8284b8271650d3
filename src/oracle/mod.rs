//! The oracle: plain f64 twins of every operation, written from the formula, sharing no code with the kernels.
//!
//! It is a leaf: it knows arrays and arithmetic, not tapes, plans or devices.

pub mod add;
pub mod argmax_rows;
mod array;
pub mod class_logit;
pub mod corners;
pub mod cross_entropy;
pub mod fill;
pub mod nearest_prototype;
pub mod proto_match;
pub mod relu;
pub mod scale;
pub mod upsample_argmax;

pub use array::{Array, dot};
