//! The heads that the paper compares prototypes with (spec section 2, a and b): the device against the oracle node by node,
//! gradients against finite differences and against the formula, whole runs, model files, and what is refused.

mod support;

use std::path::Path;
use std::process::{Command as Process, Output};
use std::sync::Arc;

use protoseg::data::{Classes, Dataset, Normalisation};
use protoseg::gpu::{Caps, Gpu};
use protoseg::head::{HeadKind, HeadOptions, KEPT_CLASSES, Targets, softmax_vectors};
use protoseg::infer::{Model, evaluate};
use protoseg::model::{
    HeadSizes, ModelSpec, NetOptions, Phase, Provenance, Supervision, record_head, record_network,
    record_objective,
};
use protoseg::nn::{Arch, Builder, Mode};
use protoseg::ops::check::{self, Difference};
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::ops::{EmptyLoss, backward};
use protoseg::oracle::{Array, dot};
use protoseg::proto::{Noise, Profile};
use protoseg::tape::{DType, Keep, Memory, Program, Tape, ValueId};
use protoseg::train::{Config, Event};
use support::{TempDir, gpu, train_by};

const KINDS: [HeadKind; 2] = [HeadKind::Softmax, HeadKind::Query];

/// 2 feature maps of 5 x 7, 2 coarser maps of 2 x 3, labels of 9 x 13.
const FEATURES: [usize; 4] = [2, 5, 7, 8];
const COARSE: [usize; 4] = [2, 2, 3, 4];
const LABELS: [usize; 3] = [2, 9, 13];

fn options(kind: HeadKind, heads: usize) -> HeadOptions {
    HeadOptions { kind, query_layers: 1, query_heads: heads, ..HeadOptions::profile(Profile::Rec) }
}

/// A step of the head of `options` but for the optimiser, as training records it.
fn head_case(name: &str, options: HeadOptions, classes: usize, embedding: usize) -> Case {
    let inputs = vec![
        Input::f32(&FEATURES, Fill::Away(&[])),
        Input::f32(&COARSE, Fill::Away(&[])),
        Input::i32(&LABELS, Fill::Integers { count: classes + 1, ignored: 0.2 }),
        Input::fixed(&[classes], Fill::Uniform(0.5, 1.5)),
        Input::u32(&[1], Fill::Values(vec![3.0])),
    ];
    let sizes = HeadSizes { classes, prototypes: 3, embedding };
    let query = options.kind == HeadKind::Query;
    let mut case = Case::new(name, inputs, move |tape, v| {
        let mut b = Builder::new(tape, Mode::Train);
        let net = record_head(&mut b, [v[0], v[1]], sizes, &options, false)?;
        let noise = Noise::Drawn { seed: 9, step: v[4] };
        let given = Supervision { labels: v[2], class_weights: v[3], hard: None, noise };
        let objective = record_objective(tape, &net, &options, given, Phase::Main)?;
        assert!(objective.losses.prototype.is_none(), "cross-entropy alone");
        assert!(objective.record_update(tape, &net, &options)?.is_none(), "nothing to update");
        Ok(vec![objective.losses.total])
    });
    // The softmax head does not read it.
    case.inputs[1].grad = query;
    case
}

fn head_cases() -> Vec<Case> {
    let mut all = Vec::new();
    for kind in KINDS {
        let name = kind.name();
        all.push(head_case(name, options(kind, 2), 5, 8));
        // Weights beyond the channels would have to be zero in the decoder, whose layers read D channels.
        let odd = if kind == HeadKind::Query { 12 } else { 7 };
        all.push(head_case(&format!("{name}, D = {odd}, one head"), options(kind, 1), 3, odd));
        let bare = HeadOptions { projection: false, ..options(kind, 1) };
        all.push(head_case(&format!("{name}, no projection"), bare, 4, 8));
        all.push(head_case(&format!("{name}, tiles of classes"), options(kind, 2), KEPT_CLASSES + 37, 8));
    }
    let deep = HeadOptions { query_layers: 3, ..options(HeadKind::Query, 2) };
    all.push(head_case("query, three layers", deep, 5, 8));
    all
}

/// Within the tolerance of the tensor's maximum; or what is left where terms of about 0.01 cancel in f32, as they do in the
/// gradient of the last norm's shift, which is 0.
fn agrees(found: &Difference, case: &Case) -> bool {
    found.max_rel < case.tolerance || !found.whole && found.max_abs < 5e-9
}

#[test]
fn the_device_agrees_with_the_oracle() {
    let gpu = gpu();
    for case in head_cases() {
        for found in pollster::block_on(check::on_device(&case, &gpu)).expect("runs") {
            let (name, off) = (&found.name, found.max_rel);
            assert!(agrees(&found, &case), "{}: {name} off by {off:.2e} at {}", case.name, found.index);
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for case in head_cases() {
        for found in check::finite_differences(&case).expect("recorded") {
            let off = found.max_rel;
            // Differences of a loss of about 2 are themselves off by about 1e-10. The shift of the last norm moves all
            // logits of a pixel alike: its gradient is nothing but that.
            let known = off < 1e-6 || found.max_abs < 4e-10;
            assert!(known, "{}: {} off by {off:.2e}, {:.2e}", case.name, found.name, found.max_abs);
        }
    }
}

/// Embeddings far from unit length against the sentences of the specification: `dL/dw_c = e_c i`, `dL/di = sum_c e_c w_c`.
#[test]
fn the_softmax_head_is_an_inner_product_with_its_formulas_gradients() {
    let (n, c, d) = (6, 4, 5);
    let wave = |shape: &[usize], step: f64| {
        let count: usize = shape.iter().product();
        Array::new(shape, (0..count).map(|i| 3.0 * (step * (i + 1) as f64).sin()).collect())
    };
    let (emb, w) = (wave(&[n, d], 0.7), wave(&[c, d], 0.31));
    let labels = [0.0, 3.0, 1.0, -1.0, 2.0, 2.0];
    let mut tape = Tape::new();
    let x = tape.input("emb", &[n, d], DType::F32);
    let y = tape.input("labels", &[1, 2, 3], DType::I32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let vectors = softmax_vectors(&mut b, c, d).expect("recorded");
    let logit = protoseg::head::ClassLogit::Plain;
    let head = protoseg::head::Classifier::new(&tape, x, vectors, None, logit).expect("shapes fit");
    let targets = Targets { labels: y, weights: None, size: [2, 3], empty: EmptyLoss::Zero };
    let loss = head.record_cross_entropy(&mut tape, targets, true).expect("recorded").loss;
    let weight = tape.find(protoseg::head::CLASSIFIER).expect("named");
    let grads = backward(&mut tape, loss, &[x, weight]).expect("gradients");
    let mut memory = Memory::new();
    memory.set(&tape, x, emb.data.clone());
    memory.set(&tape, weight, w.data.clone());
    memory.set(&tape, y, labels.to_vec());
    tape.interpret(&mut memory).expect("every input is set");
    let [mut d_emb, mut d_w] = [Array::zeros(&[n, d]), Array::zeros(&[c, d])];
    let (mut sum, valid) = (0.0, 5.0);
    for (i, &label) in labels.iter().enumerate().filter(|(_, l)| **l >= 0.0) {
        let logits: Vec<f64> = (0..c).map(|k| dot(emb.row(i), w.row(k))).collect();
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        sum += total.ln() - logits[label as usize];
        for (k, logit) in logits.iter().enumerate() {
            let error = (logit.exp() / total - f64::from(u8::from(k == label as usize))) / valid;
            std::iter::zip(d_w.row_mut(k), emb.row(i)).for_each(|(to, x)| *to += error * x);
            std::iter::zip(d_emb.row_mut(i), w.row(k)).for_each(|(to, x)| *to += error * x);
        }
    }
    let get = |id| memory.get(&tape, id).expect("computed").data;
    let near = |found: &[f64], wanted: &[f64]| {
        assert!(std::iter::zip(found, wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}, {wanted:?}");
    };
    near(&get(loss), &[sum / valid]);
    near(&get(grads[0].expect("depends")), &d_emb.data);
    near(&get(grads[1].expect("depends")), &d_w.data);
}

fn spec(kind: HeadKind) -> ModelSpec {
    let names = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]}"#;
    ModelSpec {
        net: NetOptions {
            arch: Arch::Scratch,
            output_stride: 8,
            taps: vec![4, 8],
            lateral: 8,
            width: 16,
            embedding: 8,
            prototypes: 3,
            dropout: 0.2,
            ..NetOptions::default()
        },
        head: options(kind, 2),
        classes: Classes::parse(names).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

/// Forward and reverse pass of the whole network, backbone included.
#[test]
fn the_whole_network_agrees_with_the_oracle() {
    let gpu = gpu();
    for kind in KINDS {
        let inputs = vec![
            // Four channels: with three, weights beyond the channels would have to be zero.
            Input::f32(&[2, 32, 48, 4], Fill::Uniform(-1.0, 1.0)),
            Input::i32(&[2, 32, 48], Fill::Integers { count: 3, ignored: 0.2 }),
            Input::fixed(&[3], Fill::Uniform(0.5, 1.5)),
            Input::u32(&[1], Fill::Values(vec![3.0])),
        ];
        let case = Case::new(kind.name(), inputs, move |tape, v| {
            let mut b = Builder::new(tape, Mode::Train);
            let net = record_network(&mut b, &spec(kind), v[0], v[3], 5, false)?;
            let noise = Noise::Drawn { seed: 9, step: v[3] };
            let given = Supervision { labels: v[1], class_weights: v[2], hard: None, noise };
            let head = spec(kind).head;
            Ok(vec![record_objective(tape, &net, &head, given, Phase::WarmUp)?.losses.total])
        });
        for found in pollster::block_on(check::on_device(&case, &gpu)).expect("runs") {
            let (name, off) = (&found.name, found.max_rel);
            assert!(agrees(&found, &case), "{}: {name} off by {off:.2e} at {}", case.name, found.index);
        }
    }
}

/// Queries and keys without a matrix of both, logits without one of pixels and classes.
#[test]
fn memory_does_not_grow_with_pixels_times_classes() {
    let bytes = |classes: usize| {
        let mut tape = Tape::new();
        let features = tape.input("features", &[2, 32, 32, 8], DType::F32);
        let coarse = tape.input("coarse", &[2, 32, 32, 8], DType::F32);
        let labels = tape.input("labels", &[2, 128, 128], DType::I32);
        let class_weights = tape.input("class weights", &[classes], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let mut b = Builder::new(&mut tape, Mode::Train);
        let sizes = HeadSizes { classes, prototypes: 1, embedding: 16 };
        let o = options(HeadKind::Query, 2);
        let net = record_head(&mut b, [features, coarse], sizes, &o, false).expect("recorded");
        let given = Supervision { labels, class_weights, hard: None, noise: Noise::Drawn { seed: 9, step } };
        let found = record_objective(&mut tape, &net, &o, given, Phase::Main).expect("recorded");
        let params = tape.params();
        let grads = backward(&mut tape, found.losses.total, &params).expect("gradients");
        let keep: Vec<ValueId> = grads.into_iter().flatten().chain(found.losses.all()).collect();
        Program::new(&tape, &Caps::floor(), Keep::Only(&keep))
    };
    let (few, many) = (bytes(19), bytes(1694));
    // What is kept of a query: a few dozen rows of D, 4 D or scratch numbers.
    let per_query = 2 * (1694 - 19) * 16 * 4 * 60;
    assert!(many.bytes() < few.bytes() + per_query, "{} against {}", many.bytes(), few.bytes());
    let matrix = 2 * 32 * 32 * 1694 * 4;
    assert!(many.largest_bytes() < matrix, "{} bytes in one buffer", many.largest_bytes());
}

const CONFIG: &str = "[data]\nroot = \"street\"\n[model]\narch = \"scratch\"\noutput_stride = 8\ntaps = [4, 8]\n\
                      lateral = 8\nwidth = 16\nembedding = 8\nprototypes = 3\n[augment]\ncrop_height = 32\n\
                      crop_width = 48\n[head]\nquery_heads = 2\nquery_layers = 1\nkind = \"query\"\n[train]\nsteps = 6\n\
                      batch = 2\nlr = 0.05\neval_every = 3\nlog_every = 1\nthreads = 2\n";

/// The configuration of `kind`, without the other kind's options.
fn config(kind: HeadKind) -> String {
    match kind {
        HeadKind::Query => CONFIG.into(),
        _ => CONFIG.replace("query_heads = 2\nquery_layers = 1\nkind = \"query\"", "kind = \"softmax\""),
    }
}

/// Trains in `root/out`, stopping after `stop` steps if that is given; returns every event.
fn train(
    gpu: &Arc<Gpu>,
    (root, out): (&Path, &str),
    kind: HeadKind,
    sets: &[&str],
    stop: Option<u64>,
    resume: bool,
) -> Vec<Event> {
    train_by(&config(kind), gpu, (root, out), sets, stop, resume)
}

fn street(label: &str) -> TempDir {
    let temp = TempDir::new(label);
    protoseg::synth::write_dataset(&temp.path().join("street"), 8, 3, 64, 48).expect("street");
    temp
}

#[test]
fn training_lowers_the_loss_and_tells_of_no_prototypes() {
    let gpu = gpu();
    let temp = street("rivals-loss");
    for kind in KINDS {
        let sets = ["model.dropout=0", "train.steps=100", "train.batch=4", "train.eval_every=0"];
        let events = train(&gpu, (temp.path(), kind.name()), kind, &sets, None, false);
        let mut losses = Vec::new();
        for event in &events {
            assert!(!matches!(event, Event::Prototypes { .. } | Event::PrototypesSet { .. }), "{event:?}");
            assert!(!matches!(event, Event::Warning { .. }), "{event:?}");
            if let Event::Step { loss, ce, .. } = event {
                assert!(loss == ce && event.prototype_losses().is_none(), "{event:?}");
                losses.push(*loss);
            }
        }
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        let (first, last) = (mean(&losses[..10]), mean(&losses[90..]));
        assert!(last < 0.85 * first, "{}: {first} to {last}", kind.name());
    }
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_and_a_model_file_gives_its_scores() {
    let gpu = gpu();
    let temp = street("rivals-resume");
    let root = temp.path();
    for kind in KINDS {
        let name = kind.name();
        let (whole, stopped) = (format!("{name}-whole"), format!("{name}-stopped"));
        let events = train(&gpu, (root, &whole), kind, &[], None, false);
        train(&gpu, (root, &stopped), kind, &[], Some(4), false);
        train(&gpu, (root, &stopped), kind, &[], None, true);
        let bytes = |run: &str| std::fs::read(root.join(run).join("last.safetensors")).expect("model");
        assert!(bytes(&whole) == bytes(&stopped), "{name}: the resumed run differs");
        let again = format!("{name}-again");
        train(&gpu, (root, &again), kind, &["train.recompute=true"], None, false);
        assert!(bytes(&whole) == bytes(&again), "{name}: blocks computed again give another model");
        // The resolved copy of the configuration can be trained again.
        Config::load(&root.join(&whole).join("config.toml"), &[]).expect("a valid configuration");
        let told = events.iter().rev().find_map(|e| match e {
            Event::Evaluation { scores, .. } => Some(scores.clone()),
            _ => None,
        });
        let data = Dataset::open(root.join("street"), "val").expect("data");
        let images: Vec<usize> = (0..data.len()).collect();
        let model = Model::open(&gpu, &root.join(&whole).join("last.safetensors")).expect("model");
        assert_eq!(model.spec().head.kind, kind);
        let Model { mut predictor, mut store } = model;
        let mut silent = |_| {};
        let found = evaluate(&mut predictor, &mut store, &data, &images, &mut silent);
        let found = pollster::block_on(found).expect("scores");
        assert_eq!(Some(found.scores), told, "{name}");
        let image = data.load(0).expect("image").image;
        let everything = pollster::block_on(predictor.predict(&mut store, &image)).expect("maps");
        assert_eq!(everything.margin.len(), image.height * image.width);
        assert!(everything.prototypes.is_empty() && everything.similarity.is_empty());
        assert!(everything.margin.iter().all(|m| *m >= 0.0));
    }
}

fn protoseg(folder: &Path, args: &[&str]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_protoseg"))
        .current_dir(folder)
        .args(args)
        .output()
        .expect("the program starts")
}

/// Expects exit status 1 and one sentence that holds `part`.
fn refused(folder: &Path, args: &[&str], part: &str) {
    let output = protoseg(folder, args);
    let text = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("error:")).collect();
    assert_eq!((output.status.code(), errors.len()), (Some(1), 1), "{args:?}: {text}");
    assert!(errors[0].contains(part), "{args:?}: `{part}` is missing in: {}", errors[0]);
}

#[test]
fn every_command_reads_the_model_or_says_why_not() {
    let temp = street("rivals-commands");
    let root = temp.path();
    for kind in KINDS {
        let name = kind.name();
        std::fs::write(root.join("c.toml"), config(kind)).expect("temporary folder");
        let run = |args: &[&str]| {
            let output = protoseg(root, args);
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let said = run(&["train", "c.toml", "--out", name, "--report", "Car"]);
        assert!(said.contains("report.html") && !said.contains("figure"), "{said}");
        assert!(!root.join(name).join("figure.png").exists());
        let report = std::fs::read_to_string(root.join(name).join("report.html")).expect("a report");
        assert!(report.contains(&format!("{name} head")), "the report names the head");
        for word in ["nearest prototype", "Contrast (PPC)", "<h2>Prototypes</h2>"] {
            assert!(!report.contains(word), "{name}: the report speaks of `{word}`");
        }
        let model = &format!("{name}/best.safetensors");
        let scores = run(&["eval", model, "--data", "street", "--flip", "--scales", "0.75,1", "--json"]);
        assert!(scores.contains("\"miou\""));
        for map in ["classes", "confidence"] {
            run(&["predict", model, "street/images/val", "--out", map, "--map", map]);
        }
        for map in ["prototypes", "similarity", "unknown"] {
            let args = ["predict", model, "street/images/val", "--out", "none", "--map", map];
            refused(root, &args, &format!("--map {map} shows prototypes, and this model has none"));
            assert!(!root.join("none").exists(), "nothing half-written");
        }
        let args = ["figure", model, "--data", "street", "--classes", "Car", "--out", "f.png"];
        refused(root, &args, "this model has none");
        for (file, classes, of) in [("c.toml", &["--classes", "847"][..], 847), (model, &[], 9)] {
            let args = [&["plan", file, "--json"][..], classes].concat();
            let plan: serde_json::Value = serde_json::from_str(&run(&args)).expect("one JSON document");
            let size = &plan["classifier"];
            assert_eq!((&size["kind"], &size["grows_with_classes"]), (&name.into(), &(of * 8).into()));
        }
    }
    std::fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    let given = ["plan", "c.toml", "--set", "head.momentum=0.9"];
    refused(root, &given, "head.momentum is given and head.kind is \"query\"");
    refused(root, &["plan", "c.toml", "--set", "head.query_heads=4"], "choose one of 1, 2");
    refused(root, &["plan", "c.toml", "--set", "head.kind=linear"], "`prototype`, `softmax`, `query`");
}
