//! The gated linear unit with a swish gate (Shazeer 2020).

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { rows: u32, quads: u32 }
}

/// Input `[.., 2 F]`; output `[.., F]`: the first half times its logistic function times the second half.
#[derive(Clone, Copy, Debug)]
pub struct Swiglu;

/// Inputs `x` and `dy`; output `dx`.
#[derive(Clone, Copy, Debug)]
pub struct SwigluGrad;

/// Records `silu(a) b` of the halves `a` and `b` of every row of `x` `[.., 2 F]`.
///
/// # Errors
/// [`Error::Shape`] if F is no multiple of 4, or `x` has fewer than two axes.
pub fn swiglu(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(Swiglu, &[x])
}

fn params(x: &Value) -> (Params, [u32; 3]) {
    let (rows, quads) = (x.rows(), x.channels() / 8);
    (Params { rows: rows as u32, quads: quads as u32 }, grid(rows * quads, 64))
}

impl Op for Swiglu {
    fn stem(&self) -> &'static str {
        "swiglu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        match inputs[0].shape[..] {
            [ref outer @ .., width] if !outer.is_empty() && width > 0 && width.is_multiple_of(8) => {
                Ok(vec![Spec::f32(&[outer, &[width / 2]].concat())])
            }
            ref other => {
                Err(Error::shape("swiglu", format!("x is {other:?}, wanted [.., 2 F], F a multiple of 4")))
            }
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (params, groups) = params(l.input(0));
        l.dispatch("swiglu", "swiglu", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::swiglu::swiglu(inputs[0])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(SwigluGrad, &[node.inputs[0], g])?)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Op for SwigluGrad {
    fn stem(&self) -> &'static str {
        "swiglu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (params, groups) = params(l.input(0));
        let bindings = [("x", l.read(0)), ("dy", l.read(1)), ("out", l.write(0))];
        l.dispatch("swiglu", "swiglu_grad", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::swiglu::grad(inputs[0], inputs[1])]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], range: f32| {
        let x = Input::f32(shape, Fill::Uniform(-range, range));
        Case::new(name, vec![x], |t, v| Ok(vec![swiglu(t, v[0])?]))
    };
    vec![
        case("one vec4", &[3, 8], 2.0),
        case("odd rows", &[2, 5, 7, 24], 3.0),
        case("large values", &[9, 16], 60.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn halves_that_share_a_vec4_are_refused() {
        for shape in [&[3, 12][..], &[3, 0], &[16]] {
            let mut tape = Tape::new();
            let x = tape.input("x", shape, DType::F32);
            let error = swiglu(&mut tape, x).expect_err("refused").to_string();
            assert!(error.contains("swiglu") && error.contains("2 F"), "{error}");
        }
    }
}
