//! Whole runs on a drawn street: same seed, same bytes; a stopped and resumed run equals an uninterrupted one; the loss
//! falls; the warm-up trains prototypes only if it is told to.

mod support;

use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::train::{Command, Config, Event, Session};
use support::{CONFIG, TempDir, bytes, checkpoint, gpu, street, train};

#[test]
fn same_seed_same_bytes_and_resumed_equals_uninterrupted() {
    let gpu = gpu();
    let temp = TempDir::new("train-bytes");
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

#[test]
fn every_choice_of_how_to_train_counts_and_is_resumed() {
    let gpu = gpu();
    let temp = TempDir::new("train-optimiser");
    let root = temp.path();
    street(root);
    let choices = [
        &["train.optimiser=\"sgd\""][..],
        &["train.optimiser=\"adamw\"", "train.lr=0.002"],
        &["train.optimiser=\"adamw\"", "train.lr=0.002", "train.betas=[0.5, 0.9]"],
        &["train.decay_norms=false", "train.weight_decay=0.1"],
        &["train.weight_decay=0.1"],
        &["train.schedule=\"cosine\""],
        &["train.min_lr=0.01"],
        &["data.balance=0.5"],
    ];
    let mut models: Vec<Vec<u8>> = Vec::new();
    for (i, sets) in choices.iter().enumerate() {
        train(&gpu, root, &format!("whole-{i}"), sets, None, false);
        train(&gpu, root, &format!("resumed-{i}"), sets, Some(4), false);
        train(&gpu, root, &format!("resumed-{i}"), sets, None, true);
        // Weights alone: the models' descriptions hold no setting of the optimiser.
        let model = bytes(root, &format!("whole-{i}/last.safetensors"));
        assert!(model == bytes(root, &format!("resumed-{i}/last.safetensors")), "{sets:?}: resumed differs");
        assert!(!models.contains(&model), "{sets:?} changes nothing");
        models.push(model);
    }
}

/// The step at which prototypes were set and the names of the classes that have all of theirs set.
fn starts(events: &[Event]) -> Vec<(u64, Vec<&str>)> {
    let whole = |event| match event {
        &Event::PrototypesSet { step, of, ref classes, .. } => {
            let set = classes.iter().filter(|c| c.set == of && c.pixels as usize >= of);
            Some((step, set.map(|c| &c.name[..]).collect()))
        }
        _ => None,
    };
    events.iter().filter_map(whole).collect()
}

#[test]
fn prototypes_are_set_once_wherever_the_run_is_stopped() {
    let gpu = gpu();
    let temp = TempDir::new("train-start");
    let root = temp.path();
    street(root);
    let warm = ["head.warmup_steps=3", "train.eval_every=0"];
    let events = train(&gpu, root, "whole", &warm, None, false);
    let starts_of = |events: &[Event]| starts(events).into_iter().map(|s| s.0).collect::<Vec<_>>();
    let [(4, classes)] = &starts(&events)[..] else { panic!("{:?}", starts(&events)) };
    assert!(["Sky", "Building", "Road", "Car"].iter().all(|c| classes.contains(c)), "{classes:?}");
    // In the warm-up, between its last step and the prototypes' start, and after that.
    for (stop, before, after) in [(2, &[][..], &[4][..]), (3, &[], &[4]), (4, &[4], &[])] {
        let out = format!("stopped-{stop}");
        assert_eq!(starts_of(&train(&gpu, root, &out, &warm, Some(stop), false)), before, "{out}");
        assert_eq!(starts_of(&train(&gpu, root, &out, &warm, None, true)), after, "{out}");
        let same = bytes(root, "whole/last.safetensors") == bytes(root, &format!("{out}/last.safetensors"));
        assert!(same, "{out}: another model");
    }
    for sets in
        [&["head.prototype_init=\"random\""][..], &["head.profile=\"off\""], &["head.use_prototype=false"]]
    {
        let events = train(&gpu, root, &sets.join("").replace(['.', '"', '='], ""), sets, None, false);
        assert!(starts_of(&events).is_empty(), "{sets:?}");
    }
}

#[test]
fn unused_prototypes_are_revived_wherever_the_run_is_stopped() {
    let gpu = gpu();
    let temp = TempDir::new("train-revive");
    let root = temp.path();
    street(root);
    let count = |event: &Event| match event {
        Event::PrototypesRevived { step, classes, .. } => {
            Some((*step, classes.iter().map(|c| c.set).sum::<usize>()))
        }
        _ => None,
    };
    let revived = |events: &[Event]| events.iter().filter_map(count).collect::<Vec<_>>();
    // Of 16 random directions in 8 dimensions some are nearest to no pixel.
    let sets = [
        "model.prototypes=16",
        "head.prototype_init=\"random\"",
        "head.warmup_steps=1",
        "head.revive_every=2",
        "train.eval_every=0",
    ];
    let whole = revived(&train(&gpu, root, "whole", &sets, None, false));
    assert!(matches!(whole[..], [(4, 1..), (6, _)]), "{whole:?}");
    for stop in [2, 3, 4] {
        let out = format!("stopped-{stop}");
        let before = revived(&train(&gpu, root, &out, &sets, Some(stop), false));
        let after = revived(&train(&gpu, root, &out, &sets, None, true));
        assert_eq!([before, after].concat(), whole, "{out}");
        let same = bytes(root, "whole/last.safetensors") == bytes(root, &format!("{out}/last.safetensors"));
        assert!(same, "{out}: another model");
    }
}

#[test]
fn twins_and_relaxed_shares_count_and_are_resumed() {
    let gpu = gpu();
    let temp = TempDir::new("train-twins");
    let root = temp.path();
    street(root);
    let twins = |events: &[Event]| -> usize {
        let merged = |event: &Event| match event {
            Event::PrototypesRevived { classes, .. } => classes.iter().map(|c| c.merged).sum(),
            _ => 0,
        };
        events.iter().map(merged).sum()
    };
    let sets = [
        "model.prototypes=16",
        "head.prototype_init=\"random\"",
        "head.momentum=0.5",
        "head.revive_every=2",
        "head.merge_cosine=0.4",
        "head.sinkhorn_balance=0.05",
        "train.eval_every=0",
    ];
    let events = train(&gpu, root, "whole", &sets, None, false);
    assert!(twins(&events) > 0);
    let whole = bytes(root, "whole/last.safetensors");
    for stop in [2, 3] {
        let out = format!("stopped-{stop}");
        let before = twins(&train(&gpu, root, &out, &sets, Some(stop), false));
        let after = twins(&train(&gpu, root, &out, &sets, None, true));
        assert_eq!(before + after, twins(&events), "{out}");
        assert!(whole == bytes(root, &format!("{out}/last.safetensors")), "{out}: another model");
    }
    for (i, other) in [(4, "head.merge_cosine=0"), (5, "head.sinkhorn_balance=\"balanced\"")] {
        let mut changed = sets;
        changed[i] = other;
        let events = train(&gpu, root, &format!("other-{i}"), &changed, None, false);
        assert_eq!(twins(&events) == 0, i == 4, "{other}");
        // Weights alone: the description of the model holds the option.
        let prototypes = |out: &str| {
            let file = protoseg::model_file::read(root.join(out).join("last.safetensors")).expect("model");
            file.f32("prototypes").expect("prototypes")
        };
        assert!(prototypes("whole") != prototypes(&format!("other-{i}")), "{other} changes nothing");
    }
}

#[test]
fn a_collapse_is_told_once_wherever_the_run_is_stopped() {
    let gpu = gpu();
    let temp = TempDir::new("train-collapse");
    let root = temp.path();
    street(root);
    let told = |events: &[Event]| -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Warning { text } if text.contains("nearly all the work") => Some(text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    };
    // Prototypes that hardly move, of which one is nearest to what a class's pixels have in common.
    let sets =
        ["model.prototypes=6", "head.prototype_init=\"random\"", "train.eval_every=1", "train.lr=0.001"];
    let events = train(&gpu, root, "whole", &sets, None, false);
    let whole = told(&events);
    assert!(!whole.is_empty() && whole.len() < 6, "{whole:?}");
    let before = told(&train(&gpu, root, "stopped", &sets, Some(3), false));
    let after = told(&train(&gpu, root, "stopped", &sets, None, true));
    assert_eq!([before, after].concat(), whole);
    let shares = |event: &Event| match event {
        Event::Prototypes { classes, .. } => Some(classes.clone()),
        _ => None,
    };
    for class in events.iter().filter_map(shares).flatten().filter(|class| class.effective.is_some()) {
        assert!(class.usage.len() == 6 && (class.usage.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{class:?}");
    }
}

/// Evaluating reads the model and nothing else (spec, quirk Q24): how often, and on how much, leaves no trace in it.
#[test]
fn evaluations_change_nothing() {
    let gpu = gpu();
    let temp = TempDir::new("train-evaluations");
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
    let temp = TempDir::new("train-loss");
    street(temp.path());
    let long = ["model.dropout=0", "train.steps=100", "train.batch=4", "train.eval_every=0"];
    let events = train(&gpu, temp.path(), "run", &long, None, false);
    let losses: Vec<f32> =
        events.iter().filter_map(|e| if let Event::Step { ce, .. } = e { Some(*ce) } else { None }).collect();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    assert!(mean(&losses[90..]) < 0.85 * mean(&losses[..10]), "{losses:?}");
    assert!(
        matches!(events.first(), Some(Event::Start { .. }))
            && matches!(events.last(), Some(Event::Done { .. }))
    );
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Evaluation { .. })).count(), 1);
    let told = events
        .iter()
        .find_map(|e| if let Event::Prototypes { classes, .. } = e { Some(classes) } else { None });
    let effective: Vec<f64> =
        told.expect("told after the evaluation").iter().filter_map(|c| c.effective).collect();
    assert!(
        !effective.is_empty() && effective.iter().all(|e| (1.0..3.0 + 1e-9).contains(e)),
        "{effective:?}"
    );
}

#[test]
fn warm_up_moves_prototypes_only_if_told() {
    let gpu = gpu();
    let temp = TempDir::new("train-warm-up");
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
    let random = "head.prototype_init=\"random\"";
    let frozen = prototypes("frozen", &["train.steps=2", "head.update_prototype=false", random]);
    let set = prototypes("set", &["train.steps=2", "head.update_prototype=false"]);
    let moved = prototypes("moved", &["train.steps=2", "head.momentum=0.5", "head.update_pixels=\"all\""]);
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6);
    assert!(same(&fixed, &frozen), "neither moves them");
    assert!(!same(&fixed, &learned), "gradients move them");
    assert!(!same(&fixed, &moved), "the update moves them");
    assert!(!same(&fixed, &set), "they start from pixels unless told otherwise");
}

#[test]
fn a_lost_device_changes_nothing() {
    let temp = TempDir::new("train-lost");
    let root = temp.path();
    street(root);
    train(&gpu(), root, "whole", &[], None, false);
    let file = root.join("config.toml");
    let config = Config::load(&file, &[]).expect("valid configuration");
    // Lost once before the first checkpoint, which is that of step 3, and once after it.
    for losses in [vec![2], vec![5], vec![1, 4]] {
        let out = root.join(format!("lost-{losses:?}"));
        let current = std::cell::RefCell::new(None);
        let (mut to_come, mut warnings) = (losses.clone(), Vec::new());
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
                // Prototypes that collapse in so short a run are warned of too.
                Event::Warning { text } if !text.contains("prototypes does nearly all the work") => {
                    warnings.push(text.clone())
                }
                _ => {}
            }
            Command::Continue
        };
        pollster::block_on(protoseg::train::run(open, &config, &out, false, &mut listen)).expect("recovers");
        assert_eq!(warnings.len(), losses.len(), "each loss is told: {warnings:?}");
        let name = format!("lost-{losses:?}/last.safetensors");
        assert!(bytes(root, "whole/last.safetensors") == bytes(root, &name), "lost at {losses:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_names_step_and_node() {
    let gpu = gpu();
    let temp = TempDir::new("train-nan");
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
}

/// The error of a session in `root/out`.
fn fails(gpu: &Arc<Gpu>, root: &Path, out: &str, sets: &[&str], resume: bool) -> String {
    let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    let config = Config::load(&root.join("config.toml"), &sets).expect("valid configuration");
    let result = pollster::block_on(async {
        Session::new(gpu, config, &root.join(out), resume).await?.run(&mut |_| Command::Continue).await
    });
    result.expect_err("must be refused").to_string()
}

#[test]
fn weights_that_are_not_finite_are_never_saved() {
    let gpu = gpu();
    let temp = TempDir::new("train-unsaved");
    let root = temp.path();
    street(root);
    std::fs::write(root.join("config.toml"), CONFIG).expect("temporary folder");
    // The loss of the only step is finite; what it makes of the weights is not.
    let sets = ["train.lr=1e38", "train.weight_decay=1e38", "train.steps=1", "train.log_every=100"];
    let message = fails(&gpu, root, "out", &sets, false);
    assert!(message.contains("step 0") && message.contains("optimise/sgd"), "{message}");
    assert!(!root.join("out/last.safetensors").exists() && !root.join("out/checkpoints").exists());
}

#[test]
fn a_run_is_resumed_with_what_it_began_with() {
    let gpu = gpu();
    let temp = TempDir::new("train-resume");
    let root = temp.path();
    street(root);
    train(&gpu, root, "run", &[], Some(4), false);
    let message = fails(&gpu, root, "run", &["model.width=20"], true);
    assert!(message.contains("model.width was 16 and is 20"), "{message}");
    let message = fails(&gpu, root, "run", &["train.steps=3"], true);
    assert!(message.contains("step 4") && message.contains("train.steps = 3"), "{message}");
    let message = fails(&gpu, root, "nowhere", &[], true);
    assert!(message.contains("no checkpoint") && !root.join("nowhere").exists(), "{message}");
    // As an earlier version wrote it, before it had these keys; spaces keep the lengths.
    let checkpoint = root.join(checkpoint(root, "run"));
    let mut written = std::fs::read(&checkpoint).expect("checkpoint");
    for key in [r#"\\\"sinkhorn_balance\\\":\\\"balanced\\\","#, r#"\\\"merge_cosine\\\":0.0,"#] {
        let at = written.windows(key.len()).position(|part| part == key.as_bytes());
        let at = at.expect("every key of the configuration is in it");
        written[at..at + key.len()].fill(b' ');
    }
    std::fs::write(&checkpoint, written).expect("checkpoint");
    let events = train(&gpu, root, "run", &["train.lr=0.01", "train.threads=1"], None, true);
    let warnings: Vec<&str> = events
        .iter()
        .filter_map(|e| if let Event::Warning { text } = e { Some(&text[..]) } else { None })
        .filter(|text| !text.contains("prototypes does nearly all the work"))
        .collect();
    assert!(warnings.len() == 1 && warnings[0].contains("train.lr was 0.05"), "{warnings:?}");
    let classes = root.join("street/classes.json");
    let text = std::fs::read_to_string(&classes).expect("classes");
    std::fs::write(&classes, text.replace("Sky", "Heaven")).expect("classes");
    let message = fails(&gpu, root, "run", &[], true);
    assert!(message.contains("Sky") && message.contains("Heaven"), "{message}");
}

#[test]
fn any_answer_to_stop_is_heard_and_leaves_a_checkpoint() {
    let gpu = gpu();
    let temp = TempDir::new("train-stop");
    let root = temp.path();
    street(root);
    train(&gpu, root, "whole", &[], None, false);
    let config = Config::load(&root.join("config.toml"), &[]).expect("valid configuration");
    // Step 3 is one after which the run evaluates too.
    for (out, at) in [("tick", 2), ("step", 3), ("plan", 1)] {
        let out_folder = root.join(out);
        let mut done = 0;
        let mut listen = |event: &Event| match event {
            Event::Tick { step } if out == "tick" && *step == at => Command::Stop,
            Event::Step { step, .. } if out == "step" && *step == at => Command::Stop,
            Event::Plan { .. } if out == "plan" => Command::Stop,
            Event::Done { step, .. } => {
                done = *step;
                Command::Continue
            }
            _ => Command::Continue,
        };
        pollster::block_on(async {
            let mut session = Session::new(&gpu, config.clone(), &out_folder, false).await.expect("session");
            session.run(&mut listen).await.expect("run");
        });
        assert_eq!(done, at, "{out}");
        train(&gpu, root, out, &[], None, true);
        let file = format!("{out}/last.safetensors");
        assert!(bytes(root, "whole/last.safetensors") == bytes(root, &file), "{out}");
    }
}

#[test]
fn a_batch_without_a_label_may_have_a_loss_of_nan() {
    let gpu = gpu();
    let temp = TempDir::new("train-empty");
    let root = temp.path();
    street(root);
    let mask = root.join("street/masks/train/street00000.png");
    image::GrayImage::from_pixel(64, 48, image::Luma([255])).save(&mask).expect("mask");
    let sets = ["head.profile=\"off\"", "train.batch=1", "train.steps=8"];
    let events = train(&gpu, root, "run", &sets, None, false);
    let is_nan = |e: &&Event| matches!(e, Event::Step { loss, .. } if loss.is_nan());
    assert_eq!(events.iter().filter(is_nan).count(), 1);
    assert!(matches!(events.last(), Some(Event::Done { step: 8, .. })));
}
