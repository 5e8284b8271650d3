//! A step of micro-batches against the step of all their images, on the oracle: in f64, so that nothing hides in rounding.

use super::*;
use crate::head::HeadOptions;
use crate::model::extras::Extras;
use crate::model::{
    HeadSizes, Optimiser, Phase, Recompute, Supervision, TrainOptions, record_head, record_objective,
};
use crate::nn::{Builder, Mode};
use crate::oracle::Array;
use crate::proto::{Noise, Profile};
use crate::rng::Rng;
use crate::tape::Memory;

/// A feature map and the labels under it.
const FEATURES: [usize; 3] = [3, 4, 8];
const LABELS: [usize; 2] = [5, 7];
const SIZES: HeadSizes = HeadSizes { classes: 4, prototypes: 2, embedding: 5 };
/// Images in all.
const IMAGES: usize = 6;

/// The head, which has neither batch norm nor dropout, and its cross-entropy on `IMAGES / accumulate` images.
struct Recorded {
    tape: Tape,
    descent: Descent,
    /// Features and labels.
    images: [ValueId; 2],
}

fn record(extras: Extras, optimiser: Optimiser) -> Recorded {
    let batch = IMAGES / extras.accumulate;
    let mut tape = Tape::new();
    let features = tape.input("features", &[&[batch], &FEATURES[..]].concat(), DType::F32);
    let labels = tape.input("labels", &[&[batch], &LABELS[..]].concat(), DType::I32);
    let class_weights = tape.input("class weights", &[SIZES.classes], DType::F32);
    let numbers = [tape.input("lr", &[1], DType::F32), tape.input("step", &[1], DType::U32)];
    let head = HeadOptions::profile(Profile::Rec);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let net = record_head(&mut b, [features; 2], SIZES, &head, false).expect("recorded");
    let weights = b.weights;
    let given =
        Supervision { labels, class_weights, hard: None, noise: Noise::Drawn { seed: 1, step: numbers[1] } };
    let objective = record_objective(&mut tape, &net, &head, given, Phase::WarmUp).expect("recorded");
    let o = TrainOptions {
        batch,
        height: 0,
        width: 0,
        optimiser,
        weight_decay: 0.01,
        decay_norms: true,
        backbone_lr: 1.0,
        extras,
        seed: 1,
        recompute: Recompute::Never,
        max_bytes: None,
    };
    let descent = record_descent(&mut tape, (objective.losses, None), &weights, numbers, Arch::Scratch, &o);
    Recorded { tape, descent: descent.expect("recorded"), images: [features, labels] }
}

/// Sets every stored value of `tape` that `memory` lacks to numbers drawn by its name, optimiser state and sums to others.
fn start(tape: &Tape, memory: &mut Memory) {
    for (index, value) in tape.values().iter().enumerate().filter(|(_, v)| v.is_stored()) {
        let stream = value.name.bytes().fold(3, |hash, byte| crate::rng::hash(hash ^ u32::from(byte)));
        let mut rng = Rng::new(9, stream);
        // What sums hold before a step must not matter; what an optimiser remembers is no less than 0.
        let range = if value.name.starts_with(SUM) { (50.0, 90.0) } else { (0.1, 0.6) };
        let data = (0..value.len()).map(|_| f64::from(rng.range(range.0, range.1))).collect();
        memory.set(tape, ValueId(index as u32), data);
    }
}

fn set(tape: &Tape, memory: &mut Memory, name: &str, data: Vec<f64>) {
    memory.set(tape, tape.find(name).expect(name), data);
}

/// Copies what both tapes store.
fn carry(from: (&Tape, &Memory), onto: (&Tape, &mut Memory)) {
    for value in onto.0.values().iter().filter(|v| v.is_stored()) {
        if let Some(id) = from.0.find(&value.name) {
            set(onto.0, onto.1, &value.name, from.1.get(from.0, id).expect("computed").data);
        }
    }
}

/// Everything that is stored after one step, by name, and the loss.
fn step(extras: Extras, optimiser: Optimiser) -> (Vec<(String, Array)>, f64) {
    let r = record(extras, optimiser);
    let (features, labels) = (FEATURES.iter().product::<usize>(), LABELS.iter().product::<usize>());
    let mut rng = Rng::new(4, 0);
    let all_features: Vec<f64> = (0..IMAGES * features).map(|_| f64::from(rng.normal())).collect();
    // Every pixel counts, and by the same weight.
    let all_labels: Vec<f64> = (0..IMAGES * labels).map(|_| f64::from(rng.below(4))).collect();
    let mut memory = Memory::new();
    start(&r.tape, &mut memory);
    set(&r.tape, &mut memory, "class weights", vec![1.0; SIZES.classes]);
    let numbers = |tape: &Tape, memory: &mut Memory| {
        set(tape, memory, "lr", vec![0.1]);
        set(tape, memory, "step", vec![2.0]);
    };
    numbers(&r.tape, &mut memory);
    let batch = IMAGES / extras.accumulate;
    for micro in 0..extras.accumulate {
        let part = |all: &[f64], each: usize| all[micro * batch * each..][..batch * each].to_vec();
        memory.set(&r.tape, r.images[0], part(&all_features, features));
        memory.set(&r.tape, r.images[1], part(&all_labels, labels));
        if let Some(first) = r.descent.first {
            memory.set(&r.tape, first, vec![f64::from(u8::from(micro == 0))]);
        }
        r.tape.interpret(&mut memory).expect("every input is set");
    }
    let loss = memory.get(&r.tape, r.descent.losses.total).expect("computed").data[0];
    let stored = |tape: &Tape, memory: &Memory| -> Vec<(String, Array)> {
        let names = tape.values().iter().filter(|v| v.is_stored() && !is_gradient_sum(&v.name));
        let content = |v: &Value| memory.get(tape, tape.find(&v.name).expect("stored")).expect("set");
        names.map(|v| (v.name.clone(), content(v))).collect()
    };
    let Some(update) = r.descent.update else { return (stored(&r.tape, &memory), loss) };
    let mut behind = Memory::new();
    start(&update.tape, &mut behind);
    carry((&r.tape, &memory), (&update.tape, &mut behind));
    numbers(&update.tape, &mut behind);
    update.tape.interpret(&mut behind).expect("every input is set");
    (stored(&update.tape, &behind), loss)
}

#[test]
fn micro_batches_make_the_step_of_one_batch() {
    for optimiser in [Optimiser::Sgd { momentum: 0.9 }, Optimiser::AdamW { betas: [0.9, 0.99] }] {
        for extras in [
            Extras::default(),
            Extras { clip_norm: 0.01, ..Extras::default() },
            Extras { ema: 0.5, ..Extras::default() },
        ] {
            let (whole, loss) = step(extras, optimiser);
            for accumulate in [2, 3, 6] {
                let (parts, same) = step(Extras { accumulate, ..extras }, optimiser);
                // The share of a micro-batch is a number of f32: three thirds are 1 and 3e-8.
                assert!((loss - same).abs() < 1e-7 * loss, "{loss} and {same}");
                assert!(parts.len() > 10);
                for (name, part) in &parts {
                    let (_, one) = whole.iter().find(|(n, _)| n == name).expect("both store it");
                    let far = part.data.iter().zip(&one.data).any(|(a, b)| (a - b).abs() > 1e-6);
                    assert!(!far, "{name} in {accumulate} parts, {extras:?}, {optimiser:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_held_twice_is_counted_once() {
    let caps = Caps::floor();
    let extras = Extras { accumulate: 2, ema: 0.9, ..Extras::default() };
    let r = record(extras, Optimiser::Sgd { momentum: 0.9 });
    let update = r.descent.update.expect("it has micro-batches");
    let (program, behind) =
        (Program::new(&r.tape, &caps, Keep::Only(&r.descent.losses.all())), update.program(&caps));
    let cost = StepCost::with_update(&r.tape, &program, 2, (&update, &behind));
    let bytes = |tape: &Tape, mine: &dyn Fn(&str) -> bool| {
        tape.values().iter().filter(|v| v.is_stored() && mine(&v.name)).map(Value::bytes).sum::<u64>()
    };
    let own = bytes(&update.tape, &|name| name.starts_with("velocity/") || name.starts_with("average/"));
    // The update's inputs, learning rate and number of the step, take 16 bytes each.
    assert_eq!(cost.bytes, program.bytes() + own + 32);
    assert_eq!(cost.state_bytes, program.state_bytes() + own);
    assert_eq!(cost.flops, 2 * program.flops() + behind.flops());
    assert_eq!(cost.dispatches, 2 * program.num_dispatches() + behind.num_dispatches());
}
