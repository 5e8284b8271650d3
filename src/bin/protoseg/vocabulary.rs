//! `bench large_vocabulary`: what the heads cost from 150 to 10,000 classes.

use std::sync::Arc;

use protoseg::Result;
use protoseg::bench::{CLASSES, HeadNumbers, HeadSize, Job, Timing, head_inference, head_training};
use protoseg::gpu::Gpu;
use serde::Serialize;

use crate::args::{BenchArgs, Cli};
use crate::bench::Measurer;

/// Name on the command line.
pub const LARGE_VOCABULARY: &str = "large_vocabulary";

/// Prototypes per class.
const PROTOTYPES: usize = 10;
/// Sizes where none are given: a software adapter then takes about two minutes.
const DIMENSION: u16 = 64;
const SIDE: u16 = 32;

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    measurer: Measurer,
    prototypes_per_class: usize,
    dimension: usize,
    /// Embeddings of the map.
    pixels: usize,
    results: Vec<Measured>,
}

/// One number of classes.
#[derive(Serialize)]
struct Measured {
    classes: usize,
    /// Learnable numbers of the prototype head's classifier, without the mask norm's.
    learnable: usize,
    /// Scale and shift of the mask norm.
    mask_norm: usize,
    /// Learnable numbers of the softmax head's classifier.
    softmax_learnable: usize,
    prototype_bytes: usize,
    inference: Part,
    training: Part,
}

/// The head in one use.
#[derive(Serialize)]
struct Part {
    /// Everything that the plan holds, prototypes and embeddings included.
    bytes: u64,
    /// Its largest buffer.
    largest_bytes: u64,
    /// The best time over the number of embeddings, in microseconds.
    us_per_pixel: f64,
    #[serde(flatten)]
    timing: Timing,
}

pub async fn large_vocabulary(args: &BenchArgs, cli: &Cli) -> Result<()> {
    let gpu = crate::open(cli).await?;
    let dimension = usize::from(args.dimension.unwrap_or(DIMENSION));
    let side = usize::from(args.side.unwrap_or(SIDE));
    if !args.json {
        header(&gpu, dimension, side);
    }
    let mut results = Vec::new();
    for classes in CLASSES {
        if args.json {
            eprintln!("bench: {classes} classes");
        }
        let size = HeadSize { classes, prototypes: PROTOTYPES, dimension, side };
        let numbers = HeadNumbers::of(classes, PROTOTYPES, dimension)?;
        let measured = Measured {
            classes,
            learnable: numbers.prototype.learnable,
            mask_norm: numbers.prototype.mask_norm,
            softmax_learnable: numbers.softmax.learnable,
            prototype_bytes: 4 * numbers.prototype.prototypes,
            inference: part(&gpu, head_inference(size)?, size, args.seconds)?,
            training: part(&gpu, head_training(size)?, size, args.seconds)?,
        };
        if !args.json {
            measured.print();
        }
        results.push(measured);
    }
    if !args.json {
        return Ok(());
    }
    crate::print_json(&Document {
        measurer: Measurer::new(&gpu),
        prototypes_per_class: PROTOTYPES,
        dimension,
        pixels: side * side,
        results,
    })
}

fn part(gpu: &Arc<Gpu>, job: Job, size: HeadSize, seconds: f64) -> Result<Part> {
    let bound = job.bind(gpu)?;
    let timing = bound.time(seconds)?;
    let program = bound.program();
    Ok(Part {
        bytes: program.bytes(),
        largest_bytes: program.largest_bytes(),
        us_per_pixel: 1e6 * timing.best_secs / (size.side * size.side) as f64,
        timing,
    })
}

fn header(gpu: &Gpu, dimension: usize, side: usize) {
    say!("adapter  {}, kernels {}", gpu.name(), gpu.caps().variant.name());
    say!(
        "head     K = {PROTOTYPES}, D = {dimension}, N = {} embeddings ({side} x {side}), labels and map four times as large",
        side * side
    );
    say!("{:>8} {:>31} {:>34} {:>27}", "", "learnable numbers", "MiB", "microseconds per embedding");
    say!(
        "{:>8} {:>9} {:>10} {:>10} {:>10} {:>11} {:>11} {:>13} {:>13}",
        "classes",
        "prototype",
        "mask norm",
        "softmax",
        "prototypes",
        "inference",
        "training",
        "inference",
        "training"
    );
}

impl Measured {
    /// A line of the table.
    fn print(&self) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        say!(
            "{:>8} {:>9} {:>10} {:>10} {:>10.2} {:>11.2} {:>11.2} {:>13.2} {:>13.2}",
            self.classes,
            self.learnable,
            self.mask_norm,
            self.softmax_learnable,
            mib(self.prototype_bytes as u64),
            mib(self.inference.bytes),
            mib(self.training.bytes),
            self.inference.us_per_pixel,
            self.training.us_per_pixel,
        );
    }
}
