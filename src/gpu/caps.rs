//! What a device can do, as plain data: plans are made from it without a device.

use super::tiles::Tiles;
use super::variant::Variant;

/// Capability tiers, each a superset of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// What every WebGPU browser gives.
    Floor,
    /// Subgroup operations (native only: wgpu exposes none on the web).
    Subgroups,
    /// `f16` in shaders.
    F16,
    /// Cooperative matrices.
    Matrix,
}

/// Capabilities that a plan depends on. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Caps {
    /// The family of kernels in use.
    pub variant: Variant,
    /// True for a software adapter (`device_type == Cpu`).
    pub software: bool,
    /// True for a GPU with memory of its own (`device_type == DiscreteGpu`): such have registers to spare.
    pub discrete: bool,
    /// Whether kernels may use subgroup operations.
    pub subgroups: bool,
    /// Invocations per subgroup when it is fixed and may be used, else 0.
    pub subgroup_size: u32,
    /// Side of the cooperative matrices in use, else 0.
    pub matrix_size: u32,
    /// Largest storage binding.
    pub max_binding_bytes: u64,
    /// Largest buffer.
    pub max_buffer_bytes: u64,
    /// Alignment of uniform offsets.
    pub uniform_align: u64,
    /// How products of matrices are cut into tiles.
    #[serde(skip)]
    pub tiles: Tiles,
}

impl Caps {
    /// WebGPU's default limits, no optional feature and the kernels that run on all of it: what a browser guarantees.
    #[must_use]
    pub const fn floor() -> Self {
        Self {
            variant: Variant::Floor,
            software: false,
            discrete: false,
            subgroups: false,
            subgroup_size: 0,
            matrix_size: 0,
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            uniform_align: 256,
            tiles: Tiles::table(),
        }
    }

    /// True where invocations are run one subgroup after another on a processor, and kernels are chosen accordingly.
    #[must_use]
    pub const fn is_serial(&self) -> bool {
        self.software && !self.variant.is_parallel()
    }
}
