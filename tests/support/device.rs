//! The adapter under test.

use std::sync::Arc;

use protoseg::gpu::{Gpu, Tier};

/// The adapter that `PROTOSEG_ADAPTER` names, or the fastest.
pub fn gpu() -> Arc<Gpu> {
    gpu_of(None)
}

/// The same, lowered to `tier`.
pub fn gpu_of(tier: Option<Tier>) -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), tier)).expect("a WebGPU adapter")
}
