//! Classes by the thousand: masks of 16 bits from training to scores, the head against the oracle at 10,000 classes, and
//! what a browser's limits leave room for.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use image::{ImageBuffer, Luma, RgbImage};
use protoseg::bench::{HeadSize, head_inference, head_training};
use protoseg::data::{ClassInfo, Classes, Normalisation, read_mask};
use protoseg::gpu::Caps;
use protoseg::head::{Embedded, HeadConfig};
use protoseg::model::{
    Extras, ModelSpec, NetOptions, Network, Optimiser, Phase, Provenance, Recompute, Supervision,
    TrainOptions, TrainStep, read_spec, record_network, record_objective,
};
use protoseg::model_file;
use protoseg::nn::{Builder, Mode};
use protoseg::ops::check;
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::proto::Noise;
use protoseg::rng::Rng;
use protoseg::tape::{DType, Keep, Program, Tape, ValueId};
use support::{TempDir, gpu};

/// Classes of the full ADE20K.
const MANY: usize = 847;

const CONFIG: &str = r#"
[data]
root = "data"
[model]
arch = "scratch"
output_stride = 8
taps = [4, 8]
lateral = 8
width = 16
embedding = 32
prototypes = 10
[augment]
crop_height = 32
crop_width = 48
[train]
steps = 2
batch = 2
lr = 0.05
eval_every = 2
log_every = 1
threads = 2
"#;

fn protoseg(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(root).args(args).output().expect("the program starts")
}

fn done(root: &Path, args: &[&str]) -> Vec<u8> {
    let output = protoseg(root, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn classes_json(count: usize) -> String {
    let list: Vec<String> = (0..count).map(|id| format!(r#"{{"id": {id}, "name": "thing {id}"}}"#)).collect();
    format!(r#"{{"classes": [{}]}}"#, list.join(","))
}

/// The class of a pixel: squares of 8 pixels, a class number far apart from its neighbours', two of them ignored.
fn label(seed: usize, x: u32, y: u32) -> u16 {
    let square = (y / 8 * 8 + x / 8) as usize + 48 * seed;
    if square % 48 < 2 { 65_535 } else { (square * 397 % MANY) as u16 }
}

/// Two images to train on and one to score, 64 x 48, in the folder layout with grey masks of 16 bits.
fn data_set(root: &Path) {
    for (seed, (split, name)) in [("train", "a"), ("train", "b"), ("val", "c")].into_iter().enumerate() {
        for part in ["images", "masks"] {
            std::fs::create_dir_all(root.join(part).join(split)).expect("temporary folder");
        }
        let color = |x, y| image::Rgb([label(seed, x, y) as u8, (x * 3) as u8, (y * 5) as u8]);
        let file = |part: &str| root.join(part).join(split).join(format!("{name}.png"));
        RgbImage::from_fn(64, 48, color).save(file("images")).expect("image");
        ImageBuffer::from_fn(64, 48, |x, y| Luma([label(seed, x, y)])).save(file("masks")).expect("mask");
    }
    std::fs::write(root.join("classes.json"), classes_json(MANY)).expect("classes");
}

/// The bit depth in a PNG's header.
fn bits(file: &Path) -> u8 {
    std::fs::read(file).expect("a picture")[24]
}

#[test]
fn masks_of_16_bits_are_trained_on_predicted_and_scored() {
    let temp = TempDir::new("vocabulary");
    let root = temp.path();
    data_set(&root.join("data"));
    std::fs::write(root.join("c.toml"), CONFIG).expect("configuration");
    done(root, &["audit", "data"]);
    done(root, &["train", "c.toml", "--out", "run"]);
    let model = "run/last.safetensors";
    let spec = read_spec(&model_file::read(root.join(model)).expect("a file")).expect("a model");
    assert_eq!((spec.num_classes(), spec.classes.ignore_index, spec.net.prototypes), (MANY, 65_535, 10));
    let truth = read_mask(root.join("data/masks/val/c.png")).expect("a mask").labels;
    assert!(truth.iter().any(|&label| (256..847).contains(&label)), "more classes than bytes");

    done(root, &["predict", model, "data/images/val", "--out", "maps"]);
    let text = done(root, &["eval", model, "--data", "data", "--json", "--masks", "scored"]);
    let predicted = read_mask(root.join("maps/c.png")).expect("a mask").labels;
    assert_eq!(read_mask(root.join("scored/c.png")).expect("a mask").labels, predicted);
    assert_eq!([bits(&root.join("maps/c.png")), bits(&root.join("scored/c.png"))], [16; 2]);
    assert!(predicted.iter().all(|&class| usize::from(class) < MANY));

    let scores: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let found = scores["classes"].as_array().expect("a list");
    assert_eq!(found.len(), MANY);
    for (id, class) in found.iter().enumerate() {
        let here = |map: &[u16]| map.iter().filter(|&&label| usize::from(label) == id).count();
        let (pixels, known) = (here(&truth), |i: usize| usize::from(truth[i]) < MANY);
        assert_eq!(class["pixels"], pixels);
        let both = (0..truth.len()).filter(|&i| usize::from(truth[i]) == id && predicted[i] == truth[i]);
        let wrong = (0..truth.len())
            .filter(|&i| usize::from(predicted[i]) == id && known(i) && predicted[i] != truth[i]);
        let iou = (pixels > 0).then(|| both.count() as f64 / (pixels + wrong.count()) as f64);
        assert_eq!(class["iou"].as_f64(), iou, "{class}");
    }
    assert!(scores["confusion"]["pixels"].is_null(), "847 x 847 numbers are not told");
    let pairs = scores["confusion"]["pairs"].as_array().expect("a list").iter();
    let counted: u64 = pairs.filter_map(|pair| pair[2].as_u64()).sum();
    assert_eq!(counted as usize, truth.iter().filter(|&&label| label < 847).count());

    // Every command that reads a model with as many classes.
    done(root, &["predict", model, "data/images/val", "--out", "shades", "--map", "prototypes"]);
    done(root, &["eval", model, "--data", "data", "--prototypes", "--confusion"]);
    done(root, &["train", "c.toml", "--out", "reported", "--report", "thing 21"]);
    assert!(root.join("reported/report.html").exists());
}

#[test]
fn more_classes_than_labels_have_numbers_are_refused_in_one_sentence() {
    let temp = TempDir::new("vocabulary");
    let root = temp.path();
    data_set(&root.join("data"));
    std::fs::write(root.join("data/classes.json"), classes_json(70_000)).expect("classes");
    std::fs::write(root.join("c.toml"), CONFIG).expect("configuration");
    for args in [&["audit", "data"][..], &["train", "c.toml", "--out", "run"]] {
        let output = protoseg(root, args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("classes.json`: names 70000 classes; merge classes until there are at most 65535"),
            "{text}"
        );
    }
    assert!(!root.join("run").exists());
}

/// Numbers that products and their sums hold exactly in f32, so that equal similarities are equal everywhere.
fn coarse(shape: &[usize], stream: u32) -> Input {
    let mut rng = Rng::new(9, stream);
    let count = shape.iter().product();
    let values = (0..count).map(|_| (rng.below(9) as f32 - 4.0) / 16.0).collect();
    Input::fixed(shape, Fill::Values(values))
}

/// Clustering, contrast, distance and cross-entropy of B = 2 feature maps of 3 x 4, with their gradients or with the update.
fn head_case(classes: usize, update: bool) -> Case {
    let mut emb = coarse(&[24, 8], 0);
    emb.grad = !update;
    let inputs = vec![
        emb,
        coarse(&[classes, 10, 8], 1),
        Input::fixed(&[classes], Fill::Uniform(0.5, 1.5)),
        Input::fixed(&[classes], Fill::Uniform(-0.5, 0.5)),
        Input::i32(&[2, 7, 9], Fill::Integers { count: classes, ignored: 0.2 }),
        Input::fixed(&[classes], Fill::Uniform(0.5, 1.5)),
        Input::u32(&[1], Fill::Values(vec![3.0])),
    ];
    let name = if update { "the update" } else { "losses and gradients" };
    let case = Case::new(name, inputs, move |tape, v| {
        let options = HeadConfig::default().resolve()?;
        let embedded = Embedded { raw: v[0], normed: v[0], ln: v[0], emb: v[0] };
        let net = Network { size: [2, 3, 4], embedded, protos: v[1], mask_norm: Some((v[2], v[3])) };
        let noise = Noise::Drawn { seed: 1, step: v[6] };
        let given = Supervision { labels: v[4], class_weights: v[5], hard: None, noise };
        let objective = record_objective(tape, &net, &options, given, Phase::Main)?;
        if update {
            objective.record_update(tape, &net, &options)?.expect("prototypes are updated");
            return Ok(vec![]);
        }
        Ok(vec![objective.losses.total])
    });
    // As in the table: Sinkhorn's exponentials.
    case.tolerance(5e-5)
}

/// Every node of the head, each on what the device gave the one before. A loop that ran into a driver's limit of 65,535
/// iterations would leave classes out.
#[test]
fn ten_thousand_classes_on_the_device_agree_with_the_oracle() {
    let gpu = gpu();
    for case in [head_case(10_000, false), head_case(10_000, true)] {
        let found = pollster::block_on(check::on_device(&case, &gpu)).expect("runs");
        assert!(found.len() > 100, "{} values", found.len());
        for d in found {
            assert!(d.max_rel <= case.tolerance, "{}: {} off by {:.2e}", case.name, d.name, d.max_rel);
        }
    }
}

fn spec(classes: usize, embedding: usize) -> ModelSpec {
    let class = |id: usize| ClassInfo { id: id as u16, name: format!("class {id}"), color: [0; 3] };
    ModelSpec {
        net: NetOptions { embedding, prototypes: 10, ..NetOptions::default() },
        head: HeadConfig::default().resolve().expect("the default profile"),
        classes: Classes::new((0..classes).map(class).collect()),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

/// The largest buffer of training and of inference on a WebGPU device without any extra, one image of 512 x 512.
fn largest(classes: usize, embedding: usize) -> [u64; 2] {
    let spec = spec(classes, embedding);
    let options = TrainOptions {
        batch: 1,
        height: 512,
        width: 512,
        optimiser: Optimiser::Sgd { momentum: 0.9 },
        weight_decay: 5e-4,
        decay_norms: true,
        backbone_lr: 1.0,
        extras: Extras::default(),
        seed: 1,
        recompute: Recompute::Never,
        max_bytes: None,
    };
    let step = TrainStep::record(&spec, &options, Phase::Main).expect("recorded");
    let training = Program::new(&step.tape, &Caps::floor(), Keep::Only(&step.kept()));
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, 512, 512, 3], DType::F32);
    let counter = tape.input("step", &[1], DType::U32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let net = record_network(&mut b, &spec, image, counter, 0, false).expect("recorded");
    let classifier = net.classifier(&tape, &spec.head).expect("a head");
    let [_, h, w] = net.size;
    let found = classifier.record_prediction(&mut tape, [h, w], [512, 512]).expect("recorded");
    let kept: [ValueId; 1] = [found.pred];
    let inference = Program::new(&tape, &Caps::floor(), Keep::Only(&kept));
    [training.largest_bytes(), inference.largest_bytes()]
}

#[test]
fn a_browser_binds_every_buffer() {
    let limit = Caps::floor().max_binding_bytes;
    assert_eq!(limit, 128 << 20);
    for (classes, embedding) in [(MANY, 768), (10_000, 64), (10_000, 332)] {
        for bytes in largest(classes, embedding) {
            assert!(bytes <= limit, "{classes} classes, D = {embedding}: {bytes} bytes in one buffer");
        }
    }
    // What bounds D at 10,000 x 10 is the prototypes themselves: 336 would be 134.4 million bytes.
    assert_eq!(largest(10_000, 336), [10_000 * 10 * 336 * 4; 2]);
}

/// More classes cost the same bytes whatever the number of pixels: nothing is N x C.
#[test]
fn no_buffer_grows_with_pixels_times_classes() {
    for record in [head_training, head_inference] {
        let bytes = |classes: usize, side: usize| {
            let job = record(HeadSize { classes, prototypes: 10, dimension: 64, side }).expect("recorded");
            Program::new(&job.tape, &Caps::floor(), Keep::Only(&job.kept)).bytes()
        };
        let growth = |side: usize| bytes(10_000, side) - bytes(MANY, side);
        let (small, large) = (growth(16), growth(128));
        // 64 times the pixels.
        assert!(large <= small + small / 20, "{small} bytes more at 256 pixels, {large} at 16,384");
    }
}
