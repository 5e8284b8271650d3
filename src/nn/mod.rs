//! Layers and backbones made of operations, with weights under their torchvision names.

mod backbone;
mod freeze;
mod hrnet;
mod layers;
mod mobilenet_v2;
mod neck;
mod resnet;
mod scratch;
mod weights;

pub use backbone::{Arch, Extent, Tap};
pub use freeze::{Freeze, FreezeNorms};
pub use hrnet::Upsampling;
pub use layers::{Builder, ConvBn, Mode};
pub use neck::{LINEAR, Neck, NeckOptions, neck, stack};
pub use weights::{Entry, Init, Layout, Weights};
