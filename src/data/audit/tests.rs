//! Each kind of finding, and the reference data's table.

use super::*;
use crate::data::fixture;
use crate::data::label_map::Given;
use crate::data::read::tests::{jpeg, with_orientation};
use crate::testing::{TempDir, shared};

fn good(dir: &TempDir) {
    fixture::classes(dir, 3);
    fixture::pair(dir, "train", "a", 10, 10, |x, _| if x < 5 { 0 } else { 1 });
    fixture::pair(dir, "train", "b", 10, 10, |x, _| if x < 8 { 2 } else { 255 });
    fixture::pair(dir, "val", "c", 4, 5, |x, _| x as u16 % 3);
}

fn sentence(dir: &TempDir) -> String {
    let message = audit(dir.path()).unwrap().verdict().unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn a_good_data_set_is_counted_and_passes() {
    let dir = TempDir::new("audit");
    good(&dir);
    let audit = audit(dir.path()).unwrap();
    audit.verdict().unwrap();
    assert!(audit.problems().is_empty() && audit.warnings().is_empty());
    let train = &audit.splits[0];
    assert_eq!((train.split.as_str(), train.num_images, train.labelled_pixels), ("train", 2, 180));
    let pixels: Vec<(u64, usize)> =
        train.classes.iter().map(|class| (class.pixels, class.num_images)).collect();
    assert_eq!(pixels, [(50, 1), (50, 1), (80, 1)]);
    assert!((train.classes[2].share - 80.0 / 180.0).abs() < 1e-12 && train.ignored_share == 0.1);
    assert_eq!(audit.splits[1].sizes, [SizeCount { width: 4, height: 5, num_images: 1 }]);
    let text = audit.to_string();
    assert!(text.contains("split val: 1 image: 1 of 4 x 5") && text.contains("no problem found"), "{text}");
    let json = serde_json::to_value(&audit).unwrap();
    assert_eq!(json["splits"][0]["classes"][2]["pixels"], 80);
    assert_eq!(audit_splits(dir.path(), &["val"]).unwrap().splits, audit.splits[1..]);
}

#[test]
fn unknown_values_name_the_worst_mask() {
    let dir = TempDir::new("audit");
    good(&dir);
    fixture::mask(&dir, "train", "a", 10, 10, |x, y| if (x, y) == (0, 0) { 17 } else { 0 });
    fixture::mask(&dir, "train", "b", 10, 10, |x, y| if y == 0 { 3 } else { x as u16 % 3 });
    let audit = audit(dir.path()).unwrap();
    let unknown = &audit.splits[0].unknown_values;
    assert_eq!((unknown[0].mask.as_str(), unknown[0].pixels), ("masks/train/b.png", 10));
    assert_eq!(unknown[1].values, [ValueCount { value: RawLabel::Value(17), pixels: 1, first: [0, 0] }]);
    let message = sentence(&dir);
    assert!(
        message.contains(
            "b.png`: has the value 3 (10 pixels, first at x 0, y 0) where classes.json names 0..=2"
        ),
        "{message}"
    );
    assert!(message.contains("(1 more problem; "), "{message}");
    assert_eq!(audit.problems().len(), 2);
    assert!(audit.to_string().contains("2 problems"));
}

#[test]
fn sizes_missing_masks_and_unreadable_files() {
    let dir = TempDir::new("audit");
    good(&dir);
    fixture::mask(&dir, "train", "a", 9, 10, |_, _| 0);
    assert!(sentence(&dir).contains("masks/train/a.png`: is 9 x 10 but its image is 10 x 10"));
    std::fs::remove_file(dir.join("masks/train/a.png")).unwrap();
    assert!(sentence(&dir).contains("images/train/a.png`: has no mask; add the mask"));
    let image = std::fs::read(dir.join("images/train/b.png")).unwrap();
    std::fs::write(dir.join("images/train/b.png"), &image[..image.len() / 2]).unwrap();
    let message = sentence(&dir);
    assert!(message.contains("images/train/b.png`: is not a whole JPEG or PNG image"), "{message}");
    // A photograph where a mask should be.
    std::fs::copy(dir.join("images/val/c.png"), dir.join("masks/val/c.png")).unwrap();
    let audit = audit(dir.path()).unwrap();
    let unknown = &audit.splits[1].unknown_values[0];
    assert_eq!((unknown.mask.as_str(), unknown.pixels), ("masks/val/c.png", 20));
    let problems = audit.problems();
    let message = problems[2].to_string();
    assert!(message.contains("is an RGB picture with the colour #"), "{message}");
    assert!(message.contains("and 15 more values, and no class has a colour"), "{message}");
    assert_eq!(problems.len(), 3);
}

#[test]
fn raw_values_are_counted_by_what_they_mean() {
    let dir = TempDir::new("audit");
    good(&dir);
    let map = [("3-4", "class1"), ("17", "ignore")].map(|(key, name)| (key.to_owned(), name.to_owned()));
    let given = Given { label_map: map.into(), ..Given::default() };
    let options = DataOptions { given, ..DataOptions::default() };
    fixture::mask(&dir, "train", "a", 10, 10, |x, y| [1, 3, 4, 17][(10 * x + y) % 4]);
    let mut audit = audit_with(dir.path(), &["train"], &options).unwrap();
    audit.verdict().unwrap();
    assert!(audit.label_map.labels.given.is_some());
    let split = audit.splits.remove(0);
    let uses: Vec<_> =
        split.values.iter().map(|v| (v.value.to_string(), v.pixels, v.class, v.ignored)).collect();
    let expected = [("1", 25, Some(1)), ("2", 80, Some(2)), ("3", 25, Some(1)), ("4", 25, Some(1))];
    let expected = expected.map(|(value, pixels, class)| (value.to_owned(), pixels, class, false));
    assert_eq!(uses[..4], expected);
    assert_eq!(uses[4..], [("17".to_owned(), 25, None, true), ("255".to_owned(), 20, None, true)]);
    assert_eq!((split.classes[1].pixels, split.classes[1].num_images), (75, 1));
    assert_eq!((split.ignored_pixels, split.absent_classes), (45, vec!["class0".to_owned()]));
    let worst = &split.most_ignored[0];
    assert_eq!((worst.mask.as_str(), worst.pixels, worst.share), ("masks/train/a.png", 25, 0.25));
}

#[test]
fn a_mask_that_is_ignored_for_the_most_part_is_named() {
    let dir = TempDir::new("audit");
    good(&dir);
    fixture::mask(&dir, "val", "c", 4, 5, |x, y| if y > 0 { 255 } else { x as u16 % 3 });
    let warnings = audit(dir.path()).unwrap().warnings();
    assert_eq!(warnings, ["split val: masks that are ignored for the most part: `masks/val/c.png` (80 %)"]);
}

#[test]
fn orphans_and_absent_classes_are_warnings_and_twins_a_problem() {
    let dir = TempDir::new("audit");
    good(&dir);
    fixture::mask(&dir, "val", "zz", 3, 3, |_, _| 0);
    fixture::mask(&dir, "val", "c", 4, 5, |_, _| 1);
    let audit = audit(dir.path()).unwrap();
    audit.verdict().unwrap();
    let warnings = audit.warnings();
    assert!(warnings[0].contains("1 mask without an image, the first is `masks/val/zz.png`"), "{warnings:?}");
    assert!(warnings[1].contains("split val: no pixel of class0, class2"), "{warnings:?}");
    std::fs::copy(dir.join("images/val/c.png"), dir.join("images/val/c.jpeg")).unwrap();
    assert!(sentence(&dir).contains("c.png`: shares its mask with another image"));
}

#[test]
fn an_image_that_viewers_show_turned_is_a_warning() {
    let dir = TempDir::new("audit");
    good(&dir);
    std::fs::remove_file(dir.join("images/val/c.png")).unwrap();
    let turned = with_orientation(&jpeg(4, 5), 6);
    std::fs::write(dir.join("images/val/c.jpg"), turned).unwrap();
    let audit = audit(dir.path()).unwrap();
    audit.verdict().unwrap();
    assert_eq!(audit.splits[1].turned_images, ["images/val/c.jpg"]);
    let warnings = audit.warnings();
    assert!(warnings[0].contains("split val: 1 image with a note for viewers to turn"), "{warnings:?}");
}

#[test]
fn empty_and_unlabelled_splits_and_folders() {
    let dir = TempDir::new("audit");
    assert!(audit(dir.path()).unwrap_err().to_string().contains("laid out like no data set"));
    std::fs::create_dir_all(dir.path().join("images/train")).unwrap();
    assert!(audit(dir.path()).unwrap_err().to_string().contains("classes.json"));
    fixture::classes(&dir, 2);
    std::fs::remove_dir(dir.path().join("images/train")).unwrap();
    assert!(audit(dir.path()).unwrap_err().to_string().contains("holds no split"));
    std::fs::create_dir_all(dir.path().join("images/train")).unwrap();
    assert!(sentence(&dir).contains("images/train`: holds no image"));
    fixture::pair(&dir, "train", "a", 3, 3, |_, _| 255);
    assert!(sentence(&dir).contains("has no pixel of any class"));
    let unknown = audit_splits(dir.path(), &["test"]).unwrap_err().to_string();
    assert!(unknown.contains("no split `test`") && unknown.contains("train"), "{unknown}");
}

#[test]
fn camvid_has_the_shares_of_its_description() {
    let Some(root) = shared("data/camvid") else { return };
    let start = std::time::Instant::now();
    let audit = audit(root).unwrap();
    println!("{audit}\n{:.2} s", start.elapsed().as_secs_f64());
    audit.verdict().unwrap();
    // Percent of the labelled pixels and images with the class: training, validation.
    let expected = [
        ([17.54, 24.21, 1.02, 32.96, 4.67, 10.12, 1.22, 1.17, 6.11, 0.67, 0.30], 3.95),
        ([9.34, 26.41, 0.57, 29.46, 8.87, 16.62, 0.91, 3.13, 1.78, 0.66, 2.26], 1.70),
    ];
    let num_images = [366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201];
    for (split, (shares, ignored)) in audit.splits.iter().zip(expected) {
        for (class, share) in split.classes.iter().zip(shares) {
            assert!((class.share * 100.0 - share).abs() < 0.0051, "{} {class:?}", split.split);
        }
        assert!((split.ignored_share * 100.0 - ignored).abs() < 0.0051);
        assert_eq!((split.sizes[0].width, split.sizes[0].height, split.sizes.len()), (480, 360, 1));
    }
    let found: Vec<usize> = audit.splits[0].classes.iter().map(|class| class.num_images).collect();
    assert_eq!(found, num_images);
    assert_eq!((audit.splits[0].num_images, audit.splits[1].num_images), (367, 101));
}

#[test]
fn comma10k_is_labelled_everywhere() {
    let Some(root) = shared("data/comma10k-sample") else { return };
    let audit = audit(root).unwrap();
    audit.verdict().unwrap();
    let total: u64 = audit.splits.iter().map(|split| split.labelled_pixels).sum();
    assert_eq!(total, 8 * 480 * 360);
    let shares: Vec<f64> = (0..5)
        .map(|i| audit.splits.iter().map(|s| s.classes[i].pixels).sum::<u64>() as f64 * 100.0 / total as f64)
        .collect();
    // These 480 x 360 masks agree with their description's shares to 0.1 %, not to its last digit.
    for (share, expected) in shares.iter().zip([18.7, 0.7, 51.0, 2.8, 26.8]) {
        assert!((share - expected).abs() < 0.1, "{shares:?}");
    }
}
