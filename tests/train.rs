//! Whole runs on a drawn street: same seed, same bytes; a stopped and resumed run equals an uninterrupted one; the loss
//! falls; the warm-up trains prototypes only if it is told to.

#[path = "support/temp.rs"]
mod temp;

use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::train::{Command, Config, Event, Session};

const CONFIG: &str = r#"
[data]
root = "street"
[model]
arch = "scratch"
output_stride = 8
taps = [4, 8]
lateral = 8
width = 16
embedding = 8
prototypes = 3
dropout = 0.2
[augment]
crop_height = 32
crop_width = 48
[train]
steps = 6
batch = 2
lr = 0.05
eval_every = 3
log_every = 1
threads = 2
"#;

fn gpu() -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), None)).expect("a WebGPU adapter")
}

/// Trains in `root/out`, stopping after `stop` steps if that is given; returns every event.
fn train(
    gpu: &Arc<Gpu>,
    root: &Path,
    out: &str,
    sets: &[&str],
    stop: Option<u64>,
    resume: bool,
) -> Vec<Event> {
    let file = root.join("config.toml");
    std::fs::write(&file, CONFIG).expect("temporary folder");
    let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    let config = Config::load(&file, &sets).expect("valid configuration");
    let mut events = Vec::new();
    pollster::block_on(async {
        let mut session = Session::new(gpu, config, &root.join(out), resume).await.expect("session");
        let mut listen = |event: &Event| {
            events.push(event.clone());
            match event {
                Event::Step { step, .. } if Some(*step) == stop => Command::Stop,
                _ => Command::Continue,
            }
        };
        session.run(&mut listen).await.expect("run");
    });
    events
}

fn street(root: &Path) {
    protoseg::synth::write_dataset(&root.join("street"), 8, 3, 64, 48).expect("street");
}

fn bytes(root: &Path, file: &str) -> Vec<u8> {
    std::fs::read(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn same_seed_same_bytes_and_resumed_equals_uninterrupted() {
    let gpu = gpu();
    let temp = temp::TempDir::new("train-bytes");
    let root = temp.path();
    street(root);
    train(&gpu, root, "a", &[], None, false);
    train(&gpu, root, "b", &[], None, false);
    assert!(bytes(root, "a/last.safetensors") == bytes(root, "b/last.safetensors"), "two runs differ");
    train(&gpu, root, "c", &[], Some(4), false);
    train(&gpu, root, "c", &[], None, true);
    assert!(
        bytes(root, "a/last.safetensors") == bytes(root, "c/last.safetensors"),
        "the resumed run differs"
    );
    train(&gpu, root, "d", &["train.seed=1"], None, false);
    assert!(
        bytes(root, "a/last.safetensors") != bytes(root, "d/last.safetensors"),
        "the seed changes nothing"
    );
}

/// Evaluating reads the model and nothing else (spec, quirk Q24): how often, and on how much, leaves no trace in it.
#[test]
fn evaluations_change_nothing() {
    let gpu = gpu();
    let temp = temp::TempDir::new("train-evaluations");
    let root = temp.path();
    street(root);
    train(&gpu, root, "seldom", &["train.eval_every=0"], None, false);
    for (out, sets) in [
        ("often", &["train.eval_every=1"][..]),
        ("first", &["train.eval_every=0", "train.eval_first=true"]),
        ("few images", &["train.eval_every=2", "data.val_images=1"]),
    ] {
        train(&gpu, root, out, sets, None, false);
        let same = bytes(root, "seldom/last.safetensors") == bytes(root, &format!("{out}/last.safetensors"));
        assert!(same, "{out}: another model");
    }
}

#[test]
fn loss_falls_and_every_event_is_told() {
    let gpu = gpu();
    let temp = temp::TempDir::new("train-loss");
    street(temp.path());
    let events = train(&gpu, temp.path(), "run", &["train.steps=40", "train.eval_every=0"], None, false);
    let losses: Vec<f32> =
        events.iter().filter_map(|e| if let Event::Step { ce, .. } = e { Some(*ce) } else { None }).collect();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    assert!(mean(&losses[30..]) < 0.8 * mean(&losses[..10]), "{losses:?}");
    assert!(
        matches!(events.first(), Some(Event::Start { .. }))
            && matches!(events.last(), Some(Event::Done { .. }))
    );
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Evaluation { .. })).count(), 1);
}

#[test]
fn warm_up_moves_prototypes_only_if_told() {
    let gpu = gpu();
    let temp = temp::TempDir::new("train-warm-up");
    let root = temp.path();
    street(root);
    let prototypes = |out: &str, sets: &[&str]| {
        train(&gpu, root, out, sets, None, false);
        let file = protoseg::model_file::read(root.join(out).join("last.safetensors")).expect("model");
        file.f32("prototypes").expect("prototypes")
    };
    let warm = ["train.steps=2", "head.warmup_steps=100"];
    let fixed = prototypes("fixed", &warm);
    let learned = prototypes("learned", &[&warm[..], &["head.learnable_warmup=true"]].concat());
    let frozen = prototypes("frozen", &["train.steps=2", "head.update_prototype=false"]);
    let moved = prototypes("moved", &["train.steps=2", "head.momentum=0.5", "head.update_pixels=\"all\""]);
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6);
    assert!(same(&fixed, &frozen), "neither moves them");
    assert!(!same(&fixed, &learned), "gradients move them");
    assert!(!same(&fixed, &moved), "the update moves them");
}

#[test]
fn a_lost_device_changes_nothing() {
    let temp = temp::TempDir::new("train-lost");
    let root = temp.path();
    street(root);
    train(&gpu(), root, "whole", &[], None, false);
    let file = root.join("config.toml");
    let config = Config::load(&file, &[]).expect("valid configuration");
    // Lost once before the first checkpoint, which is that of step 3, and once after it.
    for losses in [vec![2], vec![5], vec![1, 4]] {
        let out = root.join(format!("lost-{losses:?}"));
        let current = std::cell::RefCell::new(None);
        let (mut to_come, mut warnings) = (losses.clone(), 0);
        let open = async || {
            let gpu = gpu();
            *current.borrow_mut() = Some(Arc::clone(&gpu));
            Ok(gpu)
        };
        let mut listen = |event: &Event| {
            match event {
                Event::Step { step, .. } if to_come.first() == Some(step) => {
                    to_come.remove(0);
                    current.borrow().as_ref().expect("an open device").lose();
                }
                Event::Warning { .. } => warnings += 1,
                _ => {}
            }
            Command::Continue
        };
        pollster::block_on(protoseg::train::run(open, &config, &out, false, &mut listen)).expect("recovers");
        assert_eq!(warnings, losses.len(), "each loss is told");
        let name = format!("lost-{losses:?}/last.safetensors");
        assert!(bytes(root, "whole/last.safetensors") == bytes(root, &name), "lost at {losses:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_names_step_and_node() {
    let gpu = gpu();
    let temp = temp::TempDir::new("train-nan");
    let root = temp.path();
    street(root);
    std::fs::write(root.join("config.toml"), CONFIG).expect("temporary folder");
    // Steps of this size make the weights infinite within a few; the loss is looked at after the fifth.
    let sets = ["train.lr=1e30", "train.log_every=5", "train.eval_every=0"].map(str::to_owned);
    let config = Config::load(&root.join("config.toml"), &sets).expect("valid configuration");
    let error = pollster::block_on(async {
        let mut session = Session::new(&gpu, config, &root.join("out"), false).await.expect("session");
        session.run(&mut |_| Command::Continue).await.expect_err("such a step cannot go well")
    });
    let protoseg::Error::Numeric { step, ref problem, .. } = error else { panic!("{error}") };
    assert!(step < 4, "{error}");
    assert!(problem.contains("backbone/") && problem.contains("numbers"), "{error}");
    println!("{error}");
}
