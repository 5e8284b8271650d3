//! What the tests of several modules share.

mod folders;

use std::sync::Arc;

use crate::gpu::Gpu;

pub use folders::{TempDir, shared};

/// The device that `PROTOSEG_ADAPTER` names, or the fastest one.
pub fn gpu() -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), None)).expect("a WebGPU adapter")
}
