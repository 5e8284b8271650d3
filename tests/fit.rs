//! `fit`: a model from a frozen backbone that every other command takes, the same bits every time.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use protoseg::model_file;
use serde_json::Value;
use support::TempDir;

const CONFIG: &str = "[data]\nroot = \"street\"\n[model]\narch = \"scratch\"\noutput_stride = 8\ntaps = [4, 8]\n\
                      lateral = 8\nwidth = 8\nembedding = 8\nprototypes = 2\n[augment]\ncrop_height = 32\n\
                      crop_width = 32\n[normalisation]\nmean = [0.4, 0.5, 0.6]\nstd = [0.2, 0.2, 0.2]\n[train]\n\
                      steps = 30\nbatch = 2\nlr = 0.05\n";

fn protoseg(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(folder).args(args).output().expect("the program starts")
}

fn done(folder: &Path, args: &[&str]) -> Output {
    let output = protoseg(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

/// A street and a backbone that was trained on it for a moment.
fn project(label: &str) -> TempDir {
    let temp = TempDir::new(label);
    let root = temp.path();
    protoseg::synth::write_dataset(&root.join("street"), 10, 1, 96, 64).expect("street");
    fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    done(root, &["train", "c.toml", "--out", "run"]);
    temp
}

const FIT: [&str; 9] = [
    "fit",
    "--backbone",
    "run/last.safetensors",
    "--arch",
    "scratch",
    "--data",
    "street",
    "--split",
    "train",
];

#[test]
fn a_fitted_model_is_one_like_any_other() {
    let temp = project("fit");
    let root = temp.path();
    let fit = |more: &[&str]| done(root, &[&FIT[..], more].concat());
    let told = json(&fit(&["--out", "a.safetensors", "--prototypes", "3", "--json"]));
    fit(&["--out", "b.safetensors", "--prototypes", "3"]);
    let bytes = |name: &str| fs::read(root.join(name)).expect("a model");
    assert!(bytes("a.safetensors") == bytes("b.safetensors"), "two fits differ");
    fit(&["--out", "c.safetensors", "--prototypes", "3", "--seed", "5"]);
    assert!(bytes("a.safetensors") != bytes("c.safetensors"), "the seed changes nothing");
    let file = protoseg::model_file::read(root.join("a.safetensors")).expect("a model");
    let spec = protoseg::model::read_spec(&file).expect("described");
    assert_eq!(spec.normalisation.mean, [0.4, 0.5, 0.6], "the backbone sees what it was trained with");
    let few = json(&fit(&[
        "--out",
        "d.safetensors",
        "--images",
        "1",
        "--size",
        "32x48",
        "--embedding",
        "4",
        "--json",
    ]));
    assert_eq!((told["images"].as_u64(), few["images"].as_u64()), (Some(8), Some(1)));
    assert_eq!((told["prototypes"].as_u64(), few["embedding"].as_u64()), (Some(3), Some(4)));
    let classes = told["classes"].as_array().expect("a list");
    assert!(classes.iter().any(|c| c["name"] == "Road" && c["prototypes"] == 3), "{told}");

    let eval =
        |model: &str| json(&done(root, &["eval", model, "--data", "street", "--split", "val", "--json"]));
    let [trained, fitted] =
        ["run/last.safetensors", "a.safetensors"].map(|m| eval(m)["miou"].as_f64().expect("a number"));
    assert!(fitted > trained, "{fitted} after the fit, {trained} after 30 steps of training alone");
    for map in ["classes", "prototypes"] {
        done(root, &["predict", "a.safetensors", "street/images/val", "--out", map, "--map", map]);
    }
    done(root, &["figure", "a.safetensors", "--data", "street", "--classes", "Road", "--out", "fig.png"]);
    done(root, &["plan", "a.safetensors", "--json"]);
    // A model's backbone is a backbone: the second fit has the same one, and ends in the same bits.
    let again = ["fit", "--backbone", "a.safetensors", "--arch", "scratch", "--data", "street"];
    done(root, &[&again[..], &["--out", "e.safetensors", "--prototypes", "3"]].concat());
    assert!(bytes("a.safetensors") == bytes("e.safetensors"), "the backbone was changed");
}

#[test]
fn a_class_without_pixels_is_told_and_never_predicted() {
    let temp = project("fit-absent");
    let root = temp.path();
    let path = root.join("street/classes.json");
    let mut classes: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("classes")).expect("JSON");
    let list = classes["classes"].as_array_mut().expect("a list");
    let ghost = list.len();
    list.push(serde_json::json!({"id": ghost, "name": "Ghost"}));
    fs::write(&path, classes.to_string()).expect("classes");
    let output = done(root, &[&FIT[..], &["--out", "m.safetensors", "--json"]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("class `Ghost` has no labelled pixel"), "{told}");
    assert_eq!(json(&output)["classes"][ghost]["prototypes"], 0);
    let protos =
        model_file::read(root.join("m.safetensors")).and_then(|file| file.f32("prototypes")).expect("model");
    let per_class = protos.len() / (ghost + 1);
    assert!(
        protos[ghost * per_class..].iter().all(|&x| x == 0.0)
            && protos[..per_class].iter().any(|&x| x != 0.0)
    );
    let scores =
        json(&done(root, &["eval", "m.safetensors", "--data", "street", "--split", "val", "--json"]));
    let column =
        scores["confusion"]["pixels"].as_array().expect("rows").iter().map(|row| row[ghost].as_u64());
    assert!(column.into_iter().all(|pixels| pixels == Some(0)), "{scores}");
}

#[test]
fn bad_input_gets_one_sentence_and_leaves_nothing() {
    let temp = project("fit-bad");
    let root = temp.path();
    fs::write(root.join("damaged.safetensors"), "no weights").expect("temporary folder");
    let cases: [(&[&str], &str); 7] = [
        (&["--backbone", "missing.safetensors"], "cannot read the model file `missing.safetensors`"),
        (&["--backbone", "damaged.safetensors"], "is not a whole safetensors file"),
        (&["--arch", "mobilenet_v2"], "has no tensor `features.0.0.weight`"),
        (&["--arch", "vgg"], "unknown architecture `vgg`"),
        (&["--split", "test"], "has no split `test`"),
        (&["--size", "20000x64"], "--size is 20000x64"),
        (&["--out", "nowhere/m.safetensors"], "there is no such folder for --out"),
    ];
    for (changed, part) in cases {
        let mut args = [&FIT[..], &["--out", "m.safetensors"]].concat();
        let at = args.iter().position(|arg| *arg == changed[0]).unwrap_or(args.len());
        args.splice(at..(at + 2).min(args.len()), changed.iter().copied());
        let output = protoseg(root, &args);
        let told = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error:")).collect();
        assert!(
            output.status.code() == Some(1) && errors.len() == 1 && errors[0].contains(part),
            "{part}: {told}"
        );
        assert!(!root.join("m.safetensors").exists(), "{part}");
    }
    for usage in [["--prototypes", "65"], ["--prototypes", "0"], ["--embedding", "5000"]] {
        let output = protoseg(root, &[&FIT[..], &["--out", "m.safetensors"], &usage].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(usage[0]), "{told}");
    }
}
