//! Images and labels, without a GPU: the folder layout, the label check before training, augmentation, and the loader
//! that prefetches batches on other threads.
//!
//! A data set is a folder: `images/SPLIT/NAME.{jpg,jpeg,png}`, `masks/SPLIT/NAME.png` (one byte per pixel: the class
//! id, or the ignore index) and `classes.json`.

pub mod audit;
pub mod augment;
pub mod batch;
pub mod classes;
pub mod dataset;
pub mod export;
#[cfg(test)]
mod fixture;
mod labels;
pub mod loader;
pub mod read;

pub use audit::{Audit, audit, audit_splits};
pub use augment::{AugmentSettings, Crop, Padding, augment};
pub use batch::{Batch, Normalisation, eval_batch};
pub use classes::{ClassInfo, Classes};
pub use dataset::{Dataset, Sample, SampleFiles, list_images, list_splits};
pub use export::{write_mask_png, write_rgb_png};
pub use loader::{Loader, LoaderSettings};
pub use read::{Mask, RgbImage, read_image, read_mask, read_upright};
