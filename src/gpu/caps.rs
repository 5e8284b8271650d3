//! What a device can do, as plain data: plans are made from it without a device.

/// Capability tiers, each a superset of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// What every WebGPU browser gives.
    Floor,
    /// Subgroup operations (native only: wgpu exposes none on the web).
    Subgroups,
    /// `f16` in shaders. No kernel uses it yet.
    F16,
    /// Cooperative matrices. No kernel uses them yet.
    Matrix,
}

/// Capabilities that a plan depends on. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Caps {
    /// The tier in use.
    pub tier: Tier,
    /// True for a software adapter (`device_type == Cpu`).
    pub software: bool,
    /// Invocations per subgroup when it is fixed, else 0.
    pub subgroup_size: u32,
    /// Largest storage binding.
    pub max_binding_bytes: u64,
    /// Largest buffer.
    pub max_buffer_bytes: u64,
    /// Alignment of uniform offsets.
    pub uniform_align: u64,
}

impl Caps {
    /// WebGPU's default limits and no optional feature: what a browser guarantees.
    #[must_use]
    pub const fn floor() -> Self {
        Self {
            tier: Tier::Floor,
            software: false,
            subgroup_size: 0,
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            uniform_align: 256,
        }
    }
}
