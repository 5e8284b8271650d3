//! The plain folder, and what other layouts share with it: `images/SPLIT/NAME.jpg` beside a folder of masks.

use std::path::{Path, PathBuf};

use super::{SplitFiles, by_stem};
use crate::data::dataset::{file_name, list, list_images, list_masks};
use crate::disk;
use crate::error::Result;

/// Whether `root` is meant as a plain folder. Whoever forgets `masks` or `classes.json` is told so by the reader.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let there = |part: &&str| disk::exists(&root.join(part));
    let other = ["annotations", "stuffthingmaps", "JPEGImages", "leftImg8bit"].iter().any(there);
    let own = ["images", "classes.json"].iter().any(there);
    (there(&"masks") || own && !other).then(|| root.to_path_buf())
}

/// The names of the folders in `images`, sorted.
pub(super) fn splits(images: &Path) -> Result<Vec<String>> {
    Ok(list(images, disk::is_folder)?.iter().map(|path| file_name(path)).collect())
}

/// Images in `images/SPLIT` with masks of the same name in `MASKS/SPLIT`.
pub(super) fn files(base: &Path, split: &str, masks: &str) -> Result<SplitFiles> {
    let place = base.join("images").join(split);
    let folder = base.join(masks).join(split);
    let images = by_stem(list_images(&place)?);
    let absent = |name: &str| folder.join(format!("{name}.png"));
    Ok(SplitFiles::pair(place, images, list_masks(&folder)?, absent))
}
