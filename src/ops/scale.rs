//! `out = factor * x`.

use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, factor: f32 }
}

/// Input `x`; output of its shape.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Multiplies every element.
    pub factor: f32,
}

/// Records `factor * x`.
///
/// # Errors
/// None that depends on the shape.
pub fn scale(tape: &mut Tape, x: ValueId, factor: f32) -> Result<ValueId> {
    tape.push1(Scale { factor }, &[x])
}

impl Op for Scale {
    fn stem(&self) -> &'static str {
        "scale"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32, factor: self.factor };
        l.dispatch("scale", "scale", &params, &[("x", l.read(0)), ("out", l.write(0))], grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::scale::scale(inputs[0], f64::from(self.factor))]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        Ok(vec![node.grads[0].map(|g| scale(tape, g, self.factor)).transpose()?])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let x = Input::f32(&[5, 3], Fill::Uniform(-1.0, 1.0));
    vec![Case::new("by -2.5", vec![x], |t, v| Ok(vec![scale(t, v[0], -2.5)?]))]
}
