//! COCO-Stuff, 2017 images: `images/train2017/NAME.jpg` and, in `stuffthingmaps` or `annotations`, `train2017/NAME.png` (the
//! category id minus 1: 0..=181 with gaps, 255 for no class) or `train2017/NAME_labelTrainIds.png` (0..=170, 255).

use std::path::{Path, PathBuf};

use super::names::{class_list, color};
use super::{MaskKind, SplitFiles, by_stem};
use crate::data::classes::Classes;
use crate::data::dataset::{list_images, list_masks};
use crate::data::label_map::LabelMap;
use crate::data::raw::RawLabel;
use crate::disk;
use crate::error::Result;

/// Names of the values 0..=181; `-` for the eleven categories that were dropped before anything was labelled.
const RAW: &str = "\
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, -, \
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, -, \
    backpack, umbrella, -, -, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, \
    baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, -, wine glass, cup, fork, \
    knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, \
    chair, couch, potted plant, bed, -, dining table, -, -, toilet, -, tv, laptop, mouse, remote, keyboard, \
    cell phone, microwave, oven, toaster, sink, refrigerator, -, book, clock, vase, scissors, teddy bear, \
    hair drier, toothbrush, -, banner, blanket, branch, bridge, building-other, bush, cabinet, cage, \
    cardboard, carpet, ceiling-other, ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain, \
    desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other, floor-stone, floor-tile, floor-wood, \
    flower, fog, food-other, fruit, furniture-other, grass, gravel, ground-other, hill, house, leaves, \
    light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow, \
    plant-other, plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad, \
    sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw, structural-other, \
    table, tent, textile-other, towel, tree, vegetable, wall-brick, wall-concrete, wall-other, wall-panel, \
    wall-stone, wall-tile, wall-wood, water-other, waterdrops, window-blind, window-other, wood";

const TRAIN_IDS: &str = "_labelTrainIds";
/// Folders of masks, the one of the published archive first.
const FOLDERS: [&str; 2] = ["stuffthingmaps", "annotations"];

/// The data set's folder or one that holds it as `coco_stuff164k`.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let places = [root.to_path_buf(), root.join("coco_stuff164k")];
    let split = |base: &Path, parent: &str| {
        ["train2017", "val2017"].iter().any(|split| disk::is_folder(&base.join(parent).join(split)))
    };
    let fits = |base: &PathBuf| split(base, "images") && FOLDERS.iter().any(|folder| split(base, folder));
    places.into_iter().find(fits)
}

pub(super) fn files(base: &Path, split: &str, kind: MaskKind) -> Result<SplitFiles> {
    let place = base.join("images").join(split);
    let folders = FOLDERS.map(|folder| base.join(folder).join(split));
    let train_ids = kind == MaskKind::LabelTrainIds;
    let mut found = Default::default();
    let mut masks = folders[0].clone();
    for folder in folders.iter().filter(|folder| disk::is_folder(folder)) {
        // Each kind has files of the other beside it.
        let of_kind = list_masks(folder)?.into_iter().filter_map(|(name, path)| {
            let plain = name.strip_suffix(TRAIN_IDS).map(str::to_owned);
            if train_ids { plain.map(|name| (name, path)) } else { plain.is_none().then_some((name, path)) }
        });
        found = of_kind.collect::<std::collections::BTreeMap<_, _>>();
        masks.clone_from(folder);
        if !found.is_empty() {
            break;
        }
    }
    let suffix = if train_ids { TRAIN_IDS } else { "" };
    let absent = |name: &str| masks.join(format!("{name}{suffix}.png"));
    Ok(SplitFiles::pair(place.clone(), by_stem(list_images(&place)?), found, absent))
}

/// 171 classes. No colours are published with them; these are VOC's for the category id, so that all differ.
pub(super) fn classes(kind: MaskKind) -> Classes {
    let used = || RAW.split(", ").zip(0u16..).filter(|&(name, _)| name != "-");
    let list = class_list(used().map(|(name, value)| (name, color(value as u8 + 1))));
    let labels = if kind == MaskKind::LabelTrainIds {
        LabelMap::identity(list.len(), 255)
    } else {
        let own: Vec<u16> = used().map(|(_, value)| value).collect();
        let values = own.iter().zip(&list).map(|(&value, class)| (RawLabel::Value(value), Some(class.id)));
        LabelMap::of_values(values.chain([(RawLabel::Value(255), None)]), own.clone())
    };
    Classes { labels, ..Classes::new(list) }
}
