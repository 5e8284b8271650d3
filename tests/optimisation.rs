//! What a step may do beside the plain one (`train.clip_norm` and what follows it): each counts, is resumed to the byte, and
//! does what it says.

mod support;

use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::train::Event;
use support::{TempDir, bytes, checkpoint, gpu, street, train};

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

#[test]
fn averages_are_what_is_evaluated_and_saved() {
    let gpu = gpu();
    let temp = TempDir::new("ema");
    let root = temp.path();
    street(root);
    let (ema, every) = ("train.ema=0.8", "train.eval_every=1");
    train(&gpu, root, "plain", &[every], None, false);
    // The evaluation after every step tells how the averages of a run of one seed go from step to step.
    let events = train(&gpu, root, "often", &[ema, every], None, false);
    let (model_bytes, _) = resumed(&gpu, root, "averaged", &[ema]);
    assert!(model_bytes == bytes(root, "often/last.safetensors"), "evaluating changes the averages");
    let miou = |events: &[Event]| -> Vec<f64> {
        let of = |e: &Event| if let Event::Evaluation { scores, .. } = e { Some(scores.miou) } else { None };
        events.iter().filter_map(of).collect()
    };
    let plain = train(&gpu, root, "plain-again", &[every], None, false);
    assert_ne!(miou(&events), miou(&plain), "the averages are evaluated");
    let weights = |steps: usize| {
        let (name, steps) = (format!("after-{steps}"), format!("train.steps={steps}"));
        // A constant rate, so that a shorter run is the beginning of a longer one.
        train(&gpu, root, &name, &["train.power=0", &steps], None, false);
        model(root, &format!("{name}/last.safetensors"))
    };
    train(&gpu, root, "constant", &["train.power=0", "train.steps=3", ema], None, false);
    let found = model(root, "constant/last.safetensors");
    train(&gpu, root, "start", &["train.lr=0", "train.steps=1"], None, false);
    let (start, later) = (model(root, "start/last.safetensors"), [1, 2, 3].map(weights));
    for name in ["head.mix.1.0.weight", "backbone.1.down.1.weight", "head.lateral.0.1.running_var"] {
        // The learning rate of 0 leaves weights alone but not running statistics, which begin at 1.
        let first = start.f32(name).expect("a tensor");
        let mut average: Vec<f64> =
            first.iter().map(|&x| if name.contains("running") { 1.0 } else { f64::from(x) }).collect();
        for (step, weights) in later.iter().enumerate() {
            let keep = 0.8_f64.min((1.0 + step as f64) / (10.0 + step as f64));
            let weights = weights.f32(name).expect("a tensor");
            average.iter_mut().zip(weights).for_each(|(a, w)| *a = keep * *a + (1.0 - keep) * f64::from(w));
        }
        let far = |(a, b): (&f64, f32)| (a - f64::from(b)).abs() > 1e-5;
        let bad = average.iter().zip(found.f32(name).expect("a tensor")).filter(|&pair| far(pair)).count();
        assert_eq!(bad, 0, "{name}");
        assert!(later[2].f32(name).expect("a tensor") != found.f32(name).expect("a tensor"), "{name}");
    }
    assert_eq!(later[2].f32("prototypes").expect("a tensor"), found.f32("prototypes").expect("a tensor"));
    // Both are in the checkpoint; the model has the names that every model has.
    let checkpoint = model(root, &checkpoint(root, "constant"));
    let name = "head.mix.1.0.weight";
    assert!(checkpoint.contains(name) && checkpoint.contains(&format!("average/{name}")));
    assert!(!checkpoint.contains("average/prototypes"));
    assert!(found.names().eq(later[2].names()));
}

#[test]
fn averages_may_begin_when_a_run_is_resumed() {
    let gpu = gpu();
    let temp = TempDir::new("ema-later");
    let root = temp.path();
    street(root);
    train(&gpu, root, "run", &[], Some(4), false);
    let events = train(&gpu, root, "run", &["train.ema=0.9"], None, true);
    let warned = events.iter().any(|e| matches!(e, Event::Warning { text } if text.contains("train.ema")));
    assert!(warned && model(root, &checkpoint(root, "run")).contains("average/head.mix.1.0.weight"));
    // And be left out again.
    train(&gpu, root, "run", &["train.steps=7"], None, true);
    assert!(!model(root, &checkpoint(root, "run")).contains("average/head.mix.1.0.weight"));
}

/// Names of the tensors that differ, of those that both models have.
fn moved(a: &protoseg::model_file::ModelFile, b: &protoseg::model_file::ModelFile) -> Vec<String> {
    let differs = |name: &&str| a.f32(name).expect("a tensor") != b.f32(name).expect("a tensor");
    a.names().filter(differs).map(str::to_owned).collect()
}

#[test]
fn what_is_frozen_stays_and_the_rest_trains() {
    let gpu = gpu();
    let temp = TempDir::new("freeze");
    let root = temp.path();
    street(root);
    // A backbone whose running statistics mean something.
    train(&gpu, root, "source", &["train.seed=5"], None, false);
    let given = format!("train.weights={:?}", root.join("source/last.safetensors"));
    let source = model(root, "source/last.safetensors");
    let is_statistic = |name: &str| name.contains("running_");
    let is_norm = |name: &str| {
        name.contains(".down.1.") || name.contains(".depthwise.1.") || name.contains(".point.1.")
    };
    let own = |name: &str| name.starts_with("backbone.");
    for (name, sets, stays) in [
        ("none", &[][..], &(|_: &str| false) as &dyn Fn(&str) -> bool),
        ("statistics", &["train.freeze_norms=\"statistics\""], &is_statistic),
        ("all", &["train.freeze_norms=\"all\""], &is_norm),
        ("backbone", &["train.freeze_backbone=true"], &|_| true),
        ("backbone-ema", &["train.freeze_backbone=true", "train.ema=0.5", "train.clip_norm=1"], &|_| true),
    ] {
        let (_, events) = resumed(&gpu, root, name, &[sets, &[&given]].concat());
        assert!(!events.iter().any(|e| matches!(e, Event::Warning { text } if text.contains("frozen"))));
        let moved = moved(&source, &model(root, &format!("{name}/last.safetensors")));
        for tensor in source.names() {
            let frozen = own(tensor) && stays(tensor);
            assert_eq!(moved.iter().any(|m| m == tensor), !frozen, "{name}: {tensor}");
        }
    }
    let events = train(&gpu, root, "random", &["train.freeze_backbone=true", "train.steps=1"], None, false);
    assert!(events.iter().any(|e| matches!(e, Event::Warning { text } if text.contains("random start"))));
}

fn losses(events: &[Event]) -> Vec<[f32; 4]> {
    let of = |e: &Event| match *e {
        Event::Step { loss, ce, ppc, ppd, .. } => Some([loss, ce, ppc, ppd]),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn micro_batches_are_those_of_as_many_steps() {
    let gpu = gpu();
    let temp = TempDir::new("accumulate");
    let root = temp.path();
    street(root);
    // Where no weight moves, three steps of two micro-batches meet what six steps do: the same images, dropout and noise, and
    // running statistics and prototypes that move with every micro-batch.
    let still = ["train.lr=0", "train.eval_every=0", "head.update_assign=\"gumbel\"", "head.momentum=0.5"];
    let plain = train(&gpu, root, "plain", &still, None, false);
    let sets = [&still[..], &["train.accumulate=2", "train.steps=3"]].concat();
    let pairs = train(&gpu, root, "pairs", &sets, None, false);
    let (plain, pairs) = (losses(&plain), losses(&pairs));
    assert_eq!((plain.len(), pairs.len()), (6, 3));
    for (step, found) in pairs.iter().enumerate() {
        for (i, &mean) in found.iter().enumerate() {
            let wanted = 0.5 * (plain[2 * step][i] + plain[2 * step + 1][i]);
            assert!(
                (mean - wanted).abs() < 1e-5 * wanted.abs().max(1.0),
                "{step}: {mean}, {wanted} expected"
            );
        }
    }
    assert!(plain.windows(2).all(|two| two[0] != two[1]), "every batch is another");
    let (a, b) = (model(root, "plain/last.safetensors"), model(root, "pairs/last.safetensors"));
    assert!(a.names().eq(b.names()) && moved(&a, &b).is_empty(), "{:?}", moved(&a, &b));
}

#[test]
fn steps_of_micro_batches_are_resumed() {
    let gpu = gpu();
    let temp = TempDir::new("accumulate-resume");
    let root = temp.path();
    street(root);
    let all = ["train.accumulate=3", "train.clip_norm=0.5", "train.ema=0.5", "train.optimiser=\"adamw\""];
    let warm = ["train.accumulate=2", "head.warmup_steps=3"];
    for (name, sets) in [("plain", &["train.accumulate=3"][..]), ("all", &all), ("warm", &warm)] {
        let (_, events) = resumed(&gpu, root, name, sets);
        assert_eq!(losses(&events).len(), 6, "steps are counted, not micro-batches");
        let checkpoint = model(root, &checkpoint(root, name));
        assert!(!checkpoint.names().any(|tensor| tensor.starts_with("sum/")));
    }
    assert_eq!(norms(&train(&gpu, root, "norms", &all, None, false)).len(), 6);
}

/// What each option does alone is tested above; here they meet, with each head and what moves prototypes.
#[test]
fn all_options_together_are_resumed_with_every_head() {
    let gpu = gpu();
    let temp = TempDir::new("together");
    let root = temp.path();
    street(root);
    let shared = [
        "train.accumulate=2",
        "train.clip_norm=0.5",
        "train.ema=0.5",
        "train.ohem_threshold=0.7",
        "train.ohem_min_kept=20",
        "train.optimiser=\"adamw\"",
        "train.recompute=true",
        "augment.rotate=30",
        "augment.max_class_share=0.5",
    ];
    let prototype = [
        "head.warmup_steps=1",
        "head.revive_every=2",
        "head.merge_cosine=0.9",
        "head.sinkhorn_balance=0.1",
        "train.freeze_norms=\"all\"",
    ];
    let linear = ["model.neck=\"linear\"", "train.freeze_backbone=true"];
    let mut models = Vec::new();
    for (name, own) in [
        ("prototype", &prototype[..]),
        ("linear", &linear),
        ("softmax", &["head.kind=\"softmax\"", "train.freeze_norms=\"statistics\""]),
        ("query", &["head.kind=\"query\"", "head.query_heads=2", "train.freeze_norms=\"all\""]),
    ] {
        let (model, events) = resumed(&gpu, root, name, &[&shared, own].concat());
        assert!(losses(&events).iter().flatten().all(|loss| loss.is_finite()), "{name}: {events:?}");
        assert!(!models.contains(&model));
        models.push(model);
    }
}

/// Between two micro-batches the store is that of no step: nothing may be saved there.
#[test]
fn data_that_fail_inside_a_step_leave_a_run_that_goes_on() {
    let gpu = gpu();
    let temp = TempDir::new("accumulate-data");
    let root = temp.path();
    street(root);
    // Every image once before any is seen again: each is missed in another micro-batch. A k-means would miss it at the start.
    let sets = [
        "train.accumulate=2",
        "train.batch=1",
        "train.steps=4",
        "train.eval_every=0",
        "train.checkpoint_every=0",
        "head.prototype_init=\"random\"",
    ];
    train(&gpu, root, "whole", &sets, None, false);
    let whole = bytes(root, "whole/last.safetensors");
    let (mut saved, mut unsaved) = (0, 0);
    let images = std::fs::read_dir(root.join("street/images/train")).expect("a folder");
    let images: Vec<_> = images.map(|entry| entry.expect("an entry").path()).collect();
    for (number, image) in images.iter().enumerate() {
        let out = format!("failed-{number}");
        let config = protoseg::train::Config::load(&root.join("config.toml"), &sets.map(str::to_owned));
        let (config, away) = (config.expect("valid configuration"), root.join("away"));
        let outcome = pollster::block_on(async {
            let session = protoseg::train::Session::new(&gpu, config, &root.join(&out), false).await;
            std::fs::rename(image, &away).expect("an image");
            session.expect("session").run(&mut |_| protoseg::train::Command::Continue).await
        });
        std::fs::rename(&away, image).expect("an image");
        if outcome.is_ok() {
            continue;
        }
        let resume = root.join(&out).join("checkpoints").exists();
        if resume {
            saved += 1
        } else {
            unsaved += 1
        }
        train(&gpu, root, &out, &sets, None, resume);
        assert!(whole == bytes(root, &format!("{out}/last.safetensors")), "{out}, saved: {resume}");
    }
    // Of the first step, whose two micro-batches come before any checkpoint, and of the second halves of later ones.
    assert!(saved > 0 && unsaved > 2, "{saved} saved, {unsaved} not");
}

/// The error of a configuration or of the session that it would begin.
fn refused(gpu: &Arc<Gpu>, root: &Path, sets: &[&str]) -> String {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let config = match protoseg::train::Config::load(&root.join("config.toml"), &sets) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    let out = root.join("refused");
    let session = protoseg::train::Session::new(gpu, config, &out, false);
    pollster::block_on(session).err().expect("must be refused").to_string()
}

#[test]
fn hard_pixels_alone_may_count() {
    let gpu = gpu();
    let temp = TempDir::new("ohem");
    let root = temp.path();
    street(root);
    let plain = train(&gpu, root, "plain", &[], None, false);
    // Every pixel is below 1, or among all there are: the loss of the plain run.
    let (all, _) = resumed(&gpu, root, "all", &["train.ohem_threshold=1e-6", "train.ohem_min_kept=1000000"]);
    assert!(all == bytes(root, "plain/last.safetensors"), "all pixels are hard");
    let (hard, events) =
        resumed(&gpu, root, "hard", &["train.ohem_threshold=1e-6", "train.ohem_min_kept=300"]);
    assert!(hard != all);
    // Of 3072 pixels of the first batch, before any weight differs.
    let (first, mean) = (losses(&events)[0][1], losses(&plain)[0][1]);
    assert!(first > 1.1 * mean, "the 300 hardest have a loss of {first}, all of {mean}");
    let message = refused(&gpu, root, &["train.ohem_min_kept=300"]);
    assert!(message.contains("train.ohem_threshold is above 0"), "{message}");
    let message = refused(&gpu, root, &["train.ohem_threshold=1.5"]);
    assert!(message.contains("train.ohem_threshold is 1.5"), "{message}");
}

#[test]
fn an_auxiliary_head_trains_the_backbone_and_leaves_with_the_training() {
    let gpu = gpu();
    let temp = TempDir::new("aux");
    let root = temp.path();
    street(root);
    let deep = ["model.output_stride=16", "model.taps=[4, 8, 16]"];
    let aux = [&deep[..], &["train.aux_weight=0.4"]].concat();
    train(&gpu, root, "plain", &deep, None, false);
    let (_, events) = resumed(&gpu, root, "aux", &aux);
    let options = protoseg::head::HeadOptions::profile(protoseg::proto::Profile::Rec);
    for event in &events {
        let Event::Step { loss, ce, ppc, ppd, aux, .. } = *event else { continue };
        let aux = aux.expect("told with every step");
        let total = ce + options.ppc_weight * ppc + options.ppd_weight * ppd + 0.4 * aux;
        assert!((total - loss).abs() < 1e-4 * loss && aux > 0.1, "{event:?}");
    }
    let (plain, found) = (model(root, "plain/last.safetensors"), model(root, "aux/last.safetensors"));
    assert!(plain.names().eq(found.names()), "a model has no auxiliary head");
    assert!(moved(&plain, &found).iter().any(|name| name == "backbone.0.down.0.weight"));
    let checkpoint = model(root, &checkpoint(root, "aux"));
    assert!(checkpoint.contains("aux.2.weight") && checkpoint.contains("velocity/aux.0.0.weight"));
    resumed(&gpu, root, "parts", &[&aux[..], &["train.accumulate=2", "train.ema=0.5"]].concat());
    assert!(model(root, "parts/last.safetensors").names().eq(plain.names()));
    // Dilated to a stride of 8 the network has no map of stride 16: the head looks at the one that it would be.
    let (_, events) = resumed(&gpu, root, "dilated", &["train.aux_weight=0.4"]);
    let aux = |event: &Event| if let Event::Step { aux, .. } = event { *aux } else { None };
    assert!(events.iter().filter_map(aux).all(|aux| aux > 0.1) && events.iter().any(|e| aux(e).is_some()));
    let checkpoint = model(root, &self::checkpoint(root, "dilated"));
    assert!(checkpoint.contains("aux.0.0.weight"));
    let message = refused(&gpu, root, &["train.aux_weight=0.4", "train.freeze_backbone=true"]);
    assert!(message.contains("train.aux_weight is 0.4"), "{message}");
}
