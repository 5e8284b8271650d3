//! What a step may do beside the plain one (`train.clip_norm` and what follows it): each counts, is resumed to the byte, and
//! does what it says.

mod support;

use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::train::Event;
use support::{TempDir, bytes, gpu, street, train};

/// The tensors of a model file by name.
fn model(root: &Path, file: &str) -> protoseg::model_file::ModelFile {
    protoseg::model_file::read(root.join(file)).expect("model")
}

/// Trains with `sets` in one go, and stopped and resumed, and checks that both give the same model; returns its bytes and the
/// uninterrupted run's events.
fn resumed(gpu: &Arc<Gpu>, root: &Path, name: &str, sets: &[&str]) -> (Vec<u8>, Vec<Event>) {
    let events = train(gpu, root, name, sets, None, false);
    let other = format!("{name}-resumed");
    train(gpu, root, &other, sets, Some(4), false);
    train(gpu, root, &other, sets, None, true);
    let whole = bytes(root, &format!("{name}/last.safetensors"));
    assert!(whole == bytes(root, &format!("{other}/last.safetensors")), "{sets:?}: resumed differs");
    (whole, events)
}

fn norms(events: &[Event]) -> Vec<f32> {
    let norm = |e: &Event| if let Event::Step { grad_norm, .. } = e { *grad_norm } else { None };
    events.iter().filter_map(norm).collect()
}

#[test]
fn gradients_are_clipped_and_their_norm_is_told() {
    let gpu = gpu();
    let temp = TempDir::new("clip");
    let root = temp.path();
    street(root);
    let plain = train(&gpu, root, "plain", &[], None, false);
    assert!(norms(&plain).is_empty(), "nothing is computed that is not asked for");
    let plain = bytes(root, "plain/last.safetensors");
    // A bound that no gradient reaches multiplies by 1.
    let (wide, events) = resumed(&gpu, root, "wide", &["train.clip_norm=1e6"]);
    assert!(wide == plain, "an idle bound changes something");
    let wide = norms(&events);
    assert!(wide.len() == 6 && wide.iter().all(|norm| (0.01..1e3).contains(norm)), "{wide:?}");
    let (tight, events) = resumed(&gpu, root, "tight", &["train.clip_norm=0.01"]);
    assert!(tight != plain, "a tight bound changes nothing");
    assert_eq!(norms(&events)[0], wide[0], "the norm is that before it is bounded");
    resumed(&gpu, root, "adamw", &["train.clip_norm=0.01", "train.optimiser=\"adamw\"", "train.lr=0.002"]);
    // One step without momentum, decay and schedule moves the weights by lr * clip_norm in all.
    let sets = ["train.steps=1", "train.clip_norm=0.01", "train.momentum=0", "train.weight_decay=0"];
    let at = |name: &str, lr: &str| {
        train(&gpu, root, name, &[&sets[..], &[lr]].concat(), None, false);
        model(root, &format!("{name}/last.safetensors"))
    };
    let (start, moved) = (at("start", "train.lr=0"), at("moved", "train.lr=10"));
    let is_weight = |name: &&str| !name.contains("running_") && *name != "prototypes";
    let square = |name: &str| {
        let (a, b) = (start.f32(name).expect("a tensor"), moved.f32(name).expect("a tensor"));
        a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    let distance = start.names().filter(is_weight).map(square).sum::<f64>().sqrt();
    assert!((distance - 0.1).abs() < 1e-4, "{distance}");
}
