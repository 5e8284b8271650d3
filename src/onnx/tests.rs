//! What graphs are made of, without a runtime; `tests/reference/onnx_check.py` compares numbers with ONNX Runtime.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Data, Node, OPSET};
use super::weight::{Arrangement, Weight};
use super::*;
use crate::data::{Classes, Normalisation};
use crate::head::{HeadKind, HeadOptions, LogitKind, ProjNorm};
use crate::model::{NetOptions, Provenance};
use crate::model_file::{ModelFile, Tensor, Tensors};
use crate::nn::{Arch, Layout, Neck, Upsampling};
use crate::proto::Profile;
use crate::protobuf::{Field, fields};
use crate::testing::TempDir;

const SIZE: [usize; 2] = [75, 100];

fn spec(arch: Arch, classes: usize) -> ModelSpec {
    let names: Vec<_> = (0..classes).map(|id| format!(r#"{{"id": {id}, "name": "class {id}"}}"#)).collect();
    let taps = match arch {
        arch if arch.is_plain() => vec![16],
        Arch::Scratch => vec![4, 8, 16],
        _ => vec![4, 8, 16, 32],
    };
    let net = NetOptions { arch, taps, lateral: 8, width: 12, embedding: 8, ..NetOptions::default() };
    ModelSpec {
        net,
        head: HeadOptions { query_heads: 2, ..HeadOptions::profile(Profile::Rec) },
        classes: Classes::parse(&format!(r#"{{"classes": [{}]}}"#, names.join(","))).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance { crop: SIZE, ..Provenance::default() },
    }
}

fn translated(spec: &ModelSpec) -> Translated {
    Translated::new(spec, &Options::default()).unwrap_or_else(|e| panic!("{:?}: {e}", spec.net))
}

/// Every input of a node is there before it, every name once, and every constant lies within what it is a part of.
fn check(translated: &Translated) {
    let Translated { recorded, graph, outputs, .. } = translated;
    let mut known = BTreeSet::from(["", "image"]);
    for initializer in &graph.initializers {
        let count: usize = initializer.shape.iter().product();
        assert!(count > 0 && known.insert(&initializer.name), "{initializer:?}");
        match &initializer.data {
            Data::Floats(data) => assert_eq!(data.len(), count),
            Data::Integers(data) => assert_eq!(data.len(), count),
            Data::Weight(Weight { root, first, arrangement }) => {
                let value = recorded.tape.value(*root);
                assert!(first + count <= value.len(), "{} of {:?}", initializer.name, value.shape);
                if *arrangement == Arrangement::Kernel {
                    let [co, ci, kh, kw] = initializer.shape[..] else { panic!("{:?}", initializer.shape) };
                    // What is computed may have the kernel's rows and columns as one axis.
                    let rows = value.len() / (kh * kw * co);
                    assert!(ci <= rows && value.len() == kh * kw * rows * co, "{:?}", value.shape);
                }
            }
        }
    }
    for Node { op, inputs, outputs, .. } in &graph.nodes {
        for input in inputs {
            assert!(known.contains(input.as_str()), "{op} reads `{input}`, which nothing gives");
        }
        outputs.iter().for_each(|output| assert!(known.insert(output), "`{output}` twice"));
    }
    for Port { name, shape, .. } in outputs {
        assert!(known.contains(name) && !shape.contains(&0), "{name} {shape:?}");
    }
}

fn count(graph: &Graph, op: &str) -> usize {
    graph.nodes.iter().filter(|node| node.op == op).count()
}

#[test]
fn every_backbone_has_a_translation() {
    for arch in Arch::all() {
        check(&translated(&spec(arch, 3)));
    }
}

#[test]
fn every_head_neck_and_option_has_a_translation() {
    for neck in Neck::ALL {
        for kind in [HeadKind::Prototype, HeadKind::Softmax, HeadKind::Query] {
            let mut spec = spec(Arch::MobilenetV2, 5);
            (spec.net.neck, spec.head.kind) = (neck, kind);
            let translated = translated(&spec);
            check(&translated);
            let names: Vec<_> = translated.outputs.iter().map(|port| port.name).collect();
            let all = ["classes", "prototypes", "logits", "embedding"];
            let wanted: Vec<_> =
                all.into_iter().filter(|n| kind.has_prototypes() || *n != "prototypes").collect();
            assert_eq!(names, wanted);
        }
    }
    for (logit, norm) in [(LogitKind::Scaled, ProjNorm::Width), (LogitKind::Plain, ProjNorm::None)] {
        let mut spec = spec(Arch::Scratch, 5);
        (spec.head.class_logit, spec.head.proj_norm, spec.head.embed_layernorm) = (logit, norm, false);
        spec.net.input_scale = 1.5;
        check(&translated(&spec));
    }
    let mut spec = spec(Arch::HrnetW18, 5);
    spec.net.hrnet_upsampling = Upsampling::Nearest;
    check(&translated(&spec));
}

/// No map of convolutions is put into the tape's order and back between two of them.
#[test]
fn a_convolutional_backbone_needs_no_transposition() {
    let mut spec = spec(Arch::Resnet18, 3);
    let options = |outputs: &[Output]| Options { size: None, outputs: outputs.to_vec() };
    spec.head.kind = HeadKind::Softmax;
    let translated = Translated::new(&spec, &options(&[Output::Classes])).expect("translated");
    // The embeddings become rows, and the logits maps again.
    assert_eq!(count(&translated.graph, "Transpose"), 2);
    assert_eq!(translated.outputs.len(), 1);
    assert_eq!(count(&translated.graph, "ArgMax"), 1);
}

/// What both the class map and the logits are made of is computed once.
#[test]
fn equal_operators_are_one() {
    let graph = translated(&spec(Arch::Scratch, 5)).graph;
    assert_eq!(count(&graph, "Gemm"), 1);
    let equal: BTreeSet<_> = graph.nodes.iter().map(|n| format!("{} {:?} {n:?}", n.op, n.inputs)).collect();
    assert_eq!(equal.len(), graph.nodes.len());
}

/// More classes than are kept as one tile, and than are enlarged at once.
#[test]
fn many_classes_are_walked_in_tiles() {
    let mut spec = spec(Arch::Scratch, 200);
    spec.net.taps = vec![4];
    // 200 maps of 100 MiB and more are not kept, so the tape has tiles.
    let options = Options { size: Some([2048, 2048]), outputs: Vec::new() };
    let translated = Translated::new(&spec, &options).expect("translated");
    check(&translated);
    assert!(translated.recorded.logits.len() > 1);
    assert_eq!(count(&translated.graph, "Gemm"), translated.recorded.logits.len() + 1);
    let logits = translated.outputs.iter().find(|port| port.name == "logits").expect("logits");
    assert_eq!(logits.shape, [1, 512, 512, 200]);
}

/// A model file whose every number tells where it stands.
fn numbered(spec: &ModelSpec) -> ModelFile {
    let recorded = record(spec, 32, 32).expect("recorded");
    let mut tensors = Tensors::new();
    for entry in &recorded.weights.0 {
        let shape = entry.disk_shape();
        let count: usize = shape.iter().product();
        let data = (0..count).map(|i| 1.0 + i as f32 / count as f32).collect();
        tensors.insert(entry.name.clone(), Tensor { shape, data });
    }
    let bytes = model_file::encode(&tensors, &BTreeMap::new()).expect("bytes");
    ModelFile::from_bytes("numbered.safetensors", bytes).expect("a file")
}

/// Kernels and matrices without a norm come out as they are on disk, matrices transposed.
#[test]
fn weights_are_those_of_the_file() {
    let spec = spec(Arch::MitB0, 3);
    let (translated, file) = (translated(&spec), numbered(&spec));
    let recorded = &translated.recorded;
    let mut constants = Constants::new(&recorded.tape, &recorded.weights, &file);
    let (mut kernels, mut matrices) = (0, 0);
    for initializer in &translated.graph.initializers {
        let Data::Weight(weight) = &initializer.data else { continue };
        let Some(entry) = recorded.weights.0.iter().find(|entry| entry.name == initializer.name) else {
            continue;
        };
        let found = constants.get(weight, &initializer.shape).expect("constant");
        let disk = file.f32(&entry.name).expect("there");
        match entry.layout {
            Layout::Conv { .. } | Layout::Depthwise if weight.arrangement == Arrangement::Kernel => {
                assert_eq!((&found, &initializer.shape), (&disk, &entry.disk_shape()), "{}", entry.name);
                kernels += 1;
            }
            Layout::Linear { inputs } => {
                let outputs = disk.len() / inputs;
                assert_eq!(initializer.shape, [inputs, outputs]);
                let back = (0..disk.len()).all(|i| disk[i] == found[i % inputs * outputs + i / inputs]);
                assert!(back, "{}", entry.name);
                matrices += 1;
            }
            _ => assert_eq!(found.len(), initializer.shape.iter().product::<usize>()),
        }
    }
    assert!(kernels > 8 && matrices > 40, "{kernels} kernels and {matrices} matrices");
}

/// Prototypes of unit length, and the two results of a folded norm, whichever is asked for first.
#[test]
fn what_follows_from_weights_is_computed() {
    let spec = spec(Arch::Scratch, 3);
    let (translated, file) = (translated(&spec), numbered(&spec));
    let recorded = &translated.recorded;
    let mut constants = Constants::new(&recorded.tape, &recorded.weights, &file);
    let d = spec.net.embedding;
    let whole =
        |first| Weight { root: recorded.tape.root(recorded.protos), first, arrangement: Arrangement::Rows };
    let rows = constants.get(&whole(d), &[2, d]).expect("prototypes");
    let disk = file.f32("prototypes").expect("there");
    for (row, from) in std::iter::zip(rows.chunks(d), disk[d..].chunks(d)) {
        let length = from.iter().map(|x| x * x).sum::<f32>().sqrt();
        std::iter::zip(row, from).for_each(|(x, y)| assert!((x - y / length).abs() < 1e-6));
    }
    let node = recorded.tape.nodes().iter().find(|node| node.op.stem() == "bn_fold").expect("a norm");
    let [bias, kernel] = [1, 0].map(|i| {
        let root = recorded.tape.root(node.outputs[i]);
        let shape = recorded.tape.value(root).shape.clone();
        constants.get(&Weight { root, first: 0, arrangement: Arrangement::Rows }, &shape).expect("folded")
    });
    // Of channel 0 all four numbers are 1: beta - mean gamma / sqrt(variance + eps), and the weights times that factor.
    let factor = 1.0 / (1.0_f32 + 1e-5).sqrt();
    assert!((bias[0] - (1.0 - factor)).abs() < 1e-6, "{}", bias[0]);
    assert!((kernel[0] - factor).abs() < 1e-6, "{}", kernel[0]);
}

fn only(message: &[u8], field: u64) -> Vec<&[u8]> {
    let bytes = |(number, value)| match value {
        Field::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    };
    fields(message).filter_map(bytes).collect()
}

fn integers(message: &[u8], field: u64) -> Vec<u64> {
    let integer = |(number, value)| match value {
        Field::Integer(value) if number == field => Some(value),
        _ => None,
    };
    fields(message).filter_map(integer).collect()
}

#[test]
fn files_are_read_back() {
    let spec = spec(Arch::Scratch, 3);
    let (dir, translated) = (TempDir::new("onnx"), translated(&spec));
    let (from, to) = (dir.join("m.safetensors"), dir.join("m.onnx"));
    let tensors = numbered(&spec).tensors().expect("tensors");
    crate::model::write_model(&tensors, &spec, &from).expect("written");
    let written = export_onnx(&from, &to, &Options::default()).expect("exported");
    let bytes = std::fs::read(&to).expect("a file");
    assert_eq!(
        (written.size, written.bytes, written.nodes),
        (SIZE, bytes.len(), translated.graph.nodes.len())
    );
    assert_eq!(integers(&bytes, field::model::IR_VERSION), [8]);
    let opset = only(&bytes, field::model::OPSET_IMPORT);
    assert_eq!(integers(opset[0], field::opset::VERSION), [OPSET]);
    let graph = only(&bytes, field::model::GRAPH)[0];
    let text = |message: &[u8], number| String::from_utf8(only(message, number)[0].to_vec()).expect("text");
    let ports =
        |number| only(graph, number).into_iter().map(|p| text(p, field::value::NAME)).collect::<Vec<_>>();
    assert_eq!(ports(field::graph::INPUT), ["image"]);
    assert_eq!(ports(field::graph::OUTPUT), ["classes", "prototypes", "logits", "embedding"]);
    let nodes = only(graph, field::graph::NODE);
    assert_eq!(nodes.len(), translated.graph.nodes.len());
    let ops: Vec<_> = nodes.iter().map(|node| text(node, field::node::OP_TYPE)).collect();
    assert_eq!(ops, translated.graph.nodes.iter().map(|node| node.op).collect::<Vec<_>>());
    let initializers = only(graph, field::graph::INITIALIZER);
    assert_eq!(initializers.len(), translated.graph.initializers.len());
    for tensor in initializers {
        let count: u64 = integers(tensor, field::tensor::DIMS).iter().product();
        let width = match integers(tensor, field::tensor::DATA_TYPE)[0] {
            field::FLOAT => 4,
            field::INT64 => 8,
            other => panic!("type {other}"),
        };
        assert_eq!(only(tensor, field::tensor::RAW_DATA)[0].len() as u64, count * width);
    }
    let pairs = only(&bytes, field::model::METADATA);
    let metadata: BTreeMap<_, _> =
        pairs.into_iter().map(|e| (text(e, field::entry::KEY), text(e, field::entry::VALUE))).collect();
    assert!(metadata["classes"].contains(r#"{"id":2,"name":"class 2","color":"#), "{}", metadata["classes"]);
    assert_eq!((&*metadata["prototypes_per_class"], &*metadata["arch"]), ("10", "scratch"));
}

#[test]
fn what_cannot_be_exported_is_answered_in_words() {
    let mut spec = spec(Arch::Scratch, 3);
    let refusal = |spec: &ModelSpec, size, outputs: &[Output]| {
        let options = Options { size, outputs: outputs.to_vec() };
        Translated::new(spec, &options).err().expect("refused").to_string()
    };
    let large = refusal(&spec, Some([64, 70_000]), &[]);
    assert!(large.contains("--size is 64x70000") && large.contains("65535"), "{large}");
    spec.head.kind = HeadKind::Softmax;
    let none = refusal(&spec, None, &[Output::Classes, Output::Prototypes]);
    assert!(none.contains("no prototypes") && none.contains("\"softmax\""), "{none}");
    let mut graph = Graph::default();
    let root = record(&spec, 32, 32).expect("recorded").protos;
    let weight = Weight { root, first: 0, arrangement: Arrangement::Rows };
    graph.constant("huge", &[600_000_000], Data::Weight(weight));
    let nothing = |_: &Weight, _: &[usize]| panic!("fetched");
    let huge = graph.encode(&[], &[], &BTreeMap::new(), nothing).expect_err("refused").to_string();
    assert!(huge.contains("2400 MB") && huge.contains("2 GiB"), "{huge}");
}
