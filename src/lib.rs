//! Prototype-based semantic segmentation as portable WebGPU compute.

pub mod data;
pub mod error;
pub mod explain;
pub mod fs_atomic;
pub mod gpu;
pub mod head;
pub mod model_file;
pub mod ops;
pub mod oracle;
pub mod rng;
pub mod synth;
pub mod tape;
#[cfg(test)]
mod testing;

pub use error::{Error, Result};
