//! Mean over the pixels of each image.

use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use super::table::{Case, Fill, Input};

uniform! {
    struct Params { batch: u32, pixels: u32, quads: u32, factor: f32 }
}

/// Input `x [B,H,W,C]`; output `[B,C]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalMean;

/// Input `dy [B,C]`; output `dx` of the given shape.
#[derive(Clone, Debug)]
pub struct GlobalMeanGrad {
    /// `[B,H,W,C]`.
    pub x_shape: Vec<usize>,
}

/// Records the mean over height and width.
///
/// # Errors
/// [`Error::Shape`] if `x` is not `[B,H,W,C]` or an image has 65,000 pixels or more (one invocation sums them all).
pub fn global_mean(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(GlobalMean, &[x])
}

fn params(shape: &[usize], quads: usize) -> Params {
    let pixels = shape[1] * shape[2];
    Params { batch: shape[0] as u32, pixels: pixels as u32, quads: quads as u32, factor: 1.0 / pixels as f32 }
}

impl Op for GlobalMean {
    fn stem(&self) -> &'static str {
        "global_mean"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        match inputs[0].shape[..] {
            [b, h, w, c] if h * w < 65_000 && h * w > 0 => Ok(vec![Spec::f32(&[b, c])]),
            _ => Err(Error::shape(
                "global_mean",
                format!("x is {:?}, wanted [B,H,W,C], H*W < 65000", inputs[0].shape),
            )),
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(&l.input(0).shape, l.input(0).quads());
        let groups = grid((params.batch * params.quads) as usize, 64);
        l.dispatch("global_mean", "global_mean", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::global_mean::global_mean(inputs[0])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let x_shape = tape.value(node.inputs[0]).shape.clone();
        Ok(vec![Some(tape.push1(GlobalMeanGrad { x_shape }, &[g])?)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for GlobalMeanGrad {
    fn stem(&self) -> &'static str {
        "global_mean"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&self.x_shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(&self.x_shape, l.output(0).quads());
        let groups = grid((params.batch * params.pixels * params.quads) as usize, 64);
        l.dispatch(
            "global_mean",
            "global_mean_grad",
            &params,
            &[("x", l.read(0)), ("out", l.write(0))],
            groups,
        );
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::global_mean::grad(inputs[0], &self.x_shape)]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 4]| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], |t, v| Ok(vec![global_mean(t, v[0])?]))
    };
    vec![case("odd", [2, 3, 7, 5]), case("one pixel", [3, 1, 1, 1]), case("large", [1, 200, 101, 3])]
}
