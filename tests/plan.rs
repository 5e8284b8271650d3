//! Plans as a whole: what they hold, that reused buffers change no bit, and what is refused before anything runs.

mod support;

use std::sync::Arc;

use protoseg::data::{ClassInfo, Classes, Normalisation, RgbImage};
use protoseg::gpu::{Caps, Gpu, Variant};
use protoseg::head::HeadConfig;
use protoseg::infer::Predictor;
use protoseg::model::{
    Extras, ModelSpec, NetOptions, Optimiser, Phase, Provenance, Recompute, TrainOptions, TrainStep,
};
use protoseg::nn::Arch;
use protoseg::ops;
use protoseg::rng::Rng;
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId, tuned_caps};
use support::gpu;

const NUM_CLASSES: usize = 3;

/// A network small enough for any adapter.
fn spec() -> ModelSpec {
    let class = |id: u8| ClassInfo { id: id.into(), name: format!("class {id}"), color: [id; 3] };
    ModelSpec {
        net: NetOptions {
            arch: Arch::Scratch,
            output_stride: 8,
            taps: vec![4, 8],
            lateral: 8,
            width: 16,
            embedding: 8,
            prototypes: 3,
            dropout: 0.2,
            ..NetOptions::default()
        },
        head: HeadConfig::default().resolve().expect("the default profile"),
        classes: Classes::new((0..NUM_CLASSES as u8).map(class).collect()),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

fn options() -> TrainOptions {
    TrainOptions {
        batch: 2,
        height: 32,
        width: 48,
        optimiser: Optimiser::Sgd { momentum: 0.9 },
        weight_decay: 1e-4,
        decay_norms: true,
        backbone_lr: 0.5,
        extras: Extras::default(),
        seed: 5,
        recompute: Recompute::Never,
        max_bytes: None,
    }
}

fn step(phase: Phase) -> TrainStep {
    TrainStep::record(&spec(), &options(), phase).expect("shapes go together")
}

/// Fills every input of a step but its number.
fn write(plan: &Plan, step: &TrainStep) {
    let mut rng = Rng::new(11, 0);
    let count = |id| step.tape.value(id).len();
    let image: Vec<f32> = (0..count(step.image)).map(|_| rng.normal()).collect();
    let labels: Vec<i32> =
        (0..count(step.labels)).map(|_| rng.below(NUM_CLASSES as u32 + 1) as i32 - 1).collect();
    plan.write(step.image, &image);
    plan.write(step.labels, &labels);
    plan.write(step.class_weights, &[1.0_f32; NUM_CLASSES]);
    plan.write(step.lr, &[0.05_f32]);
}

/// Bytes that are neither weights nor other state.
fn temporaries(program: &Program) -> u64 {
    program.bytes() - program.weight_bytes() - program.state_bytes()
}

/// The bits of the losses of three steps and of everything that is stored after them. Before every step, what reused
/// buffers hold is NaN.
fn trained(gpu: &Arc<Gpu>, step: &TrainStep, program: &Program) -> Vec<(String, Vec<u32>)> {
    let mut store = Store::new();
    step.weights.init(gpu, &mut store, 3).expect("weights");
    let plan = Plan::new(gpu, &step.tape, program, &mut store).expect("plan");
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut found = Vec::new();
    for number in 0..3_u32 {
        write(&plan, step);
        plan.write(step.step, &[number]);
        plan.poison();
        plan.run();
        let values = pollster::block_on(step.losses.read(&plan)).expect("losses");
        assert!(values.iter().all(|x| x.is_finite()), "{values:?}");
        found.push((format!("losses of step {number}"), bits(&values)));
    }
    for name in store.names() {
        let (_, values) = pollster::block_on(store.read(gpu, name)).expect("stored");
        found.push((name.to_owned(), bits(&values)));
    }
    found
}

#[test]
fn reused_buffers_change_no_bit_of_a_training_step() {
    let gpu = gpu();
    for phase in [Phase::Main, Phase::WarmUp] {
        let step = step(phase);
        let losses = step.kept();
        let all = Program::new(&step.tape, gpu.caps(), Keep::Everything);
        let reused = Program::new(&step.tape, gpu.caps(), Keep::Only(&losses));
        assert!(2 * temporaries(&reused) < temporaries(&all), "buffers are reused");
        let (kept, reused) = (trained(&gpu, &step, &all), trained(&gpu, &step, &reused));
        compare(&kept, &reused, phase);
    }
}

fn compare(kept: &[(String, Vec<u32>)], other: &[(String, Vec<u32>)], phase: Phase) {
    assert_eq!(kept.len(), other.len());
    for (a, b) in std::iter::zip(kept, other) {
        assert!(a == b, "{phase:?}: {} differ", a.0);
    }
}

#[test]
fn layers_computed_again_change_no_bit_of_a_training_step() {
    let gpu = gpu();
    let plan = |recompute, max_bytes, phase| {
        let options = TrainOptions { recompute, max_bytes, ..options() };
        TrainStep::plan(&spec(), &options, phase, gpu.caps())
    };
    for phase in [Phase::Main, Phase::WarmUp] {
        let (step, program) = plan(Recompute::Never, None, phase).expect("a step");
        let (again, smaller) = plan(Recompute::Always, None, phase).expect("a step");
        assert!(smaller.flops() > program.flops(), "something is computed again");
        assert!(temporaries(&smaller) * 10 < temporaries(&program) * 9, "and less memory taken");
        compare(&trained(&gpu, &step, &program), &trained(&gpu, &again, &smaller), phase);
        // What fits is left as it is; what does not, and may be made smaller, is.
        let auto =
            |bytes: u64| plan(Recompute::Auto, Some(bytes), phase).map(|(_, p)| (p.bytes(), p.flops()));
        assert_eq!(auto(program.bytes()).expect("it fits"), (program.bytes(), program.flops()));
        assert_eq!(auto(program.bytes() - 1).expect("it fits"), (smaller.bytes(), smaller.flops()));
        assert_eq!(auto(smaller.bytes()).expect("it fits"), (smaller.bytes(), smaller.flops()));
        auto(smaller.bytes() - 1).expect_err("too much either way");
        let error = plan(Recompute::Never, Some(smaller.bytes()), phase).err().expect("too much").to_string();
        assert!(error.contains("train.memory_mib") && error.contains("train.recompute"), "{error}");
    }
}

/// MobileNetV2 keeps its widest maps inside its blocks.
#[test]
fn the_blocks_of_mobilenet_take_half_the_memory() {
    let net = NetOptions { arch: Arch::MobilenetV2, ..spec().net };
    let bytes = |recompute| {
        let options = TrainOptions { recompute, height: 128, width: 160, ..options() };
        let spec = ModelSpec { net: net.clone(), ..spec() };
        let (_, program) = TrainStep::plan(&spec, &options, Phase::Main, &Caps::floor()).expect("a step");
        temporaries(&program)
    };
    let (kept, again) = (bytes(Recompute::Never), bytes(Recompute::Always));
    assert!(2 * again < kept, "{again} of {kept} bytes");
}

#[test]
fn a_weight_that_is_nan_shows_in_the_loss() {
    let gpu = gpu();
    let step = step(Phase::Main);
    let mut store = Store::new();
    step.weights.init(&gpu, &mut store, 3).expect("weights");
    let losses = step.kept();
    let program = Program::new(&step.tape, gpu.caps(), Keep::Only(&losses));
    let plan = Plan::new(&gpu, &step.tape, &program, &mut store).expect("plan");
    let weight = step.stored().into_iter().find(|v| v.shape.len() == 4).expect("a convolution");
    let mut values = vec![0.1; weight.len()];
    values[0] = f32::NAN;
    store.set(&gpu, &weight, &values).expect("a known weight");
    write(&plan, &step);
    plan.write(step.step, &[0_u32]);
    plan.run();
    let values = pollster::block_on(step.losses.read(&plan)).expect("losses");
    assert!(!values[0].is_finite(), "{values:?} with NaN in `{}`", weight.name);
}

#[test]
fn an_image_wider_than_positions_reach_is_predicted_in_windows() {
    let gpu = gpu();
    let (mut store, spec) = (Store::new(), spec());
    step(Phase::Main).weights.init(&gpu, &mut store, 1).expect("weights");
    let (height, width) = (8, ops::MAX_EXTENT + 200);
    let rgb = (0..3 * height * width).map(|i| (i * i / 7919) as u8).collect();
    let image = RgbImage { width, height, rgb };
    let mut predictor = Predictor::new(&gpu, &spec);
    let classes = pollster::block_on(predictor.classes(&mut store, &image)).expect("in windows");
    assert_eq!(classes.len(), height * width);
    // The first window decides the left half of the image by itself.
    let cut = |row: &[u8]| row[..3 * ops::MAX_EXTENT].to_vec();
    let rgb = image.rgb.chunks(3 * width).flat_map(cut).collect();
    let first = RgbImage { width: ops::MAX_EXTENT, height, rgb };
    let alone = pollster::block_on(predictor.classes(&mut store, &first)).expect("whole");
    for (row, other) in std::iter::zip(classes.chunks(width), alone.chunks(ops::MAX_EXTENT)) {
        assert!(row[..width / 2] == other[..width / 2]);
    }
}

#[test]
fn the_largest_buffer_may_be_one_that_is_filled_from_outside() {
    let mut tape = Tape::new();
    let protos = tape.state("prototypes", &[40_000, 10, 256], DType::F32);
    ops::prototype_normalise(&mut tape, protos).expect("prototypes");
    let program = Program::new(&tape, &Caps::floor(), Keep::Only(&[]));
    assert_eq!(program.largest_bytes(), 40_000 * 10 * 256 * 4);
    assert!(program.largest_bytes() > Caps::floor().max_binding_bytes);
}

/// Sums over pixels cost an addition per element that is read, however few come out.
#[test]
fn sums_are_costed_by_what_they_read() {
    let mut tape = Tape::new();
    let x = tape.input("x", &[2, 9, 11, 8], DType::F32);
    let mean = ops::global_mean(&mut tape, x).expect("a mean");
    let w = tape.input("w", &[1, 1, 8, 4], DType::F32);
    let bias = tape.input("bias", &[4], DType::F32);
    let y = ops::conv2d(&mut tape, x, w, Some(bias), ops::Conv::default()).expect("a convolution");
    let seed = tape.input("dy", &[2, 9, 11, 4], DType::F32);
    let db = tape.backward(&[(y, seed)], &[bias], &ops::Sums).expect("a gradient")[0].expect("of the bias");
    let flops = |id| Program::new(&tape, &Caps::floor(), Keep::Only(&[id])).flops();
    assert_eq!(flops(mean), 2 * 9 * 11 * 8);
    assert_eq!(flops(db), 2 * 9 * 11 * 4);
}

#[test]
#[should_panic(expected = "a block is recorded inside another one")]
fn a_block_inside_a_block_is_refused() {
    let mut tape = Tape::new();
    let x = tape.input("x", &[3, 4], DType::F32);
    let rule = |_: &mut Tape, grads: &[Option<_>]| Ok(vec![grads[0]]);
    let inner = |tape: &mut Tape| Ok(vec![ops::scale(tape, x, 2.0)?]);
    let _ = tape.block(&[x], |tape| tape.block(&[x], inner, rule), rule);
}

/// Tiles are measured where that was asked for, once per size of a product.
#[test]
fn every_new_product_is_measured_once() {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    let gpu = pollster::block_on(Gpu::open(wanted.as_deref(), Some(Variant::Gpu))).expect("an adapter");
    let mut tape = Tape::new();
    let x = tape.input("x", &[1, 9, 11, 8], DType::F32);
    let w = tape.input("w", &[1, 1, 8, 12], DType::F32);
    let twice = [0; 2].map(|_| ops::conv2d(&mut tape, x, w, None, ops::Conv::default()).expect("shapes fit"));
    let run = || pollster::block_on(tuned_caps(&gpu, &tape, Keep::Only(&twice)));
    assert_eq!(run().expect("nothing is measured"), *gpu.caps());
    gpu.measure_in_memory();
    let caps = run().expect("kernels can be timed");
    let known = gpu.measured_tiles().expect("it was asked for");
    let (gemm, tile) = known.iter().next().expect("one product");
    assert_eq!((known.len(), gemm.rows, gemm.columns, gemm.depth), (1, 99, 12, 8));
    assert_eq!(caps.tiles.of(gemm, true), *tile);
    // Nothing is new the second time.
    assert_eq!(run().expect("known"), caps);
}

/// A plan that adds `x` `[3,5]` to itself.
fn doubling(gpu: &Arc<Gpu>) -> (Plan, ValueId) {
    let mut tape = Tape::new();
    let x = tape.input("x", &[3, 5], DType::F32);
    let y = ops::add(&mut tape, x, x, 1.0).expect("a sum");
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&[y]));
    (Plan::new(gpu, &tape, &program, &mut Store::new()).expect("plan"), x)
}

#[test]
#[should_panic(expected = "elements for `x` [3, 5]")]
fn content_of_another_length_is_refused() {
    let (plan, x) = doubling(&gpu());
    plan.write(x, &[0.0_f32; 14]);
}

#[test]
#[should_panic(expected = "padded elements for `x` [3, 5]")]
fn content_that_is_not_padded_is_refused_as_padded() {
    let (plan, x) = doubling(&gpu());
    plan.write_padded(x, &[0.0_f32; 15]);
}

#[test]
fn a_name_is_stored_with_one_shape_and_type() {
    let (gpu, mut store) = (gpu(), Store::new());
    let mut tape = Tape::new();
    let state = tape.state("s", &[4], DType::F32);
    store.set(&gpu, tape.value(state), &[1.0; 4]).expect("new");
    for (shape, dtype) in [([5], DType::F32), ([4], DType::U32)] {
        let other = tape.state("s", &shape, dtype);
        assert_eq!((tape.value(other).shape.as_slice(), tape.value(other).dtype), (&shape[..], dtype));
        let error =
            store.set(&gpu, tape.value(other), &vec![1.0; shape[0]]).expect_err("another").to_string();
        assert!(error.contains("`s` is F32 [4] and"), "{error}");
    }
}
