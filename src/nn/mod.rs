//! Layers and backbones made of operations, with weights under their torchvision names.

mod backbone;
mod freeze;
mod hrnet;
mod layers;
mod mit;
mod mobilenet_v2;
mod neck;
mod parts;
mod resnet;
mod scratch;
mod swin;
mod transformer;
mod vit;
mod weights;

pub use backbone::{Arch, Extent, MIDDLE_STRIDE, Tap};
pub use freeze::{Freeze, FreezeNorms};
pub use hrnet::Upsampling;
pub use layers::{Builder, ConvBn, Mode, StochasticDepth};
pub use neck::{LINEAR, Neck, NeckOptions, neck, stack};
pub use transformer::is_embedding;
pub use weights::{Entry, Init, Layout, Weights};
