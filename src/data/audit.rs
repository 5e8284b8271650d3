//! The label check before training: every file is read, every label counted, every finding has a name.
//!
//! A wrong label trains silently, so `train` asks for [`Audit::verdict`] before its first step and `protoseg audit`
//! prints the whole.

mod report;
mod scan;
mod table;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::data::classes::Classes;
use crate::data::layout::{Layout, MaskKind};
use crate::data::raw::RawLabel;
use crate::data::source::{DataOptions, Source};
use crate::error::Result;

/// What a data set holds. File names are relative to `root`; every list is sorted by name unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audit {
    /// The data set's folder.
    pub root: PathBuf,
    /// The layout of its folders.
    pub layout: Layout,
    /// The kind of masks that were read.
    pub masks: MaskKind,
    /// The classes with the label map that applies, as a `classes.json` says it.
    pub label_map: Classes,
    /// One entry per split that was asked for.
    pub splits: Vec<SplitAudit>,
}

/// What one split holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitAudit {
    /// The split's name.
    pub split: String,
    /// The folder of its images, or the list that names them.
    pub place: String,
    /// The number of images.
    pub num_images: usize,
    /// The sizes of the images that could be read, the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Images and masks that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Images that ask to be shown turned or mirrored (EXIF).
    pub turned_images: Vec<String>,
    /// Images that the split's list names and that are not there.
    pub missing_images: Vec<String>,
    /// Images without a mask.
    pub missing_masks: Vec<String>,
    /// Masks without an image.
    pub orphan_masks: Vec<String>,
    /// Images whose name without extension another image has too.
    pub duplicate_names: Vec<String>,
    /// Masks whose size is not that of their image.
    pub size_mismatches: Vec<SizeMismatch>,
    /// Masks with raw labels that the label map does not know, the worst first.
    pub unknown_values: Vec<UnknownValues>,
    /// The masks with the most ignored pixels, the worst first; at most ten.
    pub most_ignored: Vec<IgnoredPixels>,
    /// The histogram of the raw labels, by value; of unknown ones those that `unknown_values` names.
    pub values: Vec<ValueUse>,
    /// One entry per class, in the order of the ids.
    pub classes: Vec<ClassShare>,
    /// Names of the classes without a pixel.
    pub absent_classes: Vec<String>,
    /// Pixels that belong to a class.
    pub labelled_pixels: u64,
    /// Pixels that are ignored.
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

/// The raw labels of one mask that mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownValues {
    /// The mask.
    pub mask: String,
    /// Pixels with such a label.
    pub pixels: u64,
    /// The most frequent ones with their pixels.
    pub values: Vec<ValueCount>,
    /// How many more there are.
    pub num_others: usize,
    /// What is wrong, and what to do.
    #[serde(skip)]
    sentence: (String, String),
}

/// How many pixels of a mask have one raw label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// The value or colour.
    pub value: RawLabel,
    /// Its pixels.
    pub pixels: u64,
    /// Column and row of the first of them.
    pub first: [usize; 2],
}

/// How much of one mask is ignored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IgnoredPixels {
    /// The mask.
    pub mask: String,
    /// Its ignored pixels.
    pub pixels: u64,
    /// Their part of the mask, as a fraction.
    pub share: f64,
}

/// How much of a split has one raw label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueUse {
    /// The value or colour.
    pub value: RawLabel,
    /// Its pixels.
    pub pixels: u64,
    /// Masks in which it occurs.
    pub num_masks: usize,
    /// The class that it is; absent where it is none.
    pub class: Option<u16>,
    /// Whether the label map says that it is ignored.
    pub ignored: bool,
}

/// How much of a split one class is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// The class id.
    pub id: u16,
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
/// As [`audit_with`].
pub fn audit(root: impl AsRef<Path>) -> Result<Audit> {
    audit_with(root, &[] as &[&str], &DataOptions::default())
}

/// Reads every file of the named splits.
///
/// # Errors
/// As [`audit_with`].
pub fn audit_splits<S: AsRef<str>>(root: impl AsRef<Path>, splits: &[S]) -> Result<Audit> {
    audit_with(root, splits, &DataOptions::default())
}

/// Reads every file of the named splits as the options say, or of every split where none is named.
///
/// # Errors
/// Those of [`Source::open`] and [`Source::split`]; [`Error`](crate::Error) where there is no split at all. Bad images and
/// masks are findings, not errors.
pub fn audit_with<S: AsRef<str>>(
    root: impl AsRef<Path>,
    splits: &[S],
    options: &DataOptions,
) -> Result<Audit> {
    let source = Source::open(root, options)?;
    let splits = match splits {
        [] => source.splits()?,
        named => named.iter().map(|name| source.split(name.as_ref())).collect::<Result<_>>()?,
    };
    let splits = splits.iter().map(|split| scan::split(&source, split)).collect::<Result<_>>()?;
    Ok(Audit {
        root: source.root().to_path_buf(),
        layout: source.layout(),
        masks: source.masks(),
        label_map: source.classes().clone(),
        splits,
    })
}

#[cfg(test)]
mod tests;
