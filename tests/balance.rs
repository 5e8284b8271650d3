//! A car's wheels: a class whose parts are not of equal size, clustered and learned step by step as training does it, on the
//! device.

mod support;

use protoseg::gpu::Gpu;
use protoseg::ops;
use protoseg::proto::{self, Balance, Cluster, UpdatePixels};
use protoseg::rng::Rng;
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape};
use std::sync::Arc;
use support::gpu;

const BODY: usize = 900;
const WHEELS: usize = 100;
const PIXELS: usize = BODY + WHEELS;
const D: usize = 8;

/// How far along axis 1 the two parts lie from axis 0: their centres have a cosine of 0.78, as parts of a class have.
const APART: f32 = 0.35;

/// Unit vectors: first the body, which is wide along axis 2, then the wheels.
fn car() -> Vec<f32> {
    let mut rng = Rng::new(17, 0);
    let mut pixel = |n: usize| {
        let mut row: Vec<f32> = (0..D).map(|_| 0.03 * rng.normal()).collect();
        row[0] += 1.0;
        row[1] += if n < BODY { -APART } else { APART };
        row[2] += if n < BODY { rng.range(-0.3, 0.3) } else { 0.0 };
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.into_iter().map(|x| x / norm).collect::<Vec<_>>()
    };
    (0..PIXELS).flat_map(&mut pixel).collect()
}

/// Shares of the pixels of body and wheels that prototype 1 has after 40 steps from prototypes that lie at the two centres.
fn learn(gpu: &Arc<Gpu>, balance: Balance) -> [f64; 2] {
    let options = Cluster { balance, mu: 0.8, update_pixels: UpdatePixels::All, ..Cluster::default() };
    let mut tape = Tape::new();
    let emb = tape.input("emb", &[PIXELS, D], DType::F32);
    let gt = tape.input("gt", &[PIXELS], DType::I32);
    let predicted = tape.input("predicted", &[PIXELS], DType::U32);
    let protos = tape.state("prototypes", &[1, 2, D], DType::F32);
    ops::prototype_normalise(&mut tape, protos).expect("shapes fit");
    let found = proto::cluster(&mut tape, emb, protos, gt, &options, None).expect("shapes fit");
    proto::update(&mut tape, emb, protos, predicted, &found, &options).expect("shapes fit");
    let mut store = Store::new();
    let mut centres = vec![0.0; 2 * D];
    (centres[0], centres[1], centres[D], centres[D + 1]) = (1.0, -APART, 1.0, APART);
    store.set(gpu, tape.value(protos), &centres).expect("prototypes fit");
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&[found.k]));
    let plan = Plan::new(gpu, &tape, &program, &mut store).expect("a small plan");
    plan.write(emb, &car());
    plan.write(gt, &[0_i32; PIXELS]);
    for _ in 0..40 {
        plan.run();
    }
    let k: Vec<i32> = pollster::block_on(plan.read(found.k)).expect("assigned");
    [&k[..BODY], &k[BODY..]].map(|k| k.iter().map(|&k| f64::from(k)).sum::<f64>() / k.len() as f64)
}

#[test]
fn equal_parts_split_the_body_and_relaxed_ones_find_the_wheels() {
    let gpu = gpu();
    let [body, wheels] = learn(&gpu, Balance::Balanced);
    assert!(
        (0.3..0.6).contains(&body) && wheels > 0.9,
        "balanced: {body} of the body, {wheels} of the wheels"
    );
    for rho in [0.0, 0.05, 0.2] {
        let [body, wheels] = learn(&gpu, Balance::Relaxed(rho));
        assert!(body < 0.01 && wheels > 0.99, "rho {rho}: {body} of the body, {wheels} of the wheels");
    }
}
