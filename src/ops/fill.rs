//! A constant: the seed of the reverse pass, the start of a running maximum.

use super::table::Case;
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, quads: u32, channels: u32, value: f32 }
}

/// No input; an `f32` output of the given shape.
#[derive(Clone, Debug)]
pub struct Fill {
    /// Extents of the output.
    pub shape: Vec<usize>,
    /// Every element.
    pub value: f32,
}

/// Records a constant of shape `shape`.
///
/// # Errors
/// None that depends on the shape.
pub fn fill(tape: &mut Tape, shape: &[usize], value: f32) -> Result<ValueId> {
    tape.push1(Fill { shape: shape.to_vec(), value }, &[])
}

impl Op for Fill {
    fn stem(&self) -> &'static str {
        "fill"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&self.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let out = l.output(0);
        let num_quads = out.padded_len().div_ceil(4);
        let params = Params {
            num_quads: num_quads as u32,
            quads: out.quads() as u32,
            channels: out.channels() as u32,
            value: self.value,
        };
        l.dispatch("fill", "fill", &params, &[("out", l.write(0))], grid(num_quads, 64));
    }

    fn oracle(&self, _: &[&Array]) -> Vec<Array> {
        vec![oracle::fill::fill(&self.shape, f64::from(self.value))]
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("rows of 5", vec![], |t, _| Ok(vec![fill(t, &[3, 5], 1.5)?])),
        Case::new("one element", vec![], |t, _| Ok(vec![fill(t, &[1], -2.0)?])),
    ]
}
