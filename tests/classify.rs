//! The classification block: gradients of the whole, tiles against the dense formula, memory that does not grow with C.

mod support;

use protoseg::gpu::Caps;
use protoseg::head::{ClassLogit, Classifier, KEPT_CLASSES, Targets, tiles};
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::ops::{EmptyLoss, add, backward, check, valid_mean};
use protoseg::oracle::{Array, dot};
use protoseg::tape::{DType, Keep, Memory, Program, Tape, ValueId};
use support::gpu;

const LAYER_NORM: ClassLogit = ClassLogit::LayerNorm { eps: 1e-5 };
const MODES: [(&str, ClassLogit); 3] =
    [("layer norm", LAYER_NORM), ("scaled", ClassLogit::Scaled { tau: 0.1 }), ("plain", ClassLogit::Plain)];

/// B = 2 feature maps of 3 x 4 under labels of 7 x 9; one class more among the labels than there are, some ignored.
const SIZE: [usize; 2] = [3, 4];

fn inputs(c: usize, k: usize, mode: ClassLogit) -> Vec<Input> {
    let d = 6;
    let norm = |low, high| match mode {
        ClassLogit::LayerNorm { .. } => Input::f32(&[c], Fill::Uniform(low, high)),
        _ => Input::fixed(&[c], Fill::Uniform(low, high)),
    };
    vec![
        Input::f32(&[24, d], Fill::UnitRows),
        Input::f32(&[c, k, d], Fill::UnitRows),
        norm(0.5, 1.5),
        norm(-0.5, 0.5),
        Input::i32(&[2, 7, 9], Fill::Integers { count: c + 1, ignored: 0.2 }),
        Input::fixed(&[c], Fill::Uniform(0.5, 1.5)),
    ]
}

fn record(tape: &mut Tape, v: &[ValueId], mode: ClassLogit) -> protoseg::Result<Vec<ValueId>> {
    let classifier = Classifier::new(tape, v[0], v[1], Some((v[2], v[3])), mode)?;
    let targets = Targets { labels: v[4], weights: Some(v[5]), size: SIZE, empty: EmptyLoss::Zero };
    Ok(vec![classifier.record_cross_entropy(tape, targets, true)?.loss])
}

/// The same behind a match that the contrast shares.
fn record_with_contrast(tape: &mut Tape, v: &[ValueId], mode: ClassLogit) -> protoseg::Result<Vec<ValueId>> {
    let mut classifier = Classifier::new(tape, v[0], v[1], Some((v[2], v[3])), mode)?;
    let contrast = classifier.record_match(tape, v[6], 0.1)?.expect("few classes");
    let targets = Targets { labels: v[4], weights: Some(v[5]), size: SIZE, empty: EmptyLoss::Zero };
    let loss = classifier.record_cross_entropy(tape, targets, false)?.loss;
    let mean = valid_mean(tape, contrast, v[6], EmptyLoss::Zero)?.0;
    Ok(vec![add(tape, loss, mean, 0.5)?])
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (c, k) in [(5, 1), (5, 3), (KEPT_CLASSES + 5, 1), (KEPT_CLASSES + 41, 3)] {
        for (name, mode) in MODES {
            let name = format!("C = {c}, K = {k}, {name}");
            all.push(Case::new(&name, inputs(c, k, mode), move |t, v| record(t, v, mode)));
        }
    }
    for (name, mode) in MODES {
        let name = format!("with the contrast, {name}");
        let mut inputs = inputs(7, 3, mode);
        // The contrast does not train the prototypes.
        inputs[1].grad = false;
        inputs.push(Input::i32(&[24], Fill::Integers { count: 21, ignored: 0.2 }));
        all.push(Case::new(&name, inputs, move |t, v| record_with_contrast(t, v, mode)));
    }
    all
}

#[test]
fn gradient_of_the_block_agrees_with_finite_differences() {
    for case in cases() {
        for found in check::finite_differences(&case).expect("recorded") {
            assert!(found.max_rel < 1e-6, "{}: {} off by {:.2e}", case.name, found.name, found.max_rel);
        }
    }
}

#[test]
fn block_on_the_device_agrees_with_the_oracle() {
    let gpu = gpu();
    for case in cases() {
        for found in pollster::block_on(check::on_device(&case, &gpu)).expect("runs") {
            assert!(
                found.max_rel < case.tolerance,
                "{}: {} off by {:.2e}",
                case.name,
                found.name,
                found.max_rel
            );
        }
    }
}

/// Content that tells rows apart, without a generator.
fn wave(shape: &[usize], step: f64) -> Array {
    let count: usize = shape.iter().product();
    Array::new(shape, (0..count).map(|i| (step * (i + 1) as f64).sin()).collect())
}

/// Sections 4 and 6 of the specification, as they stand: all classes at once, upsampled logits stored.
fn dense(
    emb: &Array,
    protos: &Array,
    affine: [&Array; 2],
    labels: &Array,
    weights: &Array,
    mode: ClassLogit,
) -> (f64, Vec<f64>) {
    let (c, k) = (protos.shape[0], protos.shape[1]);
    let logits: Vec<Vec<f64>> = (0..emb.rows())
        .map(|n| {
            let best = |class: usize| {
                (0..k).map(|j| dot(emb.row(n), protos.row(class * k + j))).fold(f64::MIN, f64::max)
            };
            let a: Vec<f64> = (0..c).map(best).collect();
            let mean = a.iter().sum::<f64>() / c as f64;
            let var = a.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
            let logit = |class: usize| match mode {
                ClassLogit::LayerNorm { eps } => {
                    affine[0].data[class] * (a[class] - mean) / (var + f64::from(eps)).sqrt()
                        + affine[1].data[class]
                }
                ClassLogit::Scaled { tau } => a[class] * f64::from(1.0 / tau),
                ClassLogit::Plain => a[class],
            };
            (0..c).map(logit).collect()
        })
        .collect();
    let [h, w] = SIZE;
    let (hl, wl) = (labels.shape[1], labels.shape[2]);
    let (mut sum, mut total) = (0.0, 0.0);
    for (m, &label) in labels.data.iter().enumerate() {
        if label < 0.0 || label >= c as f64 {
            continue;
        }
        let (b, y, x) = (m / (hl * wl), m / wl % hl, m % wl);
        let (sy, sx) = ((y * (h - 1)) as f64 / (hl - 1) as f64, (x * (w - 1)) as f64 / (wl - 1) as f64);
        // Hat functions: the weight of feature pixel (i, j) is (1 - |sy - i|)+ (1 - |sx - j|)+.
        let hat = |s: f64, i: usize| (1.0 - (s - i as f64).abs()).max(0.0);
        let up: Vec<f64> = (0..c)
            .map(|class| {
                let pixels = (0..h * w).map(|p| (p, hat(sy, p / w) * hat(sx, p % w)));
                pixels.map(|(p, weight)| weight * logits[b * h * w + p][class]).sum()
            })
            .collect();
        let lse = up.iter().map(|v| v.exp()).sum::<f64>().ln();
        sum += weights.data[label as usize] * (lse - up[label as usize]);
        total += weights.data[label as usize];
    }
    let winner = |row: &Vec<f64>| (1..c).fold(0, |best, j| if row[j] > row[best] { j } else { best }) as f64;
    (sum / total, logits.iter().map(winner).collect())
}

#[test]
fn tiles_give_the_dense_loss_and_prediction() {
    for (c, k) in [(3, 2), (33, 2), (KEPT_CLASSES, 1), (KEPT_CLASSES + 1, 2), (KEPT_CLASSES + 40, 3)] {
        for (name, mode) in MODES {
            let label = |i: usize| ((i * 7) % (c + 2)) as f64 - 1.0;
            let labels = Array::new(&[2, 7, 9], (0..126).map(label).collect());
            let content = [
                wave(&[24, 6], 0.7),
                wave(&[c, k, 6], 0.37),
                wave(&[c], 0.9).map(|x| 1.0 + 0.3 * x),
                wave(&[c], 0.5),
                labels,
                wave(&[c], 1.1).map(|x| 1.5 + x),
            ];
            let mut tape = Tape::new();
            let types = [DType::F32, DType::F32, DType::F32, DType::F32, DType::I32, DType::F32];
            let v: Vec<_> =
                std::iter::zip(&content, types).map(|(x, t)| tape.input("x", &x.shape, t)).collect();
            let classifier =
                Classifier::new(&tape, v[0], v[1], Some((v[2], v[3])), mode).expect("shapes fit");
            let targets = Targets { labels: v[4], weights: Some(v[5]), size: SIZE, empty: EmptyLoss::Zero };
            let found = classifier.record_cross_entropy(&mut tape, targets, false).expect("records");
            let scores = classifier.record_scores(&mut tape).expect("records");
            let map = classifier.record_prediction(&mut tape, SIZE, SIZE).expect("records");
            let mut memory = Memory::new();
            for (&id, x) in std::iter::zip(&v, &content) {
                memory.set(&tape, id, x.data.clone());
            }
            tape.interpret(&mut memory).expect("every input is set");
            let get = |id| memory.get(&tape, id).expect("computed").data;
            let [emb, protos, gamma, beta, labels, weights] = &content;
            let (loss, pred) = dense(emb, protos, [gamma, beta], labels, weights, mode);
            assert!(
                (get(found.loss)[0] - loss).abs() < 1e-9 * loss,
                "{name}, C = {c}: {:?}, {loss}",
                get(found.loss)
            );
            assert_eq!(get(found.pred), pred, "{name}, C = {c}");
            assert_eq!(get(scores.pred), pred, "{name}, C = {c}");
            // At feature size the upsampling is the identity.
            assert_eq!(get(map.pred), pred, "{name}, C = {c}");
            assert_eq!(scores.tiles.len(), if c > KEPT_CLASSES { c.div_ceil(32) } else { 1 });
        }
    }
}

fn training_bytes(c: usize) -> u64 {
    let (n, k, d) = (2 * 32 * 32, 5, 16);
    let mut tape = Tape::new();
    let emb = tape.input("emb", &[n, d], DType::F32);
    let protos = tape.param("protos", &[c, k, d]);
    let norm = (tape.param("gamma", &[c]), tape.param("beta", &[c]));
    let labels = tape.input("labels", &[2, 128, 128], DType::I32);
    let classifier = Classifier::new(&tape, emb, protos, Some(norm), LAYER_NORM).expect("shapes fit");
    let targets = Targets { labels, weights: None, size: [32, 32], empty: EmptyLoss::Zero };
    let found = classifier.record_cross_entropy(&mut tape, targets, true).expect("records");
    let grads = backward(&mut tape, found.loss, &[emb, norm.0, norm.1, protos]).expect("has gradients");
    let mut keep: Vec<_> = grads.into_iter().map(|g| g.expect("depends on all")).collect();
    keep.extend([found.loss, found.pred]);
    Program::new(&tape, &Caps::floor(), Keep::Only(&keep)).bytes()
}

#[test]
fn memory_does_not_grow_with_pixels_times_classes() {
    let few = training_bytes(19);
    let many = training_bytes(847);
    let protos = 847 * 5 * 16 * 4;
    // A tile of 32 classes against one of 19: similarities, winners, logits, their gradients and the cells' shares.
    let tile = 2048 * (32 - 16) * 4 * 10;
    // The partial sums of the prototypes' gradient.
    let partial = 2 * 32 * 5 * 16 * 4;
    let limit = 3 * protos + tile + partial;
    assert!(many - few < limit, "{} bytes more for 847 classes, {limit} allowed", many - few);
    assert!(many - few < 2048 * 847 * 4, "less than one N x C matrix");
}

#[test]
fn a_norm_is_asked_for() {
    let mut tape = Tape::new();
    let emb = tape.input("emb", &[4, 3], DType::F32);
    let protos = tape.input("protos", &[5, 2, 3], DType::F32);
    let short = tape.input("gamma", &[4], DType::F32);
    for norm in [None, Some((short, short))] {
        let error = Classifier::new(&tape, emb, protos, norm, LAYER_NORM).expect_err("no fitting norm");
        assert!(error.to_string().contains("[5]"), "{error}");
    }
}

#[test]
fn a_map_that_no_device_could_bind_is_cut_into_tiles() {
    // 128 MiB are 2^25 floats: 256 classes of 2^17 pixels.
    assert_eq!(tiles(256, 1 << 17).map(|t| t.len()).collect::<Vec<_>>(), [256]);
    assert_eq!(tiles(256, (1 << 17) + 1).count(), 8);
    assert_eq!(tiles(253, (1 << 17) + 1).count(), 8, "rows are padded to whole vec4s");
    assert_eq!(tiles(252, (1 << 17) + 1).count(), 1);
}
