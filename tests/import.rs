//! Weights of other libraries: every form of file gives the same numbers, and whatever is wrong is told in a sentence before
//! anything is written.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use half::{bf16, f16};
use protoseg::import::{Imported, import, import_model};
use protoseg::model::{NetOptions, read_spec};
use protoseg::model_file::{self, Tensor, Tensors};
use protoseg::nn::{Arch, Builder, Extent, LINEAR, Mode, Neck, Weights};
use protoseg::tape::{DType, Tape};
use support::{Py, TempDir, View, archive, contiguous, entries, legacy};

/// What the backbone has, its classifier with it.
fn recorded(arch: Arch) -> Weights {
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, 64, 64, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let taps = arch.record(&mut b, image, Extent { output_stride: 32, deepest: 32 }).expect("recorded");
    arch.record_classifier(&mut b, &taps).expect("recorded");
    b.weights
}

/// Its names and shapes.
fn shapes(arch: Arch) -> Vec<(String, Vec<usize>)> {
    recorded(arch).0.iter().map(|entry| (entry.name.clone(), entry.disk_shape())).collect()
}

/// Numbers that 16 bits hold exactly, of every sign.
fn numbers(arch: Arch) -> Tensors {
    let mut seed = 1u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 24) as f32 - 128.0) / 64.0
    };
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let data = (0..shape.iter().product()).map(|_| next()).collect();
        (name, Tensor { shape, data })
    };
    shapes(arch).into_iter().map(tensor).collect()
}

/// A state dict whose tensors share one storage of a single number, and that storage: small whatever the shapes.
fn thin(shapes: &[(String, Vec<usize>)], rename: impl Fn(&str) -> String) -> (Vec<(String, Py)>, Vec<u8>) {
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let strides = vec![0; shape.len()];
        let view = View { key: "0", kind: "FloatStorage", elements: 1, offset: 0, shape, strides: &strides };
        (rename(name), view.value(false))
    };
    (shapes.iter().map(tensor).collect(), 0.5f32.to_le_bytes().to_vec())
}

fn thin_file(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    let (pairs, storage) = thin(shapes, str::to_owned);
    archive(&Py::state_dict(pairs).pickle(), &[("0", storage)], "little", false)
}

/// Writes `bytes` and reads them for `arch`.
fn read(temp: &TempDir, bytes: &[u8], arch: Arch) -> protoseg::Result<Imported> {
    let path = temp.join("file.pth");
    std::fs::write(&path, bytes).expect("written");
    import(&path, arch)
}

/// The one sentence that refuses `bytes`.
fn refusal(temp: &TempDir, bytes: &[u8], arch: Arch) -> String {
    let error = match read(temp, bytes, arch) {
        Ok(imported) => imported.tensors.expect_err("refused"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(text.starts_with("model file `") && text.contains("; ") && !text.contains('\n'), "{text}");
    text
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_protoseg"))
        .arg("import")
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// How one number is stored.
type Encode = fn(f32) -> Vec<u8>;

const KINDS: [(&str, usize, Encode); 5] = [
    ("FloatStorage", 4, |x| x.to_le_bytes().to_vec()),
    ("DoubleStorage", 8, |x| f64::from(x).to_le_bytes().to_vec()),
    ("HalfStorage", 2, |x| f16::from_f32(x).to_le_bytes().to_vec()),
    ("BFloat16Storage", 2, |x| bf16::from_f32(x).to_le_bytes().to_vec()),
    ("CharStorage", 1, |x| (x as i8).to_le_bytes().to_vec()),
];

/// Every tensor in a storage of its own.
fn apart(
    wanted: &Tensors,
    (kind, _, encode): (&'static str, usize, Encode),
    is_old: bool,
) -> (Py, Vec<(String, Vec<u8>)>) {
    let (mut pairs, mut storages) = (Vec::new(), Vec::new());
    for (index, (name, tensor)) in wanted.iter().enumerate() {
        let (key, strides) = (index.to_string(), contiguous(&tensor.shape));
        let view = View {
            key: &key,
            kind,
            elements: tensor.data.len(),
            offset: 0,
            shape: &tensor.shape,
            strides: &strides,
        };
        pairs.push((name.clone(), view.value(is_old)));
        storages.push((key, tensor.data.iter().flat_map(|&x| encode(x)).collect()));
    }
    (Py::state_dict(pairs), storages)
}

fn borrowed(storages: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    storages.iter().map(|(key, content)| (key.as_str(), content.clone())).collect()
}

#[test]
fn every_form_of_file_gives_the_same_numbers() {
    let temp = TempDir::new("import");
    let wanted = numbers(Arch::Scratch);
    let rounded = wanted.clone().into_iter().map(|(name, mut tensor)| {
        tensor.data.iter_mut().for_each(|x| *x = x.trunc());
        (name, tensor)
    });
    let whole: Tensors = rounded.collect();
    let same = |bytes: &[u8], wanted: &Tensors, what: &str| {
        let imported = read(&temp, bytes, Arch::Scratch).expect(what);
        assert!(imported.tensors.expect(what) == *wanted, "{what}");
        assert_eq!(imported.report.counts.missing, 0);
    };
    for kind in KINDS {
        let wanted = if kind.0 == "CharStorage" { &whole } else { &wanted };
        let (value, storages) = apart(wanted, kind, false);
        let storages = borrowed(&storages);
        same(&archive(&value.pickle(), &storages, "little", false), wanted, kind.0);
        same(&archive(&value.pickle(), &storages, "little", true), wanted, "zip64");
        let swap = |content: &[u8]| content.chunks(kind.1).flat_map(|x| x.iter().rev().copied()).collect();
        let swapped: Vec<_> = storages.iter().map(|(key, content)| (*key, swap(content))).collect();
        same(&archive(&value.pickle(), &swapped, "big", false), wanted, "big endian");
        let (value, old) = apart(wanted, kind, true);
        same(&legacy(&value.pickle(), &borrowed(&old), kind.1), wanted, "old form");
    }
    let path = temp.join("plain.safetensors");
    model_file::write(&path, &wanted, &BTreeMap::new()).expect("written");
    assert!(import(&path, Arch::Scratch).expect("read").tensors.expect("whole") == wanted);
    let halves = model_file::encode_with(&wanted, &BTreeMap::new(), |_, _| true).expect("encoded");
    same(&halves, &wanted, "safetensors of 16 bits under another ending");
}

/// One storage for all, behind some other numbers; every second tensor lies in it with its axes reversed.
#[test]
fn shared_storages_and_strides_are_followed() {
    let temp = TempDir::new("import");
    let wanted = numbers(Arch::Scratch);
    let (mut pairs, mut storage): (Vec<(String, Py)>, Vec<f32>) = (Vec::new(), vec![9.0; 7]);
    let total = 7 + wanted.values().map(|tensor| tensor.data.len()).sum::<usize>();
    for (index, (name, tensor)) in wanted.iter().enumerate() {
        let shape = &tensor.shape;
        let mut strides = contiguous(shape);
        let offset = storage.len();
        if index % 2 == 0 {
            storage.extend(&tensor.data);
        } else {
            strides = (0..shape.len()).map(|axis| shape[..axis].iter().product()).collect();
            let mut laid = vec![0.0; tensor.data.len()];
            for (place, &value) in tensor.data.iter().enumerate() {
                let mut at = 0;
                let mut rest = place;
                for (&length, &stride) in std::iter::zip(shape, &strides).rev() {
                    at += rest % length * stride;
                    rest /= length;
                }
                laid[at] = value;
            }
            storage.extend(laid);
        }
        let view =
            View { key: "all", kind: "FloatStorage", elements: total, offset, shape, strides: &strides };
        let parameter =
            vec![view.value(false), Py::Bool(true), Py::Call("collections", "OrderedDict", vec![])];
        pairs.push((name.clone(), Py::Call("torch._utils", "_rebuild_parameter", parameter)));
    }
    let content = storage.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = archive(&Py::state_dict(pairs).pickle(), &[("all", content)], "little", false);
    assert!(read(&temp, &bytes, Arch::Scratch).expect("read").tensors.expect("whole") == wanted);
}

#[test]
fn prefixes_and_containers_are_seen_through() {
    let temp = TempDir::new("import");
    let all = shapes(Arch::Resnet18);
    for prefix in ["", "module.", "backbone.", "model.encoder.", "net.module.backbone."] {
        let (pairs, storage) = thin(&all, |name| format!("{prefix}{name}"));
        let own = Py::state_dict(pairs);
        let other = vec![("0".to_owned(), Py::Tuple(vec![Py::Int(1)]))];
        for container in ["state_dict", "model", "model_state", "teacher"] {
            let value = Py::Dict(vec![
                ("epoch".into(), Py::Int(3)),
                ("optimizer".into(), Py::Dict(other.clone())),
                (container.into(), own.clone()),
                ("args".into(), Py::Call("argparse", "Namespace", vec![])),
            ]);
            let bytes = archive(&value.pickle(), &[("0", storage.clone())], "little", false);
            let Imported { report, tensors, .. } = read(&temp, &bytes, Arch::Resnet18).expect("read");
            assert_eq!(report.prefix, format!("{container}.{prefix}"));
            assert_eq!((report.counts.renamed, report.counts.unused), (102, 0), "{prefix} in {container}");
            assert_eq!(tensors.expect("whole").len(), 102);
        }
    }
    // Of a student and its teacher, the average over the training is taken.
    let copy = |name: &str| (name.to_owned(), Py::state_dict(thin(&all, str::to_owned).0));
    let both = Py::Dict(vec![copy("student"), copy("teacher")]);
    let bytes = archive(&both.pickle(), &[("0", vec![0; 4])], "little", false);
    let report = read(&temp, &bytes, Arch::Resnet18).expect("read").report;
    assert_eq!((report.prefix.as_str(), report.counts.unused), ("teacher.", 102));
}

/// What a person sees, what a program reads, and what is written.
#[test]
fn every_tensor_is_accounted_for() {
    let temp = TempDir::new("import");
    let (source, out) = (temp.join("weights.pth"), temp.join("out.safetensors"));
    let mut all = shapes(Arch::Resnet18);
    all.retain(|(name, _)| name != "fc.bias");
    all.iter_mut().find(|(name, _)| name == "fc.weight").expect("fc").1 = vec![21, 512];
    all.push(("bn1.num_batches_tracked".into(), vec![]));
    std::fs::write(&source, thin_file(&all)).expect("written");
    let arguments = [text(&source), "--arch", "resnet18", "--out", text(&out), "--json"];
    let output = run(&arguments);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    let counts = serde_json::json!({
        "used": 100, "renamed": 0, "unused": 2, "missing": 0, "absent": 1, "wrong_shape": 1, "fresh": 0
    });
    assert_eq!(report["counts"], counts);
    assert_eq!(report["unused"], serde_json::json!(["bn1.num_batches_tracked", "fc.weight"]));
    assert_eq!(report["absent"], serde_json::json!(["fc.bias"]));
    assert_eq!(report["wrong_shape"][0]["found"], serde_json::json!([21, 512]));
    assert_eq!(report["wrong_shape"][0]["required"], false);
    let file = model_file::read(&out).expect("safetensors");
    assert_eq!(file.names().count(), 100);
    assert_eq!(file.metadata()["arch"], "resnet18");
    assert_eq!(file.metadata()["source"], "weights.pth");
    let again = run(&[text(&source), "--arch", "resnet18", "--out", text(&out), "--verbose"]);
    let shown = String::from_utf8(again.stdout).expect("UTF-8");
    assert!(
        shown.contains("100 tensors used, 0 renamed, 2 unused") && shown.contains("layer4.1.bn2.bias"),
        "{shown}"
    );
}

#[test]
fn residual_networks_may_end_before_their_last_layer_but_not_within_it() {
    let temp = TempDir::new("import");
    let mut all = shapes(Arch::Resnet18);
    all.retain(|(name, _)| !name.starts_with("fc.") && !name.starts_with("layer4."));
    let Imported { report, tensors, .. } = read(&temp, &thin_file(&all), Arch::Resnet18).expect("read");
    assert_eq!((report.counts.absent, tensors.expect("without layer4").len()), (27, 75));
    all.push(("layer4.0.bn1.bias".into(), vec![512]));
    let text = refusal(&temp, &thin_file(&all), Arch::Resnet18);
    assert!(text.contains("lacks 24 of the 100 ") && text.contains("layer4.0.downsample.0.weight"), "{text}");
}

#[test]
fn weights_of_another_network_are_told_from_damaged_ones() {
    let temp = TempDir::new("import");
    let of = |arch| thin_file(&shapes(arch));
    for (file, asked, parts) in [
        (of(Arch::Resnet18), Arch::Resnet34, ["of the 145 tensors", "give --arch resnet18"]),
        (of(Arch::Resnet34), Arch::Resnet18, ["is of resnet34", "give --arch resnet34"]),
        (of(Arch::Resnet101), Arch::Resnet50, ["is of resnet101", "give --arch resnet101"]),
        (of(Arch::MobilenetV2), Arch::Resnet18, ["holds 0 of the", "give --arch mobilenet_v2"]),
        (of(Arch::Resnet50), Arch::Resnet18, ["tensors that resnet18 needs", "give --arch resnet50"]),
    ] {
        let text = refusal(&temp, &file, asked);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let unknown = [("word_embeddings.weight".to_owned(), vec![8, 8]), ("lm_head.bias".to_owned(), vec![8])];
    let text = refusal(&temp, &thin_file(&unknown), Arch::Resnet18);
    assert!(text.contains("no architecture here has such names") && text.contains("lm_head.bias"), "{text}");

    let mut all = shapes(Arch::Resnet18);
    all[5].1[0] += 1;
    let text = refusal(&temp, &thin_file(&all), Arch::Resnet18);
    assert!(text.contains("wrong shape, layer1.0.conv1.weight: [65, 64, 3, 3]"), "{text}");
    all.remove(5);
    let text = refusal(&temp, &thin_file(&all), Arch::Resnet18);
    assert!(
        text.contains("lacks 1 of the 100 tensors") && text.contains(": layer1.0.conv1.weight;"),
        "{text}"
    );
    let (pairs, _) = thin(&shapes(Arch::Resnet18), str::to_owned);
    let nan =
        archive(&Py::state_dict(pairs).pickle(), &[("0", f32::NAN.to_le_bytes().to_vec())], "little", false);
    assert!(refusal(&temp, &nan, Arch::Resnet18).contains("holds NaN at element 0"));
}

/// Whatever would run a command is refused by its name, in both forms of file and outside of them; the command is not run.
#[test]
fn a_malicious_pickle_is_refused_and_nothing_of_it_runs() {
    let temp = TempDir::new("import");
    let (trace, out) = (temp.path().join("trace"), temp.path().join("out.safetensors"));
    let command = format!("touch {}", text(&trace));
    let call = Py::Call("os", "system", vec![Py::text(&command)]);
    let (mut pairs, storage) = thin(&shapes(Arch::Scratch), str::to_owned);
    pairs.insert(3, ("backbone.extra".into(), call.clone()));
    let value = Py::state_dict(pairs);
    // That the command leaves its trace where it is run.
    assert!(Command::new("sh").args(["-c", &command]).status().expect("a shell").success() && trace.exists());
    std::fs::remove_file(&trace).expect("removed");
    let files = [
        archive(&value.pickle(), &[("0", storage.clone())], "little", false),
        legacy(&value.pickle(), &[("0", storage)], 4),
        call.pickle(),
        format!("cos\nsystem\n(S'{command}'\ntR.").into_bytes(),
    ];
    for bytes in files {
        let source = temp.join("weights.pth");
        std::fs::write(&source, bytes).expect("written");
        let output = run(&[text(&source), "--arch", "scratch", "--out", text(&out)]);
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), message.lines().count()), (Some(1), 1), "{message}");
        assert!(
            message.contains("asks for `os.system`") && message.contains("nothing in it was run"),
            "{message}"
        );
        assert!(output.stdout.is_empty() && !trace.exists() && !out.exists());
    }
}

#[test]
fn what_is_no_file_of_weights_is_called_by_its_name() {
    let temp = TempDir::new("import");
    let good = thin_file(&shapes(Arch::Scratch));
    let words = entries(&[("words.txt", b"words")], false);
    let script = entries(
        &[("a/code/model.py", b"import os"), ("a/data.pkl", b"N."), ("a/constants.pkl", b"N.")],
        false,
    );
    // The compression method in the archive's directory, behind the signature of its first entry.
    let mut compressed = good.clone();
    let directory = good.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    compressed[directory + 10] = 8;
    for (bytes, part) in [
        (Vec::new(), "is empty"),
        (b"<!DOCTYPE html>\n<html><body>404".to_vec(), "is a web page"),
        (b"  <html>".to_vec(), "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec(), "pointer of Git LFS"),
        (b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "is an archive (gzip or tar)"),
        (b"just some words in a file".to_vec(), "neither safetensors nor"),
        (good[..good.len() / 2].to_vec(), "not a whole zip archive"),
        (words, "without data.pkl"),
        (script, "is a TorchScript archive"),
        (compressed, "`archive/data.pkl` is compressed or encrypted"),
        (Py::Int(3).pickle(), "not one of torch.save"),
        (archive(&Py::Int(3).pickle(), &[], "little", false), "holds no tensor under a name"),
        (b"\x20\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"".to_vec(), "not a whole safetensors file"),
    ] {
        let text = refusal(&temp, &bytes, Arch::Scratch);
        assert!(text.contains(part), "{part}: {text}");
    }
    let missing = import(&temp.path().join("none.pth"), Arch::Scratch).expect_err("no file").to_string();
    assert!(missing.contains("cannot read the weights"), "{missing}");
}

/// Views that reach beyond their storage, storages that are not there or shorter than they are said to be, flipped bits.
#[test]
fn numbers_that_are_not_there_are_missed() {
    let temp = TempDir::new("import");
    let all = shapes(Arch::Scratch);
    let file = |elements: usize, offset: usize, key: &str, bytes: usize| {
        let tensor = |(name, shape): &(String, Vec<usize>)| {
            let strides = vec![0; shape.len()];
            let view = View { key, kind: "FloatStorage", elements, offset, shape, strides: &strides };
            (name.clone(), view.value(false))
        };
        let pickle = Py::state_dict(all.iter().map(tensor).collect()).pickle();
        archive(&pickle, &[("0", vec![0; bytes])], "little", false)
    };
    assert!(read(&temp, &file(2, 1, "0", 8), Arch::Scratch).expect("read").tensors.is_ok());
    for (bytes, part) in [
        (file(2, 2, "0", 8), "reaches beyond the 2 numbers"),
        (file(3, 2, "0", 8), "of 3 numbers (F32) has 8 bytes"),
        (file(1 << 61, (1 << 61) - 1, "0", 8), "has 8 bytes"),
        (file(2, 1, "1", 8), "storage `1` of 2 numbers (F32) has 0 bytes"),
    ] {
        let text = refusal(&temp, &bytes, Arch::Scratch);
        assert!(text.contains(part), "{part}: {text}");
    }
    let (value, storages) = apart(&numbers(Arch::Scratch), KINDS[0], false);
    let mut bytes = archive(&value.pickle(), &borrowed(&storages), "little", false);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(refusal(&temp, &bytes, Arch::Scratch).contains("does not have the checksum"));
}

/// No byte of a file, changed or cut off, makes the reader panic, hang or take memory that the file does not have.
#[test]
fn damaged_bytes_end_in_an_error_or_in_weights() {
    let temp = TempDir::new("import");
    let mut all = shapes(Arch::Scratch);
    all.truncate(6);
    let (pairs, storage) = thin(&all, str::to_owned);
    let value = Py::Dict(vec![("state_dict".into(), Py::state_dict(pairs))]);
    let pickle = value.pickle();
    let old = legacy(&pickle, &[("0", storage.clone())], 4);
    let whole = archive(&pickle, &[("0", storage.clone())], "little", false);
    let mut seed = 7u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for round in 0..3000 {
        let mut bytes = match round % 3 {
            0 => old.clone(),
            1 => whole.clone(),
            // The checksum is right, so that the pickle is read.
            _ => {
                let mut pickle = pickle.clone();
                let at = random(pickle.len());
                pickle[at] = random(256) as u8;
                archive(&pickle, &[("0", storage.clone())], "little", false)
            }
        };
        if round % 3 < 2 {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        if round % 5 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        if let Ok(imported) = read(&temp, &bytes, Arch::Scratch) {
            assert!(imported.tensors.is_err(), "six tensors are no network");
        }
    }
}

/// A checkpoint of the method's authors, on a backbone of another kind: the backbone's names are those of the network, the first
/// convolution is turned round, and the head is that of the released code.
#[test]
fn the_authors_checkpoint_becomes_a_model() {
    let temp = TempDir::new("import");
    let (classes, prototypes, width) = (19, 10, 64);
    let net = NetOptions {
        arch: Arch::Resnet18,
        neck: Neck::Linear,
        taps: vec![4],
        width,
        ..NetOptions::default()
    };
    let mut source: Vec<(String, Vec<usize>)> = shapes(Arch::Resnet18);
    source.retain(|(name, _)| ["conv1.", "bn1.", "layer1."].iter().any(|part| name.starts_with(part)));
    source.push((format!("{LINEAR}.weight"), vec![width, 64, 1, 1]));
    source.push((format!("{LINEAR}.bias"), vec![width]));
    source.iter_mut().for_each(|(name, _)| *name = format!("backbone.{name}"));
    for part in ["proj", "mlp2"] {
        for layer in ["0", "2"] {
            source.push((format!("proj_head.{part}.{layer}.weight"), vec![width, width, 1, 1]));
            source.push((format!("proj_head.{part}.{layer}.bias"), vec![width]));
        }
    }
    for (norm, size) in [("feat_norm", width), ("mask_norm", classes)] {
        source.push((format!("{norm}.weight"), vec![size]));
        source.push((format!("{norm}.bias"), vec![size]));
    }
    source.push(("prototypes".into(), vec![classes, prototypes, width]));
    // Both spellings of the projection, then each alone.
    for left_out in ["", "proj_head.mlp2.", "proj_head.proj."] {
        let names: Vec<_> = source
            .iter()
            .filter(|(name, _)| left_out.is_empty() || !name.starts_with(left_out))
            .cloned()
            .collect();
        let (mut pairs, _) = thin(&names, |name| format!("module.{name}"));
        let first = contiguous(&[64, 3, 7, 7]);
        let elements = 64 * 3 * 49;
        let view = View {
            key: "1",
            kind: "FloatStorage",
            elements,
            offset: 0,
            shape: &[64, 3, 7, 7],
            strides: &first,
        };
        pairs.iter_mut().find(|(name, _)| name == "module.backbone.conv1.weight").expect("conv1").1 =
            view.value(false);
        let pickle = Py::Dict(vec![("state_dict".into(), Py::state_dict(pairs))]).pickle();
        let weight: Vec<f32> = (0..elements).map(|i| (i / 49 % 3) as f32).collect();
        let content = weight.iter().flat_map(|x| x.to_le_bytes()).collect();
        let bytes =
            archive(&pickle, &[("0", 0.5f32.to_le_bytes().to_vec()), ("1", content)], "little", false);
        let (path, out): (PathBuf, PathBuf) = (temp.join("proto.pth"), temp.join("proto.safetensors"));
        std::fs::write(&path, bytes).expect("written");
        let report = import_model(&path, "a name", net.clone()).expect("read").write(&out).expect("written");
        assert_eq!(report.prefix, "state_dict.module.");
        assert_eq!(report.counts.unused, if left_out.is_empty() { 4 } else { 0 }, "{left_out}");
        let file = model_file::read(&out).expect("a file");
        let spec = read_spec(&file).expect("a model");
        assert_eq!(
            (spec.num_classes(), spec.net.prototypes, spec.net.embedding),
            (classes, prototypes, width)
        );
        assert_eq!(spec.head, protoseg::head::HeadOptions::profile(protoseg::proto::Profile::Off));
        assert_eq!(spec.classes.classes[0].name, "road");
        let conv = file.f32("conv1.weight").expect("conv1");
        assert_eq!((conv[0], conv[49], conv[98]), (2.0, 1.0, 0.0));
        assert_eq!(file.f32("head.proj.2.weight").expect("projection")[0], 0.5);
    }
    let plain = temp.join("plain.pth");
    std::fs::write(&plain, thin_file(&shapes(Arch::Resnet18))).expect("written");
    let message = import_model(&plain, "a name", net).expect_err("no prototypes").to_string();
    assert!(message.contains("holds no `prototypes`"), "{message}");
    // The number of classes is the file's claim: nothing is made of it before it is looked at.
    let claim = [("prototypes".to_owned(), vec![1 << 40, prototypes, width])];
    std::fs::write(&plain, thin_file(&claim)).expect("written");
    let message = import_model(&plain, "a name", NetOptions::default()).expect_err("too many").to_string();
    assert!(message.contains("classes; give a model of 1 to 65535 classes"), "{message}");
}

#[test]
fn what_is_asked_for_wrongly_is_answered_before_anything_is_read_or_written() {
    let temp = TempDir::new("import");
    let path = temp.join("weights.pth");
    let content = thin_file(&shapes(Arch::Resnet18));
    std::fs::write(&path, &content).expect("written");
    let output = run(&[text(&path), "--arch", "resnet18", "--out", text(&path)]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("is the file that is read"), "{message}");
    assert!(std::fs::read(&path).expect("still there") == content);
    let output = run(&[text(&path), "--arch", "vgg", "--out", text(&temp.join("out"))]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("unknown architecture `vgg`") && message.contains("protoseg_hrnet_w48"),
        "{message}"
    );
}
