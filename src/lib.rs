//! Prototype-based semantic segmentation as portable WebGPU compute.

pub mod error;
pub mod rng;

pub use error::{Error, Result};
