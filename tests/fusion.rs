//! Inference as it is recorded, one convolution per layer, against the layers one by one; and what is computed once only.

mod support;

use std::sync::Arc;

use protoseg::gpu::{Caps, Gpu, Variant};
use protoseg::nn::{Builder, ConvBn, Mode};
use protoseg::ops::{self, Act, Conv};
use protoseg::rng::Rng;
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};
use support::gpu_of;

/// torchvision's, as the builder's.
const EPS: f32 = 1e-5;

/// A layer on an image of some size, and whether its input is added to its output.
#[derive(Clone, Copy)]
struct Layer {
    image: [usize; 4],
    layer: ConvBn,
    residual: bool,
}

const fn layer(channels: [usize; 2], kernel: usize, conv: Conv, act: Act, residual: bool) -> Layer {
    Layer {
        image: [2, 13, 11, channels[0]],
        layer: ConvBn { outputs: channels[1], kernel, conv, act },
        residual,
    }
}

/// Every family of kernels, with and without a residual connection.
fn layers() -> Vec<(&'static str, Layer)> {
    let plain = Conv::default();
    let around = Conv { padding: 1, ..plain };
    let depthwise = |groups| Conv { groups, ..around };
    vec![
        ("dense 1x1", layer([21, 70], 1, plain, Act::Relu6, false)),
        ("dense 1x1, residual", layer([33, 33], 1, plain, Act::None, true)),
        ("dense 3x3, few channels", layer([3, 13], 3, Conv { stride: 2, ..around }, Act::Relu6, false)),
        ("depthwise 3x3", layer([13, 13], 3, depthwise(13), Act::Relu6, false)),
        ("depthwise 3x3, residual", layer([6, 6], 3, depthwise(6), Act::Relu, true)),
        ("depthwise, stride 2", layer([8, 8], 3, Conv { stride: 2, ..depthwise(8) }, Act::Relu, false)),
    ]
}

/// A tape, its image and its result.
struct Recorded {
    tape: Tape,
    image: ValueId,
    result: ValueId,
}

/// The layer as a model records it for evaluation.
fn fused(l: Layer) -> Recorded {
    let mut tape = Tape::new();
    let image = tape.input("image", &l.image, DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let skip = l.residual.then_some(image);
    let result = b.conv_bn_skip(["conv", "norm"], image, l.layer, skip).expect("shapes go together");
    Recorded { tape, image, result }
}

/// The same weights, one operation after the other.
fn unfused(l: Layer) -> Recorded {
    let mut tape = Tape::new();
    let image = tape.input("image", &l.image, DType::F32);
    let weight = fused(l).tape;
    let shape = &weight.value(weight.find("conv.weight").expect("a weight")).shape;
    let w = tape.param("conv.weight", shape);
    let channels = [l.layer.outputs];
    let [gamma, beta] = ["norm.weight", "norm.bias"].map(|name| tape.param(name, &channels));
    let [mean, variance] =
        ["norm.running_mean", "norm.running_var"].map(|name| tape.state(name, &channels, DType::F32));
    let record = |t: &mut Tape| {
        let y = ops::conv2d(t, image, w, None, l.layer.conv)?;
        let y = ops::batch_norm_eval(t, y, gamma, beta, [mean, variance], EPS, Act::None)?;
        let y = if l.residual { ops::add(t, image, y, 1.0)? } else { y };
        match l.layer.act {
            Act::None => Ok(y),
            Act::Relu => ops::relu(t, y),
            Act::Relu6 => ops::relu6(t, y),
        }
    };
    let result = record(&mut tape).expect("shapes go together");
    Recorded { tape, image, result }
}

/// Weights and statistics drawn from `seed`; variances are positive.
fn fill(gpu: &Gpu, store: &mut Store, tape: &Tape, seed: u32) {
    for (stream, value) in tape.values().iter().filter(|v| v.is_stored()).enumerate() {
        let mut rng = Rng::new(seed, stream as u32);
        let low = if value.name.ends_with("var") { 0.1 } else { -1.0 };
        let mut content: Vec<f32> = (0..value.len()).map(|_| rng.range(low, 2.0)).collect();
        if value.shape.len() == 4 && value.shape[2] > 1 {
            // Rows that only round the input channels up are zero by contract.
            let inputs = tape.value(tape.find("image").expect("an image")).channels();
            let (rows, outputs) = (value.shape[2], value.shape[3]);
            let padding = |i: usize| (i / outputs) % rows >= inputs;
            content.iter_mut().enumerate().filter(|(i, _)| padding(*i)).for_each(|(_, x)| *x = 0.0);
        }
        store.set(gpu, value, &content).expect("room for a weight");
    }
}

fn plan(gpu: &Arc<Gpu>, recorded: &Recorded, store: &mut Store) -> Plan {
    let program = Program::new(&recorded.tape, gpu.caps(), Keep::Only(&[recorded.result]));
    Plan::new(gpu, &recorded.tape, &program, store).expect("a plan")
}

/// The result of one more run on the image number `seed`.
fn run(plan: &Plan, recorded: &Recorded, seed: u32) -> Vec<f32> {
    let mut rng = Rng::new(seed, 99);
    let count = recorded.tape.value(recorded.image).len();
    plan.write(recorded.image, &(0..count).map(|_| rng.range(-1.0, 1.0)).collect::<Vec<_>>());
    plan.run();
    pollster::block_on(plan.read(recorded.result)).expect("a result")
}

#[test]
fn a_fused_layer_is_the_layer() {
    for variant in [None, Some(Variant::Floor)] {
        let gpu = gpu_of(variant);
        for (name, l) in layers() {
            let [together, apart] = [fused(l), unfused(l)];
            let mut store = Store::new();
            fill(&gpu, &mut store, &together.tape, 1);
            let program = Program::new(&together.tape, gpu.caps(), Keep::Only(&[together.result]));
            assert_eq!(program.num_dispatches(), 1, "{name}: one dispatch per image");
            let found = run(&plan(&gpu, &together, &mut store), &together, 5);
            let wanted = run(&plan(&gpu, &apart, &mut store), &apart, 5);
            let scale = wanted.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            assert!(scale > 1.0, "{name}: something to compare");
            let worst = std::iter::zip(&found, &wanted).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 1e-5 * scale, "{name}, {variant:?}: {worst} of {scale}");
        }
    }
}

/// What depends on weights alone is not computed for every image, and never of weights that were replaced.
#[test]
fn folded_weights_follow_the_store() {
    let gpu = gpu_of(None);
    let recorded = fused(layers()[0].1);
    let mut store = Store::new();
    fill(&gpu, &mut store, &recorded.tape, 1);
    let kept = plan(&gpu, &recorded, &mut store);
    let fresh = |store: &mut Store| run(&plan(&gpu, &recorded, store), &recorded, 5);
    let first = run(&kept, &recorded, 5);
    assert_eq!(first, fresh(&mut store));

    // The folded weights lie in a buffer of the plan's own. Overwritten there, they stay so: no run computes them again.
    let folded = recorded.tape.nodes()[0].outputs[0];
    assert_eq!(recorded.tape.nodes()[0].op.stem(), "bn_fold");
    kept.write(folded, &vec![0.0_f32; recorded.tape.value(folded).len()]);
    let of_zeros = run(&kept, &recorded, 5);
    assert_ne!(of_zeros, first, "they were computed again, although no weight had changed");
    assert_eq!(run(&kept, &recorded, 5), of_zeros);

    // One changed number of one weight.
    let value = recorded.tape.value(recorded.tape.find("norm.weight").expect("a weight")).clone();
    store.set(&gpu, &value, &vec![0.5; value.len()]).expect("a known weight");
    let second = run(&kept, &recorded, 5);
    assert_eq!(second, fresh(&mut store));
    assert_ne!(second, first);

    // Another store's content, copied on the device.
    let mut other = Store::new();
    fill(&gpu, &mut other, &recorded.tape, 2);
    other.copy_to(&gpu, &mut store).expect("the same weights");
    let third = run(&kept, &recorded, 5);
    assert_eq!(third, fresh(&mut store));
    assert_ne!(third, second);

    // A plan that moves the running statistics in place.
    let mut tape = Tape::new();
    let running = ["norm.running_mean", "norm.running_var"].map(|n| tape.state(n, &value.shape, DType::F32));
    let batch = ops::fill(&mut tape, &value.shape, 3.0).expect("a node");
    ops::running_stats(&mut tape, [batch; 2], running, 7, 0.1).expect("a node");
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&[]));
    Plan::new(&gpu, &tape, &program, &mut store).expect("a plan").run();
    let fourth = run(&kept, &recorded, 5);
    assert_eq!(fourth, fresh(&mut store));
    assert_ne!(fourth, third);

    // An upload by way of a plan.
    kept.write(recorded.tape.find("norm.bias").expect("a weight"), &vec![1.5_f32; value.len()]);
    let fifth = run(&kept, &recorded, 5);
    assert_eq!(fifth, fresh(&mut store));
    assert_ne!(fifth, fourth);
}

/// Where gradients of a convolution's input meet, its kernel adds them: no pass of its own, no buffer of its own.
#[test]
fn gradients_meet_in_place() {
    let nodes = |record: &dyn Fn(&mut Tape, ValueId, ValueId) -> ValueId| {
        let mut tape = Tape::new();
        let (x, w) = (tape.input("x", &[1, 3, 5, 8], DType::F32), tape.param("w", &[1, 1, 8, 8]));
        let h = ops::scale(&mut tape, x, 3.0).expect("a node");
        let y = record(&mut tape, h, w);
        let seed = tape.input("seed", &[1, 3, 5, 8], DType::F32);
        let first = tape.nodes().len();
        tape.backward(&[(y, seed)], &[x], &ops::Sums).expect("gradients");
        tape.nodes()[first..].iter().map(|n| n.op.stem()).collect::<Vec<_>>()
    };
    let conv = |t: &mut Tape, x, w| ops::conv2d(t, x, w, None, Conv::default()).expect("shapes fit");
    let add = |t: &mut Tape, a, b| ops::add(t, a, b, 1.0).expect("shapes fit");
    // Through a rectifier and a factor: nothing reads the gradient that was there first.
    let found = nodes(&|t, h, w| {
        let y = conv(t, h, w);
        let y = ops::relu(t, y).expect("a node");
        let sum = add(t, h, y);
        ops::scale(t, sum, 2.0).expect("a node")
    });
    assert_eq!(found, ["scale", "relu", "conv2d", "scale"]);
    // The kernel would read what it adds to.
    let found = nodes(&|t, h, w| {
        let y = conv(t, h, w);
        let sum = add(t, h, y);
        ops::scale(t, sum, 2.0).expect("a node")
    });
    assert_eq!(found, ["scale", "conv2d", "add", "scale"]);
    // What was there first is the caller's.
    let found = nodes(&|t, h, w| {
        let y = conv(t, h, w);
        let y = ops::relu(t, y).expect("a node");
        add(t, h, y)
    });
    assert_eq!(found, ["relu", "conv2d", "add", "scale"]);
    // It belongs to a second branch too, whose turn comes later.
    let found = nodes(&|t, h, w| {
        let other = ops::scale(t, h, 5.0).expect("a node");
        let y = conv(t, h, w);
        let y = ops::relu(t, y).expect("a node");
        let sum = add(t, h, other);
        let sum = add(t, sum, y);
        ops::scale(t, sum, 2.0).expect("a node")
    });
    assert_eq!(found, ["scale", "relu", "conv2d", "add", "scale", "add", "scale"]);
}

/// Names of the nodes that run once, of those that a plan that keeps `kept` runs.
fn constant(tape: &Tape, kept: &[ValueId]) -> Vec<String> {
    let program = Program::new(tape, &Caps::floor(), Keep::Only(kept));
    program
        .nodes()
        .iter()
        .filter(|n| n.constant)
        .map(|n| n.name.replace("/scale", "").replace("/add", ""))
        .collect()
}

#[test]
fn what_reads_an_input_or_a_trained_weight_is_not_constant() {
    let mut tape = Tape::new();
    let (w, moved) = (tape.param("w", &[7]), tape.param("moved", &[7]));
    let x = tape.input("x", &[7], DType::F32);
    let twice = |t: &mut Tape, of| ops::scale(t, of, 2.0);
    let of_w = tape.scoped("of w", |t| twice(t, w)).expect("a node");
    let of_moved = tape.scoped("of moved", |t| twice(t, moved)).expect("a node");
    let sum = tape.scoped("of both", |t| ops::add(t, of_w, of_moved, 1.0)).expect("a node");
    let of_x = tape.scoped("of x", |t| ops::add(t, x, of_w, 1.0)).expect("a node");
    assert_eq!(constant(&tape, &[sum, of_x]), ["of w", "of moved", "of both"]);
    // Statistics that move in place: what reads one of them before is of its first content in the first run only.
    let still = tape.state("still", &[7], DType::F32);
    ops::running_stats(&mut tape, [of_w, of_w], [still, moved], 2, 0.1).expect("a node");
    assert_eq!(constant(&tape, &[sum, of_x]), ["of w"]);
    // A value that a second node overwrites has to be made anew in every run.
    tape.push_into(
        ops::running_stats::RunningStats { momentum: 0.5, num_rows: 2 },
        &[w, w, of_w, sum],
        &[of_w, sum],
    )
    .expect("a node");
    assert_eq!(constant(&tape, &[sum, of_x]), [""; 0]);
}
