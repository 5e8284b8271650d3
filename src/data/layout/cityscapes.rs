//! Cityscapes: `leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png` with `gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png`, or
//! `..._labelTrainIds.png`, which the data set's scripts make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::names::{class_list, named_color};
use super::{MaskKind, SplitFiles};
use crate::data::classes::Classes;
use crate::data::dataset::{file_name, list};
use crate::data::label_map::LabelMap;
use crate::data::raw::RawLabel;
use crate::disk;
use crate::error::{Error, Result};

/// The 19 classes in the order of their trainIds, with their colours.
const CLASSES: &str = "road 804080, sidewalk f423e8, building 464646, wall 66669c, fence be9999, pole 999999, \
    traffic light faaa1e, traffic sign dcdc00, vegetation 6b8e23, terrain 98fb98, sky 4682b4, person dc143c, \
    rider ff0000, car 00008e, truck 000046, bus 003c64, train 005064, motorcycle 0000e6, bicycle 770b20";

/// The labelId of each of them; the other ids up to 33 are not scored, nor is -1 (license plate), which is 255 in a file.
const LABEL_IDS: [u16; 19] = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33];

const IMAGE: &str = "_leftImg8bit.png";

/// The data set's folder or one that holds it as `cityscapes`.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let places = [root.to_path_buf(), root.join("cityscapes")];
    places
        .into_iter()
        .find(|base| ["leftImg8bit", "gtFine"].iter().all(|part| disk::is_folder(&base.join(part))))
}

/// The files of all cities of `folder` whose names end in `suffix`, by city and name without it.
fn of_cities(folder: &Path, suffix: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    if !disk::is_folder(folder) {
        return Ok(files);
    }
    for city in list(folder, disk::is_folder)? {
        for path in list(&city, |path| disk::is_file(path) && file_name(path).ends_with(suffix))? {
            let name = file_name(&path)[..file_name(&path).len() - suffix.len()].to_owned();
            if let Some(other) = files.insert(name, path.clone()) {
                let problem = format!("has the name of `{}`", other.display());
                return Err(Error::data(path, problem, "remove or rename one of the two"));
            }
        }
    }
    Ok(files)
}

pub(super) fn files(base: &Path, split: &str, kind: MaskKind) -> Result<SplitFiles> {
    let place = base.join("leftImg8bit").join(split);
    let folder = base.join("gtFine").join(split);
    let suffix = format!("_gtFine_{kind}.png");
    let images = of_cities(&place, IMAGE)?;
    let masks = of_cities(&folder, &suffix)?;
    let city_of =
        |name: &str| images.get(name).and_then(|path| path.parent()).map(file_name).unwrap_or_default();
    let absent = |name: &str| folder.join(city_of(name)).join(format!("{name}{suffix}"));
    Ok(SplitFiles::pair(place, images.clone().into_iter().collect(), masks, absent))
}

/// The 19 classes that are scored, by one of the two numberings.
pub(super) fn classes(kind: MaskKind) -> Classes {
    let list = class_list(CLASSES.split(", ").map(named_color));
    let labels = if kind == MaskKind::LabelTrainIds {
        LabelMap::identity(list.len(), 255)
    } else {
        let class = |value: u16| LABEL_IDS.iter().position(|&id| id == value).map(|id| id as u16);
        let values = (0..=33).chain([255]).map(|value| (RawLabel::Value(value), class(value)));
        LabelMap::of_values(values, LABEL_IDS.to_vec())
    };
    Classes { labels, ..Classes::new(list) }
}
