//! The op table: every stem with its test cases. Tests, benches and `protoseg ops` are driven by it.

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
    Integers { count: usize, ignored: f32 },
    /// These numbers.
    Values(Vec<f32>),
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
}

impl Case {
    /// A case with the default tolerance of 1e-5 of each tensor's maximum.
    pub fn new(
        name: &str,
        inputs: Vec<Input>,
        record: impl Fn(&mut Tape, &[ValueId]) -> Result<Vec<ValueId>> + 'static,
    ) -> Self {
        Self { name: name.to_owned(), inputs, record: Box::new(record), tolerance: 1e-5 }
    }

    /// The same case with another tolerance; say why where it is called.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
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
}

/// Every operation, by stem.
pub static TABLE: &[Row] = &[
    Row { stem: "add", about: "a + factor * b", cases: super::add::cases },
    Row {
        stem: "argmax_rows",
        about: "predicted class over tiles of classes",
        cases: super::argmax_rows::cases,
    },
    Row { stem: "class_logit", about: "layer norm over tiles of classes", cases: super::class_logit::cases },
    Row {
        stem: "cross_entropy",
        about: "cross-entropy at label resolution",
        cases: super::cross_entropy::cases,
    },
    Row { stem: "fill", about: "a constant", cases: super::fill::cases },
    Row {
        stem: "nearest_prototype",
        about: "nearest prototype of a pixel's class",
        cases: super::nearest_prototype::cases,
    },
    Row { stem: "proto_match", about: "best prototype of every class", cases: super::proto_match::cases },
    Row { stem: "relu", about: "rectifier, optional ceiling", cases: super::relu::cases },
    Row { stem: "scale", about: "factor * x", cases: super::scale::cases },
    Row { stem: "upsample_argmax", about: "class map at output size", cases: super::upsample_argmax::cases },
];
