//! PASCAL VOC 2012: `JPEGImages/NAME.jpg`, `SegmentationClass/NAME.png` (palette; 0..=20, 255 for the void around objects)
//! and `ImageSets/Segmentation/SPLIT.txt` with a name a line.

use std::path::{Path, PathBuf};

use super::names::{class_list, color};
use super::{Pair, SplitFiles, by_stem};
use crate::data::classes::Classes;
use crate::data::dataset::{has_extension, list, list_images, list_masks, stem};
use crate::data::label_map::LabelMap;
use crate::data::raw::RawLabel;
use crate::disk;
use crate::error::{Error, Result};

/// In the order of their values.
const CLASSES: &str = "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, \
    horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor";

/// VOC2012 itself, a folder that holds it, or one that holds the development kit.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let places = ["", "VOC2012", "VOCdevkit/VOC2012"].map(|below| root.join(below));
    let fits = |base: &&PathBuf| {
        ["JPEGImages", "SegmentationClass"].iter().all(|part| disk::is_folder(&base.join(part)))
    };
    places.iter().find(fits).map(|base| base.components().collect())
}

fn lists(base: &Path) -> PathBuf {
    base.join("ImageSets").join("Segmentation")
}

pub(super) fn splits(base: &Path) -> Result<Vec<String>> {
    let files = list(&lists(base), |path| disk::is_file(path) && has_extension(path, &["txt"]))?;
    Ok(files.iter().map(|path| stem(path)).collect())
}

/// The images that the split's list names.
pub(super) fn files(base: &Path, split: &str) -> Result<SplitFiles> {
    let place = lists(base).join(format!("{split}.txt"));
    let text = disk::read_text(&place).map_err(|e| Error::io("read the list of images", &place, e))?;
    let images: std::collections::BTreeMap<_, _> =
        by_stem(list_images(base.join("JPEGImages"))?).into_iter().collect();
    let masks = list_masks(&base.join("SegmentationClass"))?;
    let mut names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::data(place, format!("names `{}` twice", twice[0]), "remove one of the two lines"));
    }
    let pair = |&name: &&str| {
        let (image, mask) = (images.get(name).cloned(), masks.get(name).cloned());
        Pair {
            name: name.to_owned(),
            has_image: image.is_some(),
            has_mask: mask.is_some(),
            image: image.unwrap_or_else(|| base.join("JPEGImages").join(format!("{name}.jpg"))),
            mask: mask.unwrap_or_else(|| base.join("SegmentationClass").join(format!("{name}.png"))),
        }
    };
    let pairs = names.iter().map(pair).collect();
    // A mask that another split's list names is no orphan.
    let orphans =
        masks.into_iter().filter(|(name, _)| !images.contains_key(name)).map(|(_, path)| path).collect();
    Ok(SplitFiles { place, pairs, orphans })
}

/// Values are class ids and 255 is ignored; so is its colour where the masks were saved in colours.
pub(super) fn classes() -> Classes {
    let list = class_list(CLASSES.split(", ").zip(0..).map(|(name, id)| (name, color(id))));
    let mut labels = LabelMap::identity(list.len(), 255);
    labels.entries.insert(RawLabel::Color(color(255)), None);
    Classes { labels, ..Classes::new(list) }
}
