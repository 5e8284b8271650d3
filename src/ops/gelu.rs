//! The Gaussian error linear unit, exact (by the error function).

use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32 }
}

/// Input `x`; output `x P(x)` with the normal distribution function P.
#[derive(Clone, Copy, Debug)]
pub struct Gelu;

/// Inputs `x` and `dy`; output `dx`.
#[derive(Clone, Copy, Debug)]
pub struct GeluGrad;

/// Records `x P(x)` of every element.
///
/// # Errors
/// None that depends on the shape.
pub fn gelu(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(Gelu, &[x])
}

impl Op for Gelu {
    fn stem(&self) -> &'static str {
        "gelu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32 };
        l.dispatch("gelu", "gelu", &params, &[("x", l.read(0)), ("out", l.write(0))], grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::gelu::gelu(inputs[0])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(GeluGrad, &[node.inputs[0], g])?)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        20 * inputs[0].len() as u64
    }
}

impl Op for GeluGrad {
    fn stem(&self) -> &'static str {
        "gelu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32 };
        let bindings = [("x", l.read(0)), ("dy", l.read(1)), ("out", l.write(0))];
        l.dispatch("gelu", "gelu_grad", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::gelu::grad(inputs[0], inputs[1])]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        25 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, input| Case::new(name, vec![input], |t, v| Ok(vec![gelu(t, v[0])?]));
    let tails = vec![-30.0, -9.0, -4.0, -1e-3, 0.0, 1e-3, 4.0, 9.0, 30.0];
    vec![
        case("odd", Input::f32(&[2, 3, 7], Fill::Uniform(-3.0, 3.0))),
        case("the left tail", Input::f32(&[5, 9], Fill::Uniform(-5.0, -2.0))),
        case("far out", Input::f32(&[1, 9], Fill::Values(tails))),
        case("not finite", Input::fixed(&[1, 2], Fill::Values(vec![f32::NAN, f32::INFINITY]))),
    ]
}
