//! The device against the reference data: golden files of the head, parity files of the backbone.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::{Gpu, Variant};
use protoseg::head::HeadOptions;
use protoseg::model_file::{Tensor, read, write};
use protoseg::nn::Arch;
use protoseg::proto::UpdatePixels;
use protoseg::verify::{Verification, verify, verify_changed};
use support::{TempDir, gpu, gpu_of, shared, shared_files};

/// Golden files that everybody has.
const NUM_GOLDEN: usize = 8;

fn assert_ok(verification: &Verification) {
    println!("{verification}");
    assert!(verification.ok());
}

/// Compares every golden file; a folder that is there holds them all.
fn assert_golden(variant: Option<Variant>) {
    if shared("golden").is_none() {
        return;
    }
    let found = pollster::block_on(verify(&gpu_of(variant), &shared_files("golden"), None));
    assert!(found.files.len() >= NUM_GOLDEN, "{} of {NUM_GOLDEN} golden files", found.files.len());
    assert_ok(&found);
}

#[test]
fn every_golden_file_agrees() {
    assert_golden(None);
}

#[test]
fn every_golden_file_agrees_with_the_kernels_of_the_floor() {
    assert_golden(Some(Variant::Floor));
}

#[test]
fn every_golden_file_agrees_with_the_kernels_of_gpus() {
    assert_golden(Some(Variant::Gpu));
}

#[test]
fn every_golden_file_agrees_with_the_kernels_on_subgroups() {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    match pollster::block_on(Gpu::open(wanted.as_deref(), Some(Variant::Subgroup))) {
        Ok(_) => assert_golden(Some(Variant::Subgroup)),
        Err(error) => println!("{error}"),
    }
}

/// Compares the maps of MobileNetV2 on `gpu`; `None` without the weights.
fn mobilenet_v2(gpu: &Arc<Gpu>) -> Option<Verification> {
    let weights = shared("weights/mobilenet_v2.safetensors")?;
    let mut files = shared_files("parity");
    files.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("mobilenet_v2")));
    Some(pollster::block_on(verify(gpu, &files, Some((weights, Arch::MobilenetV2)))))
}

#[test]
fn mobilenet_v2_agrees() {
    for gpu in [gpu(), gpu_of(Some(Variant::Gpu))] {
        if let Some(found) = mobilenet_v2(&gpu) {
            assert_ok(&found);
        }
    }
}

/// Rounding in every layer adds up: 6.4e-3 of a map's maximum was measured, 1.4e-3 in the logits.
#[test]
fn f16_operands_leave_mobilenet_v2_within_two_percent() {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    let gpu = match pollster::block_on(Gpu::open(wanted.as_deref(), Some(Variant::F16))) {
        Ok(gpu) => gpu,
        Err(error) => return println!("{error}"),
    };
    let Some(found) = mobilenet_v2(&gpu) else { return };
    let tensors: Vec<_> = found.files.iter().flat_map(|f| &f.tensors).collect();
    let worst = tensors.iter().map(|t| t.max_rel).fold(0.0, f64::max);
    assert!(tensors.len() > 8 && worst < 0.02, "off by {worst:.1e} of the maximum");
    assert!(!found.ok(), "the tolerances of f32 hold for f16: it rounds nothing");
}

#[test]
fn what_cannot_be_verified_is_said() {
    let Some(weights) = shared("weights/mobilenet_v2.safetensors") else { return };
    let gpu = gpu();
    let error = |file: &Path, backbone| {
        let found = pollster::block_on(verify(&gpu, &[file.to_owned()], backbone));
        assert!(!found.ok() && found.files[0].tensors.is_empty());
        found.files[0].error.clone().expect("no comparison is possible")
    };
    let backbone = || Some((weights.clone(), Arch::MobilenetV2));
    for file in shared_files("parity") {
        assert!(error(&file, None).contains("--weights"), "{file:?}");
        if !file.to_string_lossy().contains("mobilenet_v2") {
            assert!(error(&file, backbone()).contains("mobilenet_v2"), "{file:?}");
        }
    }
    assert!(error(&weights, backbone()).contains("neither"));
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_others() {
    let Some(good) = shared("golden/edge_all_ignored.safetensors") else { return };
    let folder = TempDir::new("unreadable");
    let (absent, damaged) = (folder.join("absent.safetensors"), folder.join("damaged.safetensors"));
    std::fs::write(&damaged, [1, 2, 3]).expect("written");
    let found = pollster::block_on(verify(&gpu(), &[absent, good.clone(), damaged, good], None));
    assert_eq!(found.files.iter().map(|f| f.ok).collect::<Vec<_>>(), [false, true, false, true]);
    assert!(!found.ok());
    let json = serde_json::to_value(&found).expect("a document");
    for (file, name) in [(0, "absent"), (2, "damaged")] {
        let error = json["files"][file]["error"].as_str().expect("a reason");
        assert!(error.contains(name), "{error}");
    }
    assert!(json["files"][1].get("error").is_none());
}

/// Names of the tensors that disagree under options falsified by `change`.
fn wrong(file: &str, change: &dyn Fn(&mut HeadOptions)) -> Option<Vec<String>> {
    let path = shared(file)?;
    let report = pollster::block_on(verify_changed(&gpu(), &path, change)).expect("a golden file");
    Some(report.tensors.into_iter().filter(|t| !t.ok).map(|t| t.name).collect())
}

#[test]
fn mistakes_are_detected() {
    let file = "golden/c19_k10_d64.safetensors";
    let detected = |change: &dyn Fn(&mut HeadOptions), expected: &[&str]| {
        let Some(wrong) = wrong(file, change) else { return };
        for name in expected {
            assert!(wrong.iter().any(|w| w == name), "{name} is not among {wrong:?}");
        }
    };
    assert_eq!(wrong(file, &|_| {}).unwrap_or_default(), [""; 0], "without a mistake");
    detected(&|o| o.kappa = 0.0501, &["off64.q3", "rec64.q3", "off64.q0"]);
    let after = ["off64.protos_after", "rec64.protos_after", "pap64.protos_after"];
    detected(&|o| o.momentum = 0.998, &after);
    detected(&|o| o.sinkhorn_iterations = 2, &["rec.assign"]);
    detected(&|o| o.update_pixels = UpdatePixels::All, &["rec.counts", "rec64.protos_after"]);
    detected(&|o| o.ppc_tau *= 1.001, &["off64.loss_ppc", "rec64.loss_ppc", "pap64.g_raw_total"]);
    detected(&|o| o.ppd_weight = 0.0, &["rec64.loss_total"]);
    detected(&|o| o.proj_norm = protoseg::head::ProjNorm::Channel, &["off64.proj_norm", "off64.emb"]);
}

/// A golden file turned into one that stores its big tensors at some pixels only, as large files do.
#[test]
fn sampled_tensors_agree() {
    let Some(path) = shared("golden/c19_k10_d64.safetensors") else { return };
    let file = read(&path).expect("a golden file");
    let pixels = file.shape("gt").expect("it has labels")[0];
    let sample: Vec<usize> = (0..pixels).step_by(7).collect();
    let mut tensors = file.tensors().expect("plain numbers");
    let map_pixels = tensors["in.features"].shape[2..].iter().product::<usize>();
    for name in file.names().map(str::to_owned).collect::<Vec<_>>() {
        let Some((profile, quantity)) = name.split_once("64.") else { continue };
        let Tensor { shape, data } = &tensors[&name];
        let (channels, at): (usize, Box<dyn Fn(usize, usize) -> usize>) = match shape[..] {
            [_, channels, h, w] if h * w == map_pixels => (
                channels,
                Box::new(move |n, c| (n / map_pixels * channels + c) * map_pixels + n % map_pixels),
            ),
            [rows, channels] if rows == pixels => (channels, Box::new(move |n, c| n * channels + c)),
            _ => continue,
        };
        let rows = sample.iter().flat_map(|&n| (0..channels).map(move |c| (n, c)));
        let data = rows.map(|(n, c)| data[at(n, c)]).collect();
        let sampled = Tensor { shape: vec![sample.len(), channels], data };
        tensors.insert(format!("{profile}64.sampled.{quantity}"), sampled);
        if quantity != "q3" {
            tensors.remove(&name);
        }
    }
    let indices = sample.iter().map(|&n| n as f32).collect();
    tensors.insert("sample".into(), Tensor { shape: vec![sample.len()], data: indices });
    let folder = TempDir::new("sampled");
    let path = folder.join("sampled.safetensors");
    let metadata: BTreeMap<_, _> = file.metadata().clone();
    write(&path, &tensors, &metadata).expect("written");
    let gpu = gpu();
    let found = pollster::block_on(verify(&gpu, std::slice::from_ref(&path), None));
    assert_ok(&found);
    assert!(found.files[0].tensors.iter().filter(|t| t.name.contains(".sampled.")).count() > 20);

    let sim = tensors.get_mut("off64.sampled.sim").expect("it is there");
    sim.data[5] += 1e-5;
    write(&path, &tensors, &metadata).expect("written");
    let found = pollster::block_on(verify(&gpu, &[path], None));
    let wrong: Vec<_> = found.files[0].tensors.iter().filter(|t| !t.ok).map(|t| &t.name[..]).collect();
    assert_eq!(wrong, ["off64.sampled.sim"]);
}

#[test]
fn the_document_is_the_contract() {
    let Some(path) = shared("golden/edge_all_ignored.safetensors") else { return };
    let found = pollster::block_on(verify(&gpu(), &[path], None));
    let json = serde_json::to_value(&found).expect("a document");
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(keys(&json), "adapter files");
    assert_eq!(keys(&json["files"][0]), "file ok tensors");
    let tensors = json["files"][0]["tensors"].as_array().expect("a list");
    for tensor in tensors {
        assert_eq!(keys(tensor), "max_abs max_rel name ok tolerance");
        assert!(tensor["max_abs"].is_number() && tensor["max_rel"].is_number(), "{tensor}");
    }
    assert!(tensors.len() > 100);
}
