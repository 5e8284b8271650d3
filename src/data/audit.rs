//! The label check before training: every file is read, every label counted, every finding has a name.
//!
//! A wrong label trains silently, so `train` asks for [`Audit::verdict`] before its first step and `protoseg audit`
//! prints the whole.

mod report;
mod scan;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::data::classes::Classes;
use crate::data::dataset::{list_splits, split_folder};
use crate::error::{Error, Result};

/// What a data set holds. File names are relative to `root`; every list is sorted by name unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audit {
    /// The data set's folder.
    pub root: PathBuf,
    /// The label of pixels that belong to no class.
    pub ignore_index: u8,
    /// One entry per split that was asked for.
    pub splits: Vec<SplitAudit>,
}

/// What one split holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitAudit {
    /// The split's name.
    pub split: String,
    /// The number of image files.
    pub num_images: usize,
    /// The sizes of the images that could be read, the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Images and masks that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Images that ask to be shown turned or mirrored (EXIF).
    pub turned_images: Vec<String>,
    /// Images without a mask.
    pub missing_masks: Vec<String>,
    /// Masks without an image.
    pub orphan_masks: Vec<String>,
    /// Images whose name without extension another image has too.
    pub duplicate_names: Vec<String>,
    /// Masks whose size is not that of their image.
    pub size_mismatches: Vec<SizeMismatch>,
    /// Masks with labels that are neither a class nor the ignore index, the worst first.
    pub unknown_values: Vec<UnknownValues>,
    /// One entry per class, in the order of the ids.
    pub classes: Vec<ClassShare>,
    /// Pixels that belong to a class.
    pub labelled_pixels: u64,
    /// Pixels that have the ignore index.
    pub ignored_pixels: u64,
    /// The ignored part of all pixels of the masks, as a fraction.
    pub ignored_share: f64,
}

/// How many images have one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Images of this size.
    pub num_images: usize,
}

/// A file that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// A mask and an image of different sizes; `[width, height]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeMismatch {
    /// The mask.
    pub mask: String,
    /// The mask's size.
    pub mask_size: [usize; 2],
    /// The image's size.
    pub image_size: [usize; 2],
}

/// The labels of one mask that mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownValues {
    /// The mask.
    pub mask: String,
    /// Pixels with such a label.
    pub pixels: u64,
    /// Each label with its pixels, by label.
    pub values: Vec<ValueCount>,
}

/// How many pixels have one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// The label.
    pub value: u8,
    /// Its pixels.
    pub pixels: u64,
}

/// How much of a split one class is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// The class id.
    pub id: u8,
    /// The class name.
    pub name: String,
    /// Its pixels.
    pub pixels: u64,
    /// Its part of the labelled pixels, as a fraction.
    pub share: f64,
    /// Images in which it occurs.
    pub num_images: usize,
}

/// Reads every file of every split under `root`.
///
/// # Errors
/// [`Error::Io`] and [`Error::Data`] where `classes.json` or the folder `images` is missing or bad, or there is no split.
/// Bad images and masks are findings, not errors.
pub fn audit(root: impl AsRef<Path>) -> Result<Audit> {
    let root = root.as_ref();
    let splits = list_splits(root)?;
    if splits.is_empty() {
        let remedy = "make a folder for each split there, such as images/train and images/val";
        return Err(Error::data(root.join("images"), "holds no split", remedy));
    }
    audit_splits(root, &splits)
}

/// Reads every file of the named splits.
///
/// # Errors
/// As [`audit`], and [`Error::Data`] naming the splits there are where one is unknown.
pub fn audit_splits<S: AsRef<str>>(root: impl AsRef<Path>, splits: &[S]) -> Result<Audit> {
    let root = root.as_ref();
    let classes = Classes::open(root)?;
    let scan = |split: &S| {
        split_folder(root, split.as_ref())?;
        scan::split(root, split.as_ref(), &classes)
    };
    let splits = splits.iter().map(scan).collect::<Result<_>>()?;
    Ok(Audit { root: root.to_path_buf(), ignore_index: classes.ignore_index, splits })
}

#[cfg(test)]
mod tests;
