//! Prototype-based semantic segmentation as portable WebGPU compute.

pub mod data;
pub mod error;
pub mod explain;
pub mod fs_atomic;
pub mod gpu;
pub mod head;
pub mod infer;
pub mod model;
pub mod model_file;
pub mod nn;
pub mod ops;
pub mod oracle;
pub mod proto;
pub mod rng;
pub mod synth;
pub mod tape;
#[cfg(test)]
mod testing;
pub mod train;
pub mod verify;

pub use error::{Error, Result};
