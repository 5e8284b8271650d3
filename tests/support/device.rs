//! The adapter under test.

use std::sync::Arc;

use protoseg::gpu::{Gpu, Variant};

/// The adapter that `PROTOSEG_ADAPTER` names, or the fastest.
pub fn gpu() -> Arc<Gpu> {
    gpu_of(None)
}

/// The same, with the kernels of `variant`.
pub fn gpu_of(variant: Option<Variant>) -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), variant)).expect("a WebGPU adapter")
}
