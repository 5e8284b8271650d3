//! Prototype-based semantic segmentation as portable WebGPU compute: train on a folder of images and masks, see why every
//! pixel got its class, on any GPU or on none.
//!
//! A class is a set of K prototypes, and a pixel takes the class of the nearest (Zhou et al., *Rethinking Semantic
//! Segmentation: A Prototype View*, CVPR 2022).
//!
//! ```no_run
//! use protoseg::{data::read_image, gpu::Gpu, infer::Model};
//! use std::path::Path;
//!
//! # fn main() -> protoseg::Result<()> {
//! pollster::block_on(async {
//!     let gpu = Gpu::open(None, None).await?;
//!     let mut model = Model::open(&gpu, Path::new("run/best.safetensors"))?;
//!     let found = model.predict(&read_image("photo.jpg")?).await?;
//!     let class = &model.spec().classes.classes[found.classes[0] as usize];
//!     println!("top left: {}, by its prototype {}", class.name, found.prototypes[0]);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Layers
//!
//! Arrows only go down; `tests/layers.rs` holds them to it.
//!
//! | | |
//! |---|---|
//! | what a person asks for | [`train`] the loop, [`infer`] predictions and scores, [`explain`] figure and report, [`verify`] reference files against this adapter, [`mod@bench`] how fast it is, [`mod@import`] weights from elsewhere, [`mod@onnx`] models for elsewhere |
//! | the model | [`model`] backbone and head together, [`data`] images and labels, [`synth`] street scenes of our own making |
//! | the method | [`head`] and [`proto`] the paper, [`nn`] layers and backbones made of operations |
//! | the engine | [`ops`] one file per operation, [`tape`] recorded once and replayed, [`gpu`] the device |
//! | leaves | [`oracle`] the operations again in plain `f64`, [`disk`], [`fs_atomic`] and [`model_file`] files, protobuf, [`pause`], [`rng`], [`words`], [`error`] |

pub mod bench;
pub mod data;
pub mod disk;
pub mod error;
pub mod explain;
pub mod fs_atomic;
pub mod gpu;
pub mod head;
#[cfg(not(target_family = "wasm"))]
pub mod import;
pub mod infer;
pub mod model;
pub mod model_file;
pub mod nn;
#[cfg(not(target_family = "wasm"))]
pub mod onnx;
pub mod ops;
pub mod oracle;
pub mod pause;
pub mod proto;
mod protobuf;
pub mod rng;
pub mod synth;
pub mod tape;
#[cfg(test)]
mod testing;
pub mod train;
pub mod verify;
#[cfg(feature = "viewer")]
pub mod viewer;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub mod web;
pub mod words;

pub use error::{Error, Result};
