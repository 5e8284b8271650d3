//! Large files: sampled tensors, and decisions that are nearly tied. Their reference is the oracle's run of the same tape.

use std::collections::BTreeMap;

use super::*;
use crate::model::PROTOTYPES;
use crate::model_file::{Tensor, Tensors, encode};
use crate::rng::Rng;
use crate::tape::Memory;
use record::{Source, WEIGHTS};

/// C, K, D, Cin, then B, H, W; labels at twice that size.
type Sizes = [usize; 7];

const MEDIUM: Sizes = [40, 5, 16, 12, 2, 64, 80];

fn tensor(shape: &[usize], data: Vec<f32>) -> Tensor {
    Tensor { shape: shape.to_vec(), data }
}

fn metadata([c, k, d, cin, b, h, w]: Sizes) -> BTreeMap<String, String> {
    let config = serde_json::json!({
        "C": c, "K": k, "D": d, "Cin": cin, "B": b, "H": h, "W": w, "HL": 2 * h, "WL": 2 * w, "mu": 0.999,
        "kappa": 0.05, "sinkhorn_iters": 3, "tau_off": 1.0, "tau_rec": 0.1, "lambda1": 0.01, "lambda2": 0.001,
    });
    BTreeMap::from([("config".to_owned(), config.to_string())])
}

fn inputs([c, k, d, cin, b, h, w]: Sizes) -> Tensors {
    let mut rng = Rng::new(7, 0);
    let mut normal = |shape: &[usize], mean: f32, deviation: f32| {
        let count = shape.iter().product();
        tensor(shape, (0..count).map(|_| mean + deviation * rng.normal()).collect())
    };
    let root = |n: usize| 1.0 / (n as f32).sqrt();
    let mut all = Tensors::from([
        ("in.features".into(), normal(&[b, cin, h, w], 0.0, 1.0)),
        ("in.w1".into(), normal(&[cin, cin], 0.0, root(cin))),
        ("in.b1".into(), normal(&[cin], 0.0, 0.1)),
        ("in.w2".into(), normal(&[d, cin], 0.0, root(cin))),
        ("in.b2".into(), normal(&[d], 0.0, 0.1)),
        ("in.fn_w".into(), normal(&[d], 1.0, 0.1)),
        ("in.fn_b".into(), normal(&[d], 0.0, 0.1)),
        ("in.mn_w".into(), normal(&[c], 1.0, 0.1)),
        ("in.mn_b".into(), normal(&[c], 0.0, 0.1)),
        ("in.protos".into(), normal(&[c, k, d], 0.0, 0.02)),
    ]);
    let noise = (0..b * h * w * k).map(|_| -(-rng.range(1e-6, 1.0).ln()).ln()).collect();
    all.insert("in.gumbel".into(), tensor(&[b * h * w, k], noise));
    // Blocks of 16 pixels, some of them ignored.
    let (hl, wl) = (2 * h, 2 * w);
    let label = |i: usize| {
        let block = (i / (hl * wl) * hl.div_ceil(16) + i / wl % hl / 16) * wl.div_ceil(16) + i % wl / 16;
        (block * 7 % (c + 3)) as f32
    };
    let labels = (0..b * hl * wl).map(|i| if label(i) < c as f32 { label(i) } else { -1.0 }).collect();
    all.insert("in.labels".into(), tensor(&[b, hl, wl], labels));
    all
}

fn golden(all: &Tensors, metadata: &BTreeMap<String, String>) -> Golden {
    let bytes = encode(all, metadata).expect("tensors are whole");
    Golden::new(ModelFile::from_bytes("large", bytes).expect("a file")).expect("a golden file")
}

const PROFILES: [Profile; 3] = [Profile::Off, Profile::Rec, Profile::Pap];

/// A large golden file of the oracle: big tensors at every 37th pixel only, decisions in full.
fn large_file(sizes: Sizes, profiles: &[Profile]) -> (Tensors, BTreeMap<String, String>) {
    let (mut all, metadata) = (inputs(sizes), metadata(sizes));
    let golden = golden(&all, &metadata);
    let pixels = golden.config.pixels();
    let sample: Vec<usize> = (0..pixels).step_by(37).collect();
    for &profile in profiles {
        let prefix = match profile {
            Profile::Off => "off",
            Profile::Rec => "rec",
            Profile::Pap => "pap",
        };
        let options = golden.config.options(profile).expect("valid");
        let recorded = record(&golden.config, &options, Phase::Main, &[]).expect("records");
        let memory = interpret(&golden, &recorded);
        for (name, source) in &recorded.quantities {
            let get = |id| memory.get(&recorded.tape, id).expect("computed").data;
            let data = match source {
                Source::Value(id) => get(*id),
                Source::Weight(id, entry) => {
                    let data: Vec<f32> = get(*id).into_iter().map(|x| x as f32).collect();
                    recorded.weights.0[*entry].to_disk(&data).into_iter().map(f64::from).collect()
                }
                Source::Same(a, b) => {
                    get(*a).iter().zip(&get(*b)).map(|(a, b)| f64::from(u8::from(a == b))).collect()
                }
                Source::Tiles(ids) => {
                    let parts: Vec<_> =
                        ids.iter().map(|&id| (get(id), recorded.tape.value(id).channels())).collect();
                    let row = |n: usize| parts.iter().flat_map(move |(data, w)| &data[n * w..(n + 1) * w]);
                    (0..pixels).flat_map(|n| row(n).copied()).collect()
                }
            };
            let decision = Name::parse(&format!("{prefix}.{name}")).expect("a name").is_decision();
            let per_pixel = data.len() / pixels;
            let data: Vec<f32> = data.into_iter().map(|x| x as f32).collect();
            let weight = name.starts_with("g_") && !data.len().is_multiple_of(pixels);
            let (label, tensor) = if decision || weight || name.starts_with("protos") || per_pixel == 0 {
                let label = if decision { format!("{prefix}.{name}") } else { format!("{prefix}64.{name}") };
                (label, tensor(&[data.len()], data))
            } else {
                let rows =
                    sample.iter().flat_map(|&n| data[n * per_pixel..(n + 1) * per_pixel].iter().copied());
                (format!("{prefix}64.sampled.{name}"), tensor(&[sample.len(), per_pixel], rows.collect()))
            };
            match name.as_str() {
                "gt" | "protos_norm" => all.insert(name.clone(), tensor),
                _ => all.insert(label, tensor),
            };
        }
    }
    all.insert("sample".into(), tensor(&[sample.len()], sample.iter().map(|&n| n as f32).collect()));
    (all, metadata)
}

fn interpret(golden: &Golden, recorded: &Recorded) -> Memory {
    let tape = &recorded.tape;
    let wide = |data: &[f32]| data.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let mut memory = Memory::new();
    let step = golden.steps().expect("inputs").swap_remove(0);
    memory.set(tape, recorded.features, wide(&step.features));
    memory.set(tape, recorded.labels, step.labels.iter().map(|&x| f64::from(x)).collect());
    memory.set(tape, recorded.class_weights, wide(&golden.class_weights().expect("inputs")));
    memory.set(tape, recorded.noise, wide(&step.gumbel.expect("inputs")));
    for entry in &recorded.weights.0 {
        let name = WEIGHTS.iter().find(|(_, ours)| *ours == entry.name).map_or("protos", |w| w.0);
        assert!(name != "protos" || entry.name == PROTOTYPES);
        let data = golden.input(name, entry.disk_shape().iter().product()).expect("inputs");
        let id = tape.find(&entry.name).expect("recorded");
        memory.set(tape, id, wide(&entry.to_device(&data)));
    }
    tape.interpret(&mut memory).expect("every input is set");
    memory
}

fn check(gpu: &Arc<Gpu>, all: &Tensors, metadata: &BTreeMap<String, String>) -> Vec<TensorReport> {
    let file = ModelFile::from_bytes("large", encode(all, metadata).expect("whole")).expect("a file");
    pollster::block_on(verify(gpu, file, &|_| {})).expect("runs")
}

fn open() -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), None)).expect("a WebGPU adapter")
}

fn report<'a>(reports: &'a [TensorReport], name: &str) -> &'a TensorReport {
    reports.iter().find(|r| r.name == name).expect("compared")
}

#[test]
fn a_large_file_is_compared_at_its_sampled_pixels() {
    let (gpu, (mut all, metadata)) = (open(), large_file(MEDIUM, &PROFILES));
    let reports = check(&gpu, &all, &metadata);
    let wrong: Vec<_> = reports.iter().filter(|r| !r.ok).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(report(&reports, "rec64.sampled.sim").tolerance, 5e-6);

    // A decision that is nearly tied may differ, another may not.
    let [classes, .., height, width] = MEDIUM;
    let golden = golden(&all, &metadata);
    all.retain(|name, _| !name.starts_with("off") && !name.starts_with("pap"));
    let options = golden.config.options(Profile::Rec).expect("valid");
    let recorded = record(&golden.config, &options, Phase::Main, &[]).expect("records");
    let memory = interpret(&golden, &recorded);
    let tiles = recorded.quantities["seg"].values();
    let tiles = tiles.iter().map(|&id| memory.get(&recorded.tape, id).expect("computed"));
    let tiles: Vec<_> = tiles.collect();
    let two_best = |n: usize| {
        let mut row: Vec<_> = tiles.iter().flat_map(|t| t.row(n).iter().copied()).zip(0..classes).collect();
        row.sort_by(|a, b| b.0.total_cmp(&a.0));
        (row[0].0 - row[1].0, row[1].1)
    };
    let pixels = 0..2 * height * width;
    let tie = pixels.clone().min_by(|&a, &b| two_best(a).0.total_cmp(&two_best(b).0)).expect("a pixel");
    assert!(two_best(tie).0 < 9e-5, "the closest decision is {} apart", two_best(tie).0);
    let clear = pixels.clone().find(|&n| two_best(n).0 > 0.01).expect("a pixel");
    let original = all["rec.pred"].clone();
    for (n, accepted) in [(tie, true), (clear, false)] {
        all.insert("rec.pred".into(), original.clone());
        all.get_mut("rec.pred").expect("it is there").data[n] = two_best(n).1 as f32;
        let reports = check(&gpu, &all, &metadata);
        let found = report(&reports, "rec.pred");
        assert_eq!(found.ok, accepted);
        // What is excused is shown all the same.
        assert!(found.max_abs >= 1.0 && found.note.is_some(), "{found}");
    }
}

/// The sampled pixel (its row), the class and the second nearest prototype where the two nearest are nearest to each other,
/// and how near.
fn closest_prototypes(golden: &Golden, recorded: &Recorded) -> (usize, usize, usize, f64) {
    let memory = interpret(golden, recorded);
    let (k, tape) = (golden.config.prototypes, &recorded.tape);
    let tiles = recorded.quantities["sim"].values();
    let tiles: Vec<_> = tiles.iter().map(|&id| memory.get(tape, id).expect("computed")).collect();
    let mut closest = (0, 0, 0, f64::MAX);
    for (row, &n) in golden.sample.iter().enumerate() {
        let sims: Vec<f64> = tiles.iter().flat_map(|t| t.row(n).iter().copied()).collect();
        for (class, own) in sims.chunks_exact(k).enumerate() {
            let mut own: Vec<_> = own.iter().copied().zip(0..k).collect();
            own.sort_by(|a, b| b.0.total_cmp(&a.0));
            if own[0].0 - own[1].0 < closest.3 {
                closest = (row, class, own[1].1, own[0].0 - own[1].0);
            }
        }
    }
    closest
}

#[test]
fn gradients_of_pixels_with_a_tied_decision_are_left_out() {
    let (gpu, (mut all, metadata)) = (open(), large_file(MEDIUM, &[Profile::Rec]));
    let golden = golden(&all, &metadata);
    let options = golden.config.options(Profile::Rec).expect("valid");
    let recorded = record(&golden.config, &options, Phase::Main, &[]).expect("records");
    let (row, class, second, gap) = closest_prototypes(&golden, &recorded);
    assert!(gap < 9e-5, "the closest are {gap} apart");
    let [classes, _, d, ..] = MEDIUM;
    let set = |all: &mut Tensors, name: &str, at: usize, value: f32| {
        all.get_mut(name).expect("it is there").data[at] = value;
    };
    let verdict = |all: &Tensors, name: &str| report(&check(&gpu, all, &metadata), name).ok;
    let untouched = all["rec64.sampled.g_emb"].data[(row + 1) * d];
    set(&mut all, "rec64.sampled.g_emb", row * d, 0.01);
    assert!(!verdict(&all, "rec64.sampled.g_emb"), "no decision differs");
    set(&mut all, "rec.near_proto", golden.sample[row] * classes + class, second as f32);
    let reports = check(&gpu, &all, &metadata);
    assert!(report(&reports, "rec.near_proto").ok && report(&reports, "rec64.sampled.g_emb").ok);
    let excused = report(&reports, "rec64.sampled.g_emb");
    assert!(excused.max_rel > excused.tolerance && excused.note.is_some(), "{excused}");
    set(&mut all, "rec64.sampled.g_emb", (row + 1) * d, 0.01);
    assert!(!verdict(&all, "rec64.sampled.g_emb"), "that pixel's decisions do not differ");

    // A file without the nearest prototypes shows them by its similarities where it holds these.
    all.remove("rec.near_proto");
    set(&mut all, "rec64.sampled.g_emb", (row + 1) * d, untouched);
    assert!(!verdict(&all, "rec64.sampled.g_emb"), "no similarity tells of another decision");
    let k = golden.config.prototypes;
    let at = (row * classes + class) * k;
    let sims = &mut all.get_mut("rec64.sampled.sim").expect("it is there").data[at..at + k];
    let best = sims.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    sims[second] = best + 1e-6;
    assert!(verdict(&all, "rec64.sampled.g_emb"), "the file's nearest prototype is another");
}

/// A tie in the file's soft assignment at which it decides otherwise: what the pixel moves may deviate, and nothing else.
#[test]
fn what_follows_from_a_tied_assignment_may_deviate() {
    let sizes = [6, 3, 8, 6, 1, 48, 48];
    let (gpu, (mut all, metadata)) = (open(), large_file(sizes, &[Profile::Off, Profile::Rec]));
    let [classes, k, d, ..] = sizes;
    let sample: Vec<usize> = all["sample"].data.iter().map(|&n| n as usize).collect();
    let labelled = |&(_, &n): &(usize, &usize)| all["rec.assign"].data[n] >= 0.0;
    let (row, &n) = sample.iter().enumerate().find(labelled).expect("a labelled pixel");
    let class = all["gt"].data[n] as usize;
    let add = |all: &mut Tensors, name: &str, at: usize, change: f32| {
        all.get_mut(name).expect("it is there").data[at] += change;
    };
    for (prefix, held) in [("off", false), ("rec", true)] {
        let assign = format!("{prefix}.assign");
        let (first, second) = (all[&assign].data[n] as usize, (all[&assign].data[n] as usize + 1) % k);
        let q = all.get_mut(&format!("{prefix}64.sampled.q3")).expect("it is there");
        q.data[row * k..(row + 1) * k].fill(0.0);
        (q.data[row * k + first], q.data[row * k + second]) = (0.49999, 0.50001);
        let move_proto = |all: &mut Tensors, class: usize, by: f32| {
            add(all, &format!("{prefix}64.protos_after"), class * k * d, by);
        };
        let verdict = |all: &Tensors| {
            let reports = check(&gpu, all, &metadata);
            let of = |name: String| report(&reports, &name).clone();
            (of(assign.clone()), of(format!("{prefix}64.protos_after")))
        };
        move_proto(&mut all, class, 1e-4);
        assert!(!verdict(&all).1.ok, "{prefix}: no decision differs");
        all.get_mut(&assign).expect("it is there").data[n] = second as f32;
        let (decision, moved) = verdict(&all);
        assert!(decision.ok && decision.max_abs >= 1.0 && decision.note.is_some(), "{decision}");
        // The published head moves its prototypes by the noisy assignment, which has not changed.
        assert_eq!(moved.ok, held, "{moved}");
        assert!((moved.max_abs - 1e-4).abs() < 1e-5 && moved.note.is_some() == held, "{moved}");
        move_proto(&mut all, (class + 1) % classes, 1e-4);
        assert!(!verdict(&all).1.ok, "{prefix}: that class has no tie");
        move_proto(&mut all, (class + 1) % classes, -1e-4);
        // Without the assignment the target tells, and without both the file confirms nothing.
        all.remove(&assign);
        let target = format!("{prefix}.target");
        let reports = check(&gpu, &all, &metadata);
        assert!(!report(&reports, &format!("{prefix}64.protos_after")).ok, "{prefix}: nothing tells");
        all.get_mut(&target).expect("it is there").data[n] = (class * k + second) as f32;
        let reports = check(&gpu, &all, &metadata);
        assert!(report(&reports, &target).ok);
        assert_eq!(report(&reports, &format!("{prefix}64.protos_after")).ok, held);
    }
}

#[test]
fn another_floor_of_the_norms_is_refused() {
    let sizes = [3, 2, 5, 4, 1, 4, 6];
    let (all, metadata) = (inputs(sizes), metadata(sizes));
    for (floor, fits) in [("1e-12", true), ("1e-8", false)] {
        let config = metadata["config"].replace("{\"", &format!("{{\"l2_eps\":{floor},\""));
        let file = BTreeMap::from([("config".to_owned(), config)]);
        let bytes = encode(&all, &file).expect("tensors are whole");
        let found = Golden::new(ModelFile::from_bytes("floor", bytes).expect("a file"));
        assert_eq!(found.is_ok(), fits, "{floor}");
    }
}

/// The published head's first norm runs over the image row: over one pixel it leaves a sign, and no gradient passes it.
#[test]
fn maps_one_pixel_wide_have_no_gradient_below_the_norm_over_the_width() {
    let (gpu, (all, metadata)) = (open(), large_file([3, 2, 5, 4, 2, 6, 1], &[Profile::Off]));
    let reports = check(&gpu, &all, &metadata);
    let wrong: Vec<_> = reports.iter().filter(|r| !r.ok).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in ["off64.sampled.g_raw_total", "off64.sampled.g_x", "off64.g_w1", "off64.g_b2"] {
        // What is left is the reference's own rounding.
        assert!(report(&reports, name).max_abs < 1e-12, "{}", report(&reports, name));
    }
}

#[test]
fn unknown_names_and_damaged_tensors_are_reported() {
    let sizes = [3, 2, 5, 4, 1, 4, 6];
    let (gpu, (mut all, metadata)) = (open(), large_file(sizes, &PROFILES));
    assert!(check(&gpu, &all, &metadata).iter().all(|r| r.ok));
    let number = || tensor(&[1], vec![1.0]);
    for name in
        ["rec64.unknown", "other", "in.other", "pap.assign_gumbel", "off64.raw", "off64.sampled.loss_ce"]
    {
        all.insert(name.into(), number());
    }
    let reports = check(&gpu, &all, &metadata);
    let wrong: Vec<_> = reports.iter().filter(|r| !r.ok).map(|r| r.name.as_str()).collect();
    assert_eq!(
        wrong,
        ["in.other", "off64.raw", "off64.sampled.loss_ce", "other", "pap.assign_gumbel", "rec64.unknown"]
    );
    all.insert("sample".into(), tensor(&[1], vec![24.0]));
    let file = ModelFile::from_bytes("large", encode(&all, &metadata).expect("whole")).expect("a file");
    let error = pollster::block_on(verify(&gpu, file, &|_| {})).expect_err("pixel 24 of 0..24");
    assert!(error.to_string().contains("0..24"), "{error}");
}

/// The size of a real data set: ADE20K's classes, tens of thousands of pixels; with and without the decisions that tell a
/// pixel with tied prototypes.
#[test]
#[ignore = "minutes of f64 arithmetic"]
fn a_file_of_150_classes_agrees() {
    let (gpu, (mut all, metadata)) = (open(), large_file([150, 10, 64, 32, 2, 96, 128], &PROFILES));
    for _ in 0..2 {
        let report = crate::verify::FileReport::new("150 classes".into(), check(&gpu, &all, &metadata));
        println!("{report}");
        assert!(report.ok);
        all.retain(|name, _| !name.ends_with("near_proto"));
    }
}
