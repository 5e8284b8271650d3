//! `out = a + factor * b`: residual connections, sums of gradients, weighted sums of losses.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use super::scale;

uniform! {
    struct Params { num_quads: u32, factor: f32 }
}

/// Inputs `a`, `b` of one shape; output of that shape.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Multiplies `b`.
    pub factor: f32,
}

/// Records `a + factor * b`.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ.
pub fn add(tape: &mut Tape, a: ValueId, b: ValueId, factor: f32) -> Result<ValueId> {
    tape.push1(Add { factor }, &[a, b])
}

impl Op for Add {
    fn stem(&self) -> &'static str {
        "add"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (a, b) = (inputs[0], inputs[1]);
        if a.shape != b.shape {
            return Err(Error::shape(
                "add",
                format!("`{}` {:?} + `{}` {:?}", a.name, a.shape, b.name, b.shape),
            ));
        }
        Ok(vec![Spec::f32(&a.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32, factor: self.factor };
        let bindings = [("a", l.read(0)), ("b", l.read(1)), ("out", l.write(0))];
        l.dispatch("add", "add", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::add::add(inputs[0], inputs[1], f64::from(self.factor))]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 2]) };
        let b = if self.factor == 1.0 || !node.wanted[1] { g } else { scale(tape, g, self.factor)? };
        Ok(vec![Some(g), Some(b)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let x = || Input::f32(&[3, 5, 7], Fill::Uniform(-1.0, 1.0));
    vec![
        Case::new("sum", vec![x(), x()], |t, v| Ok(vec![add(t, v[0], v[1], 1.0)?])),
        Case::new("weighted, used twice", vec![x(), x()], |t, v| {
            let once = add(t, v[0], v[1], -0.3)?;
            Ok(vec![add(t, once, v[0], 2.0)?])
        }),
    ]
}
