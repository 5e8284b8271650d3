//! What the tape asks of an operation.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::error::Result;
use crate::oracle::Array;

use super::Tape;
use super::launch::Launch;
use super::value::{DType, Value, ValueId};

/// Shape and type of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Logical extents.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

impl Spec {
    /// An `f32` output.
    #[must_use]
    pub fn f32(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::F32 }
    }

    /// A `u32` output.
    #[must_use]
    pub fn u32(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::U32 }
    }

    /// An `i32` output.
    #[must_use]
    pub fn i32(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), dtype: DType::I32 }
    }
}

/// Arithmetic and traffic of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Additions and multiplications.
    pub flops: u64,
    /// Bytes read and written once each.
    pub bytes: u64,
}

/// What a gradient rule sees of its node.
pub struct Gradient<'a> {
    /// Inputs of the node.
    pub inputs: &'a [ValueId],
    /// Outputs of the node.
    pub outputs: &'a [ValueId],
    /// Gradient of the loss with respect to each output; `None` where nothing depends on it.
    pub grads: &'a [Option<ValueId>],
    /// Which inputs want a gradient.
    pub wanted: &'a [bool],
}

/// An operation: shape rule, launch, oracle, gradient, cost. It is [`Any`] so that a translation into another format finds out which
/// it is, and no operation needs to know that format.
pub trait Op: Any + Debug + Send + Sync {
    /// The stem that names shader, op and oracle files.
    fn stem(&self) -> &'static str;

    /// Shapes of the outputs.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the inputs do not go together, with both shapes in the sentence.
    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>>;

    /// Appends the dispatches that compute the outputs.
    fn launch(&self, launch: &mut Launch<'_>);

    /// The same in f64: inputs as they were before the node, outputs in order.
    fn oracle(&self, inputs: &[&Array]) -> Vec<Array>;

    /// Records the gradients of the inputs, `None` for those without one. The default has none at all.
    ///
    /// # Errors
    /// Those of recording.
    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let _ = tape;
        Ok(vec![None; node.inputs.len()])
    }

    /// The same operation adding its one output to what that held before, which becomes its last input. `None` where the
    /// kernels cannot do so. Sums of gradients use it to save a pass and a buffer.
    fn accumulating(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// Floating point operations of one run.
    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        let _ = inputs;
        outputs.iter().map(|v| v.len() as u64).sum()
    }
}
