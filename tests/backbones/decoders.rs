//! The decoders behind `model.neck`: PyTorch's numbers, every node of a training step, and each of them with every head.

use std::collections::BTreeMap;

use crate::support::{gpu, root};
use protoseg::data::{Classes, Normalisation};
use protoseg::head::{HeadKind, HeadOptions};
use protoseg::model::{
    Extras, ModelSpec, NetOptions, Optimiser, Phase, Provenance, Recompute, Supervision, TrainOptions,
    TrainStep, record_network, record_objective,
};
use protoseg::model_file::{self, ModelFile, Tensors};
use protoseg::nn::{Arch, Builder, Mode, Neck, NeckOptions, Tap, neck};
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::ops::{Sums, check};
use protoseg::proto::{Noise, Profile};
use protoseg::rng::Rng;
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};

const DECODERS: [Neck; 5] = [Neck::Fcn, Neck::Upernet, Neck::Segformer, Neck::Hrnet, Neck::Aspp];
const KINDS: [HeadKind; 3] = [HeadKind::Prototype, HeadKind::Softmax, HeadKind::Query];

/// As in the script that made the reference.
const STRIDES: [usize; 4] = [4, 8, 16, 32];
const OPTIONS: NeckOptions = NeckOptions { kind: Neck::Fcn, lateral: 8, width: 6, dropout: 0.0, seed: 0 };

/// `[B,C,H,W]` as rows of pixels.
fn rows(file: &ModelFile, name: &str) -> Vec<f64> {
    let [batch, channels, height, width] = *file.shape(name).expect("a shape") else { panic!("{name}") };
    let data = file.f64(name).expect("numbers");
    let pixels = height * width;
    let place = |i: usize| {
        let (c, pixel, image) = (i % channels, i / channels % pixels, i / channels / pixels);
        data[(image * channels + c) * pixels + pixel]
    };
    (0..batch * pixels * channels).map(place).collect()
}

/// A decoder recorded on the reference's maps.
struct Recorded {
    tape: Tape,
    maps: Vec<ValueId>,
    out: ValueId,
    weights: protoseg::nn::Weights,
}

fn recorded(file: &ModelFile, kind: Neck, mode: Mode) -> Recorded {
    let mut tape = Tape::new();
    let step = tape.input("step", &[1], DType::U32);
    let map = |tape: &mut Tape, i: usize| {
        let [batch, channels, height, width] = *file.shape(&format!("map.{i}")).expect("a map") else {
            panic!("rank")
        };
        tape.input(&format!("map.{i}"), &[batch, height, width, channels], DType::F32)
    };
    let maps: Vec<_> = (0..4).map(|i| map(&mut tape, i)).collect();
    let taps: Vec<_> = std::iter::zip(STRIDES, &maps).map(|(stride, &map)| Tap { stride, map }).collect();
    let mut b = Builder::new(&mut tape, mode);
    let out = neck(&mut b, &taps, step, &NeckOptions { kind, ..OPTIONS }).expect("recorded");
    let weights = b.weights;
    Recorded { tape, maps, out, weights }
}

/// The weights of the decoder `name` alone, under their own names.
fn weights_of(file: &ModelFile, name: &str) -> ModelFile {
    let prefix = format!("{name}/head.");
    let own = file.names().filter(|n| n.starts_with(&prefix));
    let tensors: Tensors = own
        .map(|n| {
            let (shape, data) = (file.shape(n).expect("a shape").to_vec(), file.f32(n).expect("numbers"));
            (n[name.len() + 1..].to_owned(), model_file::Tensor { shape, data })
        })
        .collect();
    let bytes = model_file::encode(&tensors, &BTreeMap::new()).expect("encoded");
    ModelFile::from_bytes("decoder.safetensors", bytes).expect("whole")
}

/// Outputs in evaluation and in training, and in training the gradients of all weights and maps.
#[test]
fn decoders_agree_with_pytorch() {
    let gpu = gpu();
    let file = model_file::read(root().join("tests/reference/decoders.safetensors")).expect("the reference");
    let near = |label: &str, found: &[f64], wanted: &[f64], tolerance: f64| {
        let off = check::difference(label, found, wanted).max_rel;
        assert!(off < tolerance, "{label} off by {off:.1e}");
        off
    };
    for kind in DECODERS {
        let name = kind.name();
        let source = weights_of(&file, name);
        let mut worst = [0.0_f64; 2];
        for (mode, key) in [(Mode::Eval, "eval"), (Mode::Train, "train")] {
            let Recorded { mut tape, maps, out, weights } = recorded(&file, kind, mode);
            let found: BTreeMap<_, _> = weights.0.iter().map(|e| (e.name.as_str(), e.disk_shape())).collect();
            let wanted: BTreeMap<_, _> =
                source.names().map(|n| (n, source.shape(n).expect("a shape").to_vec())).collect();
            assert_eq!(found, wanted, "{name}");
            let shape = tape.value(out).shape.clone();
            let seed = tape.input("seed", &shape, DType::F32);
            let params = tape.params();
            let grads = if mode == Mode::Train {
                let targets: Vec<_> = params.iter().chain(&maps).copied().collect();
                let grads = tape.backward(&[(out, seed)], &targets, &Sums).expect("gradients");
                std::iter::zip(targets, grads).collect()
            } else {
                Vec::new()
            };
            let kept: Vec<_> = grads.iter().filter_map(|g| g.1).chain([out]).collect();
            let program = Program::new(&tape, gpu.caps(), Keep::Only(&kept));
            let mut store = Store::new();
            weights.load(&gpu, &mut store, &source, |_| true).expect("loaded");
            let plan = Plan::new(&gpu, &tape, &program, &mut store).expect("a plan");
            // Only what the tape reads has a place on the device.
            let read =
                |id: ValueId| tape.nodes().iter().any(|n| n.inputs.iter().any(|&i| tape.root(i) == id));
            for (i, &map) in maps.iter().enumerate().filter(|(_, map)| read(**map)) {
                check::write(&plan, tape.value(map), map, &rows(&file, &format!("map.{i}")));
            }
            if mode == Mode::Train {
                // The first rows and columns of the seed, where the output is smaller.
                let whole = rows(&file, "seed");
                let [_, channels, height, width] = *file.shape("seed").expect("a shape") else {
                    panic!("rank")
                };
                let place = |i: usize| {
                    let (c, pixel) = (i % channels, i / channels);
                    let (w, line) = (pixel % shape[2], pixel / shape[2]);
                    let (h, image) = (line % shape[1], line / shape[1]);
                    whole[((image * height + h) * width + w) * channels + c]
                };
                let part: Vec<f64> = (0..shape.iter().product()).map(place).collect();
                check::write(&plan, tape.value(seed), seed, &part);
            }
            plan.run();
            let read = |id| pollster::block_on(plan.read_f64(id)).expect("read");
            let label = format!("{name}/{key}");
            worst[0] = worst[0].max(near(&label, &read(out), &rows(&file, &label), 1e-5));
            for (target, gradient) in grads {
                let label = format!("{name}/grad.{}", tape.value(target).name);
                let Some(gradient) = gradient else {
                    assert!(!file.contains(&label), "{label} is missing");
                    continue;
                };
                let found = read(gradient);
                let wanted = file.f64(&label).expect("a gradient");
                if wanted.iter().all(|x| x.abs() < 1e-9) {
                    // A bias that a norm behind it takes away: nothing but rounding.
                    assert!(
                        label.ends_with(".bias") && found.iter().all(|x| x.abs() < 1e-4),
                        "{label}: {found:?}"
                    );
                } else if let Some(entry) = weights.0.iter().find(|e| e.name == tape.value(target).name) {
                    let narrow: Vec<f32> = found.iter().map(|&x| x as f32).collect();
                    let found: Vec<f64> = entry.to_disk(&narrow).into_iter().map(f64::from).collect();
                    worst[1] = worst[1].max(near(&label, &found, &wanted, 1e-3));
                } else {
                    worst[1] = worst[1].max(near(&label, &found, &rows(&file, &label), 1e-3));
                }
            }
        }
        println!("{name}: maps off by {:.1e}, gradients by {:.1e}", worst[0], worst[1]);
    }
}

fn spec(neck: Neck, kind: HeadKind) -> ModelSpec {
    let names = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]}"#;
    ModelSpec {
        net: NetOptions {
            arch: Arch::Scratch,
            output_stride: 16,
            taps: vec![4, 8, 16],
            neck,
            lateral: 8,
            width: 16,
            embedding: 8,
            prototypes: 3,
            dropout: 0.2,
            ..NetOptions::default()
        },
        head: HeadOptions { kind, query_layers: 1, query_heads: 2, ..HeadOptions::profile(Profile::Rec) },
        classes: Classes::parse(names).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance { crop: [48, 64], ..Provenance::default() },
    }
}

/// Forward and reverse pass of a network with each decoder, backbone and loss included.
#[test]
fn a_step_agrees_with_the_oracle_node_by_node() {
    let gpu = gpu();
    for kind in DECODERS {
        let inputs = vec![
            // Four channels: with three, weights beyond the channels would have to be zero.
            Input::fixed(&[2, 48, 64, 4], Fill::Uniform(-1.0, 1.0)),
            Input::i32(&[2, 48, 64], Fill::Integers { count: 3, ignored: 0.2 }),
            Input::fixed(&[3], Fill::Uniform(0.5, 1.5)),
            Input::u32(&[1], Fill::Values(vec![3.0])),
        ];
        let case = Case::new(kind.name(), inputs, move |tape, v| {
            let spec = spec(kind, HeadKind::Softmax);
            let mut b = Builder::new(tape, Mode::Train);
            let net = record_network(&mut b, &spec, v[0], v[3], 5, false)?;
            let noise = Noise::Drawn { seed: 9, step: v[3] };
            let given = Supervision { labels: v[1], class_weights: v[2], hard: None, noise };
            Ok(vec![record_objective(tape, &net, &spec.head, given, Phase::Main)?.losses.total])
        });
        let all = pollster::block_on(check::on_device(&case, &gpu)).expect("it runs");
        // The gradient of a bias in front of a norm is what rounding leaves of 0.
        let known = |d: &&check::Difference| d.max_rel < 1e-5 || !d.whole && d.max_abs < 1e-8;
        let bad: Vec<_> = all.iter().filter(|d| !known(d)).collect();
        assert!(all.len() > 100 && bad.is_empty(), "{}: {bad:#?}", kind.name());
    }
}

fn options(batch: usize) -> TrainOptions {
    TrainOptions {
        batch,
        height: 48,
        width: 64,
        optimiser: Optimiser::Sgd { momentum: 0.9 },
        weight_decay: 1e-4,
        decay_norms: true,
        backbone_lr: 1.0,
        extras: Extras::default(),
        seed: 5,
        recompute: Recompute::Never,
        max_bytes: None,
    }
}

/// Ten steps on the same images: finite losses, and the last three below the first.
#[test]
fn every_decoder_trains_with_every_head() {
    let gpu = gpu();
    for (kind, head) in Neck::ALL.into_iter().flat_map(|n| KINDS.map(|k| (n, k))) {
        let mut spec = spec(kind, head);
        spec.net.dropout = 0.0;
        // No multiple of 4: the maps in front of the last convolution are put side by side, those of the reference are not.
        spec.net.lateral = 6;
        spec.check().expect("valid");
        let (step, program) = TrainStep::plan(&spec, &options(2), Phase::Main, gpu.caps()).expect("a step");
        let mut store = Store::new();
        step.weights.init(&gpu, &mut store, 3).expect("weights");
        let plan = Plan::new(&gpu, &step.tape, &program, &mut store).expect("a plan");
        let mut rng = Rng::new(11, 0);
        // Each class is a shade, in blocks of 16 x 16 pixels.
        let label = |i: usize| ((i / 64 % 48) / 16 + (i % 64) / 16) as i32 % 3;
        let labels: Vec<i32> = (0..2 * 48 * 64).map(label).collect();
        let image: Vec<f32> =
            labels.iter().flat_map(|&l| [0; 3].map(|_| l as f32 - 1.0 + 0.1 * rng.normal())).collect();
        plan.write(step.image, &image);
        plan.write(step.labels, &labels);
        plan.write(step.class_weights, &[1.0_f32; 3]);
        plan.write(step.lr, &[0.02_f32]);
        let mut losses = Vec::new();
        for number in 0..10_u32 {
            plan.write(step.step, &[number]);
            plan.run();
            losses.push(pollster::block_on(step.losses.read(&plan)).expect("losses")[0]);
        }
        let (name, head) = (kind.name(), head.name());
        assert!(losses.iter().all(|x| x.is_finite()), "{name}, {head}: {losses:?}");
        assert!(losses[7..].iter().all(|x| *x < losses[0]), "{name}, {head}: {losses:?}");
    }
}

#[test]
fn what_a_decoder_cannot_do_is_refused_in_a_sentence() {
    let mut one = spec(Neck::Aspp, HeadKind::Softmax);
    one.net.taps = vec![16];
    let error = one.check().expect_err("one tap").to_string();
    assert!(error.contains("model.taps is [16]") && error.contains("list a finer stride"), "{error}");
    for kind in [Neck::Upernet, Neck::Aspp] {
        let record = |batch| TrainStep::record(&spec(kind, HeadKind::Softmax), &options(batch), Phase::Main);
        let error = record(1).err().expect("one image").to_string();
        assert!(error.contains("train.batch is 1") && error.contains("set train.batch to 2"), "{error}");
        assert!(record(2).is_ok());
    }
}

/// FCN's embeddings have the deepest map's resolution, all others' the finest's.
#[test]
fn embeddings_have_the_resolution_that_is_documented() {
    for kind in Neck::ALL {
        let mut tape = Tape::new();
        let image = tape.input("image", &[1, 48, 64, 3], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let mut b = Builder::new(&mut tape, Mode::Eval);
        let net = record_network(&mut b, &spec(kind, HeadKind::Prototype), image, step, 0, false);
        let size = if kind == Neck::Fcn { [1, 3, 4] } else { [1, 12, 16] };
        assert_eq!(net.expect("recorded").size, size, "{}", kind.name());
    }
}
