//! Two training steps of each of the paper's recipes at its real crop, on drawn images: does it fit, does it run, is the
//! loss a number and does it change?
//!
//!     cargo run --release --example recipes -- configs/*.toml [--batch N] [--largest MiB]
//!
//! Prints a row of docs/recipes.md for each. The batch is the recipe's own or N; crops are halved until a step takes no more than
//! the given memory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use protoseg::data::Layout;
use protoseg::gpu::Gpu;
use protoseg::model::{ModelSpec, Phase, Provenance, TrainOptions, TrainStep};
use protoseg::rng::Rng;
use protoseg::tape::{Plan, Program, Store};
use protoseg::train::Config;
use protoseg::{Error, Result};

/// Side of the squares that labels are drawn in, in pixels.
const SQUARE: usize = 32;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut files, mut batch, mut largest) = (Vec::new(), None, u64::MAX);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args.next().and_then(|value| value.parse::<u64>().ok()).filter(|&n| n > 0);
            value.ok_or_else(|| Error::config(format!("{arg} has no number"), "give one above 0"))
        };
        match &arg[..] {
            "--batch" => batch = Some(number()? as usize),
            "--largest" => largest = number()? << 20,
            _ => files.push(PathBuf::from(arg)),
        }
    }
    let gpu = pollster::block_on(Gpu::open(None, None))?;
    println!("{}\n", gpu.name());
    println!("| recipe | classes | crop | images | memory | GFLOP | first step, second step | losses |");
    println!("|---|---|---|---|---|---|---|---|");
    for file in files {
        let config = Config::load(&file, &[])?;
        let spec = spec(&config)?;
        let mut crop = [config.augment.crop_height, config.augment.crop_width];
        let (options, step, program) = loop {
            let options = config.train.step_options(batch.unwrap_or(config.train.batch), crop);
            let (step, program) = TrainStep::plan(&spec, &options, Phase::Main, gpu.caps())?;
            if step.cost(&program, gpu.caps()).bytes <= largest {
                break (options, step, program);
            }
            crop = crop.map(|side| side / 2);
        };
        let cost = step.cost(&program, gpu.caps());
        let losses = two_steps(&gpu, &spec, &options, &step, &program, config.train.lr)?;
        println!(
            "| `{}` | {} | {}x{} | {} | {:.1} GiB | {:.0} | {:.1} s, {:.1} s | {:.4}, {:.4} |",
            file.file_stem().unwrap_or_default().to_string_lossy(),
            spec.num_classes(),
            crop[0],
            crop[1],
            options.batch,
            cost.bytes as f64 / (1u64 << 30) as f64,
            cost.flops as f64 / 1e9,
            losses[0].1,
            losses[1].1,
            losses[0].0,
            losses[1].0,
        );
    }
    Ok(())
}

/// The recipe's model, with the classes that its layout is known for.
fn spec(config: &Config) -> Result<ModelSpec> {
    let classes = config.data.layout.and_then(Layout::published).ok_or_else(|| {
        Error::config("data.layout names no published classes", "choose cityscapes, ade20k or coco_stuff")
    })?;
    Ok(ModelSpec {
        net: config.model.clone(),
        head: config.head.resolve()?,
        classes,
        normalisation: config.normalisation,
        provenance: Provenance::default(),
    })
}

/// Loss and seconds of two steps from random weights, on noise over coloured squares that the labels follow.
fn two_steps(
    gpu: &Arc<Gpu>,
    spec: &ModelSpec,
    o: &TrainOptions,
    step: &TrainStep,
    program: &Program,
    lr: f32,
) -> Result<[(f32, f64); 2]> {
    let mut store = Store::new();
    step.weights.init(gpu, &mut store, 1)?;
    let plan = Plan::new(gpu, &step.tape, program, &mut store)?;
    let mut rng = Rng::new(5, 0);
    let pixels = o.batch * o.height * o.width;
    let class = |i: usize| {
        let (x, y, image) = (i % o.width / SQUARE, i / o.width % o.height / SQUARE, i / (o.width * o.height));
        (image * 977 + y * 31 + x * 7) % spec.num_classes()
    };
    let labels: Vec<i32> = (0..pixels).map(|i| class(i) as i32).collect();
    let color = |class: usize, c: usize| (class * (c + 3) % 13) as f32 / 6.0 - 1.0;
    let mut image = Vec::with_capacity(3 * pixels);
    for i in 0..pixels {
        image.extend((0..3).map(|c| color(class(i), c) + 0.3 * rng.normal()));
    }
    plan.write(step.image, &image);
    plan.write(step.labels, &labels);
    plan.write(step.class_weights, &vec![1.0_f32; spec.num_classes()]);
    plan.write(step.lr, &[lr]);
    let run = |number: u32| {
        plan.write(step.step, &[number]);
        let clock = Instant::now();
        plan.run();
        let loss = pollster::block_on(step.losses.read(&plan))?[0];
        if !loss.is_finite() {
            return Err(Error::config(format!("the loss of step {number} is {loss}"), "report this"));
        }
        Ok((loss, clock.elapsed().as_secs_f64()))
    };
    Ok([run(0)?, run(1)?])
}
