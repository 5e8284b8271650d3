//! Prototype-based semantic segmentation as portable WebGPU compute.

pub mod error;
pub mod gpu;
pub mod head;
pub mod ops;
pub mod oracle;
pub mod rng;
pub mod tape;

pub use error::{Error, Result};
