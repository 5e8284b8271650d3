//! Every layout of data sets in place: audited, trained on for two steps, scored, and its masks written in its own ids; and
//! every kind of bad label as one sentence.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use protoseg::data::{Classes, Dataset, Layout, MaskKind, Source, read_mask};
use protoseg::model_file;
use protoseg::train::Config;
use serde_json::Value;
use support::{TempDir, shared};

/// A street of four scenes: 0 to 2 for training, 3 for validation.
const SIZE: [u32; 2] = [64, 48];

fn protoseg(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(folder).args(args).output().expect("the program starts")
}

fn done(folder: &Path, args: &[&str]) -> String {
    let output = protoseg(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&done(folder, args)).expect("one JSON document")
}

/// Runs and expects exit status 1 and one sentence that holds `parts`.
fn refused(folder: &Path, args: &[&str], parts: &[&str]) {
    let output = protoseg(folder, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{args:?}: `{part}` is missing in: {text}");
    }
}

/// A configuration of two steps with a tiny network; `data` are more lines of its `[data]` section.
fn config(root: &Path, data: &str) -> String {
    format!(
        "[data]\nroot = '{}'\n{data}\n[model]\narch = \"scratch\"\noutput_stride = 8\ntaps = [4, 8]\nlateral = 8\n\
         width = 8\nembedding = 8\nprototypes = 2\n[augment]\ncrop_height = 32\ncrop_width = 32\n\
         [train]\nsteps = 2\nbatch = 1\ntensorboard = false\n",
        root.display()
    )
}

/// The scenes as images and class ids 0..=8.
fn street(temp: &TempDir) -> Vec<(String, PathBuf, Vec<u16>)> {
    let root = temp.path().join("street");
    protoseg::synth::write_dataset(&root, 4, 1, SIZE[0] as usize, SIZE[1] as usize).expect("street");
    let scene = |split: &str| {
        let data = Dataset::open(&root, split).expect("street");
        let files = data.samples().to_vec();
        let labels = |i: usize| data.load(i).expect("a scene").mask.labels;
        files.into_iter().enumerate().map(|(i, f)| (split.to_owned(), f.image, labels(i))).collect::<Vec<_>>()
    };
    [scene("train"), scene("val")].concat()
}

/// Writes the street in a published layout; class i of the street becomes class 2 i of the layout. Class 8 is ignored.
fn write(temp: &TempDir, root: &Path, layout: Layout, kind: MaskKind) {
    let data = template(layout, kind);
    for (number, (split, image, labels)) in street(temp).into_iter().enumerate() {
        let validates = split == "val";
        let name = format!("s{number}");
        let (photo, mask) = match layout {
            Layout::Voc => (format!("JPEGImages/{name}.jpg"), format!("SegmentationClass/{name}.png")),
            Layout::Cityscapes => (
                format!("leftImg8bit/{split}/town/{name}_leftImg8bit.png"),
                format!("gtFine/{split}/town/{name}_gtFine_{kind}.png"),
            ),
            Layout::Ade20k => {
                let own = if validates { "validation" } else { "training" };
                (format!("images/{own}/{name}.jpg"), format!("annotations/{own}/{name}.png"))
            }
            Layout::CocoStuff if kind == MaskKind::LabelIds => {
                (format!("images/{split}2017/{name}.jpg"), format!("stuffthingmaps/{split}2017/{name}.png"))
            }
            Layout::CocoStuff => (
                format!("images/{split}2017/{name}.jpg"),
                format!("annotations/{split}2017/{name}_labelTrainIds.png"),
            ),
            Layout::Folder => unreachable!("the street is one"),
        };
        let at = |relative: &str| {
            let path = root.join(relative);
            fs::create_dir_all(path.parent().expect("a parent")).expect("temporary folder");
            path
        };
        image::open(&image).expect("a scene").into_rgb8().save(at(&photo)).expect("image");
        let raw = |label: &u16| if *label == 8 { data.1 } else { data.0[2 * usize::from(*label)] };
        let raw: Vec<u8> = labels.iter().map(raw).collect();
        GrayImage::from_raw(SIZE[0], SIZE[1], raw).expect("full").save(at(&mask)).expect("mask");
        if layout == Layout::Voc {
            let list = at(&format!("ImageSets/Segmentation/{split}.txt"));
            let before = fs::read_to_string(&list).unwrap_or_default();
            fs::write(list, format!("{before}{name}\n")).expect("list");
        }
    }
}

/// The value of each class and one that is ignored: written here again, from the data sets' own descriptions.
fn template(layout: Layout, kind: MaskKind) -> (Vec<u8>, u8) {
    let gaps = [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90];
    match (layout, kind) {
        (Layout::Voc, _) => ((0..21).collect(), 255),
        (Layout::Cityscapes, MaskKind::LabelIds) => {
            (vec![7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33], 0)
        }
        (Layout::Cityscapes, _) => ((0..19).collect(), 255),
        (Layout::Ade20k, _) => ((1..=150).collect(), 0),
        (_, MaskKind::LabelIds) => ((0..182).filter(|value| !gaps.contains(value)).collect(), 255),
        _ => ((0..171).collect(), 255),
    }
}

fn works_in_place(layout: Layout, kind: MaskKind, names: [&str; 2]) {
    let temp = TempDir::new("layouts");
    let root = temp.path();
    let data = root.join("data");
    write(&temp, &data, layout, kind);
    let (values, ignored) = template(layout, kind);

    let audit = json(root, &["audit", "data", "--json"]);
    assert_eq!((audit["layout"].as_str(), audit["masks"].as_str()), (Some(layout.name()), Some(kind.name())));
    assert_eq!(json(root, &["audit", "data", "--json", "--layout", layout.name()]), audit);
    let splits = audit["splits"].as_array().expect("splits");
    assert_eq!(
        splits.iter().map(|split| split["split"].as_str().expect("a name")).collect::<Vec<_>>(),
        names
    );
    let of_split = |split: &str| street(&temp).into_iter().filter(|s| s.0 == split).collect::<Vec<_>>();
    for (found, usual) in splits.iter().zip(["train", "val"]) {
        let mut counts = [0_u64; 9];
        for label in of_split(usual).into_iter().flat_map(|scene| scene.2) {
            counts[usize::from(label)] += 1;
        }
        for (id, class) in found["classes"].as_array().expect("classes").iter().enumerate() {
            let expected = if id % 2 == 0 && id < 16 { counts[id / 2] } else { 0 };
            assert_eq!(class["pixels"], expected, "{layout} {usual} {class}");
        }
        assert_eq!(found["ignored_pixels"], counts[8]);
    }

    // The whole path of a user, with the usual names of the splits.
    fs::write(root.join("c.toml"), config(Path::new("data"), "")).expect("configuration");
    done(root, &["train", "c.toml", "--out", "run"]);
    let model = "run/last.safetensors";
    let scores =
        json(root, &["eval", model, "--data", "data", "--split", "val", "--json", "--masks", "maps"]);
    done(
        root,
        &["figure", model, "--data", "data", "--classes", "1", "--out", "f.png"].map(|word| {
            if word == "1" { scores["classes"][0]["name"].as_str().expect("a name") } else { word }
        }),
    );
    let written = read_mask(root.join("maps/s3.png")).expect("a mask");
    let (_, image, labels) = of_split("val").remove(0);
    let class = |value: u16| values.iter().position(|&own| u16::from(own) == value);
    let labelled = labels.iter().zip(&written.labels).filter(|(label, _)| **label != 8);
    let right = labelled.clone().filter(|&(&label, &value)| class(value) == Some(2 * usize::from(label)));
    let accuracy = right.count() as f64 / labelled.count() as f64;
    assert!((scores["aacc"].as_f64().expect("a number") - accuracy).abs() < 1e-12, "{layout}: {accuracy}");
    assert!(
        written.labels.iter().all(|&value| class(value).is_some()),
        "{layout}: {ignored} is never predicted"
    );
    if layout == Layout::Cityscapes {
        // Only this layout's images lie here unchanged: PNG.
        done(root, &["predict", model, image.to_str().expect("UTF-8"), "--out", "own"]);
        let name = image.file_name().expect("a name");
        let (own, eval) = (root.join("own").join(name), root.join("maps/s3.png"));
        assert_eq!(
            fs::read(own).expect("a map"),
            fs::read(eval).expect("a map"),
            "the model knows the values"
        );
    }
}

#[test]
fn voc_in_place() {
    works_in_place(Layout::Voc, MaskKind::Values, ["train", "val"]);
}

#[test]
fn cityscapes_in_place_by_its_label_ids() {
    works_in_place(Layout::Cityscapes, MaskKind::LabelIds, ["train", "val"]);
}

#[test]
fn cityscapes_in_place_by_train_ids() {
    works_in_place(Layout::Cityscapes, MaskKind::LabelTrainIds, ["train", "val"]);
}

#[test]
fn ade20k_in_place() {
    works_in_place(Layout::Ade20k, MaskKind::Values, ["training", "validation"]);
}

#[test]
fn coco_stuff_in_place_by_its_pixel_maps() {
    works_in_place(Layout::CocoStuff, MaskKind::LabelIds, ["train2017", "val2017"]);
}

#[test]
fn coco_stuff_in_place_by_train_ids() {
    works_in_place(Layout::CocoStuff, MaskKind::LabelTrainIds, ["train2017", "val2017"]);
}

/// Trains for two steps on real files where they lie and scores them.
fn trains_on(relative: &str, data: &str, splits: [&str; 2]) -> Option<(PathBuf, Value)> {
    let real = shared(relative)?;
    let temp = TempDir::new("samples");
    let root = temp.path();
    let place = real.canonicalize().expect("an existing folder");
    fs::write(root.join("c.toml"), config(&place, data)).expect("configuration");
    done(root, &["train", "c.toml", "--out", "run"]);
    let place = place.to_str().expect("UTF-8").to_owned();
    let args = ["eval", "run/best.safetensors", "--data", &place, "--split", splits[1], "--json"];
    assert!(json(root, &args)["aacc"].is_number());
    let audit = json(root, &["audit", &place, "--json"]);
    assert!(audit["splits"].as_array().expect("splits").iter().any(|split| split["split"] == splits[0]));
    Some((real, audit))
}

#[test]
fn real_samples_are_trained_on_in_place() {
    let few = "val_images = 2";
    trains_on("data/voc-layout-sample", few, ["train", "val"]);
    trains_on("data/comma10k-sample", few, ["train", "val"]);
}

#[test]
fn value_1_of_real_ade20k_masks_is_wall() {
    let sample = "data/ade-layout-sample";
    let Some((real, audit)) = trains_on(sample, "train = \"validation\"", ["validation", "val"]) else {
        return;
    };
    let folder = real.join("ADEChallengeData2016/annotations/validation");
    let mut counts = [0_u64; 256];
    for entry in fs::read_dir(folder).expect("masks") {
        // By another reader than ours.
        let mask = image::open(entry.expect("a mask").path()).expect("a PNG").into_luma8();
        mask.pixels().for_each(|pixel| counts[usize::from(pixel[0])] += 1);
    }
    let split = &audit["splits"][0];
    let classes = split["classes"].as_array().expect("classes");
    assert_eq!((classes[0]["name"].as_str(), &classes[0]["pixels"]), (Some("wall"), &counts[1].into()));
    assert_eq!((classes[2]["name"].as_str(), &classes[2]["pixels"]), (Some("sky"), &counts[3].into()));
    for (class, &pixels) in classes.iter().zip(&counts[1..]) {
        assert_eq!(class["pixels"], pixels, "{class}");
    }
    assert_eq!(split["ignored_pixels"], counts[0]);
    assert!(counts[0] > 0 && counts[1] > 0 && counts[1] != counts[2]);
}

#[test]
fn a_bad_data_set_is_one_sentence() {
    let temp = TempDir::new("audits");
    let root = temp.path();
    street(&temp);
    let audit = ["audit", "street"];
    done(root, &audit);
    let mask = root.join("street/masks/val/street00003.png");
    let good = fs::read(&mask).expect("a mask");
    let labels = read_mask(&mask).expect("a mask").labels;
    let mut labels: Vec<u8> = labels.into_iter().map(|label| label as u8).collect();
    labels[67] = 17;
    let wrong = GrayImage::from_raw(SIZE[0], SIZE[1], labels).expect("full");
    wrong.save(&mask).expect("mask");
    let value =
        ["street00003.png`: has the value 17 (1 pixel, first at x 3, y 1)", "names 0..=8", "data.label_map"];
    refused(root, &audit, &value);
    fs::write(root.join("c.toml"), config(Path::new("street"), "")).expect("configuration");
    refused(root, &["train", "c.toml"], &value);
    GrayImage::new(32, 48).save(&mask).expect("mask");
    refused(root, &audit, &["street00003.png`: is 32 x 48 but its image is 64 x 48"]);
    fs::remove_file(&mask).expect("a mask");
    refused(root, &audit, &["images/val/street00003.png`: has no mask; add the mask"]);
    RgbImage::from_pixel(SIZE[0], SIZE[1], Rgb([1, 2, 3])).save(&mask).expect("mask");
    refused(
        root,
        &audit,
        &["street00003.png`: has the RGB colour #010203 (3072 pixels, first at x 0, y 0)", "no class has"],
    );
    let classes = root.join("street/classes.json");
    let told = fs::read_to_string(&classes).expect("classes");
    fs::write(&classes, r#"{"classes": [{"id": 0, "name": "a"}]}"#).expect("classes");
    fs::remove_dir_all(root.join("street/images/train")).expect("a split");
    refused(
        root,
        &audit,
        &["street00003.png`: is an RGB picture with the colour #010203", "no class has a colour"],
    );
    fs::write(&classes, told).expect("classes");
    fs::write(&mask, good).expect("mask");
    done(root, &audit);
    fs::create_dir_all(root.join("street/images/train")).expect("a split");
    refused(root, &audit, &["images/train`: holds no image"]);
    refused(root, &["audit", "street/images/val"], &["laid out like no data set that is read"]);
    refused(root, &["audit", "street", "--layout", "voc"], &["is not laid out as voc"]);
    assert_eq!(protoseg(root, &["audit", "street", "--layout", "pets"]).status.code(), Some(2));
    refused(root, &["train", "c.toml", "--set", "data.layout=pets"], &["`pets` is no layout", "cityscapes"]);
}

/// Masks in colours, with values above 255, and with a label map of a configuration: one and the same training.
#[test]
fn the_same_labels_in_other_forms_train_the_same_model() {
    let temp = TempDir::new("forms");
    let root = temp.path();
    let scenes = street(&temp);
    fs::write(root.join("c.toml"), config(Path::new("street"), "")).expect("configuration");
    done(root, &["train", "c.toml", "--out", "plain"]);
    let weights = |run: &str| {
        let file = model_file::read(root.join(run).join("last.safetensors")).expect("a model");
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        file.names()
            .map(|n| (n.to_owned(), bits(&file.f32(n).expect("a tensor"))))
            .collect::<BTreeMap<_, _>>()
    };
    let wanted = weights("plain");
    let masks: Vec<(PathBuf, Vec<u16>)> = (scenes.into_iter())
        .map(|(_, image, labels)| (PathBuf::from(image.to_string_lossy().replace("images", "masks")), labels))
        .collect();
    let [width, height] = SIZE;

    done(root, &["train", "c.toml", "--out", "palette", "--set", "data.masks=colors"]);
    assert!(
        weights("palette") == wanted,
        "the palette's colours are not the classes whose indices they have"
    );

    let colors = protoseg::synth::CLASSES.map(|(_, color)| color);
    for (path, labels) in &masks {
        let rgb: Vec<u8> = labels.iter().flat_map(|&l| colors[usize::from(l)]).collect();
        RgbImage::from_raw(width, height, rgb).expect("full").save(path).expect("mask");
    }
    done(root, &["train", "c.toml", "--out", "colours"]);
    assert!(weights("colours") == wanted, "colours are not the classes whose colours they are");

    for (path, labels) in &masks {
        let wide: Vec<u16> = labels.iter().map(|&label| 1000 + label).collect();
        ImageBuffer::<Luma<u16>, _>::from_raw(width, height, wide).expect("full").save(path).expect("mask");
    }
    refused(root, &["audit", "street"], &["has the value 100", "where classes.json names 0..=8"]);
    let entries: Vec<String> =
        (0..9).map(|i| format!("\"{}\" = \"{}\"", 1000 + i, protoseg::synth::CLASSES[i].0)).collect();
    let map = format!("label_map = {{ {} }}", entries.join(", "));
    fs::write(root.join("map.toml"), config(Path::new("street"), &map)).expect("configuration");
    assert!(done(root, &["audit", "map.toml"]).contains("with the label map of the configuration"));
    done(root, &["train", "map.toml", "--out", "wide"]);
    assert!(weights("wide") == wanted, "values above 255 are not the classes that they are mapped to");
    // The model brings its label map along.
    let args = ["eval", "wide/last.safetensors", "--data", "street", "--json"];
    let plain = ["eval", "plain/last.safetensors", "--data", "street", "--json"];
    refused(root, &plain, &["has the value 100"]);
    assert!(json(root, &args)["aacc"].is_number());
    // It does not replace what another data set says of its own masks.
    let classes = root.join("street/classes.json");
    let told = fs::read_to_string(&classes).expect("classes").replace("Car", "Cart").replace("Person", "Car");
    fs::write(&classes, told).expect("classes");
    refused(root, &args, &["its classes are", "Cart", "use a model that was trained on these classes"]);
}

#[test]
fn classes_are_merged_by_a_configuration_and_written_in_the_data_sets_values() {
    let temp = TempDir::new("merged");
    let root = temp.path();
    let data = root.join("data");
    write(&temp, &data, Layout::Ade20k, MaskKind::Values);
    let lines = "classes = [\"wall\", \"rest\"]\nlabel_map = { 2-20 = \"rest\", 21-150 = \"ignore\" }";
    fs::write(root.join("c.toml"), config(Path::new("data"), lines)).expect("configuration");
    let table = done(root, &["audit", "c.toml"]);
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(["1 rest 2..=20 ", "ignored 0, 21..=150 "].iter().all(|row| words.contains(row)), "{table}");
    done(root, &["train", "c.toml", "--out", "run"]);
    let scores = json(root, &["eval", "run/last.safetensors", "--data", "data", "--json", "--masks", "maps"]);
    assert_eq!(scores["classes"].as_array().map(Vec::len), Some(2));
    let values = read_mask(root.join("maps/s3.png")).expect("a mask").labels;
    assert!(values.iter().all(|value| [1, 2].contains(value)), "the first of the merged values is written");
    let missing = "classes = [\"wall\", \"rest\"]\nlabel_map = { 2-3 = \"rest\" }";
    fs::write(root.join("c.toml"), config(Path::new("data"), missing)).expect("configuration");
    refused(
        root,
        &["audit", "c.toml"],
        &["has the value ", "where the label map knows 0..=3", "data.label_map"],
    );
    let typo = "label_map = { 2 = \"biulding\" }";
    fs::write(root.join("c.toml"), config(Path::new("data"), typo)).expect("configuration");
    refused(root, &["train", "c.toml"], &["data.label_map makes 2 the class `biulding`, which there is not"]);
}

/// The blocks of the guide in one language.
fn blocks(language: &str) -> Vec<String> {
    let guide = fs::read_to_string(support::root().join("docs/datasets.md")).expect("the guide");
    let fence = format!("```{language}\n");
    let blocks: Vec<String> =
        guide.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect();
    assert!(blocks.len() >= 2, "{language}");
    blocks
}

#[test]
fn what_the_guide_shows_is_read() {
    for text in blocks("json") {
        let classes = Classes::parse(&text).unwrap_or_else(|(problem, _)| panic!("{problem}: {text}"));
        assert_eq!(classes.len(), 2);
    }
    let temp = TempDir::new("guide");
    for folder in ["leftImg8bit", "gtFine", "images/training", "annotations/training"] {
        for root in ["cityscapes", "ADEChallengeData2016"] {
            if (root == "cityscapes") != folder.contains("training") {
                fs::create_dir_all(temp.path().join(root).join(folder)).expect("temporary folder");
            }
        }
    }
    for text in blocks("toml") {
        let path = temp.path().join("c.toml");
        fs::write(&path, &text).expect("configuration");
        let data = Config::load(&path, &[]).expect("a configuration").data;
        let source = Source::open(&data.root, &data.options()).expect("a label map");
        let classes = source.classes();
        let raw = |name: &str| {
            let class = classes.by_name(name).expect("a class").id;
            classes.labels.raw_labels(Some(class)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        match source.layout() {
            Layout::Cityscapes => assert_eq!(
                (raw("car"), raw("truck")),
                (vec!["26".into(), "29".into()], vec!["27".into(), "30".into()])
            ),
            Layout::Ade20k => assert_eq!(
                (raw("wall"), raw("building"), raw("other").len()),
                (vec!["1".into()], vec!["2".into()], 148)
            ),
            other => panic!("{other}"),
        }
    }
}
