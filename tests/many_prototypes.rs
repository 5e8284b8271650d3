//! More prototypes per class than 16 and than 32, where a row of the clustering has further parts: a run that
//! is stopped and resumed, and every command that reads its model.

mod support;

use std::path::Path;
use std::process::Command;

use protoseg::model_file;
use protoseg::train::Event;
use support::{CONFIG, TempDir, bytes, gpu, street, train};

#[test]
fn twenty_and_fifty_prototypes_are_set_moved_and_resumed() {
    let gpu = gpu();
    let temp = TempDir::new("many-resumed");
    let root = temp.path();
    street(root);
    for (name, count, more) in [
        ("equal", 20, &["head.prototype_init=\"kmeans\"", "head.warmup_steps=1"][..]),
        (
            "relaxed",
            50,
            &["head.prototype_init=\"random\"", "head.sinkhorn_balance=0.1", "head.revive_every=2"],
        ),
    ] {
        let prototypes = format!("model.prototypes={count}");
        let sets = [&[&prototypes[..], "head.momentum=0.5"], more].concat();
        let events = train(&gpu, root, name, &sets, None, false);
        let told = events.iter().rev().find_map(|event| match event {
            Event::Prototypes { classes, .. } => Some(classes),
            _ => None,
        });
        for class in told.expect("told after an evaluation").iter().filter(|c| c.effective.is_some()) {
            assert_eq!(class.usage.len(), count, "{name}");
            assert!((class.usage.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{name}: {:?}", class.usage);
        }
        let last = format!("{name}/last.safetensors");
        for stop in [1, 2, 4] {
            let out = format!("{name}-{stop}");
            train(&gpu, root, &out, &sets, Some(stop), false);
            train(&gpu, root, &out, &sets, None, true);
            assert!(
                bytes(root, &last) == bytes(root, &format!("{out}/last.safetensors")),
                "{out}: another model"
            );
        }
        let file = model_file::read(root.join(&last)).expect("model");
        let protos = file.f32("prototypes").expect("prototypes");
        assert_eq!(protos.len() % (count * 8), 0);
        for row in protos.chunks_exact(8) {
            let norm: f32 = row.iter().map(|v| v * v).sum();
            assert!((norm - 1.0).abs() < 1e-4, "{name}: a prototype of squared length {norm}");
        }
    }
}

#[test]
fn every_command_reads_a_model_with_twenty_prototypes() {
    let temp = TempDir::new("many-commands");
    let root = temp.path();
    street(root);
    std::fs::write(root.join("c.toml"), CONFIG).expect("temporary folder");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
        let output = command.current_dir(root).args(args).output().expect("the program starts");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let json = |args: &[&str]| -> serde_json::Value { serde_json::from_slice(&run(args)).expect("JSON") };
    run(&["train", "c.toml", "--out", "run", "--report", "Car,Road", "--set", "model.prototypes=20"]);
    let model = "run/last.safetensors";
    let report = std::fs::read_to_string(root.join("run/report.html")).expect("report");
    assert!(report.contains("cosines of the 20 prototypes of Car"));
    let scores = json(&["eval", model, "--data", "street", "--json"]);
    assert_eq!(scores["prototypes"]["per_class"], 20);
    for class in scores["prototypes"]["classes"].as_array().expect("a list") {
        let usage = class["usage"].as_array();
        assert!(usage.is_none_or(|shares| shares.len() == 20), "{class}");
    }
    run(&["eval", model, "--data", "street", "--prototypes"]);
    for map in ["prototypes", "similarity"] {
        run(&["predict", model, "street/images/val", "--out", map, "--map", map]);
        assert!(is_picture_folder(&root.join(map)), "{map}");
    }
    run(&["figure", model, "--data", "street", "--classes", "Road", "--out", "figure.png"]);
    assert!(image::image_dimensions(root.join("figure.png")).is_ok());
    for file in ["run/config.toml", model] {
        assert!(json(&["plan", file, "--json", "--size", "32x48"])["bytes"].is_number(), "{file}");
    }
}

/// A folder that holds pictures and nothing else.
fn is_picture_folder(folder: &Path) -> bool {
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().collect();
    !files.is_empty() && files.iter().all(|file| image::image_dimensions(file.path()).is_ok())
}
