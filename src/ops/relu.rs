//! Rectifiers: ReLU and ReLU6.

use super::scale;
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, ceiling: f32 }
}

/// Input `x`; output `clamp(x, 0, ceiling)`.
#[derive(Clone, Copy, Debug)]
pub struct Relu {
    /// 6 for ReLU6, infinity for ReLU.
    pub ceiling: f32,
}

/// Inputs `y` (the forward output) and `dy`; output `dx`.
#[derive(Clone, Copy, Debug)]
pub struct ReluGrad {
    /// As in [`Relu`].
    pub ceiling: f32,
}

/// Records `max(x, 0)`.
///
/// # Errors
/// None that depends on the shape.
pub fn relu(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(Relu { ceiling: f32::INFINITY }, &[x])
}

/// Records `min(max(x, 0), 6)`.
///
/// # Errors
/// None that depends on the shape.
pub fn relu6(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(Relu { ceiling: 6.0 }, &[x])
}

impl Op for Relu {
    fn stem(&self) -> &'static str {
        "relu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32, ceiling: self.ceiling };
        l.dispatch("relu", "relu", &params, &[("x", l.read(0)), ("out", l.write(0))], grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::relu::relu(inputs[0], f64::from(self.ceiling))]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(ReluGrad { ceiling: self.ceiling }, &[node.outputs[0], g])?)])
    }
}

impl Op for ReluGrad {
    fn stem(&self) -> &'static str {
        "relu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32, ceiling: self.ceiling };
        let bindings = [("x", l.read(0)), ("dy", l.read(1)), ("out", l.write(0))];
        l.dispatch("relu", "relu_grad", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::relu::relu_grad(inputs[0], inputs[1], f64::from(self.ceiling))]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let x = |fill| Input::f32(&[2, 3, 7], fill);
    let not_finite = || {
        let values = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.0, -7.0];
        Input::fixed(&[1, 5], Fill::Values(values))
    };
    vec![
        Case::new("relu", vec![x(Fill::Away(&[]))], |t, v| Ok(vec![relu(t, v[0])?])),
        Case::new("relu6", vec![x(Fill::Away(&[0.6]))], |t, v| {
            let wide = scale(t, v[0], 10.0)?;
            Ok(vec![relu6(t, wide)?])
        }),
        Case::new("relu, not finite", vec![not_finite()], |t, v| Ok(vec![relu(t, v[0])?])),
        Case::new("relu6, not finite", vec![not_finite()], |t, v| Ok(vec![relu6(t, v[0])?])),
    ]
}
