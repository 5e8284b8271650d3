//! The device layer: adapters, limits, buffers, shaders, pipelines, read-back and per-kernel times.
//!
//! `wgpu` and `naga` are named in this module only. Everything above it speaks of [`Dispatch`]es over [`Slot`]s, which
//! are plain data: they can be counted, costed and printed without a device.

mod adapter;
mod caps;
mod device;
mod kernel;
mod pipeline;
mod pipeline_cache;
mod promise;
mod record;
mod reflect;
pub mod shaders;
mod threads;
mod tiles;
mod tuning;
mod variant;

pub use adapter::{AdapterReport, list_adapters};
pub use caps::{Caps, Tier};
pub use device::{Buffer, Gpu};
pub use pipeline::{Commands, KernelTime};
pub(crate) use record::uniform;
pub use record::{Dispatch, Field, Scalar, Slot, Uniform, UniformField, grid};
pub use reflect::{Access, Binding, Reflection, reflect};
pub use tiles::{Gemm, GemmKind, Tile, Tiles};
pub use variant::Variant;
