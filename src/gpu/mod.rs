//! The device layer: adapters, limits, buffers, shaders, pipelines, read-back and per-kernel times.
//!
//! `wgpu` and `naga` are named in this module only. Everything above it speaks of [`Dispatch`]es over [`Slot`]s, which
//! are plain data: they can be counted, costed and printed without a device.

mod adapter;
mod browser;
mod caps;
mod device;
mod kernel;
mod pipeline;
mod pipeline_cache;
mod promise;
mod reading;
mod record;
mod reflect;
pub mod shaders;
mod texture;
mod threads;
mod tiles;
mod tuning;
mod turns;
mod variant;

pub use adapter::{AdapterReport, list_adapters};
pub use caps::{Caps, Tier};
pub use device::{Buffer, Gpu};
pub use pipeline::{Commands, KernelTime};
pub use reading::Reading;
pub(crate) use record::uniform;
pub use record::{Dispatch, Field, Scalar, Slot, Uniform, UniformField, grid};
pub use reflect::{Access, Binding, Reflection};
pub use texture::{TEXTURE_COLUMNS, Texture, WindowParts};
pub use tiles::{Gemm, GemmKind, Tile, Tiles};
pub use variant::Variant;
