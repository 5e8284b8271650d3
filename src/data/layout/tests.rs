//! The published layouts: where their files are, what their values mean, and what is said where nothing fits.

use super::*;
use crate::data::fixture;
use crate::data::label_map::Decoder;
use crate::data::raw::RawLabel;
use crate::data::{DataOptions, Source};
use crate::testing::TempDir;

fn source(dir: &TempDir) -> Source {
    Source::open(dir.path(), &DataOptions::default()).unwrap()
}

fn refusal(dir: &TempDir, options: &DataOptions) -> String {
    let message = Source::open(dir.path(), options).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// What the label map makes of a value: the class's name, `-` for ignored and `?` for unknown.
fn meaning(classes: &Classes, value: u16) -> &str {
    match Decoder::new(classes).meaning(RawLabel::Value(value)) {
        None => "?",
        Some(id) => classes.classes.get(usize::from(id)).map_or("-", |class| &class.name),
    }
}

fn meanings<const N: usize>(layout: Layout, kind: MaskKind, values: [u16; N]) -> [String; N] {
    let classes = layout.classes(kind).unwrap();
    values.map(|value| meaning(&classes, value).to_owned())
}

#[test]
fn the_first_class_of_ade20k_is_value_1_and_nothing_is_shifted() {
    let found = meanings(Layout::Ade20k, MaskKind::Values, [0, 1, 2, 4, 150, 151, 255]);
    assert_eq!(found, ["-", "wall", "building", "floor", "flag", "?", "?"]);
    let classes = Layout::Ade20k.classes(MaskKind::Values).unwrap();
    assert_eq!((classes.len(), classes.labels.own_value(0), classes.labels.own_value(149)), (150, 1, 150));
    assert_eq!(classes.labels.own_value(classes.ignore_index), 0, "what is no class is written as 0");
}

#[test]
fn cityscapes_ids_are_those_of_its_table_in_both_numberings() {
    let found =
        meanings(Layout::Cityscapes, MaskKind::LabelIds, [0, 6, 7, 8, 11, 18, 26, 29, 31, 33, 34, 255]);
    let expected = ["-", "-", "road", "sidewalk", "building", "-", "car", "-", "train", "bicycle", "?", "-"];
    assert_eq!(found, expected);
    let found = meanings(Layout::Cityscapes, MaskKind::LabelTrainIds, [0, 13, 18, 19, 255]);
    assert_eq!(found, ["road", "car", "bicycle", "?", "-"]);
    let classes = Layout::Cityscapes.classes(MaskKind::LabelIds).unwrap();
    let ids: Vec<u16> = (0..19).map(|class| classes.labels.own_value(class)).collect();
    assert_eq!(ids, [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]);
}

#[test]
fn coco_stuff_has_171_classes_and_eleven_gaps() {
    let found =
        meanings(Layout::CocoStuff, MaskKind::LabelIds, [0, 10, 11, 12, 89, 90, 91, 156, 181, 182, 255]);
    let expected = [
        "person",
        "fire hydrant",
        "?",
        "stop sign",
        "toothbrush",
        "?",
        "banner",
        "sky-other",
        "wood",
        "?",
        "-",
    ];
    assert_eq!(found, expected);
    let gaps: Vec<u16> = (0..182)
        .filter(|&value| meanings(Layout::CocoStuff, MaskKind::LabelIds, [value])[0] == "?")
        .collect();
    assert_eq!(gaps, [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90]);
    let found = meanings(Layout::CocoStuff, MaskKind::LabelTrainIds, [0, 11, 79, 80, 170, 171]);
    assert_eq!(found, ["person", "stop sign", "toothbrush", "banner", "wood", "?"]);
}

#[test]
fn voc_knows_its_colours_and_every_list_has_its_names_once() {
    let classes = Layout::Voc.classes(MaskKind::Values).unwrap();
    let decoder = Decoder::new(&classes);
    let colours = [[0, 0, 0], [128, 0, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192], [1, 2, 3]];
    let found = colours.map(|color| decoder.meaning(RawLabel::Color(color)));
    assert_eq!(found, [Some(0), Some(1), Some(15), Some(20), Some(255), None]);
    for (layout, count) in
        [(Layout::Voc, 21), (Layout::Cityscapes, 19), (Layout::Ade20k, 150), (Layout::CocoStuff, 171)]
    {
        for &kind in layout.kinds() {
            let classes = layout.classes(kind).unwrap();
            let names: std::collections::BTreeSet<&str> =
                classes.classes.iter().map(|class| class.name.trim()).collect();
            assert_eq!((classes.len(), names.len()), (count, count), "{layout}");
            assert!(classes.classes.iter().all(|class| class.color != [0; 3] || class.id == 0), "{layout}");
            assert_eq!(Classes::parse(&classes.to_json()).unwrap(), classes, "{layout} in a model file");
        }
    }
}

/// An image and its mask, as PNG files.
fn pair(dir: &TempDir, image: &str, mask: &str) {
    fixture::pair(dir, "spare", "x", 4, 4, |x, _| x as u16);
    std::fs::copy(dir.join("images/spare/x.png"), dir.join(image)).unwrap();
    std::fs::copy(dir.join("masks/spare/x.png"), dir.join(mask)).unwrap();
    for part in ["images/spare", "masks"] {
        std::fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    // The fixture's folder, where the layout has none of that name.
    let _ = std::fs::remove_dir(dir.path().join("images"));
}

#[test]
fn each_layout_is_known_by_its_folders_and_from_above() {
    let cases = [
        (
            Layout::Voc,
            "JPEGImages/a.png",
            "SegmentationClass/a.png",
            ["VOCdevkit/VOC2012", "VOC2012"],
            "train",
            "train",
        ),
        (
            Layout::Cityscapes,
            "leftImg8bit/val/bonn/bonn_1_2_leftImg8bit.png",
            "gtFine/val/bonn/bonn_1_2_gtFine_labelIds.png",
            ["cityscapes", "."],
            "val",
            "val",
        ),
        (
            Layout::Ade20k,
            "images/validation/a.png",
            "annotations/validation/a.png",
            ["ADEChallengeData2016", "."],
            "val",
            "validation",
        ),
        (
            Layout::CocoStuff,
            "images/val2017/a.png",
            "stuffthingmaps/val2017/a.png",
            ["coco_stuff164k", "."],
            "val",
            "val2017",
        ),
    ];
    for (layout, image, mask, places, asked, own) in cases {
        for place in places {
            let dir = TempDir::new("layout");
            pair(&dir, &format!("{place}/{image}"), &format!("{place}/{mask}"));
            if layout == Layout::Voc {
                let list = dir.join(&format!("{place}/ImageSets/Segmentation/train.txt"));
                std::fs::write(list, "a\r\n\n").unwrap();
            }
            let found = source(&dir);
            assert_eq!((found.layout(), found.split(asked).unwrap()), (layout, own.to_owned()));
            let files = found.files(own).unwrap();
            assert_eq!(
                (files.pairs.len(), files.pairs[0].has_mask, files.orphans.len()),
                (1, true, 0),
                "{layout}"
            );
            assert!(files.pairs[0].mask.is_file() && files.pairs[0].image.is_file());
        }
    }
}

#[test]
fn the_kind_of_masks_is_the_one_there_is_or_the_one_that_is_chosen() {
    let dir = TempDir::new("kinds");
    let [ids, train] =
        ["labelIds", "labelTrainIds"].map(|kind| format!("gtFine/val/bonn/b_1_gtFine_{kind}.png"));
    pair(&dir, "leftImg8bit/val/bonn/b_1_leftImg8bit.png", &train);
    assert_eq!(source(&dir).masks(), MaskKind::LabelTrainIds);
    let chosen = DataOptions { masks: MaskKind::LabelIds, ..DataOptions::default() };
    let files = Source::open(dir.path(), &chosen).unwrap().files("val").unwrap();
    assert!(!files.pairs[0].has_mask && files.pairs[0].mask.ends_with("bonn/b_1_gtFine_labelIds.png"));
    std::fs::copy(dir.join(&train), dir.join(&ids)).unwrap();
    assert_eq!(source(&dir).masks(), MaskKind::LabelIds);
    let colors = DataOptions { masks: MaskKind::Colors, ..DataOptions::default() };
    let message = refusal(&dir, &colors);
    assert!(
        message.contains("data.masks (--mask-kind) is colors") && message.contains("labelTrainIds"),
        "{message}"
    );

    let dir = TempDir::new("kinds");
    pair(&dir, "images/train2017/a.png", "annotations/train2017/a_labelTrainIds.png");
    assert_eq!(source(&dir).masks(), MaskKind::LabelTrainIds);
    std::fs::copy(
        dir.join("annotations/train2017/a_labelTrainIds.png"),
        dir.join("annotations/train2017/a.png"),
    )
    .unwrap();
    let found = source(&dir);
    assert_eq!(found.masks(), MaskKind::LabelIds);
    let files = found.files("train2017").unwrap();
    assert!(files.pairs[0].mask.ends_with("train2017/a.png") && files.orphans.is_empty());
}

#[test]
fn no_layout_and_two_layouts_are_answered_in_words() {
    let dir = TempDir::new("layout");
    let message = refusal(&dir, &DataOptions::default());
    assert!(
        message.contains("laid out like no data set that is read") && message.contains("classes.json"),
        "{message}"
    );
    pair(&dir, "images/training/a.png", "annotations/training/a.png");
    let voc = DataOptions { layout: Some(Layout::Voc), ..DataOptions::default() };
    assert!(refusal(&dir, &voc).contains("is not laid out as voc: JPEGImages, SegmentationClass"));
    let unknown = source(&dir).split("val").unwrap_err().to_string();
    assert!(unknown.contains("has no split `val`") && unknown.contains("training (or train)"), "{unknown}");
    std::fs::create_dir_all(dir.path().join("masks")).unwrap();
    assert!(
        refusal(&dir, &DataOptions::default())
            .contains("can be read as folder and as ade20k; say which with data.layout")
    );
    let ade = DataOptions { layout: Some(Layout::Ade20k), ..DataOptions::default() };
    assert_eq!(Source::open(dir.path(), &ade).unwrap().layout(), Layout::Ade20k);
    let absent = Source::open(dir.path().join("none"), &ade).unwrap_err().to_string();
    assert!(absent.contains("cannot list the folder"), "{absent}");
}

#[test]
fn a_class_list_in_a_published_layout_must_say_its_values() {
    let dir = TempDir::new("layout");
    pair(&dir, "images/training/a.png", "annotations/training/a.png");
    fixture::classes(&dir, 3);
    let message = refusal(&dir, &DataOptions::default());
    assert!(message.contains("does not say which values of the ade20k masks its classes are"), "{message}");
    let text = r#"{"ignore": [0, 3], "classes": [{"id": 0, "name": "one", "values": [1, 2]}]}"#;
    std::fs::write(dir.join("classes.json"), text).unwrap();
    let found = source(&dir);
    assert_eq!([0, 1, 2, 3, 4].map(|value| meaning(found.classes(), value)), ["-", "one", "one", "-", "?"]);
}
