//! The command line as a user meets it: contract, exit status, and one clear sentence for every bad input.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use protoseg::model_file;
use support::TempDir;

fn protoseg(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(folder).args(args).output().expect("the program starts")
}

/// Runs and expects exit status 1 and exactly one line on standard error that starts with `error:` and holds `parts`.
fn refused(folder: &Path, args: &[&str], parts: &[&str]) {
    let output = protoseg(folder, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{args:?} must give one sentence: {text}");
    for part in parts {
        assert!(errors[0].contains(part), "{args:?}: `{part}` is missing in: {}", errors[0]);
    }
}

const CONFIG: &str = "[data]\nroot = \"street\"\n[model]\narch = \"scratch\"\noutput_stride = 8\ntaps = [4, 8]\n\
                      lateral = 8\nwidth = 8\nembedding = 8\nprototypes = 2\n[augment]\ncrop_height = 32\n\
                      crop_width = 32\n[train]\nsteps = 2\nbatch = 1\n";

/// A street of 4 scenes, a configuration and, with `trained`, a model in `run/`.
fn project(label: &str, trained: bool) -> TempDir {
    let temp = TempDir::new(label);
    let root = temp.path();
    protoseg::synth::write_dataset(&root.join("street"), 4, 1, 64, 48).expect("street");
    fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    if trained {
        let output = protoseg(root, &["train", "c.toml", "--out", "run", "--report", "Car,Person"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    temp
}

/// Files of TensorBoard in a run folder.
fn event_files(run: &Path) -> usize {
    let entries = fs::read_dir(run.join("tensorboard")).map_or(Vec::new(), Iterator::collect);
    entries.iter().flatten().filter(|e| e.file_name().to_string_lossy().contains("tfevents")).count()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
}

#[test]
fn a_run_leaves_what_the_contract_names_and_every_command_reads_it() {
    let temp = project("cli-contract", true);
    let root = temp.path();
    let files =
        ["config.toml", "log.jsonl", "last.safetensors", "best.safetensors", "report.html", "figure.png"];
    for file in files {
        assert!(root.join("run").join(file).exists(), "{file}");
    }
    assert_eq!(event_files(&root.join("run")), 1);
    let log = fs::read_to_string(root.join("run/log.jsonl")).expect("log");
    assert!(log.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    let model = "run/best.safetensors";
    let scores = json(&protoseg(root, &["eval", model, "--data", "street", "--split", "val", "--json"]));
    for key in ["miou", "macc", "aacc", "classes", "images", "seconds", "adapter"] {
        assert!(scores.get(key).is_some(), "{key}");
    }
    let prototypes = scores["prototypes"]["classes"].as_array().expect("a list");
    assert_eq!((prototypes.len(), scores["prototypes"]["per_class"].as_u64()), (9, Some(2)));
    for class in prototypes {
        assert!(class["mean_cosine"].is_number() && class["mean_cosine"] == class["max_cosine"], "{class}");
        let shares =
            class["usage"].as_array().map(|u| u.iter().filter_map(serde_json::Value::as_f64).sum::<f64>());
        assert_eq!(shares.is_none(), class["effective"].is_null(), "{class}");
        assert!(shares.is_none_or(|sum| (sum - 1.0).abs() < 1e-9), "{class}");
    }
    let table = protoseg(root, &["eval", model, "--data", "street", "--prototypes"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("share of each prototype %"), "{table}");
    let report = fs::read_to_string(root.join("run/report.html")).expect("report");
    assert!(report.contains("Prototypes at work per class") && report.contains("effective"));
    let tta = ["eval", model, "--data", "street", "--json", "--flip", "--scales", "0.75,1", "--sliding"];
    let several = json(&protoseg(root, &tta));
    assert!(several["miou"].is_number());
    assert_eq!(several["prototypes"], scores["prototypes"], "counted over the whole images");
    for file in ["c.toml", model] {
        let plan = json(&protoseg(root, &["plan", file, "--json", "--size", "32x48"]));
        for key in ["bytes", "weights_bytes", "flops", "dispatches", "nodes"] {
            assert!(plan.get(key).is_some(), "{key}");
        }
    }
    assert!(json(&protoseg(root, &["devices", "--json"])).as_array().is_some_and(|a| !a.is_empty()));
    assert!(json(&protoseg(root, &["audit", "street", "--json"])).is_object());
    for map in ["classes", "prototypes", "similarity", "confidence", "unknown"] {
        let output = protoseg(root, &["predict", model, "street/images/val", "--out", map, "--map", map]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let picture = root.join(map).join("street00003.png");
        assert_eq!(image::image_dimensions(&picture).expect("a picture"), (64, 48));
    }
    // The same passes give the same masks, whoever asks for them.
    let passes = ["--sliding", "--scales", "0.75,1", "--flip"];
    let predict = ["predict", model, "street/images/val", "--out", "passes"];
    assert!(protoseg(root, &[&predict[..], &passes].concat()).status.success());
    let eval = ["eval", model, "--data", "street", "--masks", "scored"];
    assert!(protoseg(root, &[&eval[..], &passes].concat()).status.success());
    let [predicted, scored] =
        ["passes", "scored"].map(|folder| fs::read(root.join(folder).join("street00003.png")));
    assert!(predicted.expect("a mask") == scored.expect("a mask"), "predict and eval differ");
    refused(root, &[&predict[..], &["--flip", "--map", "unknown"]].concat(), &["--map classes"]);
    let figure = ["figure", model, "--data", "street", "--classes", "Car", "--out", "fig.png"];
    assert!(protoseg(root, &figure).status.success());
    assert!(root.join("fig.png").exists());
}

#[test]
fn eval_tells_what_is_confused_and_what_is_absent() {
    let temp = project("cli-scores", true);
    let root = temp.path();
    let eval = |more: &[&str]| {
        protoseg(root, &[&["eval", "run/best.safetensors", "--data", "street"], more].concat())
    };
    let mask = root.join("street/masks/val/street00003.png");
    let half = |x: u32| image::Luma([if x < 32 { 3 } else { 255 }]);
    image::GrayImage::from_fn(64, 48, |x, _| half(x)).save(&mask).expect("mask");
    let found = json(&eval(&["--json", "--masks", "maps"]));
    let predicted = protoseg::data::read_mask(root.join("maps/street00003.png")).expect("a mask");
    assert_eq!((predicted.width, predicted.height), (64, 48));
    let classes = found["classes"].as_array().expect("a list");
    let mut row = vec![0_u64; classes.len()];
    for (at, &label) in predicted.labels.iter().enumerate() {
        row[usize::from(label)] += u64::from(at % 64 < 32);
    }
    for (index, class) in classes.iter().enumerate() {
        let counts: Vec<u64> = if index == 3 { row.clone() } else { vec![0; row.len()] };
        assert_eq!(found["confusion"]["pixels"][index], serde_json::json!(counts), "{class}");
        assert_eq!(found["confusion"]["classes"][index], class["name"]);
        assert_eq!((class["iou"].is_null(), class["acc"].is_null()), (index != 3, index != 3), "{class}");
        assert!(index == 3 || class["boundary_f"].is_null(), "{class}");
    }
    assert_eq!(found["absent"].as_array().map(Vec::len), Some(classes.len() - 1));
    assert_eq!(found["boundary_tolerance"], 0.0075);
    let text = eval(&["--confusion"]);
    let text = String::from_utf8_lossy(&text.stdout);
    let kinds = row.iter().enumerate().filter(|&(index, &pixels)| index != 3 && pixels > 0).count();
    let name = classes[3]["name"].as_str().expect("a name");
    let (_, worst) = text.split_once("taken for").unwrap_or((&text, ""));
    assert_eq!(worst.lines().filter(|line| line.starts_with(name)).count(), kinds.min(10), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.contains("absent") && line.ends_with(" 0")).count(),
        8,
        "{text}"
    );
    assert!(text.contains("absent from the images, in no mean: "), "{text}");
    for usage in [&["--confusion", "--json"][..], &["--confusion=0"]] {
        assert_eq!(eval(usage).status.code(), Some(2), "{usage:?}");
    }
    let replacing = ["eval", "run/best.safetensors", "--data", "street", "--masks", "street/masks/val"];
    refused(root, &replacing, &["street00003.png", "would replace", "--masks"]);
    image::GrayImage::from_pixel(64, 48, image::Luma([255])).save(&mask).expect("mask");
    refused(root, &replacing[..4], &["no labelled pixel", "`val`"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    let temp = TempDir::new("cli-usage");
    let wrong = [
        &["frobnicate"][..],
        &["eval"],
        &["eval", "m", "--data", "d", "--scales", "0"],
        &["verify", "f", "--weights", "w"],
        &["synth", "--out", "x", "--images", "many"],
        &[],
    ];
    for args in wrong {
        assert_eq!(protoseg(temp.path(), args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn families_of_kernels_are_chosen_by_name() {
    let temp = TempDir::new("cli-variants");
    let root = temp.path();
    fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    let devices = json(&protoseg(root, &["devices", "--json"]));
    let listed = devices[0]["variants"].as_array().expect("a list").clone();
    for variant in ["floor", "software", "gpu", "subgroup", "f16", "matrix"] {
        let args = ["--variant", variant, "plan", "c.toml", "--classes", "3"];
        if listed.iter().any(|v| v == variant) {
            assert!(protoseg(root, &args).status.success(), "{variant}");
        } else {
            refused(root, &args, &["cannot run the variant", variant, "--variant"]);
        }
    }
    assert_eq!(protoseg(root, &["--variant", "fast", "devices"]).status.code(), Some(2));
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(root).args(["plan", "c.toml", "--classes", "3"]).env("PROTOSEG_VARIANT", "fast");
    assert_eq!(command.output().expect("the program starts").status.code(), Some(2));
}

/// What was measured lies in the user's cache folder, and is read from there.
#[test]
#[cfg(target_os = "linux")]
fn tiles_are_measured_where_asked_for() {
    let temp = TempDir::new("cli-autotune");
    let root = temp.path();
    fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    let run = |variant: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
        command.current_dir(root).env("XDG_CACHE_HOME", root.join("cache"));
        command.args(["--variant", variant, "--autotune", "plan", "c.toml", "--classes", "3"]);
        command.output().expect("the program starts")
    };
    let floor = run("floor");
    assert!(String::from_utf8_lossy(&floor.stderr).contains("leave --autotune out"), "{floor:?}");
    assert!(!root.join("cache/protoseg").exists());
    assert!(run("gpu").status.success());
    let file =
        fs::read_dir(root.join("cache/protoseg")).expect("made").next().expect("one").expect("readable");
    let found = fs::read_to_string(file.path()).expect("text");
    assert!(found.contains("\"conv\"") && found.contains("\"match\""), "{found}");
    let written = file.metadata().and_then(|m| m.modified()).expect("a file");
    assert!(run("gpu").status.success());
    assert_eq!(file.path().metadata().and_then(|m| m.modified()).expect("a file"), written);
}

#[test]
fn bad_configurations_are_refused_in_words() {
    let temp = project("cli-config", false);
    let root = temp.path();
    let with = |text: &str| fs::write(root.join("bad.toml"), format!("{CONFIG}{text}")).expect("writable");
    with("stepz = 3\n");
    refused(root, &["train", "bad.toml"], &["stepz", "bad.toml"]);
    refused(root, &["train", "missing.toml"], &["missing.toml"]);
    refused(root, &["train", "c.toml", "--set", "head.kapa=1"], &["kapa"]);
    refused(root, &["train", "c.toml", "--set", "nonsense"], &["nonsense", "="]);
    refused(root, &["train", "c.toml", "--set", "train.steps=0"], &["train.steps"]);
    refused(root, &["train", "c.toml", "--set", "model.taps=[8,4]"], &["model.taps"]);
    refused(root, &["train", "c.toml", "--set", "data.root=nowhere"], &["nowhere"]);
    refused(root, &["train", "c.toml", "--set", "data.class_weights=[1]"], &["class_weights"]);
    refused(root, &["train", "c.toml", "--set", "train.weights=none.safetensors"], &["none.safetensors"]);
    refused(root, &["train", "c.toml", "--set", "train.steps=abc"], &["--set train.steps=abc", "abc"]);
    refused(root, &["train", "c.toml", "--set", "train.momentum=1"], &["train.momentum"]);
    refused(
        root,
        &["train", "c.toml", "--set", "data.class_weights=[nan,1,1,1,1,1,1,1,1]"],
        &["class_weights"],
    );
    refused(root, &["train", "c.toml", "--set", "augment.scale_min=0"], &["augment.scale_min"]);
    refused(
        root,
        &["train", "c.toml", "--set", "train.tensorboard=yes"],
        &["train.tensorboard=yes", "true or false"],
    );
    fs::write(root.join("bad.toml"), CONFIG.replace("batch = 1", "batch = \"one\"")).expect("writable");
    refused(root, &["train", "bad.toml"], &["bad.toml line 16", "batch = \"one\""]);
    refused(root, &["--adapter", "no such thing", "train", "c.toml"], &["no such thing"]);
    refused(root, &["train", "c.toml", "--out", "run", "--report", "Cat"], &["Cat", "Car"]);
    assert!(!root.join("run").exists(), "nothing is trained for a report that cannot be made");
    fs::copy(root.join("c.toml"), root.join("config.toml")).expect("writable");
    refused(root, &["train", "config.toml", "--out", "."], &["config.toml", "--out"]);
    assert_eq!(fs::read_to_string(root.join("config.toml")).expect("config"), CONFIG);
    fs::write(root.join("file"), "").expect("writable");
    refused(root, &["train", "c.toml", "--out", "file/run"], &["file/run"]);
}

#[test]
fn plans_that_mean_nothing_are_refused() {
    let temp = project("cli-plan", false);
    let root = temp.path();
    let config =
        |flags: &[&str], parts: &[&str]| refused(root, &[&["plan", "c.toml"], flags].concat(), parts);
    refused(root, &["--adapter", "no such thing", "plan", "c.toml"], &["no adapter matches `no such thing`"]);
    config(&["--classes", "0"], &["--classes is 0"]);
    config(&["--classes", "100000000"], &["--classes is 100000000", "1 to 1000000"]);
    config(&["--batch", "0"], &["0 x 32 x 32", "--batch (at least 1)"]);
    config(&["--batch", "1000000000"], &["1000000000 x 32 x 32"]);
    config(&["--size", "18446744073709551615x18446744073709551615"], &["cannot be planned"]);
    let many = ["plan", "c.toml", "--classes", "100000", "--json"];
    assert!(json(&protoseg(root, &many))["weights_bytes"].is_number());
}

#[test]
fn a_plan_is_timed_node_by_node() {
    let temp = project("cli-time", false);
    let plan = json(&protoseg(temp.path(), &["plan", "c.toml", "--time", "--json"]));
    let sum = |list: &str| -> (f64, u64) {
        let all = plan["times"][list].as_array().expect("this adapter has timestamps");
        let secs: Vec<f64> = all.iter().map(|t| t["device_secs"].as_f64().expect("seconds")).collect();
        assert!(secs.is_sorted_by(|a, b| a >= b) && secs[0] > 0.0, "{secs:?}");
        (secs.iter().sum(), all.iter().map(|t| t["dispatches"].as_u64().expect("a count")).sum())
    };
    let (nodes, kernels) = (sum("nodes"), sum("kernels"));
    assert!((nodes.0 - kernels.0).abs() < 1e-9 && nodes.1 == kernels.1, "{nodes:?} {kernels:?}");
    assert_eq!(plan["dispatches"].as_u64(), Some(nodes.1));
    let table = protoseg(temp.path(), &["plan", "c.toml", "--time"]);
    let text = String::from_utf8_lossy(&table.stdout);
    assert!(text.contains("nodes, the slowest first:") && text.contains("conv2d"), "{text}");
}

#[test]
fn bench_times_what_is_named() {
    let temp = TempDir::new("cli-bench");
    let found = json(&protoseg(temp.path(), &["bench", "gemm-512", "scale", "--json", "--seconds", "0"]));
    assert!(found["peak"]["wall"]["gflops"].as_f64() > Some(0.0) && found["start"].is_null(), "{found}");
    let results = found["results"].as_array().expect("a list");
    let names: Vec<_> = results.iter().map(|r| r["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["scale", "scale", "gemm-512"]);
    assert_eq!(results[1]["direction"], "gradients");
    assert_eq!(results[2]["flops"], 2 * 512_u64.pow(3));
    for result in results {
        assert!(result["best_secs"].as_f64() > Some(0.0) && result["share_of_peak"].as_f64() > Some(0.0));
    }
    let table = protoseg(temp.path(), &["bench", "fill", "--seconds", "0"]);
    assert!(String::from_utf8_lossy(&table.stdout).lines().any(|l| l.starts_with("fill 43200x64")));
    let list = protoseg(temp.path(), &["bench", "--list"]);
    assert!(String::from_utf8_lossy(&list.stdout).contains("  head-step-150 "));
    refused(temp.path(), &["bench", "gemm"], &["`gemm`", "protoseg bench --list"]);
    refused(temp.path(), &["bench", "scale", "first-step"], &["first-step", "only name"]);
}

/// The program is started twice; the second start finds what the first has left.
#[test]
fn bench_starts_twice() {
    let temp = TempDir::new("cli-start");
    let found = json(&protoseg(temp.path(), &["bench", "start", "--json", "--seconds", "0"]));
    let total = |which: &str| found["start"][which]["total_secs"].as_f64().expect("seconds");
    assert!(total("first") > 0.0 && total("second") > 0.0, "{found}");
}

#[test]
fn bad_data_is_refused_before_training() {
    let temp = project("cli-data", false);
    let root = temp.path();
    let mask = root.join("street/masks/train/street00000.png");
    let image = root.join("street/images/train/street00000.png");
    let (good_mask, good_image) = (fs::read(&mask).expect("mask"), fs::read(&image).expect("image"));
    let luma = |value: u8, w: u32, h: u32| image::GrayImage::from_pixel(w, h, image::Luma([value]));
    let train = ["train", "c.toml", "--out", "run"];

    luma(77, 64, 48).save(&mask).expect("mask");
    refused(root, &train, &["street00000.png", "77"]);
    luma(1, 32, 48).save(&mask).expect("mask");
    refused(root, &train, &["street00000.png", "32 x 48"]);
    image::RgbImage::new(64, 48).save(&mask).expect("mask");
    refused(root, &train, &["street00000.png", "RGB"]);
    fs::remove_file(&mask).expect("mask");
    refused(root, &train, &["street00000"]);
    fs::write(&mask, good_mask).expect("mask");
    fs::write(&image, &good_image[..good_image.len() / 2]).expect("image");
    refused(root, &train, &["street00000.png"]);
    refused(root, &["audit", "street"], &["street00000.png"]);
    assert!(!root.join("run/last.safetensors").exists());
    fs::remove_dir_all(root.join("street/images/train")).expect("folder");
    fs::create_dir(root.join("street/images/train")).expect("folder");
    refused(root, &train, &["train"]);
}

#[test]
fn bad_models_and_outputs_are_refused() {
    let temp = project("cli-model", true);
    let root = temp.path();
    let model = root.join("run/best.safetensors");
    let eval = |file: &str, parts: &[&str]| refused(root, &["eval", file, "--data", "street"], parts);
    let bytes = fs::read(&model).expect("model");
    fs::write(root.join("cut.safetensors"), &bytes[..bytes.len() / 2]).expect("writable");
    eval("cut.safetensors", &["cut.safetensors"]);
    fs::write(root.join("noise.safetensors"), b"no tensors here").expect("writable");
    eval("noise.safetensors", &["noise.safetensors"]);
    eval("absent.safetensors", &["absent.safetensors"]);
    let file = model_file::read(&model).expect("model");
    let (good, metadata) = (file.tensors().expect("tensors"), file.metadata().clone());
    let mut tensors = good.clone();
    tensors.remove("head.proj.0.weight");
    model_file::write(root.join("less.safetensors"), &tensors, &metadata).expect("writable");
    eval("less.safetensors", &["head.proj.0.weight"]);
    let mut tensors = good.clone();
    tensors.insert("prototypes".into(), model_file::Tensor { shape: vec![1, 2, 8], data: vec![0.5; 16] });
    model_file::write(root.join("shape.safetensors"), &tensors, &metadata).expect("writable");
    eval("shape.safetensors", &["prototypes", "[1, 2, 8]"]);
    model_file::write(root.join("plain.safetensors"), &good, &Default::default()).expect("writable");
    eval("plain.safetensors", &["plain.safetensors"]);

    let best = "run/best.safetensors";
    refused(
        root,
        &["figure", best, "--data", "street", "--classes", "Cat", "--out", "f.png"],
        &["Cat", "Car"],
    );
    refused(root, &["eval", best, "--data", "street", "--split", "test"], &["test", "val"]);
    refused(
        root,
        &["predict", best, "street/images/val", "--out", "street/images/val"],
        &["street00003.png"],
    );
    fs::write(root.join("file"), "").expect("writable");
    refused(root, &["predict", best, "street/images/val", "--out", "file/maps"], &["file/maps"]);
    fs::create_dir(root.join("empty")).expect("folder");
    refused(root, &["predict", best, "empty", "--out", "maps"], &["empty"]);
    refused(root, &["train", "c.toml", "--out", "run"], &["run", "--resume"]);
    refused(root, &["predict", best, "photo.jpg", "--out", "none"], &["photo.jpg"]);
    let weights = ["train", "c.toml", "--out", "none", "--set", "train.weights=absent.safetensors"];
    refused(root, &weights, &["absent.safetensors"]);
    refused(root, &["train", "c.toml", "--out", "none", "--set", "head.embedding=4"], &["key of [model]"]);
    assert!(!root.join("none").exists(), "what is refused leaves a folder");
    refused(
        root,
        &["figure", best, "--data", "street", "--classes", "Car", "--out", "f.png", "--rows", "0"],
        &["--rows is 0"],
    );
    let plan =
        |flags: &[&str], part| refused(root, &[&["plan", best], flags].concat(), &[part, "configurations"]);
    plan(&["--set", "train.steps=1"], "--set");
    plan(&["--classes", "5"], "--classes");
    plan(&["--batch", "2"], "--batch");
    let mask = root.join("street/masks/val/street00003.png");
    image::GrayImage::from_pixel(64, 48, image::Luma([77])).save(&mask).expect("mask");
    let figure = ["figure", best, "--data", "street", "--classes", "Car", "--out", "f.png"];
    for args in [&["eval", best, "--data", "street"][..], &figure] {
        refused(root, args, &["street00003.png", "the value 77", "classes.json names 0..="]);
    }
    image::RgbImage::new(1, 1).save(root.join("dot.png")).expect("picture");
    assert!(protoseg(root, &["predict", best, "dot.png", "--out", "maps"]).status.success());
    assert_eq!(image::image_dimensions(root.join("maps/dot.png")).expect("map"), (1, 1));
}

#[test]
fn the_help_and_the_run_folder_name_every_key() {
    let temp = project("cli-keys", true);
    let help = protoseg(temp.path(), &["train", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    let resolved = fs::read_to_string(temp.path().join("run/config.toml")).expect("config");
    for key in [
        "class_weights",
        "output_stride",
        "kappa",
        "sinkhorn_iterations",
        "scale_max",
        "std",
        "checkpoint_every",
        "tensorboard",
    ] {
        assert!(help.contains(key), "{key} in {help}");
        assert!(resolved.contains(key), "{key} in {resolved}");
    }
}

#[test]
fn a_finished_run_is_reported_again_with_its_history() {
    let temp = project("cli-again", true);
    let root = temp.path();
    let report = || fs::read_to_string(root.join("run/report.html")).expect("report");
    let first = report();
    let again = protoseg(root, &["train", "c.toml", "--out", "run", "--resume", "--report", "Car,Person"]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("all 2 steps are done already"), "{said}");
    assert_eq!(event_files(&root.join("run")), 1, "nothing was drawn again");
    let without = ["train", "c.toml", "--out", "plain", "--set", "train.tensorboard=false"];
    assert!(protoseg(root, &without).status.success());
    assert!(!root.join("plain/tensorboard").exists() && root.join("plain/log.jsonl").exists());
    let curves = |page: &str| page.matches("<polyline").count() + page.matches("<path").count();
    assert_eq!(curves(&first), curves(&report()), "the curves are those of the whole run");
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_without_room_is_an_error() {
    let temp = project("cli-full", false);
    let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    let output =
        command.current_dir(temp.path()).args(["audit", "street"]).stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}
