//! How data sets are laid out on disk: the plain folder, and the published ones as they are unpacked.

mod ade20k;
mod cityscapes;
mod coco_stuff;
mod folder;
mod names;
mod voc;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::classes::Classes;
use super::dataset::stem;
use crate::error::Result;

/// A layout of folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `images/SPLIT/NAME.jpg`, `masks/SPLIT/NAME.png`, `classes.json`.
    #[default]
    Folder,
    /// PASCAL VOC 2012: `JPEGImages`, `SegmentationClass`, `ImageSets/Segmentation/SPLIT.txt`.
    Voc,
    /// Cityscapes: `leftImg8bit/SPLIT/CITY`, `gtFine/SPLIT/CITY`.
    Cityscapes,
    /// ADE20K, SceneParse150: `images/training`, `annotations/training`.
    Ade20k,
    /// COCO-Stuff, 171 classes: `images/train2017`, `stuffthingmaps/train2017` or `annotations/train2017`.
    CocoStuff,
}

/// What the files of a data set's masks hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskKind {
    /// What the data set has; `labelIds` where it has both kinds.
    #[default]
    Auto,
    /// Values, or colours where the file has no values.
    Values,
    /// Colours, those of a palette too.
    Colors,
    /// The ids of the data set's authors (Cityscapes, COCO-Stuff).
    #[serde(rename = "labelIds")]
    LabelIds,
    /// The numbers of the classes that are trained, as tools for training write them (Cityscapes, COCO-Stuff).
    #[serde(rename = "labelTrainIds")]
    LabelTrainIds,
}

/// An image of a split with its mask, as the layout pairs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// What the two share, and the name of what is written for them.
    pub name: String,
    pub image: PathBuf,
    /// The mask, or where it should be.
    pub mask: PathBuf,
    pub has_image: bool,
    pub has_mask: bool,
}

/// The files of one split, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SplitFiles {
    /// The folder of the images, or the list that names them.
    pub place: PathBuf,
    pub pairs: Vec<Pair>,
    /// Masks without an image.
    pub orphans: Vec<PathBuf>,
}

impl SplitFiles {
    /// Pairs images with masks of the same name; `absent` says where a missing mask should be.
    fn pair(
        place: PathBuf,
        images: Vec<(String, PathBuf)>,
        mut masks: BTreeMap<String, PathBuf>,
        absent: impl Fn(&str) -> PathBuf,
    ) -> Self {
        let pair = |(name, image): (String, PathBuf)| {
            let found = masks.get(&name).cloned();
            let has_mask = found.is_some();
            Pair { mask: found.unwrap_or_else(|| absent(&name)), name, image, has_image: true, has_mask }
        };
        let pairs: Vec<Pair> = images.into_iter().map(pair).collect();
        for pair in &pairs {
            masks.remove(&pair.name);
        }
        Self { place, pairs, orphans: masks.into_values().collect() }
    }
}

/// Files under the name that image and mask share, their stem.
fn by_stem(files: Vec<PathBuf>) -> Vec<(String, PathBuf)> {
    files.into_iter().map(|path| (stem(&path), path)).collect()
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 5] = [Self::Folder, Self::Voc, Self::Cityscapes, Self::Ade20k, Self::CocoStuff];

    /// Its name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Voc => "voc",
            Self::Cityscapes => "cityscapes",
            Self::Ade20k => "ade20k",
            Self::CocoStuff => "coco_stuff",
        }
    }

    /// The layout of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    /// What it looks like, for a sentence.
    pub(super) const fn looks(self) -> &'static str {
        match self {
            Self::Folder => "images/SPLIT, masks/SPLIT and classes.json",
            Self::Voc => "JPEGImages, SegmentationClass and ImageSets/Segmentation",
            Self::Cityscapes => "leftImg8bit and gtFine",
            Self::Ade20k => "images/training and annotations/training",
            Self::CocoStuff => "images/train2017 and stuffthingmaps/train2017 (or annotations/train2017)",
        }
    }

    /// What to do about a split without an image.
    pub(super) const fn remedy_for_empty(self) -> &'static str {
        match self {
            Self::Voc => "write the names of its images there, one a line",
            Self::Cityscapes => "put CITY/NAME_leftImg8bit.png files there",
            Self::Folder | Self::Ade20k | Self::CocoStuff => "put .jpg or .png files there",
        }
    }

    /// The folder below `root`, or `root` itself, that is laid out like this.
    pub(super) fn find(self, root: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder => folder::find(root),
            Self::Voc => voc::find(root),
            Self::Cityscapes => cityscapes::find(root),
            Self::Ade20k => ade20k::find(root),
            Self::CocoStuff => coco_stuff::find(root),
        }
    }

    /// The names of the splits in `base`, sorted.
    pub(super) fn splits(self, base: &Path) -> Result<Vec<String>> {
        match self {
            Self::Folder | Self::Ade20k | Self::CocoStuff => folder::splits(&base.join("images")),
            Self::Voc => voc::splits(base),
            Self::Cityscapes => folder::splits(&base.join("leftImg8bit")),
        }
    }

    /// The files of a split that there is.
    pub(super) fn files(self, base: &Path, split: &str, masks: MaskKind) -> Result<SplitFiles> {
        match self {
            Self::Folder => folder::files(base, split, "masks"),
            Self::Voc => voc::files(base, split),
            Self::Cityscapes => cityscapes::files(base, split, masks),
            Self::Ade20k => folder::files(base, split, "annotations"),
            Self::CocoStuff => coco_stuff::files(base, split, masks),
        }
    }

    /// The kinds of masks that the layout knows, the usual one first.
    pub(super) const fn kinds(self) -> &'static [MaskKind] {
        match self {
            Self::Folder | Self::Voc | Self::Ade20k => &[MaskKind::Values, MaskKind::Colors],
            Self::Cityscapes | Self::CocoStuff => &[MaskKind::LabelIds, MaskKind::LabelTrainIds],
        }
    }

    /// The published classes; `None` for the plain folder, whose `classes.json` names its own.
    #[must_use]
    pub fn published(self) -> Option<Classes> {
        self.classes(MaskKind::Auto)
    }

    /// The published classes with the label map of `masks`; `None` for the plain folder, whose `classes.json` says it.
    pub(super) fn classes(self, masks: MaskKind) -> Option<Classes> {
        let mut classes = match self {
            Self::Folder => return None,
            Self::Voc => voc::classes(),
            Self::Cityscapes => cityscapes::classes(masks),
            Self::Ade20k => ade20k::classes(),
            Self::CocoStuff => coco_stuff::classes(masks),
        };
        (classes.labels.layout, classes.labels.masks) = (self, masks);
        Some(classes)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MaskKind {
    /// Every kind, and the choice by what there is.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Values, Self::Colors, Self::LabelIds, Self::LabelTrainIds];

    /// Its name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Values => "values",
            Self::Colors => "colors",
            Self::LabelIds => "labelIds",
            Self::LabelTrainIds => "labelTrainIds",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for MaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
