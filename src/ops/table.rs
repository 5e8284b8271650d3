//! The op table: every stem with its test cases and bench sizes. Tests, `protoseg ops` and `protoseg bench` are driven by it.

use super::bench;
use crate::error::Result;
use crate::tape::{DType, Tape, ValueId};

/// How a test input is filled. All numbers come from the counter-based generator, so a case is the same everywhere.
#[derive(Clone, Debug)]
pub enum Fill {
    /// Uniform in `[low, high)`.
    Uniform(f32, f32),
    /// Uniform in `[-1, 1)`, at least 0.05 away from 0 and from the other given points: no kink within a difference step.
    Away(&'static [f32]),
    /// Rows (last axis) of unit length.
    UnitRows,
    /// Whole numbers in `0..count`; where `ignored` hits (probability), -1 instead.
    Integers {
        /// One more than the largest.
        count: usize,
        /// Probability of -1.
        ignored: f32,
    },
    /// These numbers.
    Values(Vec<f32>),
    /// These whole numbers, such as packed colours, whose 32 bits no `f32` holds.
    Words(Vec<u32>),
}

/// One input of a case.
#[derive(Clone, Debug)]
pub struct Input {
    /// Extents.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Content.
    pub fill: Fill,
    /// Whether its gradient is checked.
    pub grad: bool,
}

impl Input {
    /// An `f32` input whose gradient is checked.
    #[must_use]
    pub fn f32(shape: &[usize], fill: Fill) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::F32, fill, grad: true }
    }

    /// An `f32` input without gradient.
    #[must_use]
    pub fn fixed(shape: &[usize], fill: Fill) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::F32, fill, grad: false }
    }

    /// An `i32` input (labels, -1 = ignored).
    #[must_use]
    pub fn i32(shape: &[usize], fill: Fill) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::I32, fill, grad: false }
    }

    /// A `u32` input.
    #[must_use]
    pub fn u32(shape: &[usize], fill: Fill) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::U32, fill, grad: false }
    }
}

type Record = Box<dyn Fn(&mut Tape, &[ValueId]) -> Result<Vec<ValueId>>>;

/// One test case: inputs and what to record on them. The returned values are the outputs that gradients start from;
/// leave out those without a gradient rule (every node is compared with the oracle anyway).
pub struct Case {
    /// Short name.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// Records the operation.
    pub record: Record,
    /// Largest allowed difference between device and oracle, relative to the tensor's maximum.
    pub tolerance: f64,
    /// Size of the terms that cancel in tensors that are 0 throughout: what a difference in those is relative to, since they
    /// have no maximum. 0 unless [`Case::terms`] says otherwise, and then such a tensor must be met exactly.
    pub terms: f64,
}

impl Case {
    /// A case with the default tolerance of 1e-5 of each tensor's maximum.
    pub fn new(
        name: &str,
        inputs: Vec<Input>,
        record: impl Fn(&mut Tape, &[ValueId]) -> Result<Vec<ValueId>> + 'static,
    ) -> Self {
        Self { name: name.to_owned(), inputs, record: Box::new(record), tolerance: 1e-5, terms: 0.0 }
    }

    /// The same case with another tolerance; say why where it is called.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The same case with terms of this size that cancel wherever a tensor is 0 throughout; say which where it is called.
    #[must_use]
    pub fn terms(mut self, terms: f64) -> Self {
        self.terms = terms;
        self
    }
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Row {
    /// Stem of the shader, op and oracle files.
    pub stem: &'static str,
    /// One line on what it computes.
    pub about: &'static str,
    /// Test cases on odd sizes.
    pub cases: fn() -> Vec<Case>,
    /// What `protoseg bench` times: sizes as in real work.
    pub bench: fn() -> Vec<Case>,
}

const fn row(
    stem: &'static str,
    about: &'static str,
    cases: fn() -> Vec<Case>,
    bench: fn() -> Vec<Case>,
) -> Row {
    Row { stem, about, cases, bench }
}

/// Every operation, by stem.
pub static TABLE: &[Row] = &[
    row("accumulate", "sum over micro-batches, in place", super::accumulate::cases, bench::accumulate),
    row("adamw", "Adam with decoupled decay, in place", super::adamw::cases, bench::adamw),
    row(
        "adaptive_avg_pool2d",
        "means over bins, for an output of any size",
        super::adaptive_avg_pool2d::cases,
        bench::adaptive_avg_pool2d,
    ),
    row("add", "a + factor * b", super::add::cases, bench::add),
    row(
        "argmax_rows",
        "predicted class, over tiles of classes",
        super::argmax_rows::cases,
        bench::argmax_rows,
    ),
    row("assign", "hard assignment to a prototype", super::assign::cases, bench::assign),
    row("attention", "multi-head attention, streamed", super::attention::cases, bench::attention),
    row("batch_norm", "norm over rows, fused activation", super::batch_norm::cases, bench::batch_norm),
    row("bn_fold", "batch norm folded into a convolution", super::bn_fold::cases, bench::bn_fold),
    row("canvas", "a photo under colour layers, as a window shows it", super::canvas::cases, bench::canvas),
    row("channel_scale", "a factor per channel", super::channel_scale::cases, bench::channel_scale),
    row(
        "class_logit",
        "class similarities to logits, over tiles of classes",
        super::class_logit::cases,
        bench::class_logit,
    ),
    row("clip_norm", "norm of all gradients together", super::clip_norm::cases, bench::clip_norm),
    row("concat", "channels side by side", super::concat::cases, bench::concat),
    row("conv2d", "dense, depthwise or grouped convolution, bias", super::conv2d::cases, bench::conv2d),
    row("count_labels", "pixels per class and prototype", super::count_labels::cases, bench::count_labels),
    row("count_pairs", "pixels per true and predicted class", super::count_pairs::cases, bench::count_pairs),
    row(
        "cross_entropy",
        "cross-entropy at label resolution, over tiles of classes",
        super::cross_entropy::cases,
        bench::cross_entropy,
    ),
    row("dropout", "drops elements or channels, counter-based", super::dropout::cases, bench::dropout),
    row("ema", "moving average of a weight, in place", super::ema::cases, bench::ema),
    row(
        "embedding_color",
        "three projections of the embedding as a colour",
        super::embedding_color::cases,
        bench::embedding_color,
    ),
    row("fill", "a constant", super::fill::cases, bench::fill),
    row("gelu", "Gaussian error linear unit", super::gelu::cases, bench::gelu),
    row("global_mean", "mean over the pixels of an image", super::global_mean::cases, bench::global_mean),
    row(
        "group_by_class",
        "pixels stably sorted by class",
        super::group_by_class::cases,
        bench::group_by_class,
    ),
    row("gumbel", "standard Gumbel noise, counter-based", super::gumbel::cases, bench::gumbel),
    row("hard_pixels", "labels of the hard pixels", super::hard_pixels::cases, bench::hard_pixels),
    row("l2_normalize", "x / |x| over channels or width", super::l2_normalize::cases, bench::l2_normalize),
    row("layer_norm", "norm over the channels of a row", super::layer_norm::cases, bench::layer_norm),
    row(
        "match_contrast",
        "matching and contrast in one pass",
        super::match_contrast::cases,
        bench::match_contrast,
    ),
    row("max_pool2d", "largest value of every window", super::max_pool2d::cases, bench::max_pool2d),
    row(
        "nearest_patches",
        "where an image comes nearest to every prototype",
        super::nearest_patches::cases,
        bench::nearest_patches,
    ),
    row(
        "nearest_prototype",
        "nearest prototype of a pixel's class",
        super::nearest_prototype::cases,
        bench::nearest_prototype,
    ),
    row(
        "own_similarity",
        "cosines to the prototypes of the own class",
        super::own_similarity::cases,
        bench::own_similarity,
    ),
    row("pick", "one pixel against all prototypes", super::pick::cases, bench::pick),
    row(
        "pixel_label",
        "class, prototype and scores of every pixel",
        super::pixel_label::cases,
        bench::pixel_label,
    ),
    row("ppc", "pixel-prototype contrast, streamed over prototypes", super::ppc::cases, bench::ppc),
    row("ppd", "pixel-prototype distance", super::ppd::cases, bench::ppd),
    row("proto_match", "best prototype of every class, fused", super::proto_match::cases, bench::proto_match),
    row(
        "prototype_heat",
        "cosine of every pixel to one prototype",
        super::prototype_heat::cases,
        bench::prototype_heat,
    ),
    row(
        "prototype_sums",
        "sums of embeddings per prototype",
        super::prototype_sums::cases,
        bench::prototype_sums,
    ),
    row(
        "prototype_update",
        "momentum update of prototypes, in place",
        super::prototype_update::cases,
        bench::prototype_update,
    ),
    row(
        "query_logit",
        "logits by class vectors of each image",
        super::query_logit::cases,
        bench::query_logit,
    ),
    row("relu", "rectifier, optional ceiling", super::relu::cases, bench::relu),
    row(
        "resample_positions",
        "position embeddings for another grid, bicubic",
        super::resample_positions::cases,
        bench::resample_positions,
    ),
    row("resize", "bilinear resize, both corner conventions", super::resize::cases, bench::resize),
    row("resize_nearest", "resize to the nearest pixel", super::resize_nearest::cases, bench::resize_nearest),
    row(
        "running_stats",
        "running mean and variance, in place",
        super::running_stats::cases,
        bench::running_stats,
    ),
    row("sample_labels", "labels at feature resolution", super::sample_labels::cases, bench::sample_labels),
    row("scale", "factor * x", super::scale::cases, bench::scale),
    row("sgd", "gradient descent with momentum, in place", super::sgd::cases, bench::sgd),
    row("shade", "the colour layer over a photo", super::shade::cases, bench::shade),
    row(
        "sinkhorn",
        "soft assignment inside every class, all classes at once",
        super::sinkhorn::cases,
        bench::sinkhorn,
    ),
    row("swiglu", "swish-gated linear unit", super::swiglu::cases, bench::swiglu),
    row("tokens", "patches to tokens with positions, and back", super::tokens::cases, bench::tokens),
    row(
        "upsample_argmax",
        "class map at output size, over tiles of classes",
        super::upsample_argmax::cases,
        bench::upsample_argmax,
    ),
    row("valid_mean", "mean over the valid pixels", super::valid_mean::cases, bench::valid_mean),
    row("windows", "windows of a map, and back", super::windows::cases, bench::windows),
];
