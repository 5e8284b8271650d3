//! The models that come with the project: what their descriptions say, and that they see what they were trained for.

mod support;

use protoseg::data::{Dataset, RgbImage};
use protoseg::infer::Model;
use protoseg::synth::{self, write_dataset};
use support::{TempDir, gpu, root};

/// Opens a shipped model of at most `most` bytes.
fn model(file: &str, most: u64, num_classes: usize, prototypes: usize) -> Model {
    let path = root().join("models").join(file);
    let bytes = std::fs::metadata(&path).expect("a shipped model").len();
    assert!(bytes <= most, "{file} has {bytes} bytes");
    let model = Model::open(&gpu(), &path).expect("a model");
    assert_eq!(
        (model.spec().num_classes(), model.spec().net.prototypes),
        (num_classes, prototypes),
        "{file}"
    );
    model
}

#[test]
fn the_street_model_knows_new_streets() {
    let mut model = model("street-small.safetensors", 2 << 20, 9, 3);
    let temp = TempDir::new("models");
    write_dataset(temp.path(), 10, 4711, 256, 160).expect("streets");
    let streets = Dataset::open(temp.path(), "val").expect("a split");
    let (mut right, mut all) = (0, 0);
    for index in 0..streets.len() {
        let sample = streets.load(index).expect("a scene");
        let found = pollster::block_on(model.classes(&sample.image)).expect("a prediction");
        let labels = sample.mask.labels.iter().map(|&label| streets.classes().training_label(label));
        for (label, class) in labels.zip(found).filter(|(label, _)| *label >= 0) {
            (right, all) = (right + usize::from(label == class as i32), all + 1);
        }
    }
    // 84 % over the validation scenes that it was measured on.
    assert!(right as f64 > 0.7 * all as f64, "{right} of {all} pixels");
}

#[test]
fn the_camvid_model_tells_sky_from_road_and_buildings() {
    let mut model = model("camvid-mobilenetv2.safetensors", 8 << 20, 11, 10);
    // Streets of CamVid's size that it never saw: drawn ones.
    let scenes: Vec<_> = (0..3).map(|index| synth::scene(480, 360, 7, index)).collect();
    for name in ["Sky", "Road", "Building"] {
        let label = synth::CLASSES.iter().position(|class| class.0 == name).expect("a class of the street");
        let class = u32::from(model.spec().classes.by_name(name).expect("a class of CamVid").id);
        let (mut right, mut all) = (0, 0);
        for scene in &scenes {
            let image = RgbImage { width: scene.width, height: scene.height, rgb: scene.rgb.clone() };
            let found = pollster::block_on(model.classes(&image)).expect("a prediction");
            for (_, found) in
                std::iter::zip(&scene.labels, found).filter(|pair| usize::from(*pair.0) == label)
            {
                (right, all) = (right + usize::from(found == class), all + 1);
            }
        }
        println!("{name}: {right} of {all}");
        assert!(2 * right > all, "{name}: {right} of {all} pixels");
    }
}
