//! L2 normalisation over channels or over the image width (spec sections 3, 9.4 and 9.6).

use crate::error::{Error, Result};
use crate::gpu::{Caps, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use super::table::{Case, Fill, Input};

uniform! {
    struct Params { num_lines: u32, length: u32, stride: u32, over_width: u32, single: u32 }
}

/// What a norm is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// The last axis.
    Channel,
    /// The axis before it: width of `[B,H,W,D]` (quirk Q1 of the released code).
    Width,
}

/// Input `x`; output of its shape.
#[derive(Clone, Copy, Debug)]
pub struct L2Normalize {
    /// What the norm is taken over.
    pub axis: Axis,
}

/// Inputs `x`, `dy`; output `dx`.
#[derive(Clone, Copy, Debug)]
pub struct L2NormalizeGrad {
    /// As in [`L2Normalize`].
    pub axis: Axis,
}

/// Records `x / max(|x|, 1e-12)`.
///
/// # Errors
/// [`Error::Shape`] if `x` has fewer than two axes, or a norm would run over more than 20,000 vec4s.
pub fn l2_normalize(tape: &mut Tape, x: ValueId, axis: Axis) -> Result<ValueId> {
    tape.push1(L2Normalize { axis }, &[x])
}

/// One invocation walks a line up to three times, and lavapipe ends it after 65,535 iterations.
const LONGEST: usize = 20_000;

fn spec(x: &Value, axis: Axis) -> Result<Vec<Spec>> {
    if x.shape.len() < 2 || params(x, axis).length as usize > LONGEST {
        return Err(Error::shape("l2_normalize", format!("`{}` {:?} over {axis:?}", x.name, x.shape)));
    }
    Ok(vec![Spec::f32(&x.shape)])
}

fn params(x: &Value, axis: Axis) -> Params {
    let (rows, quads) = (x.rows() as u32, x.quads() as u32);
    match axis {
        Axis::Channel => {
            let single = u32::from(x.channels() == 1);
            Params { num_lines: rows, length: quads, stride: 1, over_width: 0, single }
        }
        Axis::Width => {
            let width = x.shape[x.shape.len() - 2] as u32;
            let (num_lines, single) = (rows / width.max(1) * quads, u32::from(width == 1));
            Params { num_lines, length: width, stride: quads, over_width: 1, single }
        }
    }
}

/// Shader and workgroups: on GPUs several invocations share a row of channels that is wide enough for them.
fn kernel(caps: &Caps, params: &Params) -> (&'static str, [u32; 3]) {
    let lines = params.num_lines as usize;
    if !caps.variant.is_parallel() || params.over_width == 1 || params.length < 8 {
        return ("l2_normalize", grid(lines, 64));
    }
    let shader = if caps.subgroups { "l2_normalize.subgroup" } else { "l2_normalize.gpu" };
    (shader, grid(lines, 8))
}

impl Op for L2Normalize {
    fn stem(&self) -> &'static str {
        "l2_normalize"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        spec(inputs[0], self.axis)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), self.axis);
        let (shader, groups) = kernel(l.caps, &params);
        l.dispatch(shader, "l2_normalize", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::l2_normalize::l2_normalize(inputs[0], self.axis == Axis::Width)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(L2NormalizeGrad { axis: self.axis }, &[node.inputs[0], g])?)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Op for L2NormalizeGrad {
    fn stem(&self) -> &'static str {
        "l2_normalize"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        spec(inputs[0], self.axis)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), self.axis);
        let (shader, groups) = kernel(l.caps, &params);
        let bindings = [("x", l.read(0)), ("dy", l.read(1)), ("out", l.write(0))];
        l.dispatch(shader, "l2_normalize_grad", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::l2_normalize::grad(inputs[0], inputs[1], self.axis == Axis::Width)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], axis: Axis| {
        let x = Input::f32(shape, Fill::Away(&[]));
        Case::new(name, vec![x], move |t, v| Ok(vec![l2_normalize(t, v[0], axis)?]))
    };
    let zero = Input::fixed(&[3, 7], Fill::Values([vec![0.0; 7], vec![1.0; 14]].concat()));
    let zero = Case::new("a zero row stays zero", vec![zero], |t, v| {
        Ok(vec![l2_normalize(t, v[0], Axis::Channel)?])
    });
    // Recorded by itself: a finite difference would step over the floor.
    let below_floor = |name: &str, axis: Axis| {
        let values = (0..30).map(|i| if i < 15 { 0.0 } else { 1e-15 * i as f32 });
        let x = Input::fixed(&[2, 3, 5], Fill::Values(values.collect()));
        Case::new(name, vec![x, Input::fixed(&[2, 3, 5], Fill::Uniform(-1.0, 1.0))], move |t, v| {
            t.push1(L2NormalizeGrad { axis }, &[v[0], v[1]])?;
            Ok(Vec::new())
        })
    };
    vec![
        below_floor("gradient below the floor, channels", Axis::Channel),
        below_floor("gradient below the floor, width", Axis::Width),
        case("channels", &[2, 3, 7, 13], Axis::Channel),
        case("one channel", &[5, 1], Axis::Channel),
        case("width", &[2, 3, 7, 5], Axis::Width),
        // The sign of x: its gradient is 0, known only up to rounding.
        Case::new("width 1", vec![Input::fixed(&[1, 3, 1, 8], Fill::Away(&[]))], |t, v| {
            Ok(vec![l2_normalize(t, v[0], Axis::Width)?])
        }),
        case("many rows", &[30_001, 64], Axis::Channel),
        case("wide rows", &[37, 261], Axis::Channel),
        zero,
    ]
}
