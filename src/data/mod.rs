//! Images and labels, without a GPU: the layouts of data sets, the label check before training, augmentation, and the
//! loader that prefetches batches on other threads.
//!
//! A data set is a folder in one of the layouts of [`Layout`]. What a mask file holds at a pixel is a raw label; the label
//! map in [`Classes`] says which class that is, and above this module labels are class ids and the ignore index.

pub mod audit;
pub mod augment;
pub mod batch;
pub mod classes;
pub mod dataset;
pub mod export;
#[cfg(test)]
mod fixture;
pub mod label_map;
mod labels;
pub mod layout;
pub mod loader;
pub mod raw;
pub mod read;
pub mod source;

pub use audit::{Audit, audit, audit_splits, audit_with};
pub use augment::{AugmentSettings, Crop, Padding, augment};
pub use batch::{Batch, Normalisation, eval_batch};
pub use classes::{ClassInfo, Classes, MAX_CLASSES};
pub use dataset::{Dataset, Sample, SampleFiles, list_images, list_splits};
pub use export::{write_mask_png, write_rgb_png};
pub use label_map::{Given, LabelMap};
pub use layout::{Layout, MaskKind};
pub use loader::{Loader, LoaderSettings};
pub use raw::{RawLabel, RawMask, RawPixels};
pub use read::{Mask, RgbImage, decode_upright, read_image, read_mask, read_raw_mask, read_upright};
pub use source::{DataOptions, Source};
