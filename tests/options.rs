//! Every option of the head (spec section 15), recorded as training records it: the device against the oracle node by
//! node, the gradients against finite differences, and each option does change what comes out.

mod support;

use protoseg::head::{HeadOptions, LogitKind, ProjNorm};
use protoseg::model::{HeadSizes, Phase, Supervision, record_head, record_objective};
use protoseg::nn::{Builder, Mode};
use protoseg::ops::check::{self, Difference};
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::ops::{EmptyLoss, HardPixels, SmallClass};
use protoseg::proto::{Balance, Noise, Profile, UpdateAssign, UpdatePixels};
use protoseg::rng::Rng;
use support::gpu;

/// 2 feature maps of 5 x 7 with 8 channels (whole vec4s: weights beyond the channels would have to be zero) under labels of
/// 9 x 13.
const FEATURES: [usize; 4] = [2, 5, 7, 8];
const LABELS: [usize; 3] = [2, 9, 13];
const SIZES: HeadSizes = HeadSizes { classes: 5, prototypes: 4, embedding: 7 };

struct Row {
    name: &'static str,
    phase: Phase,
    set: fn(&mut HeadOptions),
}

const fn row(name: &'static str, set: fn(&mut HeadOptions)) -> Row {
    Row { name, phase: Phase::Main, set }
}

/// What departs from the recommended profile, one option at a time.
const ROWS: &[Row] = &[
    row("as it is", |_| {}),
    row("projection = false", |o| o.projection = false),
    row("proj_norm = width", |o| o.proj_norm = ProjNorm::Width),
    row("proj_norm = none", |o| o.proj_norm = ProjNorm::None),
    row("embed_layernorm = false", |o| o.embed_layernorm = false),
    row("class_logit = scaled", |o| o.class_logit = LogitKind::Scaled),
    row("class_logit = plain", |o| o.class_logit = LogitKind::Plain),
    row("ppc_tau = 1", |o| o.ppc_tau = 1.0),
    row("ppc_weight = 0.5", |o| o.ppc_weight = 0.5),
    row("ppd_weight = 0.5", |o| o.ppd_weight = 0.5),
    row("update_assign = gumbel", |o| o.update_assign = UpdateAssign::Gumbel),
    row("update_pixels = all", |o| o.update_pixels = UpdatePixels::All),
    row("small_class = nearest", |o| o.small_class = SmallClass::Nearest),
    row("momentum = 0.5", |o| o.momentum = 0.5),
    row("kappa = 0.2", |o| o.kappa = 0.2),
    row("sinkhorn_iterations = 1", |o| o.sinkhorn_iterations = 1),
    row("sinkhorn_balance = 0.1", |o| o.sinkhorn_balance = Balance::Relaxed(0.1)),
    row("sinkhorn_balance = 0", |o| o.sinkhorn_balance = Balance::Relaxed(0.0)),
    row("update_prototype = false", |o| o.update_prototype = false),
    Row { name: "use_prototype = false", phase: Phase::WarmUp, set: |o| o.use_prototype = false },
];

/// The step of `options`, but for backbone and optimiser. Gradients are recorded last and read the prototypes: they are
/// those of the loss only without `update`.
fn case(name: &str, options: HeadOptions, phase: Phase, labels: Fill, update: bool) -> Case {
    hard_case(name, options, phase, labels, update, None)
}

/// The same where the cross-entropy counts the hard pixels alone.
fn hard_case(
    name: &str,
    options: HeadOptions,
    phase: Phase,
    labels: Fill,
    update: bool,
    hard: Option<HardPixels>,
) -> Case {
    let inputs = vec![
        Input::f32(&FEATURES, Fill::Away(&[])),
        Input::i32(&LABELS, labels),
        Input::fixed(&[SIZES.classes], Fill::Uniform(0.5, 1.5)),
        Input::u32(&[1], Fill::Values(vec![3.0])),
    ];
    let learnable = phase == Phase::WarmUp && options.learns_prototypes();
    Case::new(name, inputs, move |tape, v| {
        let mut b = Builder::new(tape, Mode::Train);
        let net = record_head(&mut b, [v[0]; 2], SIZES, &options, learnable)?;
        let noise = Noise::Drawn { seed: 9, step: v[3] };
        let given = Supervision { labels: v[1], class_weights: v[2], hard, noise };
        let objective = record_objective(tape, &net, &options, given, phase)?;
        if update {
            objective.record_update(tape, &net, &options)?;
        }
        Ok(vec![objective.losses.total])
    })
}

/// The first class has 2 or 3 pixels at feature resolution, fewer than prototypes; every sixth of the others is ignored.
fn labels() -> Fill {
    let [_, height, width] = LABELS;
    let mut rng = Rng::new(4, 0);
    let label = |i: usize| match (i / (height * width), i / width % height, i % width) {
        (0, 0, 0..4) => 0.0,
        _ => [1.0, 2.0, 3.0, 4.0, 4.0, -1.0][rng.below(6) as usize],
    };
    Fill::Values((0..LABELS.iter().product()).map(label).collect())
}

fn cases(update: bool) -> Vec<Case> {
    let resolved = |row: &Row| {
        let mut options = HeadOptions::profile(Profile::Rec);
        (row.set)(&mut options);
        options
    };
    let mut all: Vec<_> = ROWS.iter().map(|r| case(r.name, resolved(r), r.phase, labels(), update)).collect();
    // Logits of another spread, so that pixels are certain and uncertain in equal parts.
    let spread =
        HeadOptions { class_logit: LogitKind::Scaled, ce_tau: 0.2, ..HeadOptions::profile(Profile::Rec) };
    for (name, threshold, min_kept) in [("hard pixels", 0.2, 0), ("at least 150 hard pixels", 0.05, 150)] {
        let hard = Some(HardPixels { threshold, min_kept });
        all.push(hard_case(name, spread.clone(), Phase::Main, labels(), update, hard));
        let name = format!("{name}, warm-up");
        all.push(hard_case(&name, spread.clone(), Phase::WarmUp, labels(), update, hard));
    }
    for (name, empty_loss) in [("nothing labelled", EmptyLoss::Zero), ("empty_loss = nan", EmptyLoss::Nan)] {
        let options = HeadOptions { empty_loss, ..HeadOptions::profile(Profile::Rec) };
        all.push(case(name, options, Phase::Main, Fill::Integers { count: 1, ignored: 1.0 }, update));
    }
    all
}

#[test]
fn the_device_agrees_with_the_oracle() {
    let gpu = gpu();
    for case in cases(true) {
        for found in pollster::block_on(check::on_device(&case, &gpu)).expect("runs") {
            let Difference { name, max_rel, index, .. } = found;
            assert!(max_rel < case.tolerance, "{}: {name} off by {max_rel:.2e} at {index}", case.name);
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    // NaN has no differences.
    for case in cases(false).iter().filter(|c| c.name != "empty_loss = nan") {
        for found in check::finite_differences(case).expect("recorded") {
            assert!(found.max_rel < 1e-6, "{}: {} off by {:.2e}", case.name, found.name, found.max_rel);
        }
    }
}

#[test]
fn every_option_changes_the_outcome() {
    let cases = cases(true);
    let outcomes: Vec<_> = cases.iter().map(|c| check::on_oracle(c).expect("runs")).collect();
    for (i, a) in outcomes.iter().enumerate() {
        for (j, b) in outcomes.iter().enumerate().skip(i + 1) {
            let near = |(x, y): (&f64, &f64)| (x - y).abs() < 1e-9 || (x.is_nan() && y.is_nan());
            let same = a.len() == b.len() && std::iter::zip(a, b).all(near);
            assert!(!same, "{} comes out as {}", cases[i].name, cases[j].name);
        }
    }
}
